"""What tests of guided setups do: a person's way over its pages, without scripts."""

from typing import Any

from django.test import Client
from django.urls import reverse

from listeners.models import GuidedSetup
from tests.console_client import words
from tests.html_forms import HtmlForm, html_forms
from tests.ports import free_port


class Way:
    """One setup of the client's person; `url` and `page` are where it is now."""

    def __init__(self, client: Client, **fields: str | int) -> None:
        self.client = client
        self._take(client.post(reverse("guided_start"), fields, follow=True))

    @property
    def setup(self) -> GuidedSetup:
        return GuidedSetup.objects.get(pk=self.url.split("/")[-3])

    @property
    def step(self) -> str:
        return self.url.split("/")[-2]

    @property
    def text(self) -> str:
        return words(self.page)

    def visit(self, step: str) -> "Way":
        self._take(self.client.get(self.setup.url_of(step), follow=True))
        return self

    def form(self, field: str) -> HtmlForm:
        """The page's form that has a field of this name."""
        return next(form for form in html_forms(self.page) if field in form.values)

    def press(self, field: str, action: str, **changes: object) -> dict[str, list[str]]:
        """Sends the form that has this field, and returns what was sent."""
        sent = self.form(field).filled({**changes, "action": action})
        self.send(sent)
        return sent

    def send(self, sent: dict[str, list[str]]) -> None:
        self._take(self.client.post(self.url, sent, follow=True))

    def to_listener(self) -> "Way":
        """With a new CA and server certificate, as they are proposed."""
        self.press("shape", "create")
        self.press("names", "create")
        return self

    def add_listener(self, port: int = 0, backend: int = 8080, **changes: object) -> dict[str, list[str]]:
        rows = {"servers-0-address": "127.0.0.1", "servers-0-port": backend, "servers-0-weight": 1}
        return self.press("servers-TOTAL_FORMS", "create", **{"port": port or free_port(), **rows, **changes})

    def to_proof(self, backend: int = 8080) -> "Way":
        self.to_listener()
        self.add_listener(backend=backend)
        self.press("common_name", "create")
        return self

    def _take(self, answer: Any) -> None:
        self.status, self.page = answer.status_code, answer.content.decode()
        self.url = answer.request["PATH_INFO"]
