"""Private keys of CAs, servers and clients that are made here: in no page, log or row (pitfall K1)."""

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver, reverse

from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from listeners.models import GuidedSetup, Listener, ListenerDraft, TlsSecurityPolicy
from tests.certificates.issuing.test_bundles import has_key
from tests.certificates.issuing_pages import request
from tests.console.test_access import OPEN, example, routes
from tests.factories import backend_server, listener, listener_draft, user
from tests.html_forms import HtmlForm, html_forms

pytestmark = pytest.mark.django_db

PASSWORD, PASSPHRASE = "correct horse", "a phrase of the file"
HTMX = {"HX-Request": "true"}
MODELS = (Certificate, CertificateAuthority, IssuedCertificate)
# Where the console has forms of its own, to sign in and Django's aside.
OWN = ("/certificates/", "/guided/", "/listeners/", "/load-balancers/", "/tls-policies/")
UNTYPED = {"csrfmiddlewaretoken", "token", "seen_request", "action"}
# Of Django's admin: what is no address of its own, and the password of another account.
UNANSWERED = {
    *("admin/(?P<url>.*)$", "admin/r/<path:content_type_id>/<path:object_id>/"),
    "admin/auth/user/<id>/password/",
}
STEPS = ("configure", "routing", "backends", "confirm", *GuidedSetup.Step.values)


@dataclass
class Watched:
    """A browser that notes all that it is answered."""

    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self._note(f"GET {path} {headers}", self.client.get(path, headers=headers))

    def post(self, path: str, fields: object, what: str = "") -> HttpResponse:
        return self._note(f"POST {path} {what}", self.client.post(path, fields, follow=True))

    def submit(self, name: str, number: int | None = None, **changes: str) -> HttpResponse:
        """The form that a page of this name has, filled in."""
        path = reverse(name, args=[number] if number else [])
        return self.post(path, own_form(self.get(path)).filled(changes), name)

    def _note(self, where: str, answer: HttpResponse) -> HttpResponse:
        said = f"{answer.headers}{self.client.cookies}{dict(self.client.session.items())}"
        self.heard.append((where, said.encode() + answer.content))
        return answer


def own_form(answer: HttpResponse) -> HtmlForm:
    """That of the page, not the one that signs out."""
    forms = html_forms(answer.content.decode())
    return next(form for form in reversed(forms) if form.method == "post")


def paths() -> list[tuple[str, str]]:
    """Every route with each id that it could mean: path and route."""
    setup = GuidedSetup.objects.get()
    draft = ListenerDraft.objects.get()
    balancer = draft.load_balancer
    kinds: tuple[type[Model], ...] = (*MODELS, Listener, TlsSecurityPolicy)
    numbers = {str(row.pk) for kind in kinds for row in kind._default_manager.all()} | {str(balancer.pk)}
    found = []
    for route in set(routes(get_resolver().url_patterns)) - OPEN:
        for number in numbers if "<int:" in route or "<path:" in route else {""}:
            for uuid in (setup.pk, draft.pk) if "<uuid:" in route else {""}:
                for step in STEPS if "<slug:" in route else {""}:
                    examples = {"int": number, "path": number, "uuid": str(uuid), "slug": step}
                    found.append((example(route, **examples), route))
    return sorted(found)


def crawl(browser: Watched, wrong: str = "") -> set[str]:
    """Opens every page, for a browser and for htmx, and sends the forms about certificates.

    They have the private key `wrong` in all their fields; what they change is taken back. Returns the routes
    that have answered.
    """
    answered, sent = set(), set()
    for path, route in paths():
        pages = [browser.get(path)] + ([] if path.startswith("/admin/") else [browser.get(path, **HTMX)])
        if pages[0].status_code != 404:
            answered.add(route)
        for page in pages if wrong and "html" in pages[0].get("Content-Type", "") else []:
            for form in html_forms(page.content.decode()):
                action, names = form.action or path, tuple(sorted(form.fields.keys() - UNTYPED))
                if not action.startswith(OWN) or not names or (action, names) in sent:
                    continue
                sent.add((action, names))
                with transaction.atomic():
                    browser.post(action, form.filled(dict.fromkeys(names, wrong)), str(names))
                    transaction.set_rollback(True)
    return answered


