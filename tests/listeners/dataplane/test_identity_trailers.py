"""What a client says about itself behind a request's body reaches no backend server (pitfall H2)."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from listeners.identity_headers import VERDICT_HEADER
from tests.conftest import Pki
from tests.envoy_lab import configuration, envoy_lab, https
from tests.h2 import H2Connection, request
from tests.hello import client_context, connected
from tests.ports import free_port

END = b"0\r\n"


class RawBackend(socketserver.ThreadingTCPServer):
    """Answers a request with a chunked body once its end, trailers included, is there; keeps every octet."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port: int = self.server_address[1]
        self.received: list[bytes] = []


class _Handler(socketserver.StreamRequestHandler):
    server: RawBackend

    def handle(self) -> None:
        received, is_ending = b"", False
        while line := self.rfile.readline():
            received += line
            is_ending |= line == END
            if is_ending and line == b"\r\n":
                break
        else:
            return  # a health check has connected and left
        self.server.received.append(received)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


@contextmanager
def raw_backend() -> Iterator[RawBackend]:
    with RawBackend() as server:
        thread = threading.Thread(target=server.serve_forever, name="raw backend")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_trailers_of_a_client_are_dropped(pki: Pki, version: str) -> None:
    with raw_backend() as backend, envoy_lab() as lab:
        listener = replace(https(1, free_port(), backend.port), http2=True)
        lab.apply(configuration(listener, server=pki.modern.server))
        lab.wait_served(listener)

        if version == "HTTP/2":
            with H2Connection(listener.port, None) as connection:
                status = connection.ask(request("test.com"), [(VERDICT_HEADER.lower(), "SUCCESS")])
        else:
            status = http1(listener.port)

    [received] = backend.received
    assert status == 200
    assert received.lower().count(VERDICT_HEADER.lower().encode()) == 1
    assert f"{VERDICT_HEADER}: NONE".lower().encode() in received.lower()


def http1(port: int) -> int:
    lines = ["POST / HTTP/1.1", "Host: test.com", "Transfer-Encoding: chunked", "", "0"]
    with connected(port, None, client_context(alpn=["http/1.1"])) as connection:
        connection.sendall("\r\n".join([*lines, f"{VERDICT_HEADER}: SUCCESS", "", ""]).encode())
        return int(connection.recv(65536).split(b" ", 2)[1])
