"""The proof at the end of a guided setup: what a real Envoy does with a client and without a certificate."""

import shlex
import subprocess
from contextlib import closing
from datetime import timedelta
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

from certificates.models import IssuedCertificate
from listeners.models import Listener, LoadBalancer
from tests import factories
from tests.backend import Backend
from tests.conftest import Pki
from tests.console_client import words
from tests.hello import client_context
from tests.html_forms import html_forms
from tests.listeners.guided import Way
from tests.listeners.pages import Pages, server
from tests.ports import free_port

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"HX-Request": "true"}
WORKS = "Mutual TLS works"


@pytest.fixture
def way(pages: Pages, load_balancer: LoadBalancer) -> Way:
    return Way(pages.client)


def proved(way: Way, pages: Pages) -> str:
    """What the page says once its listener is served."""
    assert way.setup.listener
    pages.serve(way.setup.listener)
    return way.visit("proof").text


def test_client_is_admitted_and_one_without_a_certificate_is_refused(
    way: Way, pages: Pages, backend: Backend
) -> None:
    way.to_proof(backend.port)
    backend.forget()
    assert "As soon as Envoy serves the listener" in way.text
    fragment = pages.client.get(way.url, headers=HTMX)
    assert (fragment.status_code, b"<html" in fragment.content) == (200, False)
    assert backend.requests == ()

    said = proved(way, pages)

    assert WORKS in said
    assert "HTTP/1.1 200 OK" in said
    assert "No request reached a backend server" in said
    key = way.setup.client.private_key().splitlines()[2]
    assert key not in way.page + str(way.setup.proof)
    assert [(one.method, one.path) for one in backend.requests] == [("GET", "/")]
    shown = pages.client.get(way.url, headers=HTMX).content.decode()
    assert (WORKS in words(shown), "hx-trigger" in shown) == (True, False)
    assert len(backend.requests) == 1  # it is shown, not asked again
    way.send({"action": ["again"]})
    assert len(backend.requests) == 2


def test_proof_stays_once_the_key_is_gone_and_a_renewal_goes_on_with_it(
    way: Way, pages: Pages, backend: Backend
) -> None:
    way.to_proof(backend.port)
    assert WORKS in proved(way, pages)
    client = way.setup.client
    IssuedCertificate.objects.take_key(client.pk)

    said = way.visit("proof").text
    assert WORKS in said
    assert "its private key is no longer here" in said
    assert reverse("issued_renew", args=[client.pk]) in way.page
    way.send({"action": ["again"]})
    assert WORKS not in way.text
    assert "Not asked. The private key of the client is no longer here" in way.text

    renewal = pages.client.get(reverse("issued_renew", args=[client.pk])).content.decode()
    form = next(form for form in html_forms(renewal) if form.method == "post" and "logout" not in form.action)
    answer = pages.client.post(reverse("issued_renew", args=[client.pk]), form.filled({}))
    assert answer.status_code == 302, words(answer.content.decode())
    assert WORKS in way.visit("proof").text
    assert way.setup.client == client.renewals.get()


def test_backend_that_does_not_answer_is_told_from_a_refusal(way: Way, pages: Pages) -> None:
    said = proved(way.to_proof(free_port()), pages)
    assert "was admitted, but the backend server did not answer" in said
    assert "Envoy itself" in said
    assert WORKS not in said


def test_listener_that_lets_everybody_in_is_said_loudly(way: Way, pages: Pages, backend: Backend) -> None:
    """What Envoy serves is another listener than the one that is stored: the answers count."""
    way.to_proof(backend.port)
    listener = way.setup.listener
    Listener.objects.filter(pk=listener.pk).update(authentication=Listener.Authentication.OPTIONAL)
    pages.serve(Listener.objects.get(pk=listener.pk))
    Listener.objects.filter(pk=listener.pk).update(authentication=Listener.Authentication.MUTUAL)
    way.send({"action": ["again"]})
    assert "A request without a certificate was answered" in way.text
    assert 'role="alert"' in way.page


