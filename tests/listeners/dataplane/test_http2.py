"""The HTTP/2 switch: offered in the handshake or not spoken at all."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from listeners.spec import TimeoutsSpec
from tests.backend import Backend, running_backend
from tests.conftest import Pki
from tests.envoy_lab import configuration, envoy_lab, https
from tests.h2 import PREFACE, H2Connection, request
from tests.hello import client_context, connected
from tests.ports import free_port


@dataclass(frozen=True)
class Ports:
    on: int
    off: int
    never_idle: int


@pytest.fixture(scope="module")
def seen() -> Iterator[Backend]:
    with running_backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def ports(seen: Backend, pki: Pki) -> Iterator[Ports]:
    off = https(1, free_port(), seen.port)
    on = replace(https(2, free_port(), seen.port), http2=True)
    never_idle = replace(https(3, free_port(), seen.port), http2=True, timeouts=TimeoutsSpec(idle=0))
    with envoy_lab() as lab:
        lab.apply(configuration(off, on, never_idle, server=pki.modern.server))
        lab.wait_served(off, on, never_idle)
        yield Ports(on.port, off.port, never_idle.port)


def agreed(port: int, *offered: str) -> str | None:
    with connected(port, None, client_context(alpn=offered)) as connection:
        return connection.selected_alpn_protocol()


def test_protocol_is_agreed_in_the_handshake(ports: Ports) -> None:
    offers = (("h2", "http/1.1"), ("http/1.1", "h2"), ("http/1.1",), ("h2",))
    assert [agreed(ports.on, *offer) for offer in offers] == ["h2", "h2", "http/1.1", "h2"]
    assert [agreed(ports.off, *offer) for offer in offers] == ["http/1.1", "http/1.1", "http/1.1", None]


def test_requests_are_answered_over_http2(ports: Ports, seen: Backend) -> None:
    seen.forget()
    with H2Connection(ports.on, "www.test.com") as connection:
        statuses = [connection.ask(request("www.test.com:443", path)) for path in ("/a", "/b")]
    assert statuses == [200, 200]
    assert [(one.path, one.headers["HOST"]) for one in seen.requests] == [
        ("/a", "www.test.com:443"),
        ("/b", "www.test.com:443"),
    ]


def test_http2_without_agreement_is_not_spoken_where_it_is_off(ports: Ports, seen: Backend) -> None:
    seen.forget()
    with connected(ports.off, None) as connection:
        connection.sendall(PREFACE)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert seen.requests == ()


def test_connection_ends_after_one_answer_when_idle_is_0(ports: Ports) -> None:
    with H2Connection(ports.never_idle, None) as connection:
        assert (connection.ask(request("x")), connection.is_leaving) == (200, True)
    with H2Connection(ports.on, None) as connection:
        assert (connection.ask(request("x")), connection.is_leaving) == (200, False)


def test_http1_clients_are_served_beside(ports: Ports, seen: Backend) -> None:
    seen.forget()
    with connected(ports.on, None, client_context(newest=ssl.TLSVersion.TLSv1_2)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert len(seen.requests) == 1
