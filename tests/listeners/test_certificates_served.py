"""The certificates that a listener really serves, read back from a real Envoy (pitfall A4)."""

import re
from pathlib import Path

import pytest
from django.urls import reverse

from listeners.models import Listener, TlsSecurityPolicy
from tests import factories
from tests.backend import Backend
from tests.conftest import Pki
from tests.console_client import words
from tests.listeners.pages import Pages, http, server
from tests.pki import issue
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_page_reads_back_each_certificate_and_says_what_that_counts(
    pages: Pages, backend: Backend, pki: Pki
) -> None:
    own, other = (
        factories.server_certificate(pki.guide.server),
        factories.server_certificate(pki.modern.server),
    )
    row = Listener(
        load_balancer=factories.load_balancer(), name="two", port=free_port(), server_certificate=own
    ).choose(sni_certificates=[other])
    listener = pages.serve(Listener.objects.open(row, [server(backend)]))
    assert pages.counters(listener)["Connections"] == 0  # the page itself asks nothing
    page = words(pages.client.get(reverse("listener_served", args=[listener.pk])).content.decode())
    assert page.count("Serves this certificate") == 2
    assert own.fingerprint in page
    assert other.fingerprint in page
    assert "Each counts as one of the connections" in page
    eventually(lambda: pages.counters(listener)["Connections"] == 2, "two connections")
    certificates = [own, other]
    for one in certificates:
        served = words(pages.client.get(reverse("certificate_served", args=[one.pk])).content.decode())
        assert "Serves this certificate" in served
        assert one.fingerprint in served


def test_page_says_when_another_certificate_is_served(pages: Pages, backend: Backend, pki: Pki) -> None:
    """Pitfall A4: stored is not served while the delivery is blocked."""
    own, other = (
        factories.server_certificate(pki.guide.server),
        factories.server_certificate(pki.modern.server),
    )
    listener = pages.serve(
        factories.listener(port=free_port(), servers=[server(backend)], server_certificate=own)
    )
    Listener.objects.filter(pk=listener.pk).update(server_certificate=other)
    fragment = pages.client.get(
        reverse("listener_served", args=[listener.pk]), headers={"HX-Request": "true"}
    ).content.decode()
    assert ("Serves another certificate" in fragment, own.fingerprint in fragment) == (True, True)
    assert "tries=2" in fragment


def test_change_of_what_is_served_is_told_to_the_page_once(pages: Pages, backend: Backend) -> None:
    listener = pages.serve(http(backend))
    path = reverse("listener_status", args=[listener.pk])
    first = pages.client.get(path)
    mark = re.search(r"mark=(\w+)", first.content.decode())
    assert mark
    again = pages.client.get(path, {"mark": mark[1]})
    Listener.objects.filter(pk=listener.pk).update(request_timeout=7)
    applying = pages.client.get(path, {"mark": mark[1]})
    pages.serve(listener)
    running = pages.client.get(path, {"mark": mark[1]})
    answers = (first, again, applying, running)
    assert ["listener-changed" in one["HX-Trigger"] for one in answers] == [True, False, False, True]


@pytest.mark.parametrize("versions", [["TLSv1.2", "TLSv1.3"], ["TLSv1.3"], ["TLSv1", "TLSv1.1"]])
def test_two_certificates_of_one_name_are_told_apart(
    pages: Pages, backend: Backend, pki: Pki, tmp_path: Path, versions: list[str]
) -> None:
    """One of RSA, one of ECDSA; in TLS 1.3 the console's client cannot ask for one of the two."""
    own = issue(tmp_path, "own", None, extensions=["subjectAltName=DNS:own.test"])
    policy = TlsSecurityPolicy.objects.create(
        name=f"custom {versions}",
        versions=versions,
        suites=["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA"],
    )
    row = Listener(
        load_balancer=factories.load_balancer(),
        name="twins",
        port=free_port(),
        server_certificate=factories.server_certificate(own),
        custom_tls_policy=policy,
        tls_policy="",
    )
    row.choose(sni_certificates=[factories.server_certificate(one.server) for one in (pki.modern, pki.guide)])
    listener = pages.serve(Listener.objects.open(row, [server(backend)]))
    text = words(pages.client.get(reverse("listener_served", args=[listener.pk])).content.decode())
    found = re.findall("Serves this certificate|Serves one of two|Serves another|Does not answer", text)
    either = ["Serves one of two"] if versions == ["TLSv1.3"] else ["Serves this certificate"]
    assert sorted(found) == sorted(["Serves this certificate"] * 2 + either)


def test_disabled_listener_is_not_asked(pages: Pages, backend: Backend, pki: Pki) -> None:
    row = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    Listener.objects.filter(pk=row.pk).update(is_enabled=False)
    text = words(pages.client.get(reverse("listener_served", args=[row.pk])).content.decode())
    assert "Not asked It is disabled." in text
