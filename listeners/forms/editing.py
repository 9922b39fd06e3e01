"""A listener that is edited: the wizard's forms, and what else is asked of what serves already."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict

from console.stamps import StampForm
from listeners.drain import Drain, contents, drain
from listeners.forms.changes import DrainForm
from listeners.forms.listener import ListenerEditForm, shown
from listeners.forms.pickers import SEARCH, ChoiceField, GroupSource, Picker
from listeners.forms.routing import GROUP
from listeners.models import Listener
from listeners.trial import objection

# Beside a list: what it was searched for when the page was made.
SHOWN = "shown-"

Posted = MultiValueDict[str, str]


class GroupForm(forms.Form):
    """Which of the groups that are there; a page that does not ask leaves it as it is."""

    existing_group = ChoiceField(label="Backend Server Group", gone="This group is no longer there.")

    def __init__(self, listener: Listener, posted: Posted | None = None, **options: Any) -> None:
        super().__init__(posted, **options)
        self.listener = listener
        self.initial = {GROUP: listener.backend_server_group_id, **self.initial}
        self.fields[GROUP].queryset = self.picker.source.rows()  # type: ignore[attr-defined]

    @cached_property
    def picker(self) -> Picker:
        given = self.data if self.is_bound else self.initial
        return Picker(self[GROUP], GroupSource(), str(given.get(SEARCH + GROUP) or ""), is_many=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        redirects = self.data.get("redirects", "on" if self.listener.redirect_to_id else "") == "on"
        if redirects and self.listener.protocol == Listener.Protocol.HTTP:
            self.errors.pop(GROUP, None)
        elif GROUP in self.data and not cleaned.get(GROUP) and GROUP not in self.errors:
            self.add_error(GROUP, "Choose the group that requests go to.")
        elif cleaned.get(GROUP):
            self.listener.backend_server_group = cleaned[GROUP]
        return cleaned


class ListenerEdit:
    """To `accepted` it is a form. `posted` is None for a page that shows what is stored."""

    def __init__(self, listener: Listener, posted: Posted | None) -> None:
        self.listener, self.posted = listener, posted
        self.before = contents([listener])
        self.form = ListenerEditForm(posted, instance=listener)
        self.group = GroupForm(listener, posted)
        self.stamp = StampForm({**self.form.initial, **self.group.initial}, posted)
        self.consent = DrainForm(Drain())

    @classmethod
    def repeated(cls, listener: Listener, posted: Posted) -> "ListenerEdit":
        """As it was posted, nothing checked: for a page whose lists were searched."""
        edit = cls(listener, None)
        edit.group = GroupForm(listener, initial=shown(posted))
        edit.form = ListenerEditForm(initial=shown(posted), instance=listener)
        edit.stamp.current = posted.get("stamp", "")
        return edit

    @property
    def is_bound(self) -> bool:
        return self.posted is not None

    def is_valid(self) -> bool:
        # The group first: whether requests go anywhere is checked with the listener.
        if not all([self.stamp.is_valid(), self.group.is_valid(), self.form.is_valid()]):
            return False
        after = contents([self.listener])
        # Envoy is asked what is open while its program tries the configuration: each takes its time.
        with ThreadPoolExecutor(1) as pool:
            drained = pool.submit(drain, self.before, after)
            if self._is_other(after) and not self._is_served_by_envoy():
                return False
        self.consent = DrainForm(drained.result(), self.posted)
        return self.consent.is_valid()

    def _is_other(self, after: Any) -> bool:
        old, new = self.before[self.listener.pk], after[self.listener.pk]
        return new is not None and (old is None or new.version != old.version)

    def _is_served_by_envoy(self) -> bool:
        field, sentence = objection(self.listener)
        if sentence:
            self.form.add_error(field if field in self.form.fields else None, sentence)
        return not sentence

    def save(self) -> Drain:
        """What it drains."""
        self.form.save()
        return self.consent.change


def is_search(posted: Posted) -> bool:
    """Whether the page is only to be shown again, with other lists.

    Enter in a search box presses the form's first button, `enter`; that the text has changed tells what is
    meant. The button that people see says `save`.
    """
    action = posted.get("action", "")
    searches = [name for name in posted if name.startswith(SEARCH)]
    return action == "search" or (
        action == "enter" and any(posted[name] != posted.get(SHOWN + name, "") for name in searches)
    )
