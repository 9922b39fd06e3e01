"""Whatever happens in whatever order: what is kept up to date equals what is worked out from scratch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from listeners.dataplane.desired import Desired, Update, update_of
from listeners.dataplane.discovery import TYPES, WILDCARD_TYPES, Session
from listeners.rendering import envoy as rendering
from listeners.rendering.envoy import CLUSTER, ENDPOINTS, LISTENER, SECRET, Resource, ResourceKey
from listeners.spec import (
    CaBundleSpec,
    ClientAuthenticationSpec,
    ConfigurationSpec,
    ListenerSpec,
    ServerCertificateSpec,
    TlsSpec,
)
from tests.conftest import Pki
from tests.envoy_lab import group, made_of, only
from tests.told_envoy import ToldEnvoy

IDS = st.integers(1, 4)
EITHER = st.integers(1, 2)
TURNS = st.sets(st.integers(0, 11), max_size=3)
REFUSED = st.sets(IDS, max_size=2)


@dataclass(frozen=True)
class Row:
    """A listener: numbers of its group, its server certificate and its CA; 0 for none."""

    port: int
    group: int
    server: int
    ca: int


ROWS = st.builds(Row, st.integers(8001, 8003), EITHER, st.integers(0, 2), st.integers(0, 2))
CHANGES = st.one_of(
    st.tuples(st.just("listeners"), IDS, ROWS),
    st.tuples(st.just("listeners"), IDS, st.none()),
    st.tuples(st.sampled_from(["groups", "servers", "cas"]), EITHER, EITHER),
)


@dataclass(frozen=True)
class Step:
    """What happens in one transaction, and whom Envoy then refuses of those that are asked about."""

    changes: list[tuple[str, int, Row | int | None]]
    refused: set[int]
    reads_all: bool


STEPS = st.lists(
    st.builds(Step, st.lists(CHANGES, min_size=1, max_size=3), REFUSED, st.booleans()), max_size=12
)


@dataclass
class World:
    """Rows, and the contents of what is shared by number: 1 or 2."""

    pki: Pki
    listeners: dict[int, Row] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=lambda: {1: 1, 2: 1})
    servers: dict[int, int] = field(default_factory=lambda: {1: 1, 2: 1})
    cas: dict[int, int] = field(default_factory=lambda: {1: 1, 2: 1})
    refused: dict[int, str] = field(default_factory=dict)

    def configuration(self) -> ConfigurationSpec:
        pairs = {1: self.pki.modern, 2: self.pki.guide}
        servers = {id: pairs[content].server for id, content in self.servers.items()}
        return ConfigurationSpec(
            1,
            tuple(self._spec(id, row) for id, row in sorted(self.listeners.items())),
            {id: ServerCertificateSpec(id, one.certificate_pem, one.key_pem) for id, one in servers.items()},
            {id: CaBundleSpec(id, pairs[content].ca.certificate_pem) for id, content in self.cas.items()},
        )

    def _spec(self, id: int, row: Row) -> ListenerSpec:
        client = ClientAuthenticationSpec((row.ca,)) if row.ca else None
        tls = TlsSpec(row.server, client) if row.server else None
        return ListenerSpec(id, "127.0.0.1", row.port, group(row.group, 80 + self.groups[row.group]), tls)

    def take(self, step: Step) -> Update:
        """Lets a step happen and looks at what it has changed."""
        before = made_of(self.configuration())
        for place, id, value in step.changes:
            kept = getattr(self, place)
            if value is None:
                kept.pop(id, None)
            else:
                kept[id] = value
        now = self.configuration()
        after = made_of(now)
        asked = frozenset(id for id in before.keys() | after.keys() if before.get(id) != after.get(id))
        refused = dict.fromkeys(step.refused & asked & self.listeners.keys(), "no")
        self.refused = {id: why for id, why in self.refused.items() if id not in asked} | refused
        if step.reads_all:
            return update_of(now, rendered(now), self.refused, None)
        part = only(now, asked)
        return update_of(part, rendered(part), refused, asked)


def rendered(configuration: ConfigurationSpec) -> dict[ResourceKey, Resource]:
    return {resource.key: resource for resource in rendering.resources(configuration)}


def from_the_beginning(world: World, before: Mapping[ResourceKey, Resource]) -> dict[ResourceKey, Resource]:
    """The resources of what passes; of what is refused, those of its last good version."""
    now = world.configuration()
    passed = tuple(spec for spec in now.listeners if spec.id not in world.refused)
    found = rendered(replace(now, listeners=passed))
    needed = {key for resource in found.values() for key in resource.needs}
    found = {key: one for key, one in found.items() if key[0] != SECRET or key in needed}
    for id in world.refused:
        last = before.get((LISTENER, rendering.listener_name(id)))
        if last:
            kept = last.needs - needed
            kept |= {part for key in kept for part in before[key].needs}
            found |= {last.key: last} | {key: before[key] for key in kept}
    return found


def versions(resources: Mapping[ResourceKey, Resource]) -> dict[ResourceKey, str]:
    return {key: resource.version for key, resource in resources.items()}


@settings(deadline=None)
@given(steps=STEPS)
def test_goal_after_changes_equals_the_goal_of_everything(pki: Pki, steps: list[Step]) -> None:
    world, desired = World(pki), Desired()
    expected: dict[ResourceKey, Resource] = {}
    for step in steps:
        desired.apply(world.take(step))
        expected = from_the_beginning(world, expected)
        assert versions(desired.resources) == versions(expected)
        assert desired.refused == {rendering.listener_name(id): why for id, why in world.refused.items()}


@settings(deadline=None)
@given(steps=STEPS, unbindable=st.sets(IDS, max_size=1), reconnects=TURNS, restarts=TURNS)
def test_session_knows_what_is_to_be_done_and_does_it(
    pki: Pki, steps: list[Step], unbindable: set[int], reconnects: set[int], restarts: set[int]
) -> None:
    """`reconnects` are the steps before which Envoy connects anew, `restarts` those that a new control plane
    begins with, which knows nothing of what was good before.
    """
    world, desired = World(pki), Desired()
    envoy = ToldEnvoy(Session(desired))
    envoy.connect()
    bad = {rendering.listener_name(id) for id in unbindable}
    for number, step in enumerate(steps):
        if number in restarts:
            desired = Desired()
            desired.apply(world.take(replace(step, reads_all=True)))
        if number in restarts | reconnects:
            envoy.session = Session(desired)
            envoy.connect()
        envoy.session.aim(desired.apply(world.take(step)))
        assert kept(envoy.session) == scanned(envoy.session)
        for _ in envoy.answers(bad):
            assert kept(envoy.session) == scanned(envoy.session)

    # With nothing in the way Envoy comes to have what it is to have, and nothing else.
    world.listeners = {id: row for id, row in world.listeners.items() if id not in unbindable}
    everybody = world.configuration()
    envoy.session.aim(desired.apply(update_of(everybody, rendered(everybody), {}, None)))
    list(envoy.answers())
    envoy.wait_out()
    assert {key: v for key, v in envoy.has.items() if key[0] in WILDCARD_TYPES} == {
        key: v for key, v in versions(desired.resources).items() if key[0] in WILDCARD_TYPES
    }
    assert envoy.session.is_settled


def kept(session: Session) -> dict[str, object]:
    found: dict[str, object] = {
        kind: (state.pending, state.leaving, state.strangers) for kind, state in session.types.items()
    }
    return found | {"awaited": session._awaited, "users": session._users}


def scanned(session: Session) -> dict[str, object]:
    """The same by its definition, from all that there is."""
    wanted, refused = session.desired.resources, session.desired.refused
    found: dict[str, object] = {}
    users: dict[ResourceKey, set[ResourceKey]] = {}
    for kind in TYPES:
        state = session.types[kind]
        names = {name for one, name in wanted if one == kind}
        pending = {
            name
            for name in names
            if (kind in WILDCARD_TYPES or name in state.subscribed)
            and state.held.get(name) != wanted[kind, name].version
            and not session.rejection((kind, name), wanted[kind, name].version)
        }
        leaving = state.held.keys() - names - (refused.keys() if kind == LISTENER else set())
        found[kind] = (pending, leaving, state.held.keys() - state.bodies.keys())
        for name, body in state.bodies.items():
            for key in body.needs:
                users.setdefault(key, set()).add((kind, name))
    clusters, endpoints = session.types[CLUSTER], session.types[ENDPOINTS]
    needed = {key for body in clusters.bodies.values() for key in body.needs}
    awaited = {name for kind, name in needed & wanted.keys()}
    awaited -= endpoints.held.keys() | endpoints.rejected.keys()
    return found | {"awaited": awaited, "users": users}
