"""What each Envoy has acknowledged: asked of the control plane over its Unix socket.

Unary gRPC methods whose messages are JSON; both ends are in this module.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc

from listeners.rendering.envoy import Resource

SERVICE = "elb.console.DeliveryStatus"
TIMEOUT = 2.0  # seconds, where whoever asks has no limit of its own
# gRPC's own limit of 4 MiB is near for thousands of listeners, and for what Envoy says against many.
MESSAGE_OPTIONS = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]


class StatusUnavailableError(Exception):
    """The control plane does not answer."""


@dataclass(frozen=True)
class ResourceQuestion:
    """`version` is None for a resource that is not to be there."""

    type_url: str
    name: str
    version: str | None


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


@dataclass(frozen=True)
class ChangeTimes:
    """How long the control plane took over the last change, in seconds.

    `found_at` is the time of day, since the epoch, at which it began to read; the three parts follow each
    other. `delivery` is from then until every connected Envoy has answered all of it; None: not yet.
    """

    revision: int
    listeners: int
    found_at: float
    read: float
    render: float
    preflight: float
    delivery: float | None = None


class Informant(Protocol):
    """Who answers; the first asked about listeners, each by the resources that it is made of."""

    def answer(self, asked: Sequence[Sequence[ResourceQuestion]]) -> list[DeliveryReport]: ...

    def withheld(self) -> list[str]: ...

    def times(self) -> ChangeTimes | None: ...


def questions(resources: Iterable[Resource]) -> tuple[ResourceQuestion, ...]:
    return tuple(ResourceQuestion(r.type_url, r.name, r.version) for r in resources)


def status_handler(informant: Informant) -> Any:
    """The server's side."""

    async def fetch(request: list[list[dict[str, str]]], context: Any) -> list[dict[str, Any]]:
        asked = [tuple(ResourceQuestion(**one) for one in group) for group in request]
        return [asdict(report) for report in informant.answer(asked)]

    async def withheld(request: None, context: Any) -> list[str]:
        return informant.withheld()

    async def times(request: None, context: Any) -> dict[str, Any] | None:
        found = informant.times()
        return asdict(found) if found else None

    methods: dict[str, Any] = {"Fetch": fetch, "Withheld": withheld, "Times": times}
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            name: grpc.unary_unary_rpc_method_handler(method, json.loads, _dumped)
            for name, method in methods.items()
        },
    )


def delivery_reports(
    socket: Path, asked: Sequence[Sequence[ResourceQuestion]], limit: float = TIMEOUT
) -> list[DeliveryReport]:
    """One report for each group of questions. Raises `StatusUnavailableError`."""
    answer = _called(socket, "Fetch", [[asdict(one) for one in group] for group in asked], limit)
    return [
        DeliveryReport(one["refusal"], tuple(NodeReport(**node) for node in one["nodes"])) for one in answer
    ]


def withheld(socket: Path, limit: float = TIMEOUT) -> tuple[str, ...]:
    """Names of listeners that are to be served no more, deleted or disabled, and that an Envoy still has.

    Costs as much as there are of them. Raises `StatusUnavailableError`.
    """
    return tuple(_called(socket, "Withheld", None, limit))


def change_times(socket: Path) -> ChangeTimes | None:
    """Of the last change, None before the first. Raises `StatusUnavailableError`."""
    answer = _called(socket, "Times", None)
    return ChangeTimes(**answer) if answer else None


def _called(socket: Path, method: str, request: Any, limit: float = TIMEOUT) -> Any:
    with grpc.insecure_channel(f"unix:{socket}", options=MESSAGE_OPTIONS) as channel:
        call = channel.unary_unary(f"/{SERVICE}/{method}", _dumped, json.loads)
        try:
            return call(request, timeout=limit)
        except grpc.RpcError as error:
            raise StatusUnavailableError("The control plane does not answer.") from error


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()
