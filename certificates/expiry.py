"""How near its end a certificate is: the states that lists filter by, and what needs attention."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from certificates.models import Certificate, IssuedCertificate
from certificates.search import COUNTED, Walked
from console.templatetags.console import EXPIRES_SOON_DAYS, Expiring

SHOWN = 5
# For so many days an issued certificate is reported once it has ended: it stays in its list for good.
REPORTED_DAYS = 30
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


def is_renewed() -> Exists:
    """The condition that an issued certificate has a renewal."""
    return Exists(IssuedCertificate.objects.filter(renewal_of=OuterRef("pk")))


@dataclass(frozen=True)
class Overview:
    """What the Certificates page says of expiry; it counts to `COUNTED` and no further.

    `clients` are the certificates of clients that were issued here, end soon and have not been renewed.
    """

    expired: int
    soon: int
    clients: int
    in_use: list[Certificate]

    @classmethod
    def at(cls, now: datetime) -> "Overview":
        stored, ends_soon = Certificate.objects, ExpiryState.SOON.condition(now)
        expired = _counted(stored.filter(ExpiryState.EXPIRED.condition(now)))
        soon = _counted(stored.filter(ends_soon))
        issued = IssuedCertificate.objects.filter(ends_soon, profile=IssuedCertificate.Profile.CLIENT)
        clients = _counted(issued.exclude(is_renewed()))
        return cls(expired, soon, clients, list(_in_use(now)[: SHOWN + 1]) if expired or soon else [])

    @property
    def is_quiet(self) -> bool:
        return not self.expired and not self.soon and not self.clients

    @property
    def expired_text(self) -> str:
        return _number(self.expired)

    @property
    def soon_text(self) -> str:
        return _number(self.soon)

    @property
    def clients_text(self) -> str:
        return _number(self.clients)

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


def expiring_issued(now: datetime, days: int) -> QuerySet[IssuedCertificate]:
    """The same of what was issued here, but for what has been renewed or has ended long ago.

    A server's certificate whose key was made here is among the stored ones.
    """
    kept = Q(profile=IssuedCertificate.Profile.CLIENT) | Q(key_origin=IssuedCertificate.KeyOrigin.REQUEST)
    rows = IssuedCertificate.objects.filter(kept, ExpiryState.ATTENTION.condition(now, days=days))
    rows = rows.filter(not_after__gt=now - timedelta(days=REPORTED_DAYS)).exclude(is_renewed())
    unread = ("content", "sealed_private_key", "authority__content", "authority__sealed_private_key")
    return (
        rows.select_related("authority__certificate")
        .defer(*unread, "authority__certificate__content", "authority__certificate__sealed_private_key")
        .order_by("not_after", "pk")
    )


def state_in_words(certificate: Expiring, now: datetime) -> str:
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


def _counted(rows: QuerySet[Any]) -> int:
    return rows.order_by().values("pk")[: COUNTED + 1].count()


def _number(count: int) -> str:
    return f"more than {COUNTED:,}" if count > COUNTED else f"{count:,}"
