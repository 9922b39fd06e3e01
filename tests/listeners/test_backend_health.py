"""The health that pages show of backend servers: what, why, and since when."""

import re
import socket
from datetime import UTC, datetime, timedelta

import pytest

from listeners.dataplane import health_log
from listeners.models import BackendServer
from tests import factories
from tests.backend import Backend, running_backend
from tests.envoy_lab import EnvoyLab
from tests.listeners.pages import Pages, http, server
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def time_in(text: str) -> datetime:
    found = re.search(r"since (?:before )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", text)
    assert found, text
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def test_server_that_dies_and_comes_back_is_told_with_its_times(pages: Pages) -> None:
    port = free_port()
    second = timedelta(seconds=1)
    with socket.create_server(("127.0.0.1", port), backlog=100):
        listener = factories.listener(port=free_port(), servers=[factories.backend_server("127.0.0.1", port)])
        began = datetime.now(UTC) - second
        pages.serve(listener)
        first = eventually(lambda: "Healthy since" in (t := pages.health(listener, port)) and t, "healthy")
    died = datetime.now(UTC) - second
    dead = eventually(lambda: "Unhealthy since" in (t := pages.health(listener, port)) and t, "unhealthy")
    back_from = datetime.now(UTC) - second
    with socket.create_server(("127.0.0.1", port), backlog=100):
        back = eventually(lambda: "Healthy since" in (t := pages.health(listener, port)) and t, "back")
    assert "Healthy since before" in first  # how it was before Envoy first asked, nobody knows
    assert began <= time_in(first) <= died + second
    assert "The connection was refused or failed." in dead
    assert died <= time_in(dead) <= back_from + second
    assert back_from <= time_in(back) <= datetime.now(UTC)


def test_server_that_does_not_answer_in_time_and_one_of_weight_0(pages: Pages, backend: Backend) -> None:
    # A full queue of connections that nobody takes: the kernel answers no more of them.
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        silent = full.getsockname()[1]
        servers = [factories.backend_server("127.0.0.1", silent), server(backend, "127.0.0.2", 0)]
        listener = pages.serve(factories.listener(port=free_port(), servers=servers))
        text = eventually(lambda: "Unhealthy" in (t := pages.health(listener, silent)) and t, "a verdict")
        draining = pages.health(listener, backend.port)
    assert "No answer within the time of a health check." in text
    assert "Draining Its weight is 0: no new requests." in draining


def test_exchanged_server_is_not_used_while_envoy_has_those_of_before(pages: Pages, backend: Backend) -> None:
    listener = pages.serve(http(backend))
    with running_backend("second") as second:
        BackendServer.objects.filter(port=backend.port).update(port=second.port)
        before = pages.health(listener, second.port)
        pages.apply()
        eventually(lambda: "Healthy" in pages.health(listener, second.port), "it is used")

    assert "Not used yet Envoy still sends requests to the servers of before the change." in before


def test_server_without_a_verdict_is_not_called_healthy(
    pages: Pages, lab: EnvoyLab, backend: Backend
) -> None:
    listener = http(backend)
    assert "Unknown" in pages.health(listener, backend.port)


def test_log_that_has_grown_keeps_the_last_turn_of_each_server(
    pages: Pages, lab: EnvoyLab, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_backend() as other:
        servers = [server(backend), server(other)]
        listener = pages.serve(factories.listener(port=free_port(), servers=servers))
        ports = (backend.port, other.port)
        for port in ports:
            eventually(lambda port=port: "Healthy since" in pages.health(listener, port), "healthy")
        log = lab.folder / "backend-health.log"
        log.write_bytes(log.read_bytes() * 3)
        before, size = [pages.health(listener, port) for port in ports], log.stat().st_size
        monkeypatch.setattr(health_log, "LIMIT", size - 1)
        lab.envoy.keep_health_log_small()
        assert log.stat().st_size < size / 2
        assert [pages.health(listener, port) for port in ports] == before
    eventually(lambda: "Unhealthy since" in pages.health(listener, other.port), "Envoy goes on writing")


def test_nobody_else_reads_the_log(lab: EnvoyLab) -> None:
    assert (lab.folder / "backend-health.log").stat().st_mode & 0o077 == 0


def test_time_is_not_that_of_a_turn_that_health_itself_contradicts(
    pages: Pages, lab: EnvoyLab, backend: Backend
) -> None:
    """Envoy writes its log half a second late."""
    listener = pages.serve(http(backend))
    eventually(lambda: "Healthy since" in pages.health(listener, backend.port), "healthy")
    log = lab.folder / "backend-health.log"
    last = log.read_text().splitlines()[-1]
    with log.open("a") as end:
        end.write(
            last.replace('"add_healthy_event":{"first_check":true}', '"eject_unhealthy_event":{}') + "\n"
        )
    text = pages.health(listener, backend.port)
    assert ("Healthy" in text, "since" in text) == (True, False)
