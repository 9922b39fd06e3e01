"""What a listener of the bench serves, the changes that are made to it, and how each is seen from outside."""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from tests import pki
from tests.pki import KeyPair

TIMEOUT = 10.0  # seconds
REQUEST = b"GET / HTTP/1.1\r\nHost: www.test.com\r\nConnection: close\r\n\r\n"


class Change(StrEnum):
    CERTIFICATE = "certificate"
    CA = "CA"
    BACKEND = "backend"
    POLICY = "policy"
    LISTENER = "listener"


@dataclass(frozen=True)
class Served:
    """One listener's part. Of each pair the first value is served at the start; a change goes to the other.

    `certificate`: the first or the second server certificate; `cas`: one trusted CA, or two;
    `backend`: the first or the second; `newest_tls`: TLS 1.3, or TLS 1.2 alone; `mutual`: client
    certificates are required, or not asked for.
    """

    certificate: int = 0
    cas: int = 1
    backend: int = 0
    newest_tls: str = "TLSv1.3"
    mutual: bool = True
    http2: bool = False

    def after(self, change: Change) -> "Served":
        match change:
            case Change.CERTIFICATE:
                return replace(self, certificate=1 - self.certificate)
            case Change.CA:
                return replace(self, cas=3 - self.cas)
            case Change.BACKEND:
                return replace(self, backend=1 - self.backend)
            case Change.POLICY:
                return replace(self, newest_tls="TLSv1.2" if self.newest_tls == "TLSv1.3" else "TLSv1.3")
            case Change.LISTENER:
                return replace(self, mutual=not self.mutual)


class Material:
    """Two server certificates, two CAs with a client each, all ECDSA P-256.

    Files beside them hold one CA or both, and each server certificate with its key.
    """

    def __init__(self, folder: Path) -> None:
        ca = pki.authority(folder, "ca")
        other_ca = pki.authority(folder, "other-ca", "/O=Another")
        self.servers = [
            pki.issue(folder, name, ca, extensions=pki.SERVER_EXTENSIONS)
            for name in ("server", "other-server")
        ]
        self.client, self.other_client = (
            pki.issue(
                folder, f"{name}-client", issuer, subject=f"/CN={name}", extensions=pki.CLIENT_EXTENSIONS
            )
            for name, issuer in (("first", ca), ("second", other_ca))
        )
        self._folder = folder
        self._write("one.pem", [ca.certificate_pem])
        self._write("two.pem", [ca.certificate_pem, other_ca.certificate_pem])
        for number, server in enumerate(self.servers):
            # HAProxy reads a certificate and its key from one file.
            self._write(f"server-{number}.pem", [server.certificate_pem, server.key_pem])

    def _write(self, name: str, texts: list[str]) -> None:
        pki.write_private(self._folder / name, "".join(texts).encode())

    def trusted(self, served: Served) -> Path:
        return self._folder / ("one.pem" if served.cas == 1 else "two.pem")

    def server_with_key(self, served: Served) -> Path:
        return self._folder / f"server-{served.certificate}.pem"

    @cached_property
    def certificates(self) -> list[bytes]:
        """DER of the server certificates."""
        return [ssl.PEM_cert_to_DER_cert(server.certificate_pem) for server in self.servers]


@dataclass(frozen=True)
class Place:
    address: str
    port: int

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}/"


@dataclass(frozen=True)
class Seen:
    """Of one request on a connection of its own; `status` is 0 when there was no answer.

    `reached`: something accepted the connection, whatever became of it.
    """

    reached: bool = False
    status: int = 0
    body: bytes = b""
    protocol: str = ""
    certificate: bytes = b""


class NoAnswerError(Exception):
    """The connection ended before an answer did."""


@dataclass(frozen=True)
class Answer:
    """`closes`: it announces that the connection will be closed."""

    status: int
    body: bytes
    closes: bool


def answered(connection: ssl.SSLSocket) -> Answer:
    """As far as it goes: while Envoy drains it may be slow to close. Raises `NoAnswerError` and OSError."""

    def part() -> bytes:
        if received := connection.recv(65_536):
            return received
        raise NoAnswerError("closed without an answer")

    text = b""
    while b"\r\n\r\n" not in text:
        text += part()
    head, _, body = text.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += part()
    closes = any(line.startswith(b"connection:") and b"close" in line for line in lines)
    return Answer(int(lines[0].split()[1]), body, closes)


def client_context(client: KeyPair | None) -> ssl.SSLContext:
    """Trusts every server: what the server says of itself is looked at, not believed. Resumes nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client:
        context.load_cert_chain(client.certificate, client.key)
    return context


def look(place: Place, context: ssl.SSLContext) -> Seen:
    """A full handshake and one request. With TLS 1.3 a refusal comes only after the handshake."""
    reached = False
    try:
        with socket.create_connection((place.address, place.port), TIMEOUT) as plain:
            reached = True
            # Else the request waits until the end of the handshake is acknowledged, which takes 40 ms.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(plain, server_hostname="www.test.com") as connection:
                protocol, certificate = connection.version() or "", connection.getpeercert(True) or b""
                connection.sendall(REQUEST)
                answer = answered(connection)
    except (OSError, NoAnswerError):  # ssl.SSLError among them
        return Seen(reached)
    return Seen(reached, answer.status, answer.body, protocol, certificate)


def obeys(change: Change, served: Served, place: Place, material: Material) -> Callable[[], bool]:
    """A question to the listener: whether it does as `served` says in what `change` changes."""
    clients = {Change.LISTENER: None, Change.CA: material.other_client}
    context = client_context(clients.get(change, material.client))

    def answer() -> bool:
        seen = look(place, context)
        match change:
            case Change.CERTIFICATE:
                return seen.status == 200 and seen.certificate == material.certificates[served.certificate]
            case Change.CA:
                return seen.reached and (seen.status == 200) == (served.cas == 2)
            case Change.BACKEND:
                return seen.status == 200 and seen.body == backend_body(served.backend).encode()
            case Change.POLICY:
                return seen.status == 200 and seen.protocol == served.newest_tls
            case Change.LISTENER:
                return seen.reached and (seen.status == 200) != served.mutual

    return answer


def backend_body(backend: int) -> str:
    return f"backend {backend}"
