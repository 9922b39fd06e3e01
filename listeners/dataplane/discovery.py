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

from listeners.dataplane.reasons import quotable
from listeners.rendering.envoy import CLUSTER, ENDPOINTS, LISTENER, SECRET, Resource, ResourceKey
from listeners.spec import addresses_overlap

TYPES = (CLUSTER, ENDPOINTS, LISTENER, SECRET)
WILDCARD_TYPES = (CLUSTER, LISTENER)


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
        # Deleted listener -> the additions and changes of the same revision, as (name, version or reason).
        self._blockers: dict[str, frozenset[tuple[str, str]]] = {}
        self._nonce = 0

    def aim(self, desired: Desired) -> None:
        """Sets a new goal. What was refused is tried again only if its content has changed."""
        state = self.types[LISTENER]
        wanted = desired.names(LISTENER) | desired.kept
        gone = (self.desired.names(LISTENER) | self.desired.kept) - wanted
        added = {(n, r.version) for (k, n), r in desired.resources.items() if k == LISTENER}
        added -= set(state.held.items()) | {(n, r.version) for n, r in state.rejected.items()}
        added |= desired.refused.items() - self.desired.refused.items()
        self._blockers = {name: b for name, b in self._blockers.items() if name not in wanted}
        self._blockers |= {name: frozenset(added) for name in gone if added}
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
                # Envoy has applied every listener and cluster of the response that it does not name.
                state.accept(resource)
            else:
                state.suspects.add(name)
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
        holders = {name: state.bodies[name] for name in leaving | moving if name in state.bodies}
        blocked = {n for n, r in pending.items() if _in_the_way(r, holders.values())}
        free = {name: resource for name, resource in pending.items() if name not in blocked}
        if free or state.owed:
            return self._next(LISTENER, free)
        # Listeners that swap sockets with each other have to let go of them first.
        removable = frozenset(name for name in leaving if not self._withheld(name)) | (moving & blocked)
        return self._next(LISTENER, {}, removable)

    def _clusters_settled(self) -> bool:
        clusters, endpoints = self.types[CLUSTER], self.types[ENDPOINTS]
        if not clusters.started or clusters.owed or clusters.sent or self._pending(CLUSTER):
            return False
        known = endpoints.held.keys() | endpoints.rejected.keys()
        return all(name in known for name in clusters.held.keys() & self.desired.names(ENDPOINTS))

    def _withheld(self, name: str) -> bool:
        """Whether an addition of the revision that deleted this listener has been refused and still is."""
        refused = {(n, r.version) for n, r in self.types[LISTENER].rejected.items()}
        refused |= set(self.desired.refused.items())
        return bool(self._blockers.get(name, frozenset()) & refused)

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


def _in_the_way(resource: Resource, holders: Iterable[Resource]) -> bool:
    """Whether another listener's current socket has to be free before this resource can be bound."""
    if resource.socket is None:
        return False
    address, port = resource.socket
    return any(
        other.name != resource.name
        and other.socket is not None
        and other.socket[1] == port
        and addresses_overlap(other.socket[0], address)
        for other in holders
    )


def _reasons(message: str, names: Collection[str]) -> dict[str, str]:
    """Envoy's error text split by the resources that it names as `NAME: reason`."""
    if not names:
        return {}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    _, *parts = re.split(rf"(?:^|(?<=[\s:,]))({pattern}): ", message)
    return {
        name: quotable(reason.strip().rstrip(","))
        for name, reason in zip(parts[::2], parts[1::2], strict=True)
    }
