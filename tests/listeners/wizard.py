"""What tests of the wizard send and read: its steps, by the fields of their forms."""

from django.urls import reverse

from listeners.forms import ListenerForm
from listeners.models import Listener, ListenerDraft
from tests import factories
from tests.html_forms import html_forms

Fields = dict[str, str | list[str]]

# What a step gives back letter for letter; a choice that is not there anymore is not shown as chosen.
TYPED = {
    "name",
    "port",
    "description",
    "allowed_clients",
    "idle_timeout",
    "request_timeout",
    "response_timeout",
}
# What a copy has of its own.
DIFFERS = {"id", "name", "port", "backend_server_group", "created_by", "created_at", "updated_at"}
LISTED: Fields = {"admission": "listed", "allowed_clients": "dns: a.example.com\ndns: b.example.com"}
ROWS = [{"address": "192.0.2.10", "port": "8080", "weight": "1"}]


def at(draft: ListenerDraft, step: str) -> str:
    return reverse("listener_draft", args=[draft.pk, step])


def posted(rows: list[dict[str, str]]) -> dict[str, str]:
    fields = {
        f"servers-{number}-{name}": text for number, row in enumerate(rows) for name, text in row.items()
    }
    return {**fields, "servers-TOTAL_FORMS": str(len(rows))}


def values_of(page: bytes) -> dict[str, list[str]]:
    """What the step's form would send if nobody touched it, without the token."""
    values = next(form.values for form in html_forms(page.decode()) if len(form.values) > 1)
    return {name: one for name, one in values.items() if name != "csrfmiddlewaretoken"}


def fields_of(page: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in values_of(page).items()}


def untouched(initial: dict[str, str]) -> ListenerForm:
    """A form that is only shown."""
    return ListenerForm(initial=initial, instance=Listener(load_balancer=factories.load_balancer()))
