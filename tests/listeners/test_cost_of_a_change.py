"""Cost follows the change, not the total: what one change among hundreds of listeners touches."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from certificates.models import Certificate
from listeners import snapshot
from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.discovery import WILDCARD_TYPES, Session
from listeners.dataplane.looking import Looker
from listeners.dataplane.preflight import Preflight, Verdict
from listeners.models import BackendServer, BackendServerGroup, Listener
from listeners.rendering.envoy import LISTENER, ResourceKey
from listeners.spec import ChangesSpec, ConfigurationSpec, ListenerSpec
from tests import factories
from tests.conftest import Pki
from tests.told_envoy import ToldEnvoy

pytestmark = pytest.mark.django_db

MANY = 300


class CountingPreflight(Preflight):
    """The real one, which also counts whom it has Envoy validate."""

    validated = 0

    def _validate(self, listeners: Sequence[ListenerSpec], configuration: ConfigurationSpec) -> Verdict:
        self.validated += len(listeners)
        return super()._validate(listeners, configuration)


class Rows:
    """The rows as a control plane's source."""

    def __init__(self) -> None:
        self.preflight = CountingPreflight(envoy_binary())
        self.refusals = self.preflight.refusals

    def changes(self, since: int | None) -> ChangesSpec | None:
        return snapshot.changes(since)

    def configuration(self, asked: Collection[int] | None) -> ConfigurationSpec:
        return snapshot.configuration(asked)


@dataclass(frozen=True)
class Cost:
    """Listeners read and validated, and the resources sent, by name."""

    read: int
    validated: int
    sent: tuple[str, ...]


@dataclass
class Plane:
    """A control plane that looks when it is told to, and an Envoy that takes everything."""

    source: Rows
    looker: Looker
    envoy: ToldEnvoy

    def cost(self) -> tuple[Cost, int]:
        """Of what has changed since, and the number of queries."""
        before = self.source.preflight.validated
        with CaptureQueriesContext(connection) as queries:
            found = self.looker.find()
        assert found
        self.envoy.session.aim(self.looker.take(found))
        sent = [_short(one.name) for response in self.envoy.answers() for one in response.resources]
        validated = self.source.preflight.validated - before
        return Cost(found.times.listeners, validated, tuple(sorted(sent))), len(queries)


def _short(name: str) -> str:
    """Without the digest in the name of a group's endpoints."""
    return re.sub(r"^(group-\d+)-[0-9a-f]+$", r"\1 servers", name)


@pytest.fixture
def plane(pki: Pki) -> Plane:
    """Listeners with a group each; all but the last ten are mutual and share two certificates."""
    server, ca = factories.server_certificate(pki.modern.server), factories.ca_certificate(pki.modern.ca)
    last = factories.server_certificate(pki.guide.server)
    load_balancer = factories.load_balancer()
    groups = [BackendServerGroup(name=f"g-{n}") for n in range(MANY)]
    groups = BackendServerGroup.objects.bulk_create(groups)
    BackendServer.objects.bulk_create(
        BackendServer(group=one, address="192.0.2.1", port=80) for one in groups
    )
    rows = [
        Listener(
            load_balancer=load_balancer,
            name=f"l-{n}",
            port=20_000 + n,
            authentication="mutual" if n < MANY - 10 else "one-way",
            server_certificate=server if n < MANY - 10 else last,
            backend_server_group=group,
        )
        for n, group in enumerate(groups)
    ]
    for row in Listener.objects.bulk_create(rows):
        if row.authentication == Listener.Authentication.MUTUAL:
            row.ca_certificates.add(ca)
    source = Rows()
    looker = Looker(source)
    envoy = ToldEnvoy(Session(looker.desired))
    envoy.connect()
    plane = Plane(source, looker, envoy)
    everything, _ = plane.cost()
    assert (everything.read, everything.validated) == (MANY, MANY)
    assert len([name for kind, name in envoy.has if kind == LISTENER]) == MANY
    return plane


