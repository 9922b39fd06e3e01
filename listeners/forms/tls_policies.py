"""What people fill in about a custom TLS policy."""

import secrets
from typing import Any

from django import forms

from certificates.pem_fields import WordsField
from listeners import tls_policies
from listeners.forms.wording import NAME_TOO_LONG, description
from listeners.models import TlsSecurityPolicy
from listeners.servable import FIXED_TLS_1_3_SUITES, SERVABLE
from listeners.tls_policies import CHOICES, TLS_1_3_SUITES, TlsVersion

NEW_VERSIONS = [TlsVersion.TLS_1_2.value, TlsVersion.TLS_1_3.value]
NEW_SUITES = [one for one in (*tls_policies.FORWARD_SECRET, *FIXED_TLS_1_3_SUITES) if one in SERVABLE]


def labelled(suite: str) -> tuple[str, str]:
    return suite, suite if suite in SERVABLE else f"{suite} (not served: Envoy does not know it)"


class TlsPolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    versions = forms.MultipleChoiceField(
        label="TLS Versions",
        choices=[(version.value, version.label) for version in TlsVersion],
        widget=forms.CheckboxSelectMultiple,
        help_text="Without a gap. Today's clients refuse TLS 1.0 and TLS 1.1.",
        error_messages={
            "required": "Choose at least one TLS version.",
            "invalid_choice": "There is no such TLS version. Choose among these.",
            "invalid_list": "Choose among these TLS versions.",
        },
    )
    suites = forms.MultipleChoiceField(
        label="Cipher Suites",
        choices=[
            ("Up to TLS 1.2", [labelled(suite) for suite in CHOICES if suite not in TLS_1_3_SUITES]),
            ("TLS 1.3", [labelled(suite) for suite in TLS_1_3_SUITES]),
        ],
        widget=forms.CheckboxSelectMultiple,
        help_text=(
            "The server prefers them in this order. Of TLS 1.3, Envoy serves "
            f"{', '.join(FIXED_TLS_1_3_SUITES[:-1])} and {FIXED_TLS_1_3_SUITES[-1]} together, in an order of "
            "its own. Suites that no chosen version has are dropped."
        ),
        error_messages={
            "required": "Choose at least one cipher suite.",
            "invalid_choice": "There is no such cipher suite. Choose among these.",
            "invalid_list": "Choose among these cipher suites.",
        },
    )

    class Meta:
        model = TlsSecurityPolicy
        fields = ["name", "versions", "suites", "description"]
        field_classes = {"name": WordsField, "description": WordsField}
        widgets = {"description": description()}
        error_messages = {"name": {"max_length": NAME_TOO_LONG}, "description": {"max_length": NAME_TOO_LONG}}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.instance.pk:
            name = f"security_policy-{secrets.token_hex(2)}"
            self.initial.update(name=name, versions=NEW_VERSIONS, suites=NEW_SUITES)


class TlsPolicyDeleteForm(forms.Form):
    """Nothing to fill in: what is in use is refused, and what is not serves nobody."""

    def __init__(self, posted: Any = None, obstacle: str = "") -> None:
        super().__init__(posted)
        self.obstacle = obstacle

    def clean(self) -> None:
        if self.obstacle:
            raise forms.ValidationError(self.obstacle)
