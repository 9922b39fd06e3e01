"""Finds out what has changed and what becomes of it: reads, renders and checks the listeners concerned.

All of them only at the first look, or when the source does not know which have changed.
"""

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from listeners.dataplane.delivery_status import ChangeTimes
from listeners.dataplane.desired import Change, Desired, Update, update_of
from listeners.rendering import envoy as rendering
from listeners.rendering.envoy import Resource, ResourceKey, listener_name
from listeners.spec import ChangesSpec, ConfigurationSpec

logger = logging.getLogger(__name__)


class Source(Protocol):
    """Where the configuration comes from."""

    def changes(self, since: int | None) -> ChangesSpec | None:
        """Since a position, None for the first look; None when nothing has changed."""

    def configuration(self, asked: Collection[int] | None) -> ConfigurationSpec:
        """Of the listeners asked for as far as they are to be served; None: of all."""

    def refusals(
        self,
        configuration: ConfigurationSpec,
        rendered: Mapping[ResourceKey, Resource],
        asked: Collection[int] | None,
    ) -> Mapping[int, str]:
        """Listener id to the reason why Envoy would refuse it; `asked` is what was read."""


@dataclass(frozen=True)
class Finding:
    """What a look has found, and where the next one begins."""

    position: int | None
    update: Update
    times: ChangeTimes


class Looker:
    """`find` takes its time and may run in a thread; `take` is quick and belongs to the sessions' thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position: int | None = None
        # After the source was away: it may have been put back meanwhile, and its positions be others.
        self._is_lost = True
        self._refused: frozenset[int] = frozenset()
        self._given_at = 0.0
        self.desired = Desired()
        self.times: ChangeTimes | None = None

    @property
    def has_looked(self) -> bool:
        return self._position is not None

    def find(self, *, retry: bool = False) -> Finding | None:
        """None when nothing has changed; `retry` looks at refused listeners in any case."""
        started, found_at = time.monotonic(), time.time()
        again = self._refused if retry else frozenset()
        since = None if self._is_lost else self._position
        self._is_lost = True
        changes = self._source.changes(since)
        self._is_lost = since is None  # until all of it is taken
        if changes is None and not again:
            return None
        position = changes.position if changes else self._position
        listeners = changes.listeners if changes else frozenset()
        asked = None if listeners is None else listeners | again
        configuration = self._source.configuration(asked)
        read = time.monotonic()
        rendered = {resource.key: resource for resource in rendering.resources(configuration)}
        made = time.monotonic()
        refused = {**configuration.problems, **self._source.refusals(configuration, rendered, asked)}
        times = ChangeTimes(
            configuration.revision,
            len(configuration.listeners),
            found_at,
            read=read - started,
            render=made - read,
            preflight=time.monotonic() - made,
        )
        return Finding(position, update_of(configuration, rendered, refused, asked), times)

    def take(self, found: Finding) -> Change:
        """Makes what was found what Envoys are to have."""
        refused = {id: listener_name(id) for id in self._refused | found.update.refused.keys()}
        for id, reason in found.update.refused.items():
            if self.desired.refused.get(refused[id]) != reason:
                logger.warning("%s is not handed over: %s", refused[id], reason)
        change = self.desired.apply(found.update)
        self._refused = frozenset(id for id, name in refused.items() if name in self.desired.refused)
        self._position, self._is_lost = found.position, False
        self.times, self._given_at = found.times, time.monotonic()
        return change

    def note_delivery(self) -> None:
        """Every Envoy that is connected has answered all of what it is to have."""
        if self.times and self.times.delivery is None:
            self.times = replace(self.times, delivery=time.monotonic() - self._given_at)
            logger.debug("%s", self.times)