def listener(number: int) -> Listener:
    return Listener.objects.get(name=f"l-{number}")


def save_listener() -> list[str]:
    row = listener(7)
    row.idle_timeout = 7
    row.save()
    return [f"listener-{row.pk}"]


def rename_listener() -> list[str]:
    row = listener(7)
    row.description = "seven"
    row.save()
    return []


def save_server() -> list[str]:
    server = BackendServer.objects.get(group__name="g-7")
    server.weight = 7
    server.save()
    return [f"group-{server.group_id} servers"]


def exchange_server() -> list[str]:
    server = BackendServer.objects.get(group__name="g-7")
    server.port = 7
    server.save()
    return [f"group-{server.group_id}", f"group-{server.group_id} servers"]


def add_listener() -> list[str]:
    row = factories.listener(on=listener(7).load_balancer)
    group = f"group-{row.backend_server_group_id}"
    return [group, f"{group} servers", f"listener-{row.pk}"]


def replace_certificate() -> list[str]:
    certificate = listener(MANY - 1).server_certificate
    assert certificate
    certificate.content += certificate.content
    certificate.save()
    return [f"certificate-{certificate.pk}"]


def replace_ca() -> list[str]:
    [certificate] = listener(7).chosen("ca_certificates")
    certificate.content += certificate.content
    certificate.save()
    return [f"ca-{certificate.pk}"]


def delete_listener() -> list[str]:
    listener(7).delete()
    return []


def disable_listener() -> list[str]:
    Listener.objects.filter(name="l-8").update(is_enabled=False)
    return []


def add_certificate() -> list[str]:
    factories.listing_certificate()
    return []


# What is done, and how many listeners that makes the control plane read and validate. All of those that use
# a certificate use it in the same way.
CHANGES: dict[Callable[[], list[str]], tuple[int, int]] = {
    save_listener: (1, 1),
    rename_listener: (1, 0),
    save_server: (1, 1),
    exchange_server: (1, 1),
    add_listener: (1, 1),
    replace_certificate: (10, 1),
    replace_ca: (MANY - 10, 1),
    delete_listener: (0, 0),
    disable_listener: (0, 0),
    add_certificate: (0, 0),
}


def test_change_touches_what_depends_on_it_alone(plane: Plane) -> None:
    """And what Envoy has after each is what it would have been given afresh."""
    for change, (read, validated) in CHANGES.items():
        sent = tuple(sorted(change()))
        cost, queries = plane.cost()
        assert (change.__name__, cost) == (change.__name__, Cost(read, validated, sent))
        assert queries <= 12, change.__name__
        plane.envoy.wait_out()
        assert has(plane.envoy) == afresh(plane), change.__name__


def has(envoy: ToldEnvoy) -> dict[ResourceKey, str]:
    """Without the secrets and endpoints that Envoy lets go of by itself."""
    wanted = envoy.session.desired.resources
    return {key: version for key, version in envoy.has.items() if key[0] in WILDCARD_TYPES or key in wanted}


def afresh(plane: Plane) -> dict[ResourceKey, str]:
    """What a control plane that starts now has an Envoy have that starts now."""
    looker = Looker(plane.source)
    found = looker.find()
    assert found
    looker.take(found)
    envoy = ToldEnvoy(Session(looker.desired))
    envoy.connect()
    list(envoy.answers())
    return envoy.has


def test_refused_listeners_alone_are_looked_at_again(plane: Plane) -> None:
    row = listener(MANY - 1)
    Certificate.objects.filter(pk=row.server_certificate_id).update(sealed_private_key="v1.0000.AAAA")
    plane.cost()
    with CaptureQueriesContext(connection) as queries:
        idle, again = plane.looker.find(), plane.looker.find(retry=True)
    assert idle is None
    assert again
    assert (len(again.update.refused), again.times.listeners, len(queries)) == (10, 0, 8)
