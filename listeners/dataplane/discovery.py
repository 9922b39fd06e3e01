"""What one Envoy is told and when: the server's side of incremental xDS as a state machine without I/O.

Order: clusters and endpoints, then listeners, then what is no longer wanted. One response of a type is
under way at a time. A response is not atomic in Envoy, so additions and removals never share one, and a
removal waits until the additions of its revision are acknowledged (`_withheld`).
Source: Envoy's documentation, "xDS REST and gRPC protocol", and DeltaDiscoveryRequest's comments.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from envoy.service.discovery.v3.discovery_pb2 import Resource as XdsResource

from listeners.dataplane.reasons import WITHHELD, quotable, quotes_configuration
from listeners.rendering.envoy import CLUSTER, ENDPOINTS, LISTENER, SECRET, Resource, ResourceKey
from listeners.spec import addresses_overlap

TYPES = (CLUSTER, ENDPOINTS, LISTENER, SECRET)
WILDCARD_TYPES = (CLUSTER, LISTENER)
UNCERTAIN = ""  # the version of what Envoy has in one version or another


@dataclass(frozen=True)
class Desired:
    """What Envoy is to have.

    `refused` maps the names of listeners that cannot be applied as configured to the reason. Of these,
    `resources` holds the last good version where one is known; else whatever Envoy has stays as it is.
    """

    revision: int
    resources: Mapping[ResourceKey, Resource]
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def kept(self) -> set[str]:
        """Listeners that Envoy may have or not: they are neither sent nor removed."""
        return self.refused.keys() - self.names(LISTENER)

    def names(self, type_url: str) -> set[str]:
        return {name for kind, name in self.resources if kind == type_url}


@dataclass(frozen=True)
class Rejection:
    version: str
    reason: str


@dataclass
class Sent:
    """A response that waits for its answer. `resources` is empty when it removes."""

    nonce: str
    resources: dict[str, Resource]
    removed: frozenset[str] = frozenset()


@dataclass
class TypeState:
    """What is known of one resource type. `held` maps names to versions that Envoy has accepted.

    `bodies` are the resources behind `held`, where this session sent them.
    """

    started: bool = False
    owed: bool = False  # a first answer, be it empty, lets Envoy finish its start
    subscribed: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, Resource] = field(default_factory=dict)
    rejected: dict[str, Rejection] = field(default_factory=dict)
    suspects: set[str] = field(default_factory=set)  # to be sent one by one, to learn which is bad
    sent: Sent | None = None

    def accept(self, resource: Resource) -> None:
        self.held[resource.name] = resource.version
        self.bodies[resource.name] = resource
        self.rejected.pop(resource.name, None)
        self.suspects.discard(resource.name)

    def owe(self, name: str) -> None:
        """This resource has to be sent, also if it was before or is under way."""
        self.forget(name)
        if self.sent:
            self.sent.resources.pop(name, None)

    def forget(self, name: str) -> None:
        self.held.pop(name, None)
        self.bodies.pop(name, None)
        self.suspects.discard(name)


class Session:
    """One Envoy's stream. Feed it with `receive` and `aim`; send what `responses` gives after either."""

    def __init__(self, desired: Desired) -> None:
        self.desired = desired
        self.types = {type_url: TypeState() for type_url in TYPES}
        # Deleted listener -> the listeners that the same revision added or changed.
        self._blockers: dict[str, frozenset[str]] = {}
        self._nonce = 0

    def aim(self, desired: Desired) -> None:
        """Sets a new goal. What was refused is tried again only if its content has changed."""
        state = self.types[LISTENER]
        wanted = desired.names(LISTENER) | desired.kept
        gone = (self.desired.names(LISTENER) | self.desired.kept) - wanted
        changed = {
            name
            for (kind, name), resource in desired.resources.items()
            if kind == LISTENER
            and state.held.get(name) != resource.version
            and not self.rejection((kind, name), resource.version)
        }
        changed |= {name for name, _ in desired.refused.items() - self.desired.refused.items()}
        self._blockers = {name: b for name, b in self._blockers.items() if name not in wanted}
        self._blockers |= {name: frozenset(changed) for name in gone if changed}
        self.desired = desired
        for type_url, one in self.types.items():
            for name in [n for n in one.rejected if (type_url, n) not in desired.resources]:
                del one.rejected[name]

    def retry(self) -> None:
        """Offers again what Envoy refused: a port that was taken may be free by now."""
        for state in self.types.values():
            state.rejected.clear()

    def receive(self, request: DeltaDiscoveryRequest) -> None:
        state = self.types.get(request.type_url)
        if state is None:
            return
        if not state.started:
            state.started = True
            state.owed = request.type_url in WILDCARD_TYPES
            state.held.update(request.initial_resource_versions)
            for name, version in request.initial_resource_versions.items():
                resource = self.desired.resources.get((request.type_url, name))
                if resource and resource.version == version:
                    state.bodies[name] = resource
        else:
            for name in request.resource_names_subscribe:
                # Asked for once more: Envoy has dropped it, and an answer is due even if nothing changed.
                state.owe(name)
        state.subscribed |= set(request.resource_names_subscribe)
        for name in request.resource_names_unsubscribe:
            state.subscribed.discard(name)
            state.forget(name)
        if state.sent and request.response_nonce == state.sent.nonce:
            sent, state.sent = state.sent, None
            if request.HasField("error_detail"):
                self._refused(request.type_url, sent, request.error_detail.message)
            else:
                self._accepted(state, sent)

    def responses(self) -> list[DeltaDiscoveryResponse]:
        """The responses that may be sent now; each is counted as sent."""
        found = [
            self._next_of_clusters(),
            self._next(ENDPOINTS, self._pending(ENDPOINTS)),
            self._next(SECRET, self._pending(SECRET)),
            self._next_of_listeners(),
        ]
        return [response for response in found if response]

    def held(self, key: ResourceKey) -> str | None:
        return self.types[key[0]].held.get(key[1])

    def rejection(self, key: ResourceKey, version: str) -> str:
        """Envoy's reason against this very version, or nothing."""
        rejected = self.types[key[0]].rejected.get(key[1])
        return rejected.reason if rejected and rejected.version == version else ""

    # Answers

    def _accepted(self, state: TypeState, sent: Sent) -> None:
        for resource in sent.resources.values():
            state.accept(resource)
        for name in sent.removed:
            state.forget(name)
            self._blockers.pop(name, None)

    def _refused(self, type_url: str, sent: Sent, message: str) -> None:
        state = self.types[type_url]
        reasons = _reasons(message, sent.resources)
        if not reasons and len(sent.resources) == 1:
            reasons = {name: quotable(message) for name in sent.resources}
        for name, resource in sent.resources.items():
            if name in reasons:
                state.rejected[name] = Rejection(resource.version, reasons[name])
                state.suspects.discard(name)
            elif reasons and type_url in WILDCARD_TYPES:
                # Envoy applies what it does not name, but notes the version of nothing in the response: on
                # reconnecting it would claim the version of before. So it is sent once more.
                state.held[name], state.bodies[name] = UNCERTAIN, resource
            else:
                state.suspects.add(name)
            if name in state.held:
                # A refused secret has taken the good one's place: to go back means to send that, too.
                state.held[name] = UNCERTAIN
        for name in sent.removed:
            state.forget(name)

    # Plans

    def _pending(self, type_url: str) -> dict[str, Resource]:
        state = self.types[type_url]
        return {
            resource.name: resource
            for key, resource in self.desired.resources.items()
            if key[0] == type_url
            and (type_url in WILDCARD_TYPES or resource.name in state.subscribed)
            and state.held.get(resource.name) != resource.version
            and not self.rejection(key, resource.version)
        }

    def _next_of_clusters(self) -> DeltaDiscoveryResponse | None:
        pending = self._pending(CLUSTER)
        if pending or self.types[CLUSTER].owed:
            response = self._next(CLUSTER, pending)
            for resource in response.resources if response else ():
                # Envoy acknowledges a changed cluster once it has endpoints, but does not ask again for
                # those that it has had before: they go out with the change.
                self.types[ENDPOINTS].owe(resource.name)
            return response
        return self._next(CLUSTER, {}, self._unused_clusters())

    def _unused_clusters(self) -> frozenset[str]:
        listeners = self.types[LISTENER]
        if not listeners.started or listeners.sent or self._pending(LISTENER):
            return frozenset()
        needed: set[str] = set()
        for name in listeners.held:
            if name not in listeners.bodies:
                return frozenset()  # an earlier control plane's listener: what it needs is not known here
            needed |= {n for kind, n in listeners.bodies[name].needs if kind == CLUSTER}
        return frozenset(self.types[CLUSTER].held.keys() - self.desired.names(CLUSTER) - needed)

    def _next_of_listeners(self) -> DeltaDiscoveryResponse | None:
        if not self._clusters_settled():
            return None
        state = self.types[LISTENER]
        pending = self._pending(LISTENER)
        leaving = state.held.keys() - self.desired.names(LISTENER) - self.desired.kept
        # Not sent by this session, so their addresses are not known: out of the way first.
        strangers = frozenset(name for name in leaving if name not in state.bodies)
        if strangers:
            return self._next(LISTENER, {}, strangers)
        moving = {n for n, r in pending.items() if n in state.bodies and state.bodies[n].socket != r.socket}
        holders = [state.bodies[name] for name in leaving | moving if name in state.bodies]
        blocked = _blocked(pending.values(), holders)
        free = {name: resource for name, resource in pending.items() if name not in blocked}
        if free or state.owed:
            return self._next(LISTENER, free)
        # Listeners that need a socket which they themselves or each other have must let go of it first.
        removable = leaving - self._withheld() | (moving & blocked)
        return self._next(LISTENER, {}, frozenset(removable))

    def _clusters_settled(self) -> bool:
        clusters, endpoints = self.types[CLUSTER], self.types[ENDPOINTS]
        if not clusters.started or clusters.owed or clusters.sent or self._pending(CLUSTER):
            return False
        known = endpoints.held.keys() | endpoints.rejected.keys()
        return all(name in known for name in clusters.held.keys() & self.desired.names(ENDPOINTS))

    def _withheld(self) -> set[str]:
        """Deleted listeners whose revision also added or changed something that is refused."""
        refused = set(self.desired.refused)
        for name in self.types[LISTENER].rejected:
            wanted = self.desired.resources.get((LISTENER, name))
            if wanted and self.rejection(wanted.key, wanted.version):
                refused.add(name)
        return {name for name, blockers in self._blockers.items() if blockers & refused}

    def _next(
        self, type_url: str, resources: Mapping[str, Resource], removed: frozenset[str] = frozenset()
    ) -> DeltaDiscoveryResponse | None:
        state = self.types[type_url]
        if not state.started or state.sent or not (resources or removed or state.owed):
            return None
        chosen = dict(resources)
        if len(chosen) > 1 and state.suspects & chosen.keys():
            first = min(state.suspects & chosen.keys())
            chosen = {first: chosen[first]}
        self._nonce += 1
        state.owed = False
        state.sent = Sent(str(self._nonce), chosen, removed)
        return DeltaDiscoveryResponse(
            system_version_info=str(self.desired.revision),
            type_url=type_url,
            nonce=state.sent.nonce,
            resources=[XdsResource(name=r.name, version=r.version, resource=r.body) for r in chosen.values()],
            removed_resources=sorted(removed),
        )


def _blocked(resources: Iterable[Resource], holders: Iterable[Resource]) -> set[str]:
    """Listeners whose socket cannot be bound before a holder, which may be their old selves, gives it up."""
    by_port: dict[int, list[str]] = {}
    for holder in holders:
        if holder.socket:
            by_port.setdefault(holder.socket[1], []).append(holder.socket[0])
    return {
        resource.name
        for resource in resources
        if resource.socket
        and any(addresses_overlap(held, resource.socket[0]) for held in by_port.get(resource.socket[1], ()))
    }


def _reasons(message: str, names: Collection[str]) -> dict[str, str]:
    """Envoy's error text split by the resources that it names as `NAME: reason`."""
    if not names:
        return {}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    _, *parts = re.split(rf"(?:^|(?<=[\s:,]))({pattern}): ", message)
    return {
        name: WITHHELD if quotes_configuration(message) else quotable(reason.strip().rstrip(","))
        for name, reason in zip(parts[::2], parts[1::2], strict=True)
    }