def stored() -> Iterator[tuple[str, bytes]]:
    """The whole database, and the sessions in it unpacked."""
    assert isinstance(connection.connection, sqlite3.Connection)
    yield "dump", "\n".join(connection.connection.iterdump()).encode()
    yield "sessions", repr([row.get_decoded() for row in Session.objects.all()]).encode()


def made_here(browser: Watched, folder: Path) -> tuple[dict[str, str], IssuedCertificate]:
    """The keys of a root, an intermediate, a server, a client, and of one that sent a request; the client."""
    browser.submit("authority_add", shape="intermediate")
    root, below = CertificateAuthority.objects.order_by("pk")
    browser.submit("server_issue", below.pk, names="www.test.com")
    browser.submit("client_issue", below.pk, common_name="laptop.test.com")
    asked = request(folder, "/CN=phone", "subjectAltName=DNS:phone.test.com").read_text()
    own = (folder / "client.key").read_text()
    preview = browser.submit("client_issue", below.pk, source="request", request=asked)
    form = own_form(preview)
    browser.post(reverse("client_issue", args=[below.pk]), form.filled({"request": asked + own}), "key too")
    browser.post(reverse("client_issue", args=[below.pk]), form.values, "request")
    phone, laptop, server = IssuedCertificate.objects.all()
    assert (phone.key_origin, server.profile) == ("request", "server")
    assert server.stored
    keys = {"root": root.private_key(), "intermediate": below.private_key(), "phone": own}
    return keys | {"server": server.stored.private_key(), "client": laptop.private_key()}, laptop


def test_keys_that_are_made_here_are_nowhere_but_in_the_download(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    person = user("ada", password=PASSWORD, is_staff=True, is_superuser=True)
    browser = Watched()
    browser.client.force_login(person)
    keys, client = made_here(browser, tmp_path)
    ca = client.authority
    server = IssuedCertificate.objects.get(profile="server").stored
    at = listener(server_certificate=server, ca_certificate=ca.certificate, servers=[backend_server()])
    listener_draft(at.load_balancer, person, configure={"name": "draft"})
    links = {"authority": ca, "server_certificate": server, "client": client, "listener": at}
    TlsSecurityPolicy.objects.create(name="own", versions=["TLSv1.3"], suites=[])
    GuidedSetup.objects.create(created_by=person, **links)
    looked_at: list[tuple[str, bytes]] = []

    answered = crawl(browser, keys["phone"])
    looked_at += stored()
    plain = {"format": "pem-plain", "account_password": PASSWORD}
    browser.submit("issued_download", client.pk, **plain | {"account_password": "wrong"})
    address = reverse("issued_download", args=[client.pk])
    fields = own_form(browser.get(address)).filled(plain)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE certificates_keydownload RENAME TO elsewhere")
        failed = browser.post(address, fields, "while it cannot be logged")
        transaction.set_rollback(True)
    browser.submit("authority_key_download", ca.pk, passphrase=PASSPHRASE, passphrase_again="other", **plain)
    ca_key = browser.submit(
        "authority_key_download", ca.pk, passphrase=PASSPHRASE, passphrase_again=PASSPHRASE, **plain
    )
    file = browser.submit("issued_download", client.pk, **plain)
    downloaded, _ = browser.heard.pop()
    again = browser.post(address, plain, "again")
    crawl(browser)
    looked_at += [*browser.heard, *stored(), ("log", caplog.text.encode())]

    found = {(where, whose) for where, octets in looked_at for whose in keys if has_key(octets, keys[whose])}
    assert sorted(found) == []
    assert set(routes(get_resolver().url_patterns)) - OPEN - answered == UNANSWERED
    assert [whose for whose in keys if has_key(file.content, keys[whose])] == ["client"], downloaded
    assert (failed.status_code, again.status_code) == (500, 410)
    assert "OperationalError" in caplog.text
    assert ("POST", PASSPHRASE in caplog.text, PASSWORD in caplog.text) == ("POST", False, False)
    assert opened_key(ca_key.content) == keys["intermediate"]


def opened_key(file: bytes) -> str:
    key = load_pem_private_key(file, PASSPHRASE.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
