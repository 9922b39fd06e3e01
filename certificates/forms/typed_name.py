"""The name that has to be typed before something goes for good."""

from typing import Any

from django import forms

from certificates.pem_fields import WordsField


class TypedNameForm(forms.Form):
    """Valid only with the name of what is meant. Runs of blanks and line breaks count as one blank."""

    typed_name = WordsField(
        label="Type its name to confirm",
        error_messages={"required": "Type the name exactly as it stands above."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, name: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.expected = " ".join(name.split())

    def clean_typed_name(self) -> str:
        typed: str = self.cleaned_data["typed_name"]
        if " ".join(typed.split()) != self.expected:
            raise forms.ValidationError("This is not its name. Type it exactly as it stands above.")
        return typed
