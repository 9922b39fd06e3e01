"""The control plane: looks for changes, has them checked, and feeds every Envoy that connects.

It is given a source of configuration and knows no database.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import AF_UNIX
from typing import Any

import grpc
from envoy.service.discovery.v3.ads_pb2_grpc import (
    AggregatedDiscoveryServiceServicer,
    add_AggregatedDiscoveryServiceServicer_to_server,
)
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from listeners.dataplane import vouching
from listeners.dataplane.connection_log import log_handler
from listeners.dataplane.delivery_status import (
    MESSAGE_OPTIONS,
    ChangeTimes,
    DeliveryReport,
    NodeReport,
    ResourceQuestion,
    status_handler,
)
from listeners.dataplane.discovery import LINGERING, Session
from listeners.dataplane.looking import Looker, Source
from listeners.dataplane.reasons import quotable
from listeners.dataplane.sightings import Sighting, Sightings
from listeners.dataplane.vouching import Voucher
from listeners.rendering.envoy import LISTENER

logger = logging.getLogger(__name__)

LOOK_INTERVAL = 0.1  # seconds between two looks when nobody wakes the control plane
LONGEST_PAUSE = 5.0  # seconds between two tries while the database is away
REMEMBERED = 3600.0  # seconds for which an Envoy that has left is still shown
RETRY_INTERVAL = 15.0  # seconds until what Envoy refused is offered again: a session's turn
SERVER_OPTIONS = [
    *MESSAGE_OPTIONS,
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),  # a second control plane on the port is an error, not a sharer
]


@dataclass(frozen=True)
class RemoteListener:
    """Where Envoys on other machines connect: TCP, with a client certificate of `client_ca`. PEM bytes."""

    address: str
    certificate: bytes
    private_key: bytes
    client_ca: bytes

    def credentials(self) -> Any:
        return grpc.ssl_server_credentials(
            [(self.private_key, self.certificate)],
            root_certificates=self.client_ca,
            require_client_auth=True,
        )


@dataclass(eq=False)
class Stream:
    """A connection of an Envoy by its node id; `left_at` is on the loop's clock, None while it is there."""

    node: str
    session: Session
    changed: asyncio.Event
    left_at: float | None = None


