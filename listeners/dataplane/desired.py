"""What Envoys are to have, kept up to date change by change: a change costs what depends on it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from listeners.rendering.envoy import LISTENER, Resource, ResourceKey, listener_name
from listeners.spec import ConfigurationSpec


@dataclass(frozen=True)
class Update:
    """What was found of the listeners `asked` about, by id; None: of all that there are.

    `resources` are those of the listeners that passed, with all that these need; `refused` maps the others
    to reasons. Who was asked about and is in neither is to be served no more.
    """

    revision: int
    asked: frozenset[int] | None
    resources: Mapping[ResourceKey, Resource]
    refused: Mapping[int, str]


@dataclass(frozen=True)
class Change:
    """What an update has changed: keys of resources, listeners refused now or for another reason, listeners
    that are neither served nor refused any more.
    """

    keys: frozenset[ResourceKey] = frozenset()
    refused: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


@dataclass
class Desired:
    """What Envoy is to have. One for all sessions; each learns of a change by `Session.aim`.

    `refused` maps the names of listeners that cannot be applied as configured to the reason. Of these,
    `resources` holds the last good version where one is known; else whatever Envoy has stays as it is.
    """

    revision: int = 0
    resources: dict[ResourceKey, Resource] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    # Which resources need one; it goes with the last of them.
    _owners: dict[ResourceKey, set[ResourceKey]] = field(default_factory=dict)

    def has(self, listener: str) -> bool:
        """Whether it is to be served, or at least to be left alone."""
        return (LISTENER, listener) in self.resources or listener in self.refused

    def apply(self, update: Update) -> Change:
        refused = {listener_name(id): reason for id, reason in update.refused.items()}
        asked = self._asked(update, refused)
        before = {name: self.refused[name] for name in asked if name in self.refused}
        known = {name for name in asked if self.has(name)}
        touched: set[ResourceKey] = set()
        for name in asked - refused.keys():
            self.refused.pop(name, None)
            key = LISTENER, name
            if listener := update.resources.get(key):
                self._put(key, listener, touched)
            else:
                self._drop(key, touched)
        self.refused |= refused
        # A resource that a refused listener shares with one that passed has passed with it.
        for key, resource in update.resources.items():
            self._put(key, resource, touched)
        self.revision = update.revision
        touched |= {(LISTENER, name) for name in before.keys() ^ refused.keys()}
        return Change(
            frozenset(touched),
            frozenset(name for name, _ in refused.items() - before.items()),
            frozenset(name for name in known if not self.has(name)),
        )

    def _asked(self, update: Update, refused: Collection[str]) -> set[str]:
        if update.asked is not None:
            return {listener_name(id) for id in update.asked}
        names = {name for kind, name in (*self.resources, *update.resources) if kind == LISTENER}
        return names | self.refused.keys() | set(refused)

    def _put(self, key: ResourceKey, resource: Resource, touched: set[ResourceKey]) -> None:
        """Puts a resource in the place of what was there; what nobody needs then goes."""
        last = self.resources.get(key)
        self.resources[key] = resource
        if last is None or last.version != resource.version:
            touched.add(key)
        needed = last.needs if last else frozenset()
        for part in resource.needs - needed:
            self._owners.setdefault(part, set()).add(key)
        self._release(needed - resource.needs, key, touched)

    def _drop(self, key: ResourceKey, touched: set[ResourceKey]) -> None:
        if last := self.resources.pop(key, None):
            touched.add(key)
            self._release(last.needs, key, touched)

    def _release(self, parts: Iterable[ResourceKey], owner: ResourceKey, touched: set[ResourceKey]) -> None:
        # Not only by the listeners: a cluster that a refused one shares has passed with another, and its
        # endpoints are others than the refused one knows of.
        for part in parts:
            self._owners[part].discard(owner)
            if not self._owners[part]:
                del self._owners[part]
                self._drop(part, touched)


def update_of(
    configuration: ConfigurationSpec,
    rendered: Mapping[ResourceKey, Resource],
    refused: Mapping[int, str],
    asked: frozenset[int] | None,
) -> Update:
    """`rendered` are the configuration's resources. Those of refused listeners are left out: the new content
    of a certificate that only they use must not reach what is served of them.
    """
    passed = [
        rendered[LISTENER, listener_name(spec.id)]
        for spec in configuration.listeners
        if spec.id not in refused
    ]
    found = {part: rendered[part] for listener in passed for part in listener.needs}
    found |= {listener.key: listener for listener in passed}
    return Update(configuration.revision, asked, found, refused)
