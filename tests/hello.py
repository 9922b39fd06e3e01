"""TLS from the client's side: the hello in pieces of any size, and the certificate that comes back."""

import socket
import ssl
from collections.abc import Iterable, Sequence

from tests.waiting import LIMIT

RECORD_HEADER = 5
HANDSHAKE = b"\x16\x03\x01"


def client_context(
    *, alpn: Sequence[str] = (), newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """Of a client that takes any server certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = newest
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def connected(
    port: int,
    name: str | None,
    context: ssl.SSLContext | None = None,
    session: ssl.SSLSession | None = None,
) -> ssl.SSLSocket:
    """A connection whose client asked for `name`, or sent no name; `session` is one to resume."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return (context or client_context()).wrap_socket(raw, server_hostname=name, session=session)


def shown_certificate(port: int, name: str | None, context: ssl.SSLContext | None = None) -> str:
    """What the server shows to a client that asks for `name`, as PEM."""
    with connected(port, name, context) as connection:
        return _pem(connection.getpeercert(binary_form=True))


class Hello:
    """The first message of a client, before it is sent."""

    def __init__(self, name: str | None, context: ssl.SSLContext | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = (context or client_context()).wrap_bio(
            self._incoming, self._outgoing, server_hostname=name
        )
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.record = self._outgoing.read()

    def in_segments(self, offset: int) -> list[bytes]:
        """Its one record, to be sent in two pieces."""
        return [self.record[:offset], self.record[offset:]]

    def in_records(self, offset: int) -> list[bytes]:
        """Its message over two records (RFC 8446, 5.1), the first with `offset` bytes of it."""
        message = self.record[RECORD_HEADER:]
        parts = (message[:offset], message[offset:])
        return [HANDSHAKE + len(part).to_bytes(2, "big") + part for part in parts]

    def shown_certificate(self, port: int, pieces: Iterable[bytes]) -> str:
        """Sends the hello as these pieces and goes through the handshake; "" where the server ends it."""
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                while True:
                    received = connection.recv(65536)
                    if not received:
                        return ""
                    self._incoming.write(received)
                    try:
                        self._tls.do_handshake()
                    except ssl.SSLWantReadError:
                        continue
                    return _pem(self._tls.getpeercert(binary_form=True))
            except (ConnectionError, ssl.SSLError):
                return ""


def _pem(certificate: bytes | None) -> str:
    assert certificate
    return ssl.DER_cert_to_PEM_cert(certificate)
