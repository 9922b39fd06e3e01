"""What one Envoy is told and when: the server's side of incremental xDS as a state machine without I/O.

Order: clusters and endpoints, then listeners, then what is no longer wanted. One response of a type is
under way at a time. A response is not atomic in Envoy, so additions and removals never share one, and a
removal waits until the additions of its revision are acknowledged (`_is_withheld`).
Source: Envoy's documentation, "xDS REST and gRPC protocol", and DeltaDiscoveryRequest's comments.
"""

from collections.abc import Iterable, Mapping

from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)
from envoy.service.discovery.v3.discovery_pb2 import Resource as XdsResource

from listeners.dataplane.desired import Change, Desired
from listeners.dataplane.held import Rejection, Sent, TypeState, mark, reasons_by_name
from listeners.dataplane.reasons import quotable
from listeners.rendering.envoy import CLUSTER, ENDPOINTS, LISTENER, SECRET, Resource, ResourceKey
from listeners.spec import addresses_overlap

TYPES = (CLUSTER, ENDPOINTS, LISTENER, SECRET)
WILDCARD_TYPES = (CLUSTER, LISTENER)
# Turns of `Session.retry` that a cluster stays which no listener uses any more: two are at least a whole one.
LINGERING = 2
UNCERTAIN = ""  # the version of what Envoy has in one version or another


