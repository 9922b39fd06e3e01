"""The state that pages show of listeners, and while a part of the data plane fails (pitfalls A1 and A2)."""

import re
import socket
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from listeners.models import Listener, LoadBalancer
from tests import factories
from tests.backend import Backend
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab
from tests.listeners.pages import Pages, http, server
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_way_to_authenticate_comes_to_run(pages: Pages, backend: Backend, pki: Pki) -> None:
    certificate, sni = factories.server_certificate(pki.modern.server), []
    authorities = [factories.ca_certificate(pki.modern.ca), factories.ca_certificate(pki.guide.ca)]
    balancer = factories.load_balancer()
    rows = []
    for way in Listener.Authentication:
        row = Listener(
            load_balancer=balancer,
            name=way,
            port=free_port(),
            authentication=way,
            server_certificate=certificate,
            tls_policy="tls-1-2-strict",
        )
        row.choose(ca_certificates=authorities if way != "one-way" else [], sni_certificates=sni)
        rows.append(Listener.objects.open(row, [server(backend)]))
    redirect = Listener(load_balancer=balancer, name="to HTTPS", port=free_port(), protocol="HTTP")
    redirect.redirect_to = rows[0]
    rows.append(Listener.objects.open(redirect))
    pages.apply()
    for row in rows:
        pages.wait(row, "Running")
        assert "Running" in pages.row(row)


def test_disabled_is_said_only_when_envoy_has_let_go(pages: Pages, backend: Backend) -> None:
    listener = pages.serve(http(backend))
    Listener.objects.filter(pk=listener.pk).update(is_enabled=False)

    before = pages.state(listener)
    answered = curl(f"http://127.0.0.1:{listener.port}/").status
    pages.apply()
    pages.wait(listener, "Disabled")

    assert (before, answered) == ("Stopping", 200)
    assert curl(f"http://127.0.0.1:{listener.port}/").status == 0
    assert "Its port stays reserved" in pages.text(listener)


def test_listener_of_a_disabled_load_balancer_is_disabled(pages: Pages, backend: Backend) -> None:
    listener = pages.serve(http(backend))
    LoadBalancer.objects.filter(pk=listener.load_balancer_id).update(is_enabled=False)
    pages.apply()
    pages.wait(listener, "Disabled")
    assert "Its load balancer is disabled" in pages.text(listener)


def test_stopped_control_plane_leaves_nothing_called_running_or_disabled(
    pages: Pages, lab: EnvoyLab, backend: Backend
) -> None:
    listener = pages.serve(http(backend))
    lab.stop_control_plane()
    try:
        unchanged = pages.state(listener)
        Listener.objects.filter(pk=listener.pk).update(is_enabled=False)
        closed, text = pages.state(listener), pages.text(listener)
    finally:
        lab.start_control_plane()
    assert (unchanged, closed) == ("Not confirmed", "Stopping")
    assert "the control plane does not answer, so Envoy goes on serving it" in text
    assert curl(f"http://127.0.0.1:{listener.port}/").status == 200


def test_envoy_that_is_frozen_is_not_called_running(pages: Pages, lab: EnvoyLab, backend: Backend) -> None:
    listener = pages.serve(http(backend))
    envoy = psutil.Process(lab.envoy.pid)
    envoy.suspend()
    try:
        frozen, table, text = pages.state(listener), pages.row(listener), pages.text(listener)
    finally:
        envoy.resume()
    assert (frozen, "Not answering" in table, "Running" in table) == ("Not answering", True, False)
    assert "Envoy was asked in vain at" in text
    assert "Nothing is counted" in text
    pages.wait(listener, "Running")


def test_envoy_that_was_killed_is_not_called_running(pages: Pages, lab: EnvoyLab, backend: Backend) -> None:
    listener = pages.serve(http(backend))
    psutil.Process(lab.envoy.pid).kill()
    try:
        eventually(lambda: not lab.envoy.is_running(), "Envoy is gone")
        killed = pages.state(listener)
    finally:
        lab.envoy.ensure()
    assert killed == "Not answering"
    pages.wait(listener, "Running")


def test_rejected_change_says_that_the_version_before_is_served(pages: Pages, backend: Backend) -> None:
    """Pitfall A1: Envoy itself refuses the port, which another program has."""
    balancer = factories.load_balancer()
    listener = pages.serve(factories.listener(balancer, free_port(), [server(backend)]))
    with socket.create_server(("127.0.0.2", listener.port)):
        LoadBalancer.objects.filter(pk=balancer.pk).update(address="127.0.0.2")
        pages.apply()
        pages.wait(listener, "Rejected")
        text, row = pages.text(listener), pages.row(listener)
    assert "Until this is mended, Envoy goes on serving the version before." in text
    assert "Envoy goes on serving the version before." in row
    assert curl(f"http://127.0.0.1:{listener.port}/").status == 200


def test_rejected_new_listener_says_that_nothing_is_served(pages: Pages, backend: Backend) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = factories.listener(port=taken.getsockname()[1], servers=[server(backend)])
        pages.apply()
        pages.wait(listener, "Rejected")
        text = pages.text(listener)
    assert "Envoy serves nothing of this listener." in text


def test_damaged_row_says_what_is_still_served(pages: Pages, backend: Backend, pki: Pki) -> None:
    """Pitfall F1: without its CA certificates the listener goes on with those that it had."""
    certificate = factories.server_certificate(pki.modern.server)
    authority = factories.ca_certificate(pki.modern.ca)
    listener = pages.serve(
        factories.listener(
            port=free_port(),
            servers=[server(backend)],
            server_certificate=certificate,
            ca_certificate=authority,
        )
    )
    Listener.ca_certificates.through.objects.all().delete()
    pages.apply()
    pages.wait(listener, "Rejected")
    text = pages.text(listener)
    assert "there is no CA certificate to check them by. It is not handed to Envoy." in text
    assert "Envoy goes on serving the version before" in text
    assert curl("-k", f"https://127.0.0.1:{listener.port}/").status == 0


def test_page_says_when_envoy_answered(pages: Pages, backend: Backend) -> None:
    listener = pages.serve(http(backend))
    before = datetime.now(UTC) - timedelta(seconds=1)
    page = pages.client.get(listener.get_absolute_url()).content.decode()
    found = re.search(r'Envoy answered at\s*<time datetime="([^"]+)"[^>]*>([^<]* UTC)<', page)
    assert found
    assert before <= datetime.fromisoformat(found[1]) <= datetime.now(UTC)
