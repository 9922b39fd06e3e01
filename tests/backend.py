"""A backend server that answers with what it saw and remembers every request.

It is a WSGI application because WSGI writes `X-Name` and `X_Name` as one variable (pitfall H3), served
by wsgiref because production servers drop names with underscores before the application sees them.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from tests.ports import free_port


@dataclass(frozen=True)
class Request:
    """`headers` are the environment's `HTTP_` variables, the prefix left out."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class Backend:
    """Answers every request with 200 and JSON: `backend` (its name), `method`, `path`, `headers`, `body`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = "127.0.0.1"
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = make_server(
            self.address, free_port(), self._answer, server_class=_Server, handler_class=_QuietHandler
        )
        self.port = self._server.server_port

    @property
    def requests(self) -> tuple[Request, ...]:
        with self._lock:
            return tuple(self._requests)

    def forget(self) -> None:
        with self._lock:
            self._requests.clear()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        request = Request(
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            headers={
                name.removeprefix("HTTP_"): value
                for name, value in environ.items()
                if name.startswith("HTTP_")
            },
            body=environ["wsgi.input"].read(length).decode(errors="replace"),
        )
        with self._lock:
            self._requests.append(request)
        body = json.dumps({"backend": self.name, **request.__dict__}).encode()
        start_response(
            f"{HTTPStatus.OK.value} OK",
            [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
        )
        return [] if request.method == "HEAD" else [body]


@contextmanager
def running_backend(name: str = "backend") -> Iterator[Backend]:
    backend = Backend(name)
    with _running(backend._server, name):
        yield backend


@contextmanager
def backend_behind_a_full_queue(name: str) -> Iterator[tuple[Backend, Callable[[], None]]]:
    """A backend server that no connection reaches before the function is called, not even a health check."""
    backend = Backend(name)
    with ExitStack() as stack:
        stack.callback(backend._server.server_close)
        backend._server.socket.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((backend.address, backend.port))
        yield backend, lambda: stack.enter_context(_running(backend._server, name))


@contextmanager
def _running(server: WSGIServer, name: str) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, name=name)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; health checks connect and close."""


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
