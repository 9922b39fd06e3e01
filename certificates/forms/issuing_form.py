"""What the forms by which a CA issues have in common: where the key comes from, requests, one row a form."""

import uuid
from collections.abc import Iterable
from typing import Any, ClassVar

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Div, Layout
from cryptography import x509
from cryptography.x509.oid import NameOID
from django import forms
from django.contrib.auth.models import User
from django.db import IntegrityError, models
from django.utils import timezone

from certificates import issuing
from certificates.alternative_names import AlternativeName, NameFaultError
from certificates.forms.obstacle import CA_IS_GONE, days_left, moment, obstacle
from certificates.issuing import LONGEST_DAYS, IssuingError, KeyKind, Profile, Subject
from certificates.issuing.names import check_names, name_fault
from certificates.issuing.subject import LONGEST_ORGANIZATION
from certificates.keyring import UnsealError
from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from certificates.pem import quoted
from certificates.pem_fields import PemField, WordsField
from console.stamps import StampForm

USUAL_DAYS = 397
MOST_OF_SAME_KEY = 3
LONGEST_MARK = 36
SENT_BEFORE = (
    "This form has issued a certificate already, and what it says now is something else. If you want another "
    "certificate, send it once more."
)


class KeySource(models.TextChoices):
    HERE = "here", "Made here"
    REQUEST = "request", "From a request (CSR): the key stays where it was made"


class AskedField(WordsField):
    """May come empty where a request says it; `is_needed` marks its label."""

    def __init__(self, *, is_needed: bool = False, **options: Any) -> None:
        self.is_needed = is_needed
        super().__init__(required=False, **options)


