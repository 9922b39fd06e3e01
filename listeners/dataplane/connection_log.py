"""The data plane's own log: one record for each connection to an HTTPS listener that has ended.

Envoys send it in batches over the connection by which they are fed (`listeners.rendering.envoy.access_log`).
What they send is data: of a listener that there may not be, under names that a client chose.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from listeners.rendering.envoy import listener_id

SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
MOST_TEXT = 1_000  # characters that are kept of what a client or its certificate says
MOST_DIGITS = 64  # of a serial number; RFC 5280 allows 40 (4.1.2.2)
NOTHING = "-"  # Envoy's word for what a connection has not
# A database of PostgreSQL stores no NUL, and a page shows the rest as a line break at best.
CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\ufffd")
NUMBER = re.compile("[0-9]{1,18}", re.ASCII)
FINGERPRINT = re.compile("[0-9a-f]{64}", re.ASCII)
LATEST = 253_402_300_799  # seconds; the year 9999 ends
REFUSED = "rbac_access_denied"  # how Envoy begins to say that its filters have closed a connection
VERIFIED = "allowed"


@dataclass(frozen=True)
class ConnectionRecord:
    """A connection that has ended, at most `MOST_TEXT` characters of each text, "" for what it has not.

    The certificate is what the client presented, verified or not. `failure`: why its handshake or TLS failed,
    `termination`: why Envoy closed it afterwards, in Envoy's words. `has_handshake`: it came to its end.
    `is_verified`: the certificate was verified and the client has sent something after the handshake.
    """

    listener: int
    began: datetime
    ended: datetime
    client: str
    tls_version: str
    server_name: str
    subject: str
    issuer: str
    serial_number: str
    fingerprint: str
    not_after: datetime | None
    failure: str
    termination: str
    has_handshake: bool
    is_verified: bool

    @property
    def is_admitted(self) -> bool:
        """Whether it came through all guards with a certificate.

        They look at the first byte that follows the handshake: one that ends without has been let in nowhere.
        """
        return self.is_verified and bool(self.fingerprint) and not self.termination.startswith(REFUSED)


def log_handler(take: Callable[[ConnectionRecord], None]) -> Any:
    """The server's side; `take` is called for each record and has to be quick."""

    async def export(request: bytes, context: Any) -> ExportLogsServiceResponse:
        for record in records(request, datetime.now(UTC)):
            take(record)
        return ExportLogsServiceResponse()

    method = grpc.unary_unary_rpc_method_handler(
        export, response_serializer=ExportLogsServiceResponse.SerializeToString
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"Export": method})


def records(batch: bytes, now: datetime) -> Iterator[ConnectionRecord]:
    """What is no record of a listener is passed over. No time is after `now`, whatever Envoy's clock says."""
    try:
        request = ExportLogsServiceRequest.FromString(batch)
    except DecodeError:
        return
    for resource in request.resource_logs:
        # Names of an early version of the protocol, which Python's package still has: the bytes are the same.
        for library in resource.instrumentation_library_logs:
            for entry in library.logs:
                if record := _record(entry, now):
                    yield record


def _record(entry: LogRecord, now: datetime) -> ConnectionRecord | None:
    said = {one.key: one.value.string_value for one in entry.attributes}
    listener = listener_id(said.get("listener", ""))
    if listener is None:
        return None
    began = min(_time(entry.time_unix_nano / 1e9), now)
    lasted = said.get("duration", "")
    seconds = min(int(lasted) / 1e3, LATEST) if NUMBER.fullmatch(lasted) else 0
    fingerprint = said.get("fingerprint", "")
    end = said.get("end", "")
    return ConnectionRecord(
        listener=listener,
        began=began,
        ended=began + min(timedelta(seconds=seconds), now - began),
        client=_text(said.get("client")),
        tls_version=_text(said.get("tls")),
        server_name=_text(said.get("name")),
        subject=_text(said.get("subject")),
        issuer=_text(said.get("issuer")),
        serial_number=_text(said.get("serial"))[:MOST_DIGITS],
        fingerprint=fingerprint if FINGERPRINT.fullmatch(fingerprint) else "",
        not_after=_time(int(end)) if NUMBER.fullmatch(end) else None,
        failure=_text(said.get("failure")),
        termination=_text(said.get("termination")),
        has_handshake=said.get("handshake", NOTHING) != NOTHING,
        is_verified=said.get("verified") == VERIFIED,
    )


def _text(said: str | None) -> str:
    if said is None or said == NOTHING:
        return ""
    return said[:MOST_TEXT].translate(CONTROLS)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(seconds, LATEST), UTC)
