"""What is asked beside a change: whether connections may be drained, or whether it may be made at all."""

from collections.abc import Mapping, Sequence

from django import forms

from listeners.drain import Drain

AGREED = "agreed"


class DrainForm(forms.Form):
    """Refuses a change that drains connections until the person has been told how many."""

    drain = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, change: Drain, posted: Mapping[str, str] | None = None) -> None:
        super().__init__(posted)
        self.change = change

    def clean_drain(self) -> str:
        posted: str = self.cleaned_data["drain"]
        if self.change.connections and posted != AGREED:
            raise forms.ValidationError(
                f"Nothing was saved yet. {self.change.forecast} Save again to go on, or change less: "
                "the name and the description drain nothing."
            )
        return posted


class SwitchForm(forms.Form):
    """Nothing but a button; `obstacles` are sentences on why it may not be pressed."""

    def __init__(self, posted: Mapping[str, str] | None = None, obstacles: Sequence[str] = ()) -> None:
        super().__init__(posted)
        self.obstacles = obstacles

    def clean(self) -> None:
        if self.obstacles:
            raise forms.ValidationError(list(self.obstacles))
