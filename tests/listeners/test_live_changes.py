"""What a change says it will do to open connections, and what it does (pitfalls A6 and F5)."""

import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import httpx
import pytest

from tests.backend import Backend
from tests.conftest import Pki
from tests.console_client import BackendFields, ConsoleClient, accepted, words
from tests.curl import curl
from tests.html_forms import html_forms
from tests.live import LiveConsole
from tests.ports import free_port
from tests.waiting import LIMIT

HELD = 3


class Kept:
    """A client that keeps its connection between requests; `name` is what it asks for by SNI and Host."""

    def __init__(self, port: int, is_https: bool, name: str = "") -> None:
        self.host = {"Host": name} if name else {}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        self.connection.connect()
        if is_https:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.connection.sock = context.wrap_socket(self.connection.sock, server_hostname=name or None)
        self.socket = self.connection.sock
        assert self.is_answered()

    def is_answered(self) -> bool:
        """Whether a request is answered on the connection that was there from the start."""
        self.connection.request("GET", "/", headers=self.host)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status == 200 and self.connection.sock is self.socket

    def is_closed(self) -> bool:
        """Waits for the other side to close."""
        return self.socket.recv(1) == b""


@contextmanager
def kept(port: int, is_https: bool = False, count: int = HELD, name: str = "") -> Iterator[list[Kept]]:
    with ExitStack() as stack:
        clients = [Kept(port, is_https, name) for _ in range(count)]
        for client in clients:
            stack.enter_context(closing(client.connection))
        yield clients


@pytest.fixture(scope="module")
def client(console: LiveConsole) -> ConsoleClient:
    return console.client()


def running(client: ConsoleClient, backend: Backend, port: int, **fields: Any) -> int:
    listener = client.add_listener(1, port, [BackendFields(backend.port)], **fields)
    client.wait_running(listener)
    return listener


def edit(client: ConsoleClient, listener: int, **fields: str | int) -> httpx.Response:
    """As `edit_listener`, without the agreement to drain."""
    return client.post(f"/listeners/{listener}/edit/", **fields)


DRAINING: dict[str, Callable[[ConsoleClient, int], httpx.Response]] = {
    "edit": lambda client, id: edit(client, id, request_timeout=30, drain="agreed"),
    "disable": lambda client, id: client.post(f"/listeners/{id}/disable/"),
    "delete": lambda client, id: client.post(f"/listeners/{id}/delete/", confirmation="DELETE"),
}


@pytest.mark.parametrize("change", DRAINING)
def test_change_drains_exactly_what_it_says(client: ConsoleClient, backend: Backend, change: str) -> None:
    port, other_port = free_port(), free_port()
    listener = running(client, backend, port)
    running(client, backend, other_port)
    with kept(port) as clients, kept(other_port) as others:
        page = words(client.get(f"/listeners/{listener}/{change}/"))
        answer = accepted(DRAINING[change](client, listener))

        assert f"{HELD} connections to this" in page or f"This drains {HELD} open connections" in page
        assert f"{HELD} open connections are drained within 1 second." in words(answer.text)
        assert [one.is_closed() for one in clients] == [True] * HELD
        assert [one.is_answered() for one in others] == [True] * HELD


def test_edit_asks_before_it_drains(client: ConsoleClient, backend: Backend) -> None:
    port = free_port()
    listener = running(client, backend, port)
    with kept(port) as clients:
        refused = edit(client, listener, request_timeout=31, description="typed")

        assert (refused.status_code, f"This drains {HELD} open connections" in words(refused.text)) == (
            422,
            True,
        )
        assert f"Save and drain {HELD} open connections" in refused.text
        assert [one.is_answered() for one in clients] == [True] * HELD
        again = next(form for form in html_forms(refused.text) if "request_timeout" in form.fields)
        assert (again.fields["request_timeout"], again.fields["description"]) == ("31", "typed")
        saved = accepted(client.http.post(f"/listeners/{listener}/edit/", data=again.fields))
        assert f"{HELD} open connections are drained" in words(saved.text)
        assert [one.is_closed() for one in clients] == [True] * HELD


