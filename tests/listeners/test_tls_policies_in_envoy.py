"""A custom policy is changed on its page, and a real Envoy serves all its listeners accordingly."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from certificates.models import Certificate
from listeners import snapshot
from listeners.models import Listener, TlsSecurityPolicy
from tests import factories
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import EnvoyLab
from tests.listeners.test_views import stamp_of, words
from tests.ports import free_port
from tests.s_client import s_client
from tests.waiting import LIMIT, eventually

SUITES = ["ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]
BOTH = {"name": "shop", "versions": ["TLSv1.2", "TLSv1.3"], "suites": SUITES, "description": ""}


def listener(certificate: Certificate, backend: Backend, policy: TlsSecurityPolicy | None) -> Listener:
    return factories.listener(
        port=free_port(),
        servers=[factories.backend_server("127.0.0.1", backend.port)],
        server_certificate=certificate,
        custom_tls_policy=policy,
    )


@contextmanager
def connection(port: int) -> Iterator[ssl.SSLSocket]:
    """One that has been answered and stays open."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as plain,
        context.wrap_socket(plain, server_hostname="www.test.com") as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: www.test.com\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        yield connection


def protocols(port: int) -> list[str]:
    connections = [s_client(port, version) for version in ("tls1_2", "tls1_3")]
    return [one.protocol for one in connections if one.status == 200]


@pytest.mark.django_db(transaction=True)
def test_change_reaches_every_listener_and_says_what_it_drains(
    signed_in: Client, lab: EnvoyLab, backend: Backend, pki: Pki, settings: Any
) -> None:
    settings.ELB_RUN_DIR = lab.folder
    certificate = factories.server_certificate(pki.modern.server)
    policy = TlsSecurityPolicy(**BOTH)
    policy.full_clean()
    policy.save()
    bound = [listener(certificate, backend, policy) for _ in range(2)]
    other = listener(certificate, backend, None)

    def deliver() -> None:
        wanted = snapshot.configuration()
        lab.apply(wanted)
        lab.wait_served(*wanted.listeners)

    deliver()
    assert [protocols(row.port) for row in (*bound, other)] == [["TLSv1.2", "TLSv1.3"]] * 3
    url = reverse("tls_policy_edit", args=[policy.pk])
    with ExitStack() as stack:
        for row in (bound[0], bound[0], bound[1], other):
            stack.enter_context(connection(row.port))
        eventually(
            lambda: "This drains 3 open connections" in words(signed_in.get(url).content), "3 are open"
        )
        renamed = {**BOTH, "name": "renamed", "stamp": stamp_of(signed_in, url)}
        answer = signed_in.post(url, renamed, follow=True)
        assert "renamed was saved. No open connection is drained." in words(answer.content)
        changed = {**renamed, "versions": ["TLSv1.2"], "stamp": stamp_of(signed_in, url)}
        refused = signed_in.post(url, changed)
        assert (refused.status_code, TlsSecurityPolicy.objects.get().versions) == (422, BOTH["versions"])
        assert "Nothing was saved yet. This drains 3 open connections" in words(refused.content)
        assert "Save and drain 3 open connections" in words(refused.content)
        answer = signed_in.post(url, {**changed, "drain": "agreed"}, follow=True)
        assert "renamed was saved. 3 open connections are drained" in words(answer.content)

    deliver()

    assert [protocols(row.port) for row in bound] == [["TLSv1.2"]] * 2
    assert protocols(other.port) == ["TLSv1.2", "TLSv1.3"]