class ControlPlane(AggregatedDiscoveryServiceServicer):
    """`local_node` is the id that only an Envoy on the Unix socket may have; `note` takes from a thread which
    client certificates were let in; connections of what was changed may go on for `drain_seconds`.
    """

    def __init__(
        self,
        source: Source,
        local_node: str,
        note: Callable[[Sequence[Sighting]], None],
        drain_seconds: float = 0,
    ) -> None:
        self._looker = Looker(source)
        self._sightings = Sightings(note)
        self._local_node = local_node
        self._lingering = LINGERING + int(drain_seconds / RETRY_INTERVAL)
        self._streams: list[Stream] = []
        self._is_retrying = False
        self._failure = ""
        self._woken = asyncio.Event()
        # One thread for the database and the pre-flight, so that streams go on meanwhile.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look")

    async def serve(
        self,
        socket: Path,
        remote: RemoteListener | None = None,
        wake: Path | None = None,
        vouched: Callable[[Voucher], None] | None = None,
    ) -> None:
        """Serves until cancelled. Nothing is answered before the first look.

        A datagram to `wake` has it look at once; whoever changes something may send one. Vouchers that come
        the same way are given to `vouched`.
        """
        while not self._looker.has_looked:
            await self._look()
            await asyncio.sleep(0 if self._looker.has_looked else LOOK_INTERVAL)
        waker = await self._waker(wake, vouched) if wake else None
        # The local socket last: that it is there tells the supervisor that all is well.
        servers = [self._server(remote.address, credentials=remote.credentials())] if remote else []
        servers.append(self._server(f"unix:{socket}", status=True))
        socket.chmod(0o600)
        for server in servers:
            await server.start()
        logger.info("control plane ready at revision %d", self._looker.desired.revision)
        try:
            await asyncio.gather(self._look_forever(), self._retry_forever(), self._sightings.write_forever())
        finally:
            if waker:
                waker.close()
            for server in servers:
                await server.stop(grace=None)
            await self._sightings.write()

    async def DeltaAggregatedResources(
        self, request_iterator: AsyncIterator[DeltaDiscoveryRequest], context: Any
    ) -> AsyncIterator[DeltaDiscoveryResponse]:
        first = await anext(aiter(request_iterator), None)
        if first is None:
            return
        name = first.node.id
        if not name:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "An Envoy must send its node id.")
        if name == self._local_node and not context.peer().startswith("unix:"):
            # What pages say of the local Envoy must come from it, not from a namesake elsewhere.
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"Node id {name} is the local Envoy's.")
        stream = Stream(name, Session(self._looker.desired, self._lingering), asyncio.Event())
        self._enter(stream)
        logger.info("Envoy %s connected from %s", name, context.peer())
        reader = asyncio.create_task(self._read(first, request_iterator, stream))
        try:
            while not reader.done():
                for response in stream.session.responses():
                    yield response
                await stream.changed.wait()
                stream.changed.clear()
        finally:
            reader.cancel()
            stream.left_at = asyncio.get_running_loop().time()
            logger.info("Envoy %s disconnected", name)

    def _enter(self, stream: Stream) -> None:
        """A stream that has left is remembered for a while, unless its Envoy is back."""
        now = asyncio.get_running_loop().time()
        self._streams = [
            one
            for one in self._streams
            if one.left_at is None or (one.node != stream.node and now - one.left_at < REMEMBERED)
        ]
        self._streams.append(stream)

    def answer(self, asked: Sequence[Sequence[ResourceQuestion]]) -> list[DeliveryReport]:
        """How far each listener, given as the resources that it is made of, has come at each Envoy."""
        return [self._report(group) for group in asked]

    def withheld(self) -> list[str]:
        """Names of listeners that are to be served no more and that a connected Envoy still has."""
        present = [stream.session for stream in self._streams if stream.left_at is None]
        return sorted({name for session in present for name in session.leaving})

    def times(self) -> ChangeTimes | None:
        return self._looker.times

    def _report(self, group: Sequence[ResourceQuestion]) -> DeliveryReport:
        listener = next((one.name for one in group if one.type_url == LISTENER), "")
        by_node: dict[str, list[Stream]] = {}
        for stream in self._streams:
            by_node.setdefault(stream.node, []).append(stream)
        nodes = tuple(_node_report(node, by_node[node], group) for node in sorted(by_node))
        return DeliveryReport(self._looker.desired.refused.get(listener, ""), nodes)

    def _server(self, address: str, *, status: bool = False, credentials: Any = None) -> Any:
        server = grpc.aio.server(options=SERVER_OPTIONS)
        add_AggregatedDiscoveryServiceServicer_to_server(self, server)
        server.add_generic_rpc_handlers((log_handler(self._sightings.take),))
        if status:
            server.add_generic_rpc_handlers((status_handler(self),))
        if credentials:
            server.add_secure_port(address, credentials)
        else:
            server.add_insecure_port(address)
        return server

    async def _waker(
        self, path: Path, vouched: Callable[[Voucher], None] | None
    ) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: Waking(self._woken, vouched), local_addr=str(path), family=AF_UNIX
        )
        path.chmod(0o600)
        return transport

    async def _look_forever(self) -> None:
        pause = LOOK_INTERVAL
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)
            self._woken.clear()
            pause = LOOK_INTERVAL if await self._look() else min(2 * pause, LONGEST_PAUSE)

    async def _look(self) -> bool:
        """Whether looking worked."""
        find = partial(self._looker.find, retry=self._is_retrying)
        self._is_retrying = False
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, find)
        except Exception as error:
            # The database may be away for a while; what is served goes on, and the next look tries again.
            if repr(error) != self._failure:
                logger.exception("looking for changes failed; trying again")
            self._failure = repr(error)
            return False
        self._failure = ""
        if found:
            change = self._looker.take(found)
            for stream in self._streams:
                stream.session.aim(change)
                stream.changed.set()
            self._note_delivery()
        return True

    async def _retry_forever(self) -> None:
        while True:
            await asyncio.sleep(RETRY_INTERVAL)
            self._is_retrying = True  # a pre-flight that was interrupted is made up for
            for stream in self._streams:
                stream.session.retry()
                stream.changed.set()

    async def _read(
        self, first: DeltaDiscoveryRequest, requests: AsyncIterator[DeltaDiscoveryRequest], stream: Stream
    ) -> None:
        try:
            _receive(stream, first)
            async for request in requests:
                _receive(stream, request)
                self._note_delivery()
        finally:
            stream.changed.set()

    def _note_delivery(self) -> None:
        present = [stream.session for stream in self._streams if stream.left_at is None]
        if present and all(session.is_settled for session in present):
            self._looker.note_delivery()


class Waking(asyncio.DatagramProtocol):
    """Hands on a datagram that is a voucher, and sets an event at each other, whatever is in it."""

    def __init__(self, woken: asyncio.Event, vouched: Callable[[Voucher], None] | None = None) -> None:
        self._woken = woken
        self._vouched = vouched

    def datagram_received(self, data: bytes, addr: Any) -> None:
        voucher = vouching.read(data)
        if voucher is None:
            self._woken.set()
        elif self._vouched:
            self._vouched(voucher)


def _receive(stream: Stream, request: DeltaDiscoveryRequest) -> None:
    if request.HasField("error_detail"):
        logger.warning("Envoy refuses %s: %s", request.type_url, quotable(request.error_detail.message))
    stream.session.receive(request)
    stream.changed.set()


def _node_report(node: str, streams: Sequence[Stream], group: Sequence[ResourceQuestion]) -> NodeReport:
    """Of every Envoy that goes by this name: what one of them has not, the name has not."""
    present = [stream for stream in streams if stream.left_at is None]
    sessions = [stream.session for stream in present or streams]
    questions = [((one.type_url, one.name), one.version) for one in group]
    held = all(session.held(key) == version for session in sessions for key, version in questions)
    reasons = (session.rejection(key, version) for session in sessions for key, version in questions)
    return NodeReport(node, bool(present), held, next((reason for reason in reasons if reason), ""))