def test_client_that_is_not_on_the_list_is_said_to_be_refused(
    way: Way, pages: Pages, backend: Backend
) -> None:
    way.to_proof(backend.port)
    row = Listener.objects.get(pk=way.setup.listener.pk)
    row.admission, row.allowed_clients = Listener.Admission.LISTED, [["dns", "another.test.com"]]
    row.save()
    assert "The client was refused although it showed its certificate" in proved(way, pages)


def test_listener_that_is_not_served_is_not_asked(way: Way, pages: Pages, backend: Backend) -> None:
    way.to_proof(backend.port)
    way.setup.listener.switch(False)
    pages.apply()
    assert "Envoy serves nothing of it" in way.visit("proof").text
    assert way.setup.proof == {}
    way.send({"action": ["again"]})
    assert "Nothing listens there" in way.text


def test_listener_elsewhere_cannot_be_tried_from_here(way: Way, backend: Backend) -> None:
    way.to_proof(backend.port)
    LoadBalancer.objects.update(address="192.0.2.1")
    assert "cannot be tried from here" in way.visit("proof").text
    way.send({"action": ["again"]})
    assert way.setup.proof == {}


def test_damaged_proof_is_made_anew(way: Way, pages: Pages, backend: Backend) -> None:
    way.to_proof(backend.port)
    assert WORKS in proved(way, pages)
    setup = way.setup
    for damage in ([], "x", {"at": "never"}, setup.proof | {"refused": {"outcome": "other"}}):
        setup.proof = damage
        setup.save()
        assert WORKS in way.visit("proof").text, damage


def test_change_that_drains_connections_is_asked_for_and_then_proved(
    pages: Pages, backend: Backend, pki: Pki
) -> None:
    """The listener let everybody in; somebody is connected while it comes to ask for certificates."""
    listener = factories.listener(
        port=free_port(),
        servers=[server(backend)],
        server_certificate=factories.server_certificate(pki.modern.server),
    )
    pages.serve(listener)
    way = Way(pages.client, listener=listener.pk)
    way.press("shape", "create")
    with closing(HTTPSConnection("127.0.0.1", listener.port, context=client_context())) as connection:
        connection.request("GET", "/")
        connection.getresponse().read()
        way.press("stamp", "save")
        assert (way.status, "Save and drain 1 open connection" in way.text) == (422, True)
        assert not Listener.objects.get(pk=listener.pk).is_mutual
        way.press("stamp", "save")
    assert way.step == "client", way.text
    way.press("common_name", "create")
    assert WORKS in proved(way, pages)


def test_proof_says_when_the_listener_has_changed_since(way: Way, pages: Pages, backend: Backend) -> None:
    way.to_proof(backend.port)
    assert "has been changed since then" not in proved(way, pages)
    Listener.objects.update(updated_at=timezone.now() + timedelta(seconds=1))
    assert "has been changed since then" in way.visit("proof").text


def test_commands_do_what_the_page_says(way: Way, pages: Pages, backend: Backend, tmp_path: Path) -> None:
    """With the files as they are downloaded here."""
    way.to_proof(backend.port)
    proved(way, pages)
    client, authority = way.setup.client, way.setup.authority
    (tmp_path / f"client-{client.pk}.pem").write_text(client.chain + client.private_key())
    (tmp_path / f"certificate-{authority.certificate_id}.pem").write_text(authority.certificate.content)
    shown = [part.partition("</code>")[0] for part in way.page.split('<code id="command')[1:]]
    commands = [text.partition(">")[2] for text in shown]
    assert len(commands) == 3
    codes = [
        subprocess.run(shlex.split(text), cwd=tmp_path, capture_output=True, check=False).returncode
        for text in (commands[0], commands[2])
    ]
    assert codes[0] == 0
    assert codes[1] != 0
