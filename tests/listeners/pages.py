"""The console's pages over a real Envoy and control plane that serve the rows of the test's database."""

import re

from django.test import Client
from django.urls import reverse

from listeners import snapshot
from listeners.models import BackendServer, Listener
from tests import factories
from tests.backend import Backend
from tests.console_client import words
from tests.envoy_lab import EnvoyLab
from tests.ports import free_port
from tests.waiting import eventually


class Pages:
    """A signed-in browser without scripts, and the data plane that its pages speak of."""

    def __init__(self, client: Client, lab: EnvoyLab) -> None:
        self.client, self.lab = client, lab

    def apply(self) -> None:
        """As the control plane does on its own with the database of a running console."""
        self.lab.apply(snapshot.configuration())

    def text(self, listener: Listener) -> str:
        return words(self.client.get(listener.get_absolute_url()).content.decode())

    def state(self, listener: Listener) -> str:
        fragment = self.client.get(reverse("listener_status", args=[listener.pk])).content.decode()
        return words(fragment.partition('<div id="listener-live"')[0])

    def row(self, listener: Listener) -> str:
        page = self.client.get(listener.load_balancer.get_absolute_url()).content.decode()
        rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
        return next(words(one) for one in rows if f'id="open-{listener.pk}"' in one)

    def wait(self, listener: Listener, word: str) -> None:
        eventually(lambda: self.state(listener) == word, f"{word}: {self.text(listener)}")

    def serve(self, listener: Listener) -> Listener:
        self.apply()
        self.wait(listener, "Running")
        return listener

    def health(self, listener: Listener, port: int) -> str:
        """What the page says of the server on this port."""
        page = self.client.get(listener.get_absolute_url()).content.decode()
        rows = [words(one) for one in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
        return next((one for one in rows if f":{port} " in one), "")

    def counters(self, listener: Listener) -> dict[str, int]:
        page = self.client.get(listener.get_absolute_url()).content.decode()
        found = re.findall(r'<dt>([^<]*)</dt>\s*<dd><span class="counter">(\d+)</span>', page)
        return {label: int(number) for label, number in found}


def server(backend: Backend, address: str = "127.0.0.1", weight: int = 1) -> BackendServer:
    return factories.backend_server(address, backend.port, weight)


def http(backend: Backend, **fields: object) -> Listener:
    return factories.listener(port=free_port(), servers=[server(backend)], **fields)
