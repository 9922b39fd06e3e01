"""How every form is shown again after a refusal: without a private key that was pasted where none belongs."""

from typing import Any

from django.forms import BoundField
from django.forms.renderers import TemplatesSetting

KEY_MARKER = "PRIVATE KEY-----"


class KeylessBoundField(BoundField):
    """Whatever else is said about it; a field for keys sees to its own value."""

    def value(self) -> Any:
        value = super().value()
        return "" if KEY_MARKER in str(value) else value


class Renderer(TemplatesSetting):
    """Widgets of ours have templates in templates/."""

    bound_field_class = KeylessBoundField
