"""The form by which a certificate that was issued here is issued anew."""

from datetime import datetime
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout
from cryptography import x509
from django import forms
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from certificates.forms.obstacle import CA_IS_GONE, days_left, moment, obstacle
from certificates.issuing import IssuingError, KeyKind, Profile, Subject
from certificates.issuing.keys import PublicKey
from certificates.keyring import UnsealError
from certificates.models import Certificate, IssuedCertificate

RENEWED_ALREADY = "It has been renewed already, so nothing was issued a second time."
KINDS = {kind.label: kind for kind in KeyKind}


class RenewalForm(forms.Form):
    """The same holder and names, a new serial number, until a new end or the same one."""

    until = forms.ChoiceField(
        label="Valid until",
        choices=(),
        widget=forms.RadioSelect,
        initial="renew",
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose until when it is to be valid."),
    )

    def __init__(self, *args: Any, issued: IssuedCertificate, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.issued = issued
        self.user = user
        self.authority = issued.authority
        self.later = issued.renewals.first()
        self.obstacle = obstacle(self.authority)
        now = timezone.now()
        self.days = length(issued)
        self.is_clamped = days_left(self.authority) < self.days
        choices = [("renew", self._renewed)]
        if now < issued.not_after <= self.authority.not_after:
            choices.append(("reissue", f"Reissue: until {moment(issued.not_after)}, as before"))
        self.fields["until"].choices = choices  # type: ignore[attr-defined]  # of a ChoiceField

    @property
    def helper(self) -> FormHelper:
        helper = FormHelper()
        helper.form_tag = False
        helper.disable_csrf = True
        helper.layout = Layout("until")
        return helper

    @property
    def stored(self) -> Certificate | None:
        """The server's stored certificate that is replaced."""
        return self.issued.in_its_place

    @property
    def key_stays(self) -> bool:
        return self.issued.key_origin == IssuedCertificate.KeyOrigin.REQUEST

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.later:
            self.add_error(None, RENEWED_ALREADY)
        elif self.obstacle:
            self.add_error(None, "Nothing was issued.")
        return cleaned

    def save(self) -> IssuedCertificate:
        """Raises `IssuingError`, also where somebody else was quicker, and `UnsealError`."""
        issued = self.issued
        try:
            return self.authority.issue(
                Profile(issued.profile),
                Subject(issued.common_name, issued.organization),
                issued.names,
                _public_key(issued) if self.key_stays else KINDS[issued.key],
                self._end,
                self.user,
                server_name=str(issued.stored or issued)[:255],
                renewal_of=issued,
            )
        except IntegrityError:
            self.later = issued.renewals.first()
            raise IssuingError(RENEWED_ALREADY if self.later else CA_IS_GONE) from None

    def refuse(self, error: IssuingError | UnsealError) -> None:
        self.add_error(None, str(error))

    @property
    def _end(self) -> datetime | int:
        if self.cleaned_data["until"] == "reissue":
            return self.issued.not_after
        return self.authority.not_after if self.is_clamped else self.days

    @property
    def _renewed(self) -> str:
        if self.is_clamped:
            return f"Renew: until this CA itself ends, {moment(self.authority.not_after)}"
        return f"Renew: {self.days:,} day{'s' * (self.days != 1)} from now, as before"


def length(issued: IssuedCertificate) -> int:
    """Days that it was first issued for: one that was reissued until the same end began later."""
    earlier = issued.renewal_of
    while earlier and earlier.not_after == issued.not_after:
        issued, earlier = earlier, earlier.renewal_of
    return issued.days


def _public_key(issued: IssuedCertificate) -> PublicKey:
    key = x509.load_pem_x509_certificate(issued.content.encode()).public_key()
    if not isinstance(key, PublicKey):
        raise TypeError("Only ECDSA and RSA keys are issued for.")
    return key