def test_what_reaches_envoy_otherwise_drains_nothing(
    client: ConsoleClient, backend: Backend, pki: Pki
) -> None:
    server = client.add_certificate(
        "first", "server", pki.guide.server.certificate_pem, pki.guide.server.key_pem
    )
    port = free_port()
    listener = running(client, backend, port, server_certificate=server)
    with kept(port, is_https=True) as clients:
        said = [
            words(accepted(edit(client, listener, name="renamed", description="other")).text),
            words(
                client.submit(
                    f"/listeners/{listener}/backends/",
                    **{
                        "servers-TOTAL_FORMS": 2,
                        "servers-1-address": "127.0.0.1",
                        "servers-1-port": free_port(),
                        "servers-1-weight": 0,
                    },
                ).text
            ),
        ]
        client.submit(
            f"/certificates/{server}/edit/",
            name="first",
            content=pki.modern.server.certificate_pem,
            private_key=pki.modern.server.key_pem,
        )
        client.wait_running(listener)

        assert ["No open connection is drained." in text for text in said] == [True, True]
        assert [one.is_answered() for one in clients] == [True] * HELD


def test_change_of_one_certificate_leaves_connections_that_have_another(
    client: ConsoleClient, backend: Backend, pki: Pki
) -> None:
    """Envoy exchanges the filter chain that changed; how many connections each has it does not say."""
    modern, guide, other = (
        client.add_certificate(name, "server", pair.certificate_pem, pair.key_pem)
        for name, pair in (
            ("by default", pki.modern.server),
            ("by name", pki.guide.server),
            ("other", pki.modern.server),
        )
    )
    port = free_port()
    listener = running(client, backend, port, server_certificate=modern, sni_certificates=[guide])
    with kept(port, is_https=True, count=2) as others, kept(port, True, 1, "www.test.com") as named:
        answer = accepted(edit(client, listener, server_certificate=other, drain="agreed"))

        assert "At most 3 open connections are drained" in words(answer.text)
        assert [one.is_closed() for one in others] == [True, True]
        assert [one.is_answered() for one in named] == [True]


def test_new_address_drains_every_listener(client: ConsoleClient, backend: Backend) -> None:
    balancer = client.add_load_balancer("moves", "127.0.0.1")
    ports = [free_port(), free_port()]
    for port in ports:
        listener = client.add_listener(balancer, port, [BackendFields(backend.port)])
        client.wait_running(listener)
    path = f"/load-balancers/{balancer}/edit/"
    with kept(ports[0]) as first, kept(ports[1], count=1) as second:
        refused = client.post(path, address="127.0.0.9")
        saved = client.submit(path, address="127.0.0.9", drain="agreed")

        assert (refused.status_code, "This drains 4 open connections" in words(refused.text)) == (422, True)
        assert "4 open connections are drained" in words(saved.text)
        assert [one.is_closed() for one in (*first, *second)] == [True] * 4


@pytest.mark.parametrize("what", ["listeners", "load-balancers"])
def test_disabled_and_enabled_again_it_is_what_it_was(
    console: LiveConsole, client: ConsoleClient, backend: Backend, what: str
) -> None:
    balancer = client.add_load_balancer(f"switched-{what}", "127.0.0.1")
    port = free_port()
    listener = client.add_listener(balancer, port, [BackendFields(backend.port)])
    client.wait_running(listener)
    path = f"/{what}/{listener if what == 'listeners' else balancer}"
    before = in_envoy(console, listener)

    client.submit(f"{path}/disable/")
    client.wait_for_state(listener, "Disabled")
    gone = in_envoy(console, listener)
    refused = curl(f"http://127.0.0.1:{port}/").exit_code
    taken = client.post(f"/load-balancers/{balancer}/listeners/add/")
    client.submit(f"{path}/enable/")
    client.wait_running(listener)

    assert (gone, refused, taken.status_code) == ([], 7, 200)
    assert in_envoy(console, listener) == before != []
    assert curl(f"http://127.0.0.1:{port}/").status == 200


def in_envoy(console: LiveConsole, listener: int) -> list[str]:
    """What Envoy serves of a listener, as text."""
    transport = httpx.HTTPTransport(uds=str(console.data / "run" / "admin.sock"))
    with httpx.Client(transport=transport, base_url="http://envoy") as admin:
        query = {"resource": "dynamic_listeners", "name_regex": f"^listener-{listener}$"}
        found = admin.get("/config_dump", params=query).json().get("configs", [])
    bodies = [one["active_state"]["listener"] for one in found if "active_state" in one]
    return [json.dumps(body, sort_keys=True) for body in bodies]
