"""Rows damaged behind the model's back: not served, and no concern of other listeners (F1, A1)."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.db.models import JSONField, Value

from certificates.models import Certificate
from listeners import snapshot
from listeners.dataplane.desired import update_of
from listeners.models import Listener, ListenerCaCertificate, TlsSecurityPolicy
from listeners.rendering import envoy as rendering
from listeners.rendering.envoy import LISTENER
from tests import factories
from tests.conftest import Pki

KEY_USAGE, BASIC_CONSTRAINTS = bytes.fromhex("0603551d0f"), bytes.fromhex("0603551d13")


@dataclass(frozen=True)
class Rows:
    """A mutual listener with everything that can be damaged, and one that is whole."""

    listener: Listener
    server: Certificate
    ca: Certificate
    policy: TlsSecurityPolicy
    whole: Listener

    def write(self, **columns: Any) -> None:
        Listener.objects.filter(pk=self.listener.pk).update(**columns)

    def admit(self, allowed: Any) -> None:
        self.write(admission="listed", allowed_clients=allowed)


@pytest.fixture
def unconstrained(db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        yield
        cursor.execute("PRAGMA ignore_check_constraints = OFF")


@pytest.fixture
def rows(pki: Pki, unconstrained: None) -> Rows:
    server, ca = factories.server_certificate(pki.modern.server), factories.ca_certificate(pki.modern.ca)
    policy = TlsSecurityPolicy.objects.create(
        name="own", versions=["TLSv1.2"], suites=["ECDHE-ECDSA-AES128-GCM-SHA256"]
    )
    listener = factories.listener(server_certificate=server, ca_certificate=ca, custom_tls_policy=policy)
    return Rows(listener, server, ca, policy, factories.listener())


def policy_of(**columns: Any) -> Callable[[Rows], Any]:
    return lambda rows: TlsSecurityPolicy.objects.filter(pk=rows.policy.pk).update(**columns)


def with_an_extension_twice(rows: Rows) -> None:
    """Such a CA can be loaded, and not be read."""
    der = ssl.PEM_cert_to_DER_cert(rows.ca.content)
    assert KEY_USAGE in der
    twice = ssl.DER_cert_to_PEM_cert(der.replace(KEY_USAGE, BASIC_CONSTRAINTS))
    Certificate.objects.filter(pk=rows.ca.pk).update(content=twice)


DAMAGES: dict[str, Callable[[Rows], Any]] = {
    "unknown authentication": lambda rows: rows.write(authentication="none"),
    "no authentication": lambda rows: rows.write(authentication=""),
    "no CA": lambda rows: ListenerCaCertificate.objects.all().delete(),
    "CA that cannot be read": with_an_extension_twice,
    "CA of another type": lambda rows: Certificate.objects.filter(pk=rows.ca.pk).update(type="server"),
    "server certificate of another type": lambda rows: Certificate.objects.filter(pk=rows.server.pk).update(
        type="ca"
    ),
    "no server certificate": lambda rows: rows.write(server_certificate=None),
    "unknown matching of names": lambda rows: rows.write(sni_matching="first"),
    "unknown admission": lambda rows: rows.write(admission="all"),
    "nobody allowed": lambda rows: rows.admit([]),
    "list that is null": lambda rows: rows.admit(Value(None, JSONField())),
    "list that is text": lambda rows: rows.admit("dns"),
    "list that is a number": lambda rows: rows.admit(1),
    "list that is an object": lambda rows: rows.admit({"dns": "client.test.com"}),
    "entry without a value": lambda rows: rows.admit([["dns"]]),
    "entry with an empty value": lambda rows: rows.admit([["dns", ""]]),
    "entry of an unknown kind": lambda rows: rows.admit([["any", "client.test.com"]]),
    "list of one who is only optional": lambda rows: rows.write(
        authentication="optional", admission="listed", allowed_clients=[["dns", "client.test.com"]]
    ),
    "unknown policy": lambda rows: rows.write(custom_tls_policy=None, tls_policy="tls-9"),
    "policy without versions": policy_of(versions=[]),
    "policy with a number of versions": policy_of(versions=2),
    "policy with an unknown version": policy_of(versions=["TLSv9"]),
    "policy without suites": policy_of(suites=[]),
    "policy with a number of suites": policy_of(suites=3),
    "policy with suites of another kind": policy_of(suites=[["ECDHE-ECDSA-AES128-GCM-SHA256"], {}]),
    "timeout out of range": lambda rows: rows.write(response_timeout=0),
    "no backend servers": lambda rows: rows.write(backend_server_group=None),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_listener_is_not_handed_over_and_the_rest_is(rows: Rows, damage: str) -> None:
    before = snapshot.configuration()
    assert [one.id for one in before.listeners] == [rows.listener.pk, rows.whole.pk]
    DAMAGES[damage](rows)

    found = snapshot.configuration()

    assert found.problems.keys() == {rows.listener.pk}
    rendered = {resource.key: resource for resource in rendering.resources(found)}
    handed_over = update_of(found, rendered, found.problems, None).resources
    whole = rendering.listener_name(rows.whole.pk)
    assert [name for kind, name in handed_over if kind == LISTENER] == [whole]
