"""What is asked for a new CA."""

import secrets
from datetime import timedelta
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Div, Layout
from django import forms
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from certificates.issuing import LONGEST_DAYS, IssuingError, KeyKind, Subject, entered_constraints
from certificates.models import CertificateAuthority, NewAuthority
from certificates.models.authority import TWIN
from certificates.pem_fields import WordsField

LONGEST_NAME = 250  # of 255; the root above an intermediate is named after it
DAYS = 3650
# A form that is sent twice by a double click makes one CA.
SAME_SUBMISSION = timedelta(minutes=1)
ADVANCED = """
<details class="advanced"{% if form.opens_advanced %} open{% endif %}>
  <summary>Advanced Settings</summary>
"""


class AuthorityForm(forms.Form):
    """Makes a root, or a root with an intermediate; `save` gives the one that issues."""

    class Shape(models.TextChoices):
        ROOT = "root", "Root only"
        INTERMEDIATE = "intermediate", "Root with an intermediate"

    name = WordsField(
        label="Name",
        max_length=LONGEST_NAME,
        help_text="What it is called in this console.",
        error_messages={
            "required": "Write a name.",
            "max_length": f"This is too long. Write at most {LONGEST_NAME} characters.",
        },
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    common_name = WordsField(
        label="Common Name",
        required=False,
        help_text="What its certificate says, for everybody who looks into it. Left empty, the name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    organization = WordsField(
        label="Organization",
        required=False,
        help_text="Optional; stands in its certificate, too.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    shape = forms.ChoiceField(
        label="Kind of CA",
        choices=Shape.choices,
        initial=Shape.ROOT,
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose one of the two."),
        help_text=(
            "A root alone is simple and enough where one console issues for one purpose. With an "
            "intermediate the root's key can be kept elsewhere and removed from this machine at once: the "
            "intermediate issues, and whoever takes this machine takes no root."
        ),
    )
    issuing_common_name = WordsField(
        label="Common Name of the intermediate",
        required=False,
        help_text="Another than the root's. Left empty, that one followed by “Issuing”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    kind = forms.ChoiceField(
        label="Key",
        choices=[(one.value, one.label) for one in KeyKind],
        initial=KeyKind.P256.value,
        help_text="ECDSA P-256 suits every program of today, RSA old ones; RSA 4096 takes seconds to make.",
        error_messages={"invalid_choice": "Choose one of the kinds of keys."},
    )
    days = forms.IntegerField(
        label="Valid for (days)",
        initial=DAYS,
        min_value=1,
        max_value=LONGEST_DAYS["ca"],
        help_text=f"1 to {LONGEST_DAYS['ca']:,}. Nothing that it issues is valid for longer than itself.",
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"),
            f"Choose a number of days from 1 to {LONGEST_DAYS['ca']:,}.",
        ),
    )
    constraints = WordsField(
        label="Permitted Names",
        required=False,
        help_text=(
            "Domains such as test.com, with all names below them, and networks such as 192.0.2.0/24, one a "
            "line: what this CA issues for others is refused by programs (name constraints), even if its key "
            "is stolen. Envoy then also keeps out every client whose certificate has no subjectAltName. Left "
            "empty, there is no such limit."
        ),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        self.wanted: NewAuthority | None = None
        self.initial.setdefault("name", f"ca-{secrets.token_hex(2)}")

    @property
    def helper(self) -> FormHelper:
        helper = FormHelper()
        helper.form_tag = False
        helper.disable_csrf = True
        below = Div("issuing_common_name", data_show_when=f"shape={self.Shape.INTERMEDIATE.value}")
        names = ("name", "common_name", "organization")
        advanced = (HTML(ADVANCED), "constraints", HTML("</details>"))
        helper.layout = Layout(
            *names, Div("shape", css_class="side-by-side"), below, "kind", "days", *advanced
        )
        return helper

    @property
    def opens_advanced(self) -> bool:
        return bool(self["constraints"].errors or self["constraints"].value())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        permitted: tuple[Any, ...] = ()
        try:
            permitted = entered_constraints(cleaned.get("constraints", ""))
        except IssuingError as error:
            self.add_error("constraints", str(error))
        subject, below = self._subjects(cleaned)
        if self.errors or subject is None:
            return cleaned
        kind, days = KeyKind(cleaned["kind"]), cleaned["days"]
        self.wanted = NewAuthority(cleaned["name"], subject, kind, days, below, permitted)
        if self._is_taken() and self._twin() is None:
            self.add_error("common_name", TWIN)
        return cleaned

    def save(self) -> CertificateAuthority:
        """Raises `IssuingError` where somebody else has made a CA of the same subject meanwhile."""
        if self.wanted is None:
            raise ValueError("The form is not valid.")
        if twin := self._twin():
            return twin
        try:
            return CertificateAuthority.objects.create_root(self.wanted, self.user)
        except IssuingError:
            if twin := self._twin():
                return twin
            raise

    def refuse(self, error: IssuingError) -> None:
        """Shows at its field, or above the form, what only came out when the CA was to be made."""
        self.add_error(error.field if error.field in self.fields else None, str(error))

    def _subjects(self, cleaned: dict[str, Any]) -> tuple[Subject | None, Subject | None]:
        """Of the root, and of the intermediate where there is to be one."""
        name = cleaned.get("common_name") or cleaned.get("name", "")
        root = self._subject(name, cleaned.get("organization", ""), "common_name")
        if root is None or cleaned.get("shape") != self.Shape.INTERMEDIATE:
            return root, None
        below = cleaned.get("issuing_common_name") or f"{name} Issuing"
        intermediate = self._subject(below, root.organization, "issuing_common_name")
        if intermediate == root:
            self.add_error("issuing_common_name", "Choose another name than that of the root.")
        return root, intermediate

    def _subject(self, common_name: str, organization: str, field: str) -> Subject | None:
        if {"name", "common_name", "organization"} & self.errors.keys():
            return None
        try:
            return Subject(common_name, organization)
        except IssuingError as error:
            self.add_error(field if error.field == "common_name" else error.field, str(error))
            return None

    def _is_taken(self) -> bool:
        return CertificateAuthority.objects.filter(subject__in=self._wanted_subjects()).exists()

    def _twin(self) -> CertificateAuthority | None:
        """What the same person has just made by the same entries."""
        subjects = self._wanted_subjects()
        made = CertificateAuthority.objects.filter(
            subject=subjects[-1],
            certificate__name=self.wanted.name if self.wanted else "",
            created_by=self.user,
            created_at__gt=timezone.now() - SAME_SUBMISSION,
        )
        return made.filter(parent__isnull=len(subjects) == 1).first()

    def _wanted_subjects(self) -> list[str]:
        """As they are stored; that of the one that issues is the last."""
        chosen = [self.wanted.subject, self.wanted.intermediate] if self.wanted else []
        return [one.name.rfc4514_string() for one in chosen if one]
