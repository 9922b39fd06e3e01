"""A request with several Host lines is refused, without SNI certificates, too (RFC 9112, 3.2)."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from listeners.spec import ListenerSpec, RedirectSpec
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import configuration, envoy_lab, http, https
from tests.hello import client_context, connected
from tests.ports import free_port
from tests.waiting import LIMIT

KINDS = ("HTTP", "HTTPS", "redirect")


@pytest.fixture(scope="module")
def listeners(backend: Backend, pki: Pki) -> Iterator[dict[str, ListenerSpec]]:
    plain = http(1, free_port(), backend.port)
    redirecting = ListenerSpec(3, "127.0.0.1", free_port(), RedirectSpec(8443), tls=None)
    found = (plain, replace(https(2, free_port(), backend.port), http2=True), redirecting)
    with envoy_lab() as lab:
        lab.apply(configuration(*found, server=pki.modern.server))
        lab.wait_served(*found)
        yield dict(zip(KINDS, found, strict=True))


@pytest.mark.parametrize(
    ("hosts", "is_served"),
    [
        (["one.test.com"], True),
        (["one.test.com", "two.test.com"], False),
        (["one.test.com", "one.test.com"], False),
        (["one.test.com,two.test.com"], False),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_request_with_several_hosts_is_refused(
    backend: Backend, listeners: dict[str, ListenerSpec], kind: str, hosts: list[str], is_served: bool
) -> None:
    backend.forget()

    answered = status(listeners[kind], hosts)

    served = 301 if kind == "redirect" else 200
    assert answered == (served if is_served else 400)
    arrived = [request.headers["HOST"] for request in backend.requests]
    assert arrived == (hosts if is_served and kind != "redirect" else [])


def status(listener: ListenerSpec, hosts: list[str]) -> int:
    lines = ["GET / HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
    if listener.tls:
        connection: socket.socket = connected(listener.port, None, client_context(alpn=["http/1.1"]))
    else:
        connection = socket.create_connection((listener.address, listener.port), timeout=LIMIT)
    with connection:
        connection.sendall("\r\n".join(lines).encode())
        return int(connection.recv(65536).split(b" ", 2)[1])
