"""A connection serves the hosts that its certificates are for and no other, however they are spelled (B3)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from listeners.spec import (
    ConfigurationSpec,
    ListenerSpec,
    ServerCertificateSpec,
    SniAlgorithm,
    SniCertificateSpec,
)
from listeners.tls_policies import KeyType
from tests.backend import Backend, running_backend
from tests.conftest import Pki
from tests.envoy_lab import envoy_lab, https
from tests.h2 import H2Connection, request
from tests.hello import client_context, connected
from tests.ports import free_port

WILDCARD, LONGEST_SUFFIX = SniAlgorithm
SNI = (
    SniCertificateSpec(2, ("a.test.com",), KeyType.ECDSA),
    SniCertificateSpec(3, ("*.test.com",), KeyType.ECDSA),
    SniCertificateSpec(4, ("*.deep.test.com", "other.example"), KeyType.ECDSA),
    SniCertificateSpec(1, ("own.test.com",), KeyType.ECDSA),
)
SERVED, MISDIRECTED = 200, 421
# What may stand behind a host without making it another.
SUFFIXES = ("", ":443", ":8443", ".", ".:443")
# Clients that asked for this name (None: for no name) and the hosts that are theirs, by algorithm.
OWN: dict[str | None, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a.test.com": (("a.test.com",), ("a.test.com",)),
    "x.test.com": (("x.test.com", "y.test.com", "a-b_c.test.com"), ("y.test.com", "p.q.test.com")),
    "x.deep.test.com": (("y.deep.test.com", "other.example"), ("p.q.deep.test.com", "other.example")),
    None: (
        ("own.test.com", "test.com", "elsewhere.example", "p.q.test.com", "127.0.0.1", "[::1]"),
        ("own.test.com", "test.com", "elsewhere.example", "127.0.0.1", "[::1]"),
    ),
}
OWN["elsewhere.example"] = OWN[None]
# Hosts that nobody is shown a certificate for: they are no chain's own.
ODD = (
    "*.test.com",
    "a.test.com..",
    "a.test.com..:443",
    ".a.test.com",
    "user@a.test.com",
    "a.test.com:443:443",
    "a.test.com%00",
    "a%2Etest.com",
    "user@a.test.com:443",
    "a.test.com,b",
    "x.test.com/a.test.com",
    "[a.test.com]",
    "\u00e4.test.com",
)


@dataclass(frozen=True)
class Site:
    backend: Backend
    listeners: dict[SniAlgorithm, ListenerSpec]

    def port(self, algorithm: SniAlgorithm) -> int:
        return self.listeners[algorithm].port

    def http1(self, algorithm: SniAlgorithm, name: str | None, *lines: str) -> int:
        """The status of one request on a connection of its own, 0 when there is none."""
        head = "".join(f"{line}\r\n" for line in (*lines, "Connection: close", ""))
        with connected(self.port(algorithm), name, client_context(alpn=["http/1.1"])) as connection:
            connection.sendall(head.encode())
            answer = connection.recv(65536)
        return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.fixture(scope="module")
def site(pki: Pki) -> Iterator[Site]:
    server = pki.modern.server
    certificates = {
        id: ServerCertificateSpec(id, server.certificate_pem, server.key_pem) for id in range(1, 5)
    }
    with running_backend() as backend, envoy_lab() as lab:
        listeners = {}
        for number, algorithm in enumerate(SniAlgorithm, 1):
            plain = https(number, free_port(), backend.port)
            tls = replace(plain.tls, sni=SNI, sni_algorithm=algorithm)
            listeners[algorithm] = replace(plain, tls=tls, http2=True)
        lab.apply(ConfigurationSpec(0, tuple(listeners.values()), certificates))
        lab.wait_served(*listeners.values())
        yield Site(backend, listeners)


def owns(algorithm: SniAlgorithm, name: str | None) -> tuple[str, ...]:
    return OWN[name][list(SniAlgorithm).index(algorithm)]


def spellings(host: str) -> list[str]:
    suffixes = SUFFIXES[:3] if host[0] in "[1" else SUFFIXES
    return [spelled + suffix for spelled in (host, host.upper()) for suffix in suffixes]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("algorithm", SniAlgorithm)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_host_is_served_on_connections_of_its_own_chain_alone(
    site: Site, algorithm: SniAlgorithm, name: str | None, version: str
) -> None:
    site.backend.forget()
    own = [spelled for host in owns(algorithm, name) for spelled in spellings(host)]
    others = {host for other in OWN for host in owns(algorithm, other)} - set(owns(algorithm, name))
    refused = [spelled for host in sorted(others) for spelled in spellings(host)]

    if version == "HTTP/2":
        with H2Connection(site.port(algorithm), name) as connection:
            statuses = {host: connection.ask(request(host)) for host in [*own, *refused]}
    else:
        statuses = {
            host: site.http1(algorithm, name, "GET / HTTP/1.1", f"Host: {host}") for host in [*own, *refused]
        }

    assert statuses == dict.fromkeys(own, SERVED) | dict.fromkeys(refused, MISDIRECTED)
    arrived = [request.headers["HOST"] for request in site.backend.requests]
    assert arrived == [without_dot(host) for host in own]


def without_dot(host: str) -> str:
    return host.replace(".:", ":").removesuffix(".")


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(WILDCARD, "a.test.com"), (WILDCARD, None), (WILDCARD, "x.test.com"), (LONGEST_SUFFIX, "x.test.com")],
)
def test_odd_host_is_served_nowhere(site: Site, algorithm: SniAlgorithm, name: str | None) -> None:
    site.backend.forget()

    statuses = {host: site.http1(algorithm, name, "GET / HTTP/1.1", f"Host: {host}") for host in ODD}

    assert {host: status for host, status in statuses.items() if status not in (400, MISDIRECTED)} == {}
    assert site.backend.requests == ()


def test_odd_host_is_served_nowhere_over_http2(site: Site) -> None:
    site.backend.forget()

    statuses = {}
    for host in ODD:
        with H2Connection(site.port(LONGEST_SUFFIX), "x.test.com") as connection:
            statuses[host] = connection.ask(request(host))

    assert {host: status for host, status in statuses.items() if status not in (0, 400, MISDIRECTED)} == {}
    assert site.backend.requests == ()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET https://a.test.com/ HTTP/1.1", "Host: elsewhere.example"), MISDIRECTED),
        (("GET http://A.Test.com.:443/ HTTP/1.1", "Host: elsewhere.example"), MISDIRECTED),
        (("GET https://elsewhere.example/ HTTP/1.1", "Host: a.test.com"), SERVED),
        (("GET / HTTP/1.1", "Host: elsewhere.example", "Host: a.test.com"), MISDIRECTED),
        (("GET / HTTP/1.1", "Host: a.test.com", "Host: elsewhere.example"), MISDIRECTED),
        (("GET / HTTP/1.1", "Host: a.test.com:"), MISDIRECTED),
        (("GET / HTTP/1.1", "Host: a.test.com:x"), MISDIRECTED),
        (("GET / HTTP/1.1", "Host:"), MISDIRECTED),
        (("GET / HTTP/1.1",), 400),
        (("GET / HTTP/1.0",), 426),
        (("GET / HTTP/1.0", "Host: a.test.com"), 426),
        (("CONNECT a.test.com:443 HTTP/1.1", "Host: a.test.com:443"), 404),
    ],
)
def test_request_with_two_hosts_or_none(site: Site, lines: tuple[str, ...], status: int) -> None:
    site.backend.forget()

    answered = site.http1(WILDCARD, None, *lines)

    hosts = [request.headers["HOST"] for request in site.backend.requests]
    assert (answered, hosts) == (status, ["elsewhere.example"] if status == SERVED else [])


@pytest.mark.parametrize(
    ("authorities", "status"),
    [
        ([], 0),
        ([(":authority", "")], 0),
        ([("host", "a.test.com")], MISDIRECTED),
        ([(":authority", "elsewhere.example"), ("host", "a.test.com")], SERVED),
        ([(":authority", "a.test.com"), ("host", "elsewhere.example")], MISDIRECTED),
        ([(":authority", "elsewhere.example"), (":authority", "a.test.com")], 0),
        ([("host", "elsewhere.example"), ("host", "a.test.com")], 0),
    ],
)
def test_http2_request_with_two_hosts_or_none(
    site: Site, authorities: list[tuple[str, str]], status: int
) -> None:
    site.backend.forget()

    with H2Connection(site.port(WILDCARD), None) as connection:
        answered = connection.ask([*request(None), *authorities])

    hosts = [request.headers["HOST"] for request in site.backend.requests]
    assert (answered, hosts) == (status, ["elsewhere.example"] if status == SERVED else [])


def test_reused_http2_connection_serves_no_host_of_another_chain(site: Site) -> None:
    """Browsers reuse a connection whose certificate also covers the other name (RFC 9113, 9.1.1)."""
    site.backend.forget()
    hosts = ("a.test.com", "x.test.com", "other.example", "a.test.com")

    with H2Connection(site.port(WILDCARD), "a.test.com") as connection:
        statuses = [connection.ask(request(host)) for host in hosts]

    assert statuses == [SERVED, MISDIRECTED, MISDIRECTED, SERVED]
    assert [request.headers["HOST"] for request in site.backend.requests] == ["a.test.com"] * 2
