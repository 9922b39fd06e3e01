"""The word that has to be typed before something is deleted."""

from collections.abc import Mapping

from django import forms


class DeleteForm(forms.Form):
    confirmation = forms.CharField(
        label="Type DELETE to confirm",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
        error_messages={"required": "Type DELETE in capital letters."},
    )

    def __init__(self, posted: Mapping[str, str] | None = None, obstacle: str = "") -> None:
        super().__init__(posted)
        self.obstacle = obstacle

    def clean(self) -> None:
        if self.obstacle:
            raise forms.ValidationError(self.obstacle)

    def clean_confirmation(self) -> str:
        word: str = self.cleaned_data["confirmation"]
        if word != "DELETE":
            raise forms.ValidationError("Type DELETE in capital letters.")
        return word
