"""Rows of backend servers, and what their buttons do."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django import forms

from listeners.forms.wording import PORT, WEIGHT, errors_of_number
from listeners.models import BackendServer

# Below Django's limit of 1,000 posted fields, at three a server.
MOST_SERVERS = 200
ROWS = "servers"
BLANK_ROW = {"address": "", "port": "", "weight": "1"}


class BackendServerForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    class Meta:
        model = BackendServer
        fields = ["address", "port", "weight"]
        widgets = {
            "address": forms.TextInput(attrs={"placeholder": "192.0.2.10"}),
            "port": forms.NumberInput(attrs={"min": 1, "max": 65535, "placeholder": "8080"}),
            "weight": forms.NumberInput(attrs={"min": 0, "max": 100}),
        }
        help_texts = {"weight": ""}
        error_messages = {
            "address": {"required": "Enter the server's IP address."},
            "port": errors_of_number(PORT),
            "weight": errors_of_number(WEIGHT),
        }


class BackendServerForms(forms.BaseFormSet):  # type: ignore[type-arg]  # takes none at run time
    """One row a server; rows left blank are passed over."""

    def clean(self) -> None:
        if not self.filled:
            self.forms[0].add_error("address", "Add at least one backend server.")
        seen = set()
        for form in self.filled:
            place = (form.cleaned_data.get("address"), form.cleaned_data.get("port"))
            if None not in place and place in seen:
                form.add_error("address", "This address and port is listed twice.")
            seen.add(place)

    def refuse(self, sentences: Sequence[str]) -> None:
        """What the rows do not say by themselves, such as that one leads back to the listener."""
        self.non_form_errors().extend(sentences)

    @property
    def filled(self) -> list[BackendServerForm]:
        return [form for form in self.forms if form.has_changed()]

    def servers(self) -> list[BackendServer]:
        return [form.instance for form in self.filled]


BACKEND_SERVER_FORMS = cast(
    type[BackendServerForms],
    forms.formset_factory(
        BackendServerForm,
        formset=BackendServerForms,
        extra=0,
        max_num=MOST_SERVERS,
        absolute_max=MOST_SERVERS + 1,
        validate_max=True,
    ),
)


def backend_servers(rows: Sequence[Mapping[str, str]]) -> BackendServerForms:
    """Rows as posted, to be checked."""
    rows = rows or [BLANK_ROW]
    fields = {
        f"{ROWS}-{index}-{name}": value for index, row in enumerate(rows) for name, value in row.items()
    }
    management = {f"{ROWS}-TOTAL_FORMS": str(len(rows)), f"{ROWS}-INITIAL_FORMS": "0"}
    return BACKEND_SERVER_FORMS(fields | management, prefix=ROWS)


def backend_server_rows(rows: Sequence[Mapping[str, Any]], action: str = "") -> BackendServerForms:
    """Rows to be filled in, nothing checked yet; at least one is shown, and one just added has the focus."""
    formset = BACKEND_SERVER_FORMS(prefix=ROWS, initial=rows or [BLANK_ROW])
    if action == "add":
        formset.forms[-1].fields["address"].widget.attrs["autofocus"] = True
    return formset


def posted_rows(posted: Mapping[str, str]) -> list[dict[str, str]]:
    """What was typed into the rows, whatever it is."""
    total = posted.get(f"{ROWS}-TOTAL_FORMS", "")
    count = min(int(total), MOST_SERVERS) if total.isascii() and total.isdigit() and len(total) < 5 else 0
    return [{name: posted.get(f"{ROWS}-{index}-{name}", "") for name in BLANK_ROW} for index in range(count)]


def rows_after(action: str, rows: Sequence[dict[str, str]]) -> list[dict[str, str]] | None:
    """The rows once `Add Row` or a `Remove` was pressed; None when the action is another."""
    verb, _, number = action.partition(":")
    if verb == "add":
        return [*rows, BLANK_ROW][:MOST_SERVERS]
    if verb == "remove":
        return [row for index, row in enumerate(rows) if str(index) != number] or [BLANK_ROW]
    return None
