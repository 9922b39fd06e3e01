"""From rows to specs: what is asked for, at what cost, and that damaged rows never open anything (F1)."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

import pytest
from django.apps import apps
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from certificates.models import Certificate
from console.models import ConfigurationRevision, RevisedModel
from listeners import snapshot
from listeners.models import Listener, LoadBalancer, TlsSecurityPolicy
from listeners.spec import AllowedClientSpec, ClientAuthenticationSpec, IdentityKind
from listeners.tls_policies import TLS_1_3_SUITES
from tests import factories
from tests.backend import Backend
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.django_db


def mutual_listener(pki: Pki, backend: Backend) -> Listener:
    return factories.listener(
        port=free_port(),
        servers=[factories.backend_server("127.0.0.1", backend.port)],
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=factories.ca_certificate(pki.modern.ca),
    )


def statuses(row: Listener, pki: Pki) -> tuple[int, int]:
    """HTTP status without a certificate and with a good one."""
    url, client = f"https://127.0.0.1:{row.port}/", pki.modern.client
    return (
        curl("-k", url).status,
        curl("-k", "--cert", client.certificate, "--key", client.key, url).status,
    )


DAMAGES = {
    "removed": lambda content: " ",
    "truncated": lambda content: content[: len(content) // 2],
    "emptied": lambda content: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "garbled": lambda content: content.replace("M", "N"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_ca_certificate_opens_nothing(lab: EnvoyLab, backend: Backend, pki: Pki, damage: str) -> None:
    """Applied to what runs, and then to an Envoy and a control plane that start with it."""
    row = mutual_listener(pki, backend)
    [ca] = row.chosen("ca_certificates")
    lab.apply(snapshot.configuration())
    eventually(lambda: statuses(row, pki) == (0, 200), "the listener works")
    Certificate.objects.filter(pk=ca.pk).update(content=DAMAGES[damage](ca.content))

    damaged = snapshot.configuration()
    lab.apply(damaged)
    eventually(lambda: lab.reported_refusal(row.pk), "the control plane's refusal")
    running = statuses(row, pki)
    lab.stop_control_plane()
    lab.envoy.stop()
    lab.start_control_plane()
    lab.envoy.ensure()
    eventually(lambda: lab.is_connected(), "Envoy is back")
    restarted = statuses(row, pki)

    assert f"CA certificate {ca.pk} cannot be read" in damaged.problems[row.pk]
    assert (running, restarted) == ((0, 200), (0, 0))


def test_row_that_asks_for_clients_but_names_no_ca_is_a_problem(pki: Pki) -> None:
    """The database refuses such a row; should one get past it, it is not served."""
    row = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    row.authentication = Listener.Authentication.MUTUAL
    with pytest.raises(snapshot.SpecError, match="no CA certificate"):
        snapshot.listener_spec(row)


def test_private_key_sealed_by_a_lost_master_key_is_a_problem_of_its_listeners_alone(pki: Pki) -> None:
    broken = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    whole = factories.listener()
    Certificate.objects.filter(pk=broken.server_certificate_id).update(sealed_private_key="v1.0000.AAAA")

    found = snapshot.configuration()

    assert [one.id for one in found.listeners] == [whole.pk]
    assert found.problems == {
        broken.pk: "The master key '0000' that sealed this private key is not configured."
    }


@pytest.mark.django_db(transaction=True)
def test_a_write_during_the_reading_is_not_mixed_in(pki: Pki) -> None:
    """The clients of before beside the CA of afterwards would let in whom neither version does."""
    ca, other = factories.ca_certificate(pki.modern.ca), factories.ca_certificate(pki.guide.ca)
    server = factories.server_certificate(pki.modern.server)
    row = factories.listener(server_certificate=server, ca_certificate=ca)
    writers: list[threading.Thread] = []

    def write() -> None:
        edited = Listener.objects.get(pk=row.pk).choose(ca_certificates=[other])
        edited.admission, edited.allowed_clients = Listener.Admission.LISTED, [["dns", "client.test.com"]]
        # SQLite's databases in memory have one writer or readers at a time, those in files have both.
        with suppress(OperationalError):
            edited.save()
        connection.close()

    def between_two_queries(execute: Any, sql: str, *others: Any) -> Any:
        if not writers and '"listeners_listenercacertificate"' in sql:
            writers.append(threading.Thread(target=write))
            writers[0].start()
            writers[0].join()
        return execute(sql, *others)

    with connection.execute_wrapper(between_two_queries):
        [found] = snapshot.configuration().listeners

    assert len(writers) == 1
    assert found.tls
    assert found.tls.client in (
        ClientAuthenticationSpec((ca.pk,)),
        ClientAuthenticationSpec(
            (other.pk,), allowed=(AllowedClientSpec(IdentityKind.DNS, "client.test.com"),)
        ),
    )


def test_number_of_queries_does_not_grow(pki: Pki) -> None:
    server, ca = factories.server_certificate(pki.modern.server), factories.ca_certificate(pki.modern.ca)

    def queries(asked: list[int] | None) -> int:
        with CaptureQueriesContext(connection) as captured:
            snapshot.configuration(asked)
        return len(captured)

    first = factories.listener(server_certificate=server, ca_certificate=ca)
    one = queries(None)
    for _ in range(5):
        factories.listener(server_certificate=server, ca_certificate=ca)

    assert (queries(None), queries([first.pk])) == (one, one)
    assert one == 6


def test_configuration_of_some_holds_them_and_what_they_use(pki: Pki) -> None:
    """Whoever is asked for and is not in it is not to be served: deleted, disabled or never there."""
    used, other = (factories.server_certificate(pki.modern.server, name) for name in ("used", "other"))
    asked = factories.listener(server_certificate=used)
    broken = factories.listener(server_certificate=factories.server_certificate(pki.guide.server))
    factories.listener(server_certificate=other)
    off = factories.listener(server_certificate=other, is_enabled=False)
    closed = factories.listener(server_certificate=other)
    LoadBalancer.objects.filter(pk=closed.load_balancer_id).update(is_enabled=False)
    Certificate.objects.filter(pk=broken.server_certificate_id).update(sealed_private_key="v1.0000.AAAA")

    found = snapshot.configuration([asked.pk, broken.pk, off.pk, closed.pk, 10**6])

    assert [one.id for one in found.listeners] == [asked.pk]
    assert list(found.problems) == [broken.pk]
    assert list(found.server_certificates) == [used.pk]


@dataclass(frozen=True)
class Web:
    """Listeners that depend on things in every way, and one that depends on nothing of theirs."""

    whole: Listener
    redirecting: Listener
    neighbor: Listener
    stranger: Listener


@pytest.fixture
def web(pki: Pki) -> Web:
    """`neighbor` shares the load balancer of `whole`, and its backend server group."""
    policy = TlsSecurityPolicy.objects.create(name="own", versions=["TLSv1.3"], suites=TLS_1_3_SUITES[:1])
    whole = factories.listener(
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=factories.ca_certificate(pki.modern.ca),
    )
    whole.custom_tls_policy = policy
    whole.choose(sni_certificates=[factories.server_certificate(pki.guide.server)]).save()
    redirecting = factories.listener(on=whole.load_balancer)
    redirecting.redirect_to, redirecting.backend_server_group = whole, None
    redirecting.save()
    neighbor = factories.listener(on=whole.load_balancer)
    neighbor.backend_server_group = whole.backend_server_group
    neighbor.save()
    return Web(whole, redirecting, neighbor, factories.listener())


# What is written, and whom that may change.
CHANGES: dict[str, tuple[Callable[[Web], Any], set[str]]] = {
    "listener": (lambda web: web.neighbor.save(), {"neighbor"}),
    "target of a redirect": (lambda web: web.whole.save(), {"whole", "redirecting"}),
    "deleted listener": (lambda web: web.neighbor.delete(), {"neighbor"}),
    "load balancer": (lambda web: web.whole.load_balancer.save(), {"whole", "redirecting", "neighbor"}),
    "backend server": (
        lambda web: web.neighbor.backend_server_group.servers.get().save(),
        {"whole", "neighbor"},
    ),
    "certificate": (lambda web: web.whole.server_certificate.save(), {"whole"}),
    "CA": (lambda web: web.whole.ca_certificates.get().save(), {"whole"}),
    "SNI certificate": (lambda web: web.whole.sni_certificates.get().save(), {"whole"}),
    "TLS policy": (lambda web: web.whole.custom_tls_policy.save(), {"whole"}),
    "unused certificate": (lambda web: factories.listing_certificate(), set()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_concerns_the_listeners_that_depend_on_it(web: Web, change: str) -> None:
    ids = {field.name: getattr(web, field.name).pk for field in fields(web)}
    before = snapshot.changes(None)
    assert before
    act, expected = CHANGES[change]
    act(web)

    found = snapshot.changes(before.position)

    assert found
    assert found.listeners == {ids[name] for name in expected}
    assert snapshot.changes(found.position) is None


def test_every_relation_of_a_listener_is_a_dependency() -> None:
    """A new one is not forgotten: the data plane learns of changes through it."""
    followed = {relation for relations in snapshot.DEPENDENCIES.values() for relation in relations}
    revised = {
        field.name
        for field in Listener._meta.get_fields()
        if not field.auto_created and field.is_relation and issubclass(field.related_model, RevisedModel)
    }
    assert followed == revised | {"pk"}
    kinds = {model.noted_kind() for model in apps.get_models() if issubclass(model, RevisedModel)}
    assert kinds == snapshot.DEPENDENCIES.keys()


@pytest.mark.parametrize("change", ["save", "update", "delete", "bulk_create", "certificate", "server"])
def test_every_change_raises_the_revision(pki: Pki, change: str) -> None:
    row = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    changes = {
        "save": row.save,
        "update": lambda: Listener.objects.filter(pk=row.pk).update(name="x"),
        "delete": lambda: Listener.objects.filter(pk=row.pk).delete(),
        "bulk_create": lambda: row.backend_server_group.servers.bulk_create(
            [
                type(row.backend_server_group.servers.get())(
                    group=row.backend_server_group, address="::1", port=1
                )
            ]
        ),
        "certificate": lambda: Certificate.objects.get(pk=row.server_certificate_id).save(),
        "server": lambda: row.backend_server_group.servers.get().delete(),
    }
    before = ConfigurationRevision.objects.number()

    changes[change]()

    assert ConfigurationRevision.objects.number() > before
