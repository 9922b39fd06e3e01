"""The counters that pages show, against traffic that is known."""

import socket
import time

import pytest
from pytest_django import Settings

from listeners.dataplane.reading import TrafficReading, open_connections, traffic_readings
from listeners.deployment import admin_socket
from listeners.freshness import Patience
from listeners.models import Listener
from listeners.rendering import envoy as rendering
from listeners.traffic import Counts
from tests import factories
from tests.backend import Backend, running_backend
from tests.conftest import Pki
from tests.curl import curl
from tests.listeners.pages import Pages, server
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_known_traffic_is_counted_exactly(pages: Pages, backend: Backend, pki: Pki) -> None:
    """No certificate, one of another CA, plain HTTP: each has a counter of its own."""
    row = factories.listener(
        port=free_port(),
        servers=[server(backend)],
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=factories.ca_certificate(pki.modern.ca),
    )
    listener = pages.serve(row)
    eventually(lambda: "Healthy" in pages.health(listener, backend.port), "healthy")
    url = f"https://127.0.0.1:{listener.port}/"
    good = ("--cert", pki.modern.client.certificate, "--key", pki.modern.client.key)
    bad = ("--cert", pki.guide.client.certificate, "--key", pki.guide.client.key)
    before = pages.counters(listener)
    for _ in range(3):
        assert curl("-k", *good, url, "-o", "/dev/null", url).exit_code == 0  # both on one connection
    for _ in range(2):
        assert curl("-k", url).status == 0
    assert curl("-k", *bad, url, sha1=True).status == 0
    assert curl(f"http://127.0.0.1:{listener.port}/").status == 0
    assert set(before.values()) == {0}
    wanted = {
        "Open connections": 0,
        "Connections": 7,
        "Requests": 6,
        "Answers 4xx": 0,
        "Answers 5xx": 0,
        "TLS handshakes": 3,
        "Refused: no certificate": 2,
        "Refused: not verified": 1,
        "Refused: not admitted": 0,
        "Refused: other TLS errors": 1,
    }
    eventually(lambda: pages.counters(listener) == wanted, f"{wanted}, not {pages.counters(listener)}")
    assert "6 requests 0 open" in pages.row(listener)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        # Three clients: with a good certificate, with none, with one of another CA.
        ("optional", {"TLS handshakes": 2, "Refused: not verified": 1, "Refused: other TLS errors": 0}),
        ("unverified", {"TLS handshakes": 3, "Not verified": 1, "Refused: other TLS errors": 0}),
        ("one-way", {"TLS handshakes": 3, "Refused: other TLS errors": 0}),
        (
            "listed",
            {
                "TLS handshakes": 1,
                "Refused: no certificate": 1,
                "Refused: not verified": 1,
                "Refused: not admitted": 1,
                "Refused: other TLS errors": 0,
            },
        ),
    ],
)
def test_refusals_are_counted_for_what_they_are(
    pages: Pages, backend: Backend, pki: Pki, way: str, expected: dict[str, int]
) -> None:
    row = Listener(
        load_balancer=factories.load_balancer(),
        name=way,
        port=free_port(),
        authentication="mutual" if way == "listed" else way,
        server_certificate=factories.server_certificate(pki.modern.server),
    )
    if way == "listed":
        row.admission, row.allowed_clients = "listed", [["dns", "somebody.else.test"]]
    row.choose(ca_certificates=[] if way == "one-way" else [factories.ca_certificate(pki.modern.ca)])
    listener = pages.serve(Listener.objects.open(row, [server(backend)]))
    url = f"https://127.0.0.1:{listener.port}/"
    curl("-k", "--cert", pki.modern.client.certificate, "--key", pki.modern.client.key, url)
    curl("-k", url)
    curl("-k", "--cert", pki.guide.client.certificate, "--key", pki.guide.client.key, url, sha1=True)
    fixed = ("Open connections", "Connections", "Requests", "Answers 4xx", "Answers 5xx")

    def refusals() -> dict[str, int]:
        return {label: number for label, number in pages.counters(listener).items() if label not in fixed}

    eventually(lambda: refusals() == expected, f"{expected}, not {refusals()}")
    assert pages.counters(listener)["Connections"] == 3


def test_errors_and_open_connections_are_counted_for_their_listener_alone(
    pages: Pages, backend: Backend
) -> None:
    balancer = factories.load_balancer()
    quiet = factories.listener(balancer, free_port(), [server(backend)])
    with running_backend() as other:
        busy = factories.listener(balancer, free_port(), [server(other)])
        pages.serve(quiet)
        pages.serve(busy)
        eventually(lambda: "Healthy" in pages.health(busy, other.port), "healthy")
        assert curl("-H", "Host:", f"http://127.0.0.1:{busy.port}/").status == 400
    eventually(lambda: "Unhealthy" in pages.health(busy, other.port), "its backend is gone")
    for _ in range(2):
        assert curl(f"http://127.0.0.1:{busy.port}/").status == 503
    with socket.create_connection(("127.0.0.1", busy.port)):
        eventually(lambda: pages.counters(busy)["Open connections"] == 1, "an open connection")
        found = pages.counters(busy)
    assert found == {
        "Open connections": 1,
        "Connections": 4,
        "Requests": found["Requests"],  # one without a host may or may not count
        "Answers 4xx": 1,
        "Answers 5xx": 2,
    }
    assert set(pages.counters(quiet).values()) == {0}


@pytest.mark.parametrize("others", [1, 1_000])
def test_open_connections_are_those_of_the_listeners_asked_about(
    pages: Pages, backend: Backend, others: int
) -> None:
    """Also of more listeners than one pattern can name."""
    balancer = factories.load_balancer()
    one, other = (factories.listener(balancer, free_port(), [server(backend)]) for _ in range(2))
    pages.serve(one)
    pages.serve(other)
    name = rendering.listener_name(one.pk)
    names = [name, *(f"listener-{other.pk + number}" for number in range(1, others + 1))]
    with (
        socket.create_connection(("127.0.0.1", one.port)),
        socket.create_connection(("127.0.0.1", other.port)),
    ):
        wanted = {**dict.fromkeys(names, 0), name: 1}
        eventually(lambda: open_connections(admin_socket(), names) == wanted, "one open connection")


@pytest.mark.parametrize(("bound", "is_remembered"), [(3600, True), (0, False)])
def test_answer_that_took_long_serves_all_pages_for_a_while(
    pages: Pages, backend: Backend, settings: Settings, bound: int, is_remembered: bool
) -> None:
    """But for no longer than a page's word may be old."""
    settings.ELB_STATUS_SECONDS = 3
    listener = pages.serve(factories.listener(port=free_port(), servers=[server(backend)]))
    eventually(lambda: "Healthy" in pages.health(listener, backend.port), "healthy")
    counts, name = Slow(), rendering.listener_name(listener.pk)
    patience = Patience(time.monotonic() + 60)
    settings.ELB_STATUS_SECONDS = bound
    before = counts.readings(admin_socket(), patience)
    assert curl(f"http://127.0.0.1:{listener.port}/").status == 200
    wanted = TrafficReading(connections=1, requests=1)
    eventually(lambda: traffic_readings(admin_socket())[name] == wanted, "one request is counted")
    after = counts.readings(admin_socket(), patience)
    assert (before.get(name), after.get(name)) == (None, None if is_remembered else wanted)


class Slow(Counts):
    QUICK = 0.0
    SHARE = 10_000_000