class NamesField(AskedField):
    """One name a line."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"})
        super().__init__(max_length=100_000, widget=widget, **options)


class MarkField(forms.Field):
    """Hidden; what is too long for a mark of this form is not shown again."""

    def __init__(self) -> None:
        super().__init__(required=False, widget=forms.HiddenInput)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return data if len(data or "") <= LONGEST_MARK else ""


class IssuingForm(forms.Form):
    """`is_preview` says of a valid form that its request is to be shown before anything is issued for it.

    `token` belongs to one form as it was opened, so that one that is sent twice issues once.
    """

    profile: ClassVar[Profile]
    days_help: ClassVar[str]
    request_help: ClassVar[str]
    first_fields: ClassVar[tuple[str, ...]]
    last_fields: ClassVar[tuple[str | Div, ...]]
    # Those that the subject is made of.
    subject_fields: ClassVar[frozenset[str]]

    source = forms.ChoiceField(
        label="Private Key",
        choices=KeySource.choices,
        initial=KeySource.HERE,
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose where the key is made."),
    )
    kind = forms.ChoiceField(
        label="Kind of Key",
        choices=[(kind.value, kind.label) for kind in KeyKind],
        initial=KeyKind.P256.value,
        required=False,
        help_text="RSA keys take longer to make: some seconds with 4096 bits.",
        error_messages={"invalid_choice": "Choose one of the kinds of keys."},
    )
    request = PemField("the request", label="Request (CSR)")
    token = MarkField()
    seen_request = MarkField()

    def __init__(self, *args: Any, authority: CertificateAuthority, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.authority = authority
        self.user = user
        self.obstacle = obstacle(authority)
        self.asked: issuing.Request | None = None
        self.left_out: tuple[str, ...] = ()
        self.holder: Subject | None = None
        self.chosen_names: tuple[AlternativeName, ...] = ()
        self.issued_before: IssuedCertificate | None = None
        self.is_preview = False
        self.initial.setdefault("token", str(uuid.uuid4()))
        self.initial.setdefault("organization", organization_of(authority))
        self.fields["days"] = self._days_field()
        self.fields["request"].help_text = self.request_help

    def _days_field(self) -> forms.IntegerField:
        longest, left = LONGEST_DAYS[self.profile.value], days_left(self.authority)
        most = min(longest, left) or longest
        ends = f" This CA itself ends at {moment(self.authority.not_after)}." if most < longest else ""
        wrong = f"Choose a number of days from 1 to {most:,}.{ends}"
        return forms.IntegerField(
            label="Valid for (days)",
            min_value=1,
            max_value=most,
            # A day less than the most: that is a day less itself when the form is sent a little later.
            initial=max(1, min(USUAL_DAYS, most - 1)),
            help_text=f"1 to {most:,}. {self.days_help}{ends}",
            error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), wrong),
        )

    @property
    def helper(self) -> FormHelper:
        helper = FormHelper()
        helper.form_tag = False
        helper.disable_csrf = True
        helper.layout = Layout(
            *self.first_fields,
            "source",
            Div("kind", data_show_when=f"source={KeySource.HERE}"),
            Div("request", data_show_when=f"source={KeySource.REQUEST}"),
            *self.last_fields,
            "token",
            "seen_request",
        )
        return helper

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("source") == KeySource.REQUEST and "request" not in self.errors:
            self._read_request(cleaned["request"])
        if "request" in self.errors:
            return cleaned  # a readable one may say the names and the holder that are not written yet
        if "names" not in self.errors:
            try:
                self.chosen_names = self.entered_names()
                if self.chosen_names:
                    check_names(self.profile, self.chosen_names)
            except (NameFaultError, IssuingError) as error:
                self.add_error("names", str(error))
        if not self.errors.keys() & self.subject_fields:
            try:
                self.holder = self.entered_subject()
            except IssuingError as error:
                self.refuse(error)
        self._try()
        self._look_for_earlier_use()
        return cleaned

    def entered_names(self) -> tuple[AlternativeName, ...]:
        """Empty where the subject is missing that they would come from. Raises `NameFaultError`."""
        raise NotImplementedError

    def entered_subject(self) -> Subject:
        """Raises `IssuingError`."""
        raise NotImplementedError

    def save(self) -> IssuedCertificate:
        """The new row, or the one that this form has issued before.

        Raises `IssuingError` where the CA has been deleted since the form was found valid.
        """
        if self.issued_before:
            return self.issued_before
        if self.holder is None:
            raise ValueError("Only a valid form is saved.")
        token = _token(self.cleaned_data["token"])
        try:
            return self.authority.issue(
                self.profile,
                self.holder,
                self.chosen_names,
                self.asked or KeyKind(self.cleaned_data["kind"] or KeyKind.P256),
                self.cleaned_data["days"],
                self.user,
                server_name=self.cleaned_data.get("name") or self.chosen_names[0].value,
                form_token=token,
            )
        except IntegrityError:
            # Sent twice at once, and the other one was quicker; or the CA is gone.
            row = IssuedCertificate.objects.filter(form_token=token).first() if token else None
            if row is None:
                raise IssuingError(CA_IS_GONE) from None
            return row

    def refuse(self, error: IssuingError | UnsealError) -> None:
        """Puts an error at the field that it is about."""
        field = getattr(error, "field", "")
        field = {"key": "kind", "common_name": self.first_fields[0]}.get(field, field)
        self.add_error(field if field in self.fields else None, str(error))

    @property
    def same_key(self) -> list[IssuedCertificate | Certificate]:
        """What has the request's key already, up to three that were issued and three that are stored."""
        if self.asked is None:
            return []
        key = self.asked.public_key_hash
        issued = IssuedCertificate.objects.filter(public_key_hash=key)
        stored = Certificate.objects.filter(public_key_hash=key, issued=None)
        return [*issued[:MOST_OF_SAME_KEY], *stored[:MOST_OF_SAME_KEY]]

    def _read_request(self, text: str) -> None:
        if not text.strip():
            self.add_error("request", "Paste the request, or choose its file (.csr).")
            return
        try:
            asked = issuing.read_request(text)
        except IssuingError as error:
            self.refuse(error)
            return
        taken, left_out = self._taken(asked.names)
        self.asked, self.left_out = asked, (*asked.left_out, *left_out)
        mark = StampForm((asked, self.left_out)).current
        # Another request than the one that was shown is shown first, too.
        self.is_preview = self.cleaned_data["seen_request"] != mark
        self._show_again(seen_request=mark)
        if self.is_preview:
            names = "\n".join(map(str, taken))
            self._fill(common_name=asked.common_name, organization=asked.organization, names=names)

    def _taken(self, names: Iterable[AlternativeName]) -> tuple[list[AlternativeName], list[str]]:
        taken, left_out = [], []
        for name in names:
            fault = name_fault(self.profile, name)
            if "," in name.value:
                fault = f"{quoted(name.value)} has a comma, which separates names here."
            if fault:
                left_out.append(f"{fault} Of the request's names, this one is left out.")
            else:
                taken.append(name)
        return taken, left_out

    def _fill(self, **proposals: str) -> None:
        """What the request says goes where nobody has written anything of their own."""
        for name, proposal in proposals.items():
            if name not in self.fields or not proposal:
                continue
            written = self.cleaned_data.get(name, "").replace("\r\n", "\n")
            if not written or written == self.get_initial_for_field(self.fields[name], name):
                self.cleaned_data[name] = proposal
                self._show_again(**{name: proposal})

    def _try(self) -> None:
        """Issues for nobody, with a key that costs nothing: what is said against it is said at its field."""
        if self.obstacle:
            self.add_error(None, "Nothing was issued.")
        if self.errors or self.holder is None:
            return
        key = self.asked.public_key if self.asked else KeyKind.P256
        days = self.cleaned_data["days"]
        try:
            signing = self.authority.signing
            issuing.issue(self.profile, signing, self.holder, self.chosen_names, key, days, timezone.now())
        except (IssuingError, UnsealError) as error:
            self.refuse(error)

    def _look_for_earlier_use(self) -> None:
        """A form that is sent again (a second click, a reload) leads to what it has issued."""
        token = _token(self.cleaned_data["token"])
        row = IssuedCertificate.objects.filter(form_token=token).first() if token else None
        if row is None or self.holder is None:
            return
        wanted = (self.authority, self.user, self.profile, self.holder, self.chosen_names)
        subject = Subject(row.common_name, row.organization)
        if wanted == (row.authority, row.created_by, row.profile, subject, row.names):
            self.issued_before = row
        else:
            self.add_error(None, SENT_BEFORE)
            self._show_again(token=str(uuid.uuid4()))

    def _show_again(self, **values: str) -> None:
        data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict that was posted, or a dict
        for name, value in values.items():
            data[self.add_prefix(name)] = value
        self.data = data


def organization_of(authority: CertificateAuthority) -> str:
    """That of the CA's own subject, as a proposal."""
    subject = x509.load_pem_x509_certificate(authority.content.encode()).subject
    found = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    text = str(found[-1].value) if found else ""
    return text if len(text) <= LONGEST_ORGANIZATION and text.isprintable() else ""


def _token(text: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