class Session:
    """One Envoy's stream. Feed it with `receive` and `aim`; send what `responses` gives after either.

    What there is to do is kept in sets: each event looks at the resources that it is about, never at all.
    """

    def __init__(self, desired: Desired, lingering: int = LINGERING) -> None:
        self.desired = desired
        self._lingering = lingering
        self.types = {type_url: TypeState() for type_url in TYPES}
        # Deleted listener -> the listeners that the same revision added or changed.
        self._blockers: dict[str, frozenset[str]] = {}
        # Resource -> those of which Envoy has a version that needs it.
        self._users: dict[ResourceKey, set[ResourceKey]] = {}
        # Endpoints of clusters that Envoy has and which it has not answered yet.
        self._awaited: set[str] = set()
        # Endpoints of clusters that are under way. Envoy does not go on before it has them, so it is given
        # them also when they are wanted no more.
        self._promised: dict[ResourceKey, Resource] = {}
        # Clusters that no listener uses any more -> turns that they have been so.
        self._idle: dict[str, int] = {}
        self._nonce = 0
        for key in desired.resources:
            self._weigh(key)

    def aim(self, change: Change) -> None:
        """The goal has changed. What was refused is tried again only if its content has changed."""
        for key in change.keys:
            self._weigh(key)
            if key[0] == LISTENER and self.desired.has(key[1]):
                self._blockers.pop(key[1], None)
        state = self.types[LISTENER]
        # Not whatever else is pending: a port that is taken is tried again and again, and is no reason to
        # serve on what was disabled meanwhile.
        added = {name for kind, name in change.keys if kind == LISTENER and name in state.pending}
        changed = frozenset(added | change.refused)
        for name in change.gone if changed else ():
            if name in state.held or not state.is_ready:
                self._blockers[name] = changed

    def retry(self) -> None:
        """Offers again what Envoy refused: a port that was taken may be free by now. To be called from time
        to time, which is how a session knows for how long a cluster has been of no use.
        """
        for type_url, state in self.types.items():
            rejected, state.rejected = state.rejected, {}
            for name in rejected:
                self._weigh((type_url, name))
        idle = [name for name in self.types[CLUSTER].leaving if (CLUSTER, name) not in self._users]
        self._idle = {name: self._idle.get(name, 0) + 1 for name in idle}

    def receive(self, request: DeltaDiscoveryRequest) -> None:
        kind = request.type_url
        state = self.types.get(kind)
        if state is None:
            return
        if not state.started:
            state.started = True
            state.owed = kind in WILDCARD_TYPES
            # Envoy names its clusters first, but not while it waits for endpoints of one that it is changing:
            # those that it has under this name may be the earlier cluster's.
            is_waiting = kind == ENDPOINTS and not self.types[CLUSTER].started
            for name, version in () if is_waiting else request.initial_resource_versions.items():
                self._hold(kind, name, version, None)
        else:
            for name in request.resource_names_subscribe:
                # Asked for once more: Envoy has dropped it, and an answer is due even if nothing changed.
                self._owe(kind, name)
        for name in request.resource_names_subscribe:
            state.subscribed.add(name)
            self._weigh((kind, name))
        for name in request.resource_names_unsubscribe:
            state.subscribed.discard(name)
            self._forget(kind, name)
        if state.sent and request.response_nonce == state.sent.nonce:
            sent, state.sent = state.sent, None
            if kind == CLUSTER:
                self._keep_promises()
            if request.HasField("error_detail"):
                self._refused(kind, sent, request.error_detail.message)
            else:
                self._accepted(kind, sent)

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

    def rejection(self, key: ResourceKey, version: str | None) -> str:
        """Envoy's reason against this very version, or nothing."""
        rejected = self.types[key[0]].rejected.get(key[1])
        return rejected.reason if rejected and rejected.version == version else ""

    @property
    def leaving(self) -> set[str]:
        """Listeners that are to be served no more and that Envoy still has."""
        return self.types[LISTENER].leaving

    @property
    def is_settled(self) -> bool:
        """Whether Envoy has answered all that it is to have or to give up, but for what is withheld."""
        is_answered = all(one.is_ready and not one.pending for one in self.types.values() if one.started)
        return is_answered and all(map(self._is_withheld, self.leaving))

    # State

    def _weigh(self, key: ResourceKey) -> None:
        """What is to be done about one resource: to be called whenever anything about it has changed."""
        kind, name = key
        state, wanted = self.types[kind], self._wanted(key)
        if wanted is None:
            state.rejected.pop(name, None)
        elif name not in state.bodies and state.held.get(name) == wanted.version:
            self._set_body(kind, name, wanted)  # of an earlier session, and now known
        if wanted is not None and kind == CLUSTER:
            self._idle.pop(name, None)
        is_held = name in state.held
        is_due = (
            wanted is not None
            and (kind in WILDCARD_TYPES or name in state.subscribed)
            and state.held.get(name) != wanted.version
            and not self.rejection(key, wanted.version)
        )
        is_kept = kind == LISTENER and name in self.desired.refused
        mark(state.pending, name, is_due)
        mark(state.leaving, name, is_held and wanted is None and not is_kept)
        mark(state.strangers, name, is_held and name not in state.bodies)
        if kind == ENDPOINTS:
            is_used = any(user == CLUSTER for user, _ in self._users.get(key, ()))
            is_known = is_held or name in state.rejected
            mark(self._awaited, name, is_used and wanted is not None and not is_known)

    def _wanted(self, key: ResourceKey) -> Resource | None:
        return self.desired.resources.get(key) or self._promised.get(key)

    def _keep_promises(self) -> None:
        """The clusters under way have been answered."""
        kept, self._promised = self._promised, {}
        for key in kept:
            self._weigh(key)

    def _hold(self, kind: str, name: str, version: str, body: Resource | None) -> None:
        """Envoy has this version; `body` is what is behind it, None for not known."""
        self.types[kind].held[name] = version
        self._set_body(kind, name, body)
        self._weigh((kind, name))

    def _forget(self, kind: str, name: str) -> None:
        state = self.types[kind]
        state.held.pop(name, None)
        state.suspects.discard(name)
        self._set_body(kind, name, None)
        self._weigh((kind, name))

    def _owe(self, kind: str, name: str) -> None:
        """This resource has to be sent, also if it was before or is under way."""
        sent = self.types[kind].sent
        if sent:
            sent.resources.pop(name, None)
        self._forget(kind, name)

    def _set_body(self, kind: str, name: str, body: Resource | None) -> None:
        bodies = self.types[kind].bodies
        last = bodies.pop(name, None)
        needed, needs = last.needs if last else frozenset(), body.needs if body else frozenset()
        if body:
            bodies[name] = body
        for key in needed - needs:
            users = self._users[key]
            users.discard((kind, name))
            if not users:
                del self._users[key]
        for key in needs - needed:
            self._users.setdefault(key, set()).add((kind, name))
        if kind == CLUSTER:
            for key in needed ^ needs:
                self._weigh(key)

    # Answers

    def _accepted(self, kind: str, sent: Sent) -> None:
        state = self.types[kind]
        for name, resource in sent.resources.items():
            state.rejected.pop(name, None)
            state.suspects.discard(name)
            self._hold(kind, name, resource.version, resource)
        for name in sent.removed:
            self._forget(kind, name)
            self._blockers.pop(name, None)

    def _refused(self, kind: str, sent: Sent, message: str) -> None:
        state = self.types[kind]
        reasons = reasons_by_name(message, sent.resources)
        if not reasons and len(sent.resources) == 1:
            reasons = {name: quotable(message) for name in sent.resources}
        for name, resource in sent.resources.items():
            if name in reasons:
                state.rejected[name] = Rejection(resource.version, reasons[name])
                state.suspects.discard(name)
            elif reasons and kind in WILDCARD_TYPES:
                # Envoy applies what it does not name, but notes the version of nothing in the response: on
                # reconnecting it would claim the version of before. So it is sent once more.
                self._hold(kind, name, UNCERTAIN, resource)
            else:
                state.suspects.add(name)
            if name in state.held:
                # A refused secret has taken the good one's place: to go back means to send that, too.
                state.held[name] = UNCERTAIN
            self._weigh((kind, name))
        for name in sent.removed:
            self._forget(kind, name)

    # Plans

    def _pending(self, kind: str) -> dict[str, Resource]:
        state = self.types[kind]
        names = sorted(state.pending) if state.is_ready else ()
        return {name: wanted for name in names if (wanted := self._wanted((kind, name)))}

    def _next_of_clusters(self) -> DeltaDiscoveryResponse | None:
        state = self.types[CLUSTER]
        if not (state.pending or state.owed):
            return self._next(CLUSTER, {}, self._unused_clusters())
        response = self._next(CLUSTER, self._pending(CLUSTER))
        for resource in state.sent.resources.values() if response and state.sent else ():
            for key in resource.needs:
                # Envoy acknowledges a changed cluster once it has endpoints, but does not ask again for
                # those that it has had before: they go out with the change.
                self._promised[key] = self.desired.resources[key]
                self._owe(*key)
        return response

    def _unused_clusters(self) -> frozenset[str]:
        listeners = self.types[LISTENER]
        # What an earlier control plane's listener needs is not known here.
        if not listeners.is_ready or listeners.pending or listeners.strangers:
            return frozenset()
        # Not at once: connections that began with an earlier version of a listener go on for a while, and
        # Envoy would answer their requests with 503.
        idle = (name for name, turns in self._idle.items() if turns >= self._lingering)
        leaving = self.types[CLUSTER].leaving
        return frozenset(name for name in idle if name in leaving and (CLUSTER, name) not in self._users)

    def _next_of_listeners(self) -> DeltaDiscoveryResponse | None:
        state, clusters = self.types[LISTENER], self.types[CLUSTER]
        if not state.is_ready or not clusters.started or clusters.owed:
            return None
        # Not sent by this session, so their addresses are not known: out of the way first.
        if strangers := state.leaving & state.strangers:
            return self._next(LISTENER, {}, frozenset(strangers))
        pending = self._pending(LISTENER)
        waiting = {name for name, resource in pending.items() if not self._is_ready(resource)}
        if state.owed and waiting:
            return None  # the first answer is what Envoy begins with: all of it
        pending = {name: resource for name, resource in pending.items() if name not in waiting}
        moving = {n for n, r in pending.items() if n in state.bodies and state.bodies[n].socket != r.socket}
        blocked = _blocked(pending.values(), [state.bodies[name] for name in state.leaving | moving])
        free = {name: resource for name, resource in pending.items() if name not in blocked}
        if free or state.owed:
            return self._next(LISTENER, free)
        # Listeners that need a socket which they themselves or each other have must let go of it first.
        removable = {
            name
            for name in state.leaving
            if not self._is_withheld(name) and not self._blockers.get(name, frozenset()) & waiting
        }
        return self._next(LISTENER, {}, frozenset(removable | (moving & blocked)))

    def _is_ready(self, listener: Resource) -> bool:
        """Whether Envoy has the clusters and endpoints of this listener, as they are to be."""
        clusters = self.types[CLUSTER]
        return not any(
            (kind == CLUSTER and name in clusters.pending) or (kind == ENDPOINTS and name in self._awaited)
            for kind, name in listener.needs
        )

    def _is_withheld(self, name: str) -> bool:
        """Whether the revision that deleted this listener also added or changed one that is refused."""
        return any(map(self._is_refused, self._blockers.get(name, ())))

    def _is_refused(self, listener: str) -> bool:
        wanted = self.desired.resources.get((LISTENER, listener))
        is_rejected = wanted is not None and bool(self.rejection(wanted.key, wanted.version))
        return is_rejected or listener in self.desired.refused

    def _next(
        self, type_url: str, resources: Mapping[str, Resource], removed: frozenset[str] = frozenset()
    ) -> DeltaDiscoveryResponse | None:
        state = self.types[type_url]
        if not state.is_ready or not (resources or removed or state.owed):
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
