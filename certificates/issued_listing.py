"""What was issued here, as lists show it: of one CA or of all, by state, and found by what it says."""

from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.db import models
from django.db.models import Q, QuerySet

from certificates.expiry import ExpiryState, is_renewed
from certificates.filters import SearchForm
from certificates.keyset import KeysetListing, Ordering, walked
from certificates.models import CertificateAuthority, IssuedCertificate
from certificates.sealed import master_key_id
from certificates.search import ISSUED
from console.templatetags.console import expiry_state

FIELDS = (
    *("authority", "profile", "common_name", "subject", "alternative_names", "serial_number"),
    *("fingerprint", "content", "not_before", "not_after", "stored", "created_at"),
)


class IssuedState(models.TextChoices):
    VALID = "valid", "Valid now"
    SOON = "soon", "Within 30 days, not renewed"
    EXPIRED = "expired", "Expired"
    NOT_YET = "not-yet", "Not valid yet"
    REPLACED = "replaced", "Replaced by a renewal"
    WAITING = "waiting", "Waiting for its download"


class IssuedOrder(Ordering):
    NEWEST = "-issued", "Newest first"
    OLDEST = "issued", "Oldest first"
    EXPIRES = "expires", "Expires soonest"
    EXPIRES_BACK = "-expires", "Expires last"


class IssuedListForm(SearchForm):
    sought = "Holder, name, serial number or fingerprint"

    state = forms.ChoiceField(
        label="State", required=False, choices=[("", "Any state"), *IssuedState.choices]
    )
    profile = forms.ChoiceField(
        label="For", required=False, choices=[("", "Both"), *IssuedCertificate.Profile.choices]
    )
    sort = forms.ChoiceField(label="Sort by", required=False, choices=IssuedOrder.choices)


@dataclass(frozen=True)
class IssuedRow:
    """`waits_until` is the end of the time in which its private key can be downloaded."""

    issued: IssuedCertificate
    is_renewed: bool
    waits_until: datetime | None

    @property
    def state(self) -> tuple[str, str]:
        """A word and the tone of its badge."""
        word, tone = expiry_state(self.issued)
        if not self.is_renewed:
            return word, tone
        return word if word == "Expired" else "Replaced by a renewal", "secondary"


@dataclass(frozen=True)
class IssuedListing(KeysetListing[IssuedCertificate]):
    """One page of what `authority` has issued; None: of all that was issued here."""

    authority: CertificateAuthority | None = None

    form = IssuedListForm
    orders = IssuedOrder
    filters = ("state", "profile")
    fields = FIELDS
    table = ISSUED

    @property
    def everything(self) -> QuerySet[IssuedCertificate]:
        rows: QuerySet[IssuedCertificate] = IssuedCertificate.objects.all()
        return rows if self.authority is None else rows.filter(authority=self.authority)

    @property
    def is_part(self) -> bool:
        return self.authority is not None

    def filtered(self) -> QuerySet[IssuedCertificate]:
        wanted, rows = self.parameters, self.everything
        if wanted.get("profile"):
            rows = walked(rows, "profile").filter(Q(walked_profile=wanted["profile"]))
        if wanted.get("state"):
            rows = self._in_state(rows, IssuedState(wanted["state"]))
        return rows

    def _in_state(self, rows: QuerySet[IssuedCertificate], state: IssuedState) -> QuerySet[IssuedCertificate]:
        if state is IssuedState.REPLACED:
            return rows.filter(is_renewed())
        if state is IssuedState.WAITING:
            # Few have a key, and the index of what seals them knows which.
            sealed = IssuedCertificate.objects.alias(by=master_key_id("sealed_private_key")).filter(by__gt="")
            return rows.filter(self._waiting, pk__in=sealed.values("pk"))
        rows = self.at(rows, ExpiryState(state.value))
        return rows.exclude(is_renewed()) if state is IssuedState.SOON else rows

    @property
    def _waiting(self) -> Q:
        return ~Q(sealed_private_key="") & Q(created_at__gt=self.now - IssuedCertificate.key_lifetime())

    def shown(self, found: list[IssuedCertificate]) -> list[IssuedRow]:
        these = IssuedCertificate.objects.filter(pk__in=[one.pk for one in found])
        renewed = set(these.filter(is_renewed()).values_list("pk", flat=True))
        waiting = set(these.filter(self._waiting).values_list("pk", flat=True))
        return [
            IssuedRow(one, one.pk in renewed, one.key_kept_until if one.pk in waiting else None)
            for one in found
        ]
