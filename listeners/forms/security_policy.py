"""The choice of a TLS policy: predefined ones by their names, custom ones by their ids."""

from dataclasses import dataclass
from typing import Any

from django import forms

from listeners import tls_policies
from listeners.models import Listener, TlsSecurityPolicy
from listeners.servable import remarks
from listeners.tls_policies import TlsPolicy

CUSTOM = "custom:"
GONE = "This policy is no longer there. Choose another one."


@dataclass(frozen=True)
class PolicyChoice:
    """`value` is what a form posts."""

    value: str
    policy: TlsPolicy
    row: TlsSecurityPolicy | None = None

    @property
    def remarks(self) -> list[str]:
        return remarks(self.policy)


class SecurityPolicyField(forms.ChoiceField):
    """Its cleaned value is a `PolicyChoice`, or None when nothing was posted."""

    def __init__(self) -> None:
        super().__init__(label="Security Policy", required=False, error_messages={"invalid_choice": GONE})

    def ask(self) -> None:
        """Reads the custom policies; a field is made once, and these come and go."""
        custom = [
            PolicyChoice(f"{CUSTOM}{row.pk}", row.policy, row) for row in TlsSecurityPolicy.objects.all()
        ]
        default = [PolicyChoice(one.name, one) for one in tls_policies.PREDEFINED]
        self.offered = {one.value: one for one in [*default, *custom]}
        groups: list[Any] = [("Default", [(one.value, one.policy.name) for one in default])]
        if custom:
            groups.append(("Custom", [(one.value, one.policy.name) for one in custom]))
        self.choices = groups

    def clean(self, value: Any) -> Any:
        return self.offered[str(name)] if (name := super().clean(value)) else None


def value_of(listener: Listener) -> str:
    """The policy of a listener as a form posts it."""
    custom = listener.custom_tls_policy_id
    return f"{CUSTOM}{custom}" if custom else listener.tls_policy or tls_policies.DEFAULT.name
