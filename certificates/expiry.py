"""How near its end a certificate is: the states that lists filter by, and what needs attention."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q, QuerySet

from certificates.models import Certificate
from certificates.search import COUNTED, Walked
from console.templatetags.console import EXPIRES_SOON_DAYS

SHOWN = 5
USERS = tuple(f"{kind}_listeners__load_balancer" for kind in ("server", "ca", "sni"))


class ExpiryState(models.TextChoices):
    ATTENTION = "attention", "Expired or within 30 days"
    EXPIRED = "expired", "Expired"
    SOON = "soon", "Within 30 days"
    VALID = "valid", "Valid now"
    NOT_YET = "not-yet", "Not valid yet"

    def condition(self, now: datetime, prefix: str = "", days: int = EXPIRES_SOON_DAYS) -> Q:
        """The condition at the fields `<prefix>not_before` and `<prefix>not_after`."""
        soon = now + timedelta(days=days)
        begun = Q(**{f"{prefix}not_before__lte": now})
        match self:
            case ExpiryState.ATTENTION:
                return Q(**{f"{prefix}not_after__lte": soon})
            case ExpiryState.EXPIRED:
                return Q(**{f"{prefix}not_after__lte": now})
            case ExpiryState.SOON:
                return Q(**{f"{prefix}not_after__gt": now, f"{prefix}not_after__lte": soon}) & begun
            case ExpiryState.VALID:
                return Q(**{f"{prefix}not_after__gt": now}) & begun
            case ExpiryState.NOT_YET:
                return Q(**{f"{prefix}not_before__gt": now, f"{prefix}not_after__gt": now})


@dataclass(frozen=True)
class Overview:
    """What the Certificates page says of expiry; it counts to `COUNTED` and no further."""

    expired: int
    soon: int
    in_use: list[Certificate]

    @classmethod
    def at(cls, now: datetime) -> "Overview":
        expired, soon = (
            _counted(ExpiryState.EXPIRED.condition(now)),
            _counted(ExpiryState.SOON.condition(now)),
        )
        return cls(expired, soon, list(_in_use(now)[: SHOWN + 1]) if expired or soon else [])

    @property
    def is_quiet(self) -> bool:
        return not self.expired and not self.soon

    @property
    def expired_text(self) -> str:
        return _number(self.expired)

    @property
    def soon_text(self) -> str:
        return _number(self.soon)

    @property
    def shown(self) -> list[Certificate]:
        return self.in_use[:SHOWN]

    @property
    def has_more(self) -> bool:
        return len(self.in_use) > SHOWN


def expiring(now: datetime, days: int) -> QuerySet[Certificate]:
    """All that has expired or will within so many days, the soonest first, with the listeners concerned."""
    rows = Certificate.objects.filter(ExpiryState.ATTENTION.condition(now, days=days))
    return rows.defer("content", "sealed_private_key").prefetch_related(*USERS).order_by("not_after", "pk")


def state_in_words(certificate: Certificate, now: datetime) -> str:
    """Such as "expired 3 days ago" or "12 days left"."""
    days = abs(certificate.not_after - now).days
    number = f"{days} day{'s' * (days != 1)}" if days else "less than a day"
    return f"expired {number} ago" if certificate.not_after <= now else f"{number} left"


def _in_use(now: datetime) -> QuerySet[Certificate]:
    # By way of the listeners, which are few: thousands may have expired that nothing uses.
    rows = Certificate.objects.filter(Certificate.is_used()).alias(walked_not_after=Walked(F("not_after")))
    rows = rows.filter(ExpiryState.ATTENTION.condition(now, "walked_"))
    return (
        rows.only("name", "not_before", "not_after")
        .prefetch_related(*USERS)
        .order_by("walked_not_after", "pk")
    )


def _counted(condition: Q) -> int:
    return Certificate.objects.filter(condition).order_by().values("pk")[: COUNTED + 1].count()


def _number(count: int) -> str:
    return f"more than {COUNTED:,}" if count > COUNTED else f"{count:,}"
