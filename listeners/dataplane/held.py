"""What one Envoy is known to have of one resource type, and how its refusals are read."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from listeners.dataplane.reasons import WITHHELD, quotable, quotes_configuration
from listeners.rendering.envoy import Resource


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

    `bodies` are the resources behind `held`, where this session sent them. `pending` are to be sent,
    `leaving` are held and wanted no more, `strangers` are held without a body: kept by `Session._weigh`.
    """

    started: bool = False
    owed: bool = False  # a first answer, be it empty, lets Envoy finish its start
    subscribed: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, Resource] = field(default_factory=dict)
    rejected: dict[str, Rejection] = field(default_factory=dict)
    suspects: set[str] = field(default_factory=set)  # to be sent one by one, to learn which is bad
    sent: Sent | None = None
    pending: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)

    @property
    def is_ready(self) -> bool:
        """Whether a response may be sent now."""
        return self.started and self.sent is None


def mark(names: set[str], name: str, is_in: bool) -> None:
    if is_in:
        names.add(name)
    else:
        names.discard(name)


def reasons_by_name(message: str, names: Collection[str]) -> dict[str, str]:
    """Envoy's error text split by the resources that it names as `NAME: reason`."""
    if not names:
        return {}
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    _, *parts = re.split(rf"(?:^|(?<=[\s:,]))({pattern}): ", message)
    return {
        name: WITHHELD if quotes_configuration(message) else quotable(reason.strip().rstrip(","))
        for name, reason in zip(parts[::2], parts[1::2], strict=True)
    }
