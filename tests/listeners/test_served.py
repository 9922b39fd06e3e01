"""What a listener really serves (pitfall A4): a handshake that asks for nothing and leads nowhere else."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from listeners.dataplane import handshake
from listeners.dataplane.handshake import HandshakeError, served_fingerprint
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import EnvoyLab, configuration, https
from tests.factories import ca_certificate, listener, load_balancer, server_certificate, user
from tests.pki import CertificateSet, KeyPair
from tests.ports import free_port

HTMX = {"HX-Request": "true"}


def fingerprint(pair: KeyPair) -> str:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes()).fingerprint(hashes.SHA256()).hex()


@contextmanager
def tls_server(
    pair: KeyPair, maximum: ssl.TLSVersion, heard: list[bytes], client_ca: KeyPair | None = None
) -> Iterator[int]:
    """One connection; what comes after the handshake goes to `heard`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = maximum
    context.load_cert_chain(pair.certificate, pair.key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca.certificate)

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    heard.append(secured.recv(100))
            except (ssl.SSLError, ConnectionError):
                heard.append(b"")  # refused, or closed without a goodbye

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["guide", "modern"])
@pytest.mark.parametrize("is_mutual", [False, True], ids=["one-way", "mutual"])
def test_handshake_reads_any_certificate_and_asks_for_nothing(
    pki: Pki, name: str, version: ssl.TLSVersion, is_mutual: bool
) -> None:
    made: CertificateSet = getattr(pki, name)
    heard: list[bytes] = []
    with tls_server(made.server, version, heard, made.ca if is_mutual else None) as port:
        assert served_fingerprint("127.0.0.1", port) == fingerprint(made.server)
    assert heard == [b""]


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.2"])
def test_handshake_with_a_listener_that_wants_a_client_certificate(
    lab: EnvoyLab, backend: Backend, pki: Pki, address: str
) -> None:
    spec = https(1, free_port(), backend.port, ca=2, address=address)
    for made in (pki.guide, pki.modern):
        lab.apply(configuration(spec, server=made.server, cas={2: made.ca}))
        lab.wait_served(spec)
        assert served_fingerprint(address, spec.port) == fingerprint(made.server)


def test_nothing_listens() -> None:
    with pytest.raises(HandshakeError, match="Nothing listens there"):
        served_fingerprint("127.0.0.1", free_port())


def test_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(HandshakeError, match=r"0\.2 seconds"):
            served_fingerprint("127.0.0.1", port)


def test_what_answers_speaks_no_tls(backend: Backend) -> None:
    with pytest.raises(HandshakeError, match="did not finish a TLS handshake"):
        served_fingerprint("127.0.0.1", backend.port)


@pytest.mark.parametrize("address", ["192.0.2.1", "169.254.169.254", "2001:db8::1"])
def test_handshake_never_leaves_this_machine(address: str) -> None:
    """Pitfall K7: an address of a load balancer is what a person typed."""
    with pytest.raises(HandshakeError, match="This machine does not have the address"):
        served_fingerprint(address, 443)


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(user())
    return client


@pytest.mark.django_db
def test_page_compares_what_is_served_with_what_is_stored(browser: Client, pki: Pki) -> None:
    stored, another = server_certificate(pki.modern.server), server_certificate(pki.guide.server)
    balancer = load_balancer()
    with tls_server(pki.modern.server, ssl.TLSVersion.TLSv1_3, []) as port:
        listener(balancer, port, server_certificate=stored)
        page = browser.get(reverse("certificate_served", args=[stored.pk])).content.decode()
    assert ("Serves this certificate" in page, "every 2s" in page) == (True, False)
    assert page.count(stored.fingerprint) == 2
    with tls_server(pki.modern.server, ssl.TLSVersion.TLSv1_3, []) as port:
        listener(balancer, port, server_certificate=another, name="late")
        page = browser.get(reverse("certificate_served", args=[another.pk])).content.decode()
    assert ("Serves another certificate" in page, "every 2s" in page) == (True, True)
    assert (stored.fingerprint in page, "Ask again" in page) == (True, True)


@pytest.mark.django_db
def test_fragment_is_sent_again_only_when_it_has_changed(browser: Client, pki: Pki) -> None:
    certificate = server_certificate(pki.modern.server)
    listener(server_certificate=certificate, port=free_port())
    path = reverse("certificate_served", args=[certificate.pk])
    fragment = browser.get(path, headers=HTMX).content.decode()
    assert ("<html" in fragment, "Does not answer" in fragment) == (False, True)
    shown = fragment.partition("?shown=")[2].partition('"')[0]
    assert browser.get(path, {"shown": shown}, headers=HTMX).status_code == 204
    assert browser.get(path, {"shown": "else"}, headers=HTMX).status_code == 200
    assert browser.get(path, {"shown": shown}).status_code == 200  # a page is a page


@pytest.mark.django_db
def test_page_of_what_serves_nothing(browser: Client, pki: Pki) -> None:
    unused, ca = server_certificate(pki.modern.server), ca_certificate(pki.modern.ca)
    page = browser.get(reverse("certificate_served", args=[unused.pk])).content.decode()
    assert "No listener uses this certificate" in page
    assert browser.get(reverse("certificate_served", args=[ca.pk])).status_code == 404


@pytest.mark.django_db
def test_page_has_a_constant_number_of_queries(
    browser: Client, pki: Pki, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    certificate = server_certificate(pki.modern.server)
    for _ in range(3):
        listener(server_certificate=certificate, port=free_port())
    # Session, user, certificate, listeners, their backend servers, CA and SNI certificates.
    with django_assert_num_queries(7):
        browser.get(reverse("certificate_served", args=[certificate.pk]))


@pytest.mark.django_db
def test_detail_page_leads_to_what_is_served(browser: Client, pki: Pki) -> None:
    certificate = server_certificate(pki.modern.server)
    path = reverse("certificate_served", args=[certificate.pk])
    assert path not in browser.get(certificate.get_absolute_url()).content.decode()
    listener(server_certificate=certificate)
    page = browser.get(certificate.get_absolute_url()).content.decode()
    assert f'<a href="{path}">See which certificate each listener serves</a>' in page
