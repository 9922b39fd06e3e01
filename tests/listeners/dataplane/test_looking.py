"""What a look does when something goes wrong in it, and what it asks for the next time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest

from listeners.dataplane.looking import Looker
from listeners.rendering.envoy import LISTENER, Resource, ResourceKey
from listeners.spec import ChangesSpec, ConfigurationSpec
from tests.envoy_lab import configuration, http, only


@dataclass
class Script:
    """A source that tells what it is told to tell, and writes down whom it was asked about."""

    found: ConfigurationSpec
    position: int = 1
    changed: frozenset[int] | None = None
    refused: dict[int, str] = field(default_factory=dict)
    is_away: bool = False
    is_shut: bool = False
    asked: list[frozenset[int] | None] = field(default_factory=list)

    def changes(self, since: int | None) -> ChangesSpec | None:
        if self.is_shut:
            raise ConnectionError
        changed = None if since is None else self.changed
        return ChangesSpec(self.position, changed) if since != self.position else None

    def configuration(self, asked: Collection[int] | None) -> ConfigurationSpec:
        if self.is_away:
            raise ConnectionError
        self.asked.append(asked if asked is None else frozenset(asked))
        return self.found if asked is None else only(self.found, asked)

    def refusals(
        self,
        configuration: ConfigurationSpec,
        rendered: Mapping[ResourceKey, Resource],
        asked: Collection[int] | None,
    ) -> Mapping[int, str]:
        ids = {spec.id for spec in configuration.listeners}
        return {id: reason for id, reason in self.refused.items() if id in ids}


def look(looker: Looker, *, retry: bool = False) -> bool:
    """Whether there was anything."""
    found = looker.find(retry=retry)
    if found:
        looker.take(found)
    return found is not None


def test_change_that_could_not_be_read_is_read_by_the_next_look() -> None:
    source = Script(configuration(http(1, 8001, 80), http(2, 8002, 80)))
    looker = Looker(source)
    look(looker)
    source.position, source.changed, source.is_away = 2, frozenset({2}), True
    with pytest.raises(ConnectionError):
        looker.find()
    source.is_away = False

    assert look(looker)

    assert source.asked == [None, {2}]


def test_everything_is_read_once_the_source_is_back() -> None:
    """It may be a backup that was put back, in which another change has the position that was seen last."""
    source = Script(configuration(http(1, 8001, 80), http(2, 8002, 80)))
    looker = Looker(source)
    look(looker)
    source.is_shut = True
    with pytest.raises(ConnectionError):
        looker.find()
    source.is_shut, source.is_away, source.changed = False, True, frozenset({2})
    with pytest.raises(ConnectionError):
        looker.find()
    source.is_away = False

    assert look(looker)
    assert not look(looker)

    assert source.asked == [None, None]


def test_retry_asks_for_the_refused_with_what_has_changed() -> None:
    source = Script(configuration(http(1, 8001, 80), http(2, 8002, 80), http(3, 8003, 80)))
    source.refused = {1: "interrupted", 2: "bad"}
    looker = Looker(source)
    look(looker)
    del source.refused[1]
    assert look(looker, retry=True)  # 1 passes now
    source.position, source.changed = 2, frozenset({3})
    assert look(looker, retry=True)
    source.refused.clear()
    assert look(looker, retry=True)

    assert not look(looker, retry=True)
    assert source.asked == [None, {1, 2}, {2, 3}, {2}]
    names = {name for kind, name in looker.desired.resources if kind == LISTENER}
    assert names == {"listener-1", "listener-2", "listener-3"}


def test_refused_listener_that_is_deleted_is_asked_for_no_more() -> None:
    source = Script(configuration(http(1, 8001, 80)), refused={1: "bad"})
    looker = Looker(source)
    look(looker)
    source.found, source.position, source.changed = configuration(), 2, frozenset({1})
    look(looker)
    assert not look(looker, retry=True)
