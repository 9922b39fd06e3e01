"""What each Envoy has acknowledged: asked of the control plane over its Unix socket.

One unary gRPC method whose messages are JSON; both ends are in this module.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc

from listeners.rendering.envoy import Resource

SERVICE = "elb.console.DeliveryStatus"
METHOD = f"/{SERVICE}/Fetch"
TIMEOUT = 2.0  # seconds
# gRPC's own limit of 4 MiB is near for thousands of listeners, and for what Envoy says against many.
MESSAGE_OPTIONS = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]


class StatusUnavailableError(Exception):
    """The control plane does not answer."""


@dataclass(frozen=True)
class ResourceQuestion:
    type_url: str
    name: str
    version: str


@dataclass(frozen=True)
class NodeReport:
    """What one Envoy has of the resources asked about.

    `held`: every one of them in the version asked for; `reason`: Envoy's words against one of them.
    """

    node: str
    connected: bool
    held: bool
    reason: str


@dataclass(frozen=True)
class DeliveryReport:
    """Per question asked, in its order: why the listener is not handed over ("" if it is), and the nodes."""

    refusal: str
    nodes: tuple[NodeReport, ...]


# Asked about listeners, each by the resources that it is made of.
Answer = Callable[[Sequence[Sequence[ResourceQuestion]]], list[DeliveryReport]]


def questions(resources: Iterable[Resource]) -> tuple[ResourceQuestion, ...]:
    return tuple(ResourceQuestion(r.type_url, r.name, r.version) for r in resources)


def status_handler(answer: Answer) -> Any:
    """The server's side; `answer` maps questions, a tuple for each listener, to their reports."""

    async def fetch(request: list[list[dict[str, str]]], context: Any) -> list[dict[str, Any]]:
        asked = [tuple(ResourceQuestion(**one) for one in group) for group in request]
        return [asdict(report) for report in answer(asked)]

    method = grpc.unary_unary_rpc_method_handler(fetch, json.loads, _dumped)
    return grpc.method_handlers_generic_handler(SERVICE, {"Fetch": method})


def delivery_reports(socket: Path, asked: Sequence[Sequence[ResourceQuestion]]) -> list[DeliveryReport]:
    """One report for each group of questions. Raises `StatusUnavailableError`."""
    with grpc.insecure_channel(f"unix:{socket}", options=MESSAGE_OPTIONS) as channel:
        call = channel.unary_unary(METHOD, _dumped, json.loads)
        try:
            answer = call([[asdict(one) for one in group] for group in asked], timeout=TIMEOUT)
        except grpc.RpcError as error:
            raise StatusUnavailableError("The control plane does not answer.") from error
    return [
        DeliveryReport(one["refusal"], tuple(NodeReport(**node) for node in one["nodes"])) for one in answer
    ]


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()
