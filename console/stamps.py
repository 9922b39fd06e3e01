"""A stamp on what a page shows, by which a second editor learns that it has been changed meanwhile."""

import hashlib
from collections.abc import Mapping

from django import forms

CHANGED_MEANWHILE = (
    "Somebody else has changed this since you opened the page, so nothing was saved. "
    "Look at what is stored now, then save again to put what you entered in its place."
)


class StampForm(forms.Form):
    """Posted along with the form of a page. `shown` is what that page shows as stored now."""

    stamp = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, shown: object, posted: Mapping[str, str] | None = None) -> None:
        self.current = hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
        super().__init__(posted)

    def clean_stamp(self) -> str:
        posted: str = self.cleaned_data["stamp"]
        if posted != self.current:
            raise forms.ValidationError(CHANGED_MEANWHILE)
        return posted
