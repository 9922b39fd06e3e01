"""Which open connections a change drains: asked before it is saved, and said again after.

Envoy drains a listener when the listener's own configuration changes or goes. Certificates, CA contents and
backend servers reach it by other ways and touch no connection.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings

from listeners import snapshot
from listeners.dataplane.reading import EnvoyUnreachableError, open_connections
from listeners.deployment import admin_socket
from listeners.models import Listener
from listeners.rendering import envoy as rendering
from listeners.spec import SpecError

# What Envoy is given of a listener, by its id; None for one that is not served.
Contents = Mapping[int, rendering.Resource | None]


@dataclass(frozen=True)
class Drain:
    """`connections` is None when Envoy does not say; `is_most`: some of them may go on.

    `listeners` are the ids of those that change.
    """

    listeners: frozenset[int] = frozenset()
    connections: int | None = 0
    is_most: bool = False

    @property
    def counted(self) -> str:
        """Such as "at most 7 open connections"."""
        number = self.connections or 0
        return f"{'at most ' * self.is_most}{number} open connection{'s' * (number != 1)}"

    @property
    def forecast(self) -> str:
        how = f"requests under way have {_seconds()} to end, then the connection is closed."
        if self.connections is None:
            return f"Envoy does not say how many connections are open. Those that are will be drained: {how}"
        if not self.connections:
            return "No open connection is drained."
        return f"This drains {self.counted}: {how}"

    @property
    def report(self) -> str:
        if self.connections is None:
            return "Envoy does not answer, so which connections are drained is not known."
        if not self.connections:
            return "No open connection is drained."
        verb = "is" if self.connections == 1 else "are"
        return f"{self.counted[0].upper()}{self.counted[1:]} {verb} drained within {_seconds()}."


def contents(listeners: Iterable[Listener]) -> Contents:
    """Of the listeners as they stand in memory: asked before a change is made to them, and after."""
    return {row.pk: _content(row) for row in listeners}


def drain(before: Contents, after: Contents) -> Drain:
    """What becomes of open connections when the contents change from one to the other."""
    changed = {
        id: old
        for id, old in before.items()
        if old and ((new := after.get(id)) is None or new.version != old.version)
    }
    if not changed:
        return Drain()
    is_most = any(
        (new := after.get(id)) and rendering.keeps_connections(old, new) for id, old in changed.items()
    )
    return Drain(frozenset(changed), _connections(changed), is_most)


def listening(listeners: Iterable[Listener]) -> int | None:
    """How many connections to the listeners are open now; None when Envoy does not say."""
    return _connections([row.pk for row in listeners])


def closing(listeners: Iterable[Listener]) -> Drain:
    """What becomes of open connections when these listeners are no longer served."""
    ids = frozenset(row.pk for row in listeners if row.is_open)
    return Drain(ids, _connections(ids) if ids else 0)


def _content(row: Listener) -> rendering.Resource | None:
    if not row.is_open:
        return None
    try:
        return rendering.listener_resources(snapshot.listener_spec(row))[0]
    except SpecError:
        return None  # nothing of it is handed to Envoy


def _connections(listeners: Collection[int]) -> int | None:
    try:
        return sum(open_connections(admin_socket(), map(rendering.listener_name, listeners)).values())
    except EnvoyUnreachableError:
        return None


def _seconds() -> str:
    seconds = settings.ELB_DRAIN_SECONDS
    return f"{seconds} second{'s' * (seconds != 1)}"
