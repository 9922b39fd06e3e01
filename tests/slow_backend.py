"""A backend server that takes its time: what it does is in the path of the request."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port

STEPS, STEP = 6, 0.5  # seconds between two pieces of a body
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class SlowBackend(socketserver.ThreadingTCPServer):
    """`paths` are those of the requests that have come."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str) -> None:
        super().__init__((address, free_port(address)), _Handler)
        self.port: int = self.server_address[1]
        self.paths: list[str] = []
        self.ended = threading.Event()


class _Handler(socketserver.StreamRequestHandler):
    server: SlowBackend

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while line := self.rfile.readline():
                length = 0
                while (header := self.rfile.readline()) not in (b"\r\n", b""):
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                path = line.split(b" ")[1].decode()
                self.server.paths.append(path)
                self.rfile.read(length)
                self._answer(path)

    def _answer(self, path: str) -> None:
        if path.startswith("/silent"):
            self._until_closed()
        elif path.startswith("/pause"):
            self.wfile.write(STREAM + b"4\r\nhalf\r\n")
            self._until_closed()
        elif path.startswith("/steady"):
            self.wfile.write(STREAM)
            for _ in range(STEPS):
                self.server.ended.wait(STEP)
                self.wfile.write(b"1\r\n.\r\n")
            self.wfile.write(b"0\r\n\r\n")
        elif path.startswith("/websocket"):
            self.wfile.write(SWITCH)
            if path == "/websocket-late":
                self.server.ended.wait(STEPS * STEP)
                self.wfile.write(b"late")
            while data := self.connection.recv(100):
                self.wfile.write(data)
        else:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _until_closed(self) -> None:
        self.connection.recv(1)


@contextmanager
def running_slow_backend(address: str = "127.0.0.1") -> Iterator[SlowBackend]:
    with SlowBackend(address) as server:
        thread = threading.Thread(target=server.serve_forever, name="slow backend")
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
