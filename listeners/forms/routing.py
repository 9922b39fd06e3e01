"""Where a listener's requests go: a backend server group of its own, or one that is there already."""

from functools import cached_property
from typing import Any

from django import forms
from django.db import models
from django.utils.datastructures import MultiValueDict

from certificates.pem_fields import WordsField
from listeners.forms.pickers import SEARCH, ChoiceField, GroupSource, Picker
from listeners.forms.wording import NAME_TOO_LONG
from listeners.models import BackendServerGroup

GROUP = "existing_group"


class RoutingForm(forms.Form):
    class Group(models.TextChoices):
        NEW = "new", "Create new"
        EXISTING = "existing", "Use existing"

    group = forms.ChoiceField(
        label="Backend Server Group",
        choices=Group,
        initial=Group.NEW,
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose a new group or an existing."),
    )
    group_name = WordsField(
        label="Name",
        required=False,
        max_length=255,
        error_messages={"max_length": NAME_TOO_LONG},
    )
    existing_group = ChoiceField(label="Existing Group", gone="This group is no longer there.")

    def __init__(self, posted: MultiValueDict[str, str] | None = None, **options: Any) -> None:
        super().__init__(posted, **options)
        self.fields[GROUP].queryset = self.picker.source.rows()  # type: ignore[attr-defined]

    @cached_property
    def picker(self) -> Picker:
        given = self.data if self.is_bound else self.initial
        return Picker(self[GROUP], GroupSource(), str(given.get(SEARCH + GROUP) or ""), is_many=False)

    @property
    def existing(self) -> BackendServerGroup | None:
        """The group that was chosen; None for a new one. Of a valid form."""
        group: BackendServerGroup | None = self.cleaned_data.get(GROUP)
        return group

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        is_new = cleaned.get("group") == self.Group.NEW
        for name in (GROUP,) if is_new else ("group_name",):
            self.errors.pop(name, None)
            cleaned[name] = None if is_new else ""
        if is_new and not cleaned.get("group_name") and "group_name" not in self.errors:
            self.add_error("group_name", "Enter a name.")
        elif cleaned.get("group") and not is_new and not cleaned.get(GROUP) and GROUP not in self.errors:
            self.add_error(GROUP, "Choose the group that requests go to.")
        return cleaned
