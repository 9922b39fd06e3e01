"""What a TLS connection comes to: what the backend server was told, and whether a session was resumed."""

import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from tests.h2 import H2Connection, request
from tests.hello import client_context, connected
from tests.pki import KeyPair

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
HTTP_1_1, HTTP_2 = "http/1.1", "h2"
VERDICT = "X_FORWARDED_CLIENTCERT_CLIENTVERIFY"
REQUEST = b"GET / HTTP/1.1\r\nHost: www.test.com\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Outcome:
    """`verdict` is what the backend server was told, "" when nothing was answered."""

    verdict: str = ""
    resumed: bool = False
    session: ssl.SSLSession | None = field(default=None, compare=False, repr=False)


REFUSED = Outcome()


class TlsClient:
    """Connections of one client to listeners before `tests.backend`."""

    def __init__(
        self, version: ssl.TLSVersion = TLS_1_3, protocol: str = HTTP_1_1, client: KeyPair | None = None
    ) -> None:
        self._context = client_context(alpn=[protocol], newest=version)
        self._context.minimum_version = version
        self._ask = self._http2 if protocol == HTTP_2 else self._http1
        if client:
            self._context.load_cert_chain(client.certificate, client.key)

    def ask(self, port: int, session: ssl.SSLSession | None = None) -> Outcome:
        """One request on one connection; `session` is of an earlier outcome of this client."""
        try:
            return self._ask(port, session)
        except (ssl.SSLError, ConnectionError):
            return REFUSED

    def _http1(self, port: int, session: ssl.SSLSession | None) -> Outcome:
        with connected(port, None, self._context, session) as connection:
            connection.sendall(REQUEST)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
            head, _, body = answer.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                return REFUSED
            return Outcome(_verdict(body), bool(connection.session_reused), connection.session)

    def _http2(self, port: int, session: ssl.SSLSession | None) -> Outcome:
        with H2Connection(port, None, self._context, session) as connection:
            if connection.ask(request("www.test.com")) != 200:
                return REFUSED
            return Outcome(_verdict(connection.body), connection.is_resumed, connection.session)


def _verdict(body: bytes) -> str:
    headers: dict[str, Any] = json.loads(body)["headers"]
    return str(headers.get(VERDICT, "none was sent"))
