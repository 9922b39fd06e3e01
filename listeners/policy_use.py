"""TLS policies as pages list them: what Envoy serves of each, and which listeners use it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber

from listeners.models import Listener, TlsSecurityPolicy
from listeners.servable import FIXED_TLS_1_3_SUITES, left_out, remarks, served_suites
from listeners.snapshot import listener_rows
from listeners.tls_policies import PREDEFINED, TlsPolicy, TlsVersion

MOST_SHOWN = 5


@dataclass(frozen=True)
class Users:
    """The first listeners that use a policy, and how many there are."""

    shown: tuple[Listener, ...] = ()
    count: int = 0

    @property
    def others(self) -> int:
        return self.count - len(self.shown)


@dataclass(frozen=True)
class PolicyEntry:
    """A line of a list; `row` is None for a predefined policy."""

    policy: TlsPolicy
    users: Users
    row: TlsSecurityPolicy | None = None

    @property
    def served(self) -> tuple[str, ...]:
        return served_suites(self.policy)

    @property
    def fixed(self) -> tuple[str, ...]:
        return FIXED_TLS_1_3_SUITES if TlsVersion.TLS_1_3 in self.policy.versions else ()

    @property
    def left_out(self) -> tuple[str, ...]:
        return left_out(self.policy)

    @property
    def remarks(self) -> list[str]:
        return remarks(self.policy)


def predefined_entries() -> list[PolicyEntry]:
    # A listener for HTTP has a policy in its row, too, and no use for it.
    listeners = Listener.objects.filter(protocol=Listener.Protocol.HTTPS)
    users = _users(listeners, "tls_policy", [policy.name for policy in PREDEFINED])
    return [PolicyEntry(policy, users[policy.name]) for policy in PREDEFINED]


def custom_entries() -> list[PolicyEntry]:
    rows = list(TlsSecurityPolicy.objects.all())
    users = _users(Listener.objects.all(), "custom_tls_policy_id", [row.pk for row in rows])
    return [PolicyEntry(row.policy, users[row.pk], row) for row in rows]


def users_of(row: TlsSecurityPolicy) -> Users:
    return _users(Listener.objects.all(), "custom_tls_policy_id", [row.pk])[row.pk]


def entry_of(listener: Listener) -> PolicyEntry:
    """Of the policy that a listener has, without those who else use it. Raises KeyError or ValueError."""
    return PolicyEntry(listener.policy, Users(), listener.custom_tls_policy)


def open_listeners(row: TlsSecurityPolicy) -> list[Listener]:
    """Those that are served under the policy, each with all that its configuration is made from."""
    return listener_rows(list(row.listeners.values_list("pk", flat=True)))


def _users(
    listeners: QuerySet[Listener], column: str, policies: Iterable[object]
) -> defaultdict[object, Users]:
    """By the value of a column, in two queries however many policies and listeners there are."""
    chosen = listeners.filter(**{f"{column}__in": policies}).order_by()
    counts = dict(chosen.values_list(column).annotate(Count("pk")))
    place = Window(RowNumber(), partition_by=F(column), order_by=["port", "pk"])
    first = chosen.annotate(place=place).filter(place__lte=MOST_SHOWN).select_related("load_balancer")
    shown: dict[object, list[Listener]] = defaultdict(list)
    for listener in first.order_by("port", "pk"):
        shown[getattr(listener, column)].append(listener)
    return defaultdict(Users, {key: Users(tuple(shown[key]), count) for key, count in counts.items()})
