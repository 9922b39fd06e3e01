"""The console of the bench: filled, started as `make run` starts it, and changed through its own pages."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from listeners.tls_policies import DEFAULT
from tests.bench.machine import ROOT
from tests.bench.served import Change, Material, Place, Served, client_context, look
from tests.console_client import ConsoleClient, form_with, words
from tests.html_forms import html_forms
from tests.live import LiveConsole
from tests.waiting import eventually

ADDRESS = "127.0.0.1"
START_SECONDS = 600
DRAIN_SECONDS = 1
POLICIES = {"TLSv1.3": DEFAULT.name, "TLSv1.2": "tls-1-2-fs"}
# Said at once, so that a connection which happens to be open does not make it two requests.
CONSENT = {"action": "save", "drain": "agreed"}
CONFIRMATION = re.compile(r'<input[^>]*name="accepted_losses"[^>]*>')
FOUND, UNPROCESSABLE = 302, 422


@dataclass(frozen=True)
class Submission:
    """A form that is filled in and has only to be sent."""

    client: ConsoleClient
    url: str
    fields: Mapping[str, Any]

    def send(self) -> None:
        answer = self.client.http.post(self.url, data=dict(self.fields), follow_redirects=False)
        if answer.status_code == UNPROCESSABLE and (asked := CONFIRMATION.search(answer.text)):
            # The page wants to hear that whoever is shut out is meant to be.
            token = re.search(r'value="([^"]*)"', asked[0])
            confirmed = {**self.fields, "accepted_losses": token[1] if token else ""}
            answer = self.client.http.post(self.url, data=confirmed, follow_redirects=False)
        if answer.status_code != FOUND:
            raise SystemExit(f"{self.url} answered {answer.status_code}:\n{words(answer.text)}")


@dataclass(frozen=True)
class Console:
    live: LiveConsole
    client: ConsoleClient
    material: Material
    backends: Sequence[int]
    listeners: Mapping[int, int]  # port -> id
    server: int
    ca: int

    def place(self, port: int) -> Place:
        return Place(ADDRESS, port)

    def submission(self, port: int, change: Change, wanted: Served) -> Submission:
        listener = self.listeners[port]
        match change:
            case Change.CERTIFICATE:
                pair = self.material.servers[wanted.certificate]
                fields = {"content": pair.certificate_pem, "private_key": pair.key_pem}
                return self._filled(f"/certificates/{self.server}/edit/", fields)
            case Change.CA:
                content = self.material.trusted(wanted).read_text()
                return self._filled(f"/certificates/{self.ca}/edit/", {"content": content})
            case Change.BACKEND:
                fields = {"servers-0-port": str(self.backends[wanted.backend])}
                return self._filled(f"/listeners/{listener}/backends/", fields)
            case Change.POLICY:
                return self._filled(
                    f"/listeners/{listener}/edit/", {"security_policy": POLICIES[wanted.newest_tls]}
                )
            case Change.LISTENER:
                fields = {"authentication": "one-way"}
                if wanted.mutual:
                    fields = {"authentication": "mutual", "ca_certificates": str(self.ca)}
                return self._filled(f"/listeners/{listener}/edit/", fields)

    def _filled(self, path: str, fields: Mapping[str, str]) -> Submission:
        page = self.client.http.get(path)
        form = form_with(html_forms(page.text), fields, "")
        consent = CONSENT if path.startswith("/listeners/") else {}
        return Submission(self.client, str(page.url.join(form.action)), {**form.fields, **fields, **consent})

    def processes(self) -> dict[str, int]:
        """Process ids by what they are."""
        found = {"serve": self.live.pid, "Envoy": self.live.envoy_pid()}
        for child in psutil.Process(self.live.pid).children(recursive=True):
            command = child.cmdline()
            found |= {name: child.pid for name in ("web", "control_plane") if name in command}
        return found


@contextmanager
def running_console(
    material: Material, backends: Sequence[int], served: Mapping[int, Served]
) -> Iterator[Console]:
    """With these listeners, by port; all have the same server certificate and the same CA."""
    live = LiveConsole(
        ELB_DRAIN_SECONDS=str(DRAIN_SECONDS), ELB_ENVOY_CONCURRENCY="1", ELB_LOG_LEVEL="WARNING"
    )
    try:
        ids = _fill(live, material, backends, served)
        live.start_serve()
        eventually(lambda: _has_begun(live), f"a console at {live.url}", START_SECONDS)
        client = live.client()
        listeners = dict(zip(served, ids["listeners"], strict=True))
        console = Console(live, client, material, backends, listeners, ids["server"], ids["ca"])
        place, context = console.place(max(served)), client_context(material.client)
        try:
            what = f"the listener at {place.url}"
            eventually(lambda: look(place, context).status == 200, what, START_SECONDS)
            yield console
        except AssertionError as error:
            raise SystemExit(f"{error}\n{live.log_tail(4_000)}") from error
        finally:
            client.close()
            live.stop()
    finally:
        live.remove()


def _has_begun(live: LiveConsole) -> bool:
    assert psutil.pid_exists(live.pid), live.log_tail()
    return live.times_ready() > 0


def _fill(
    live: LiveConsole, material: Material, backends: Sequence[int], served: Mapping[int, Served]
) -> dict[str, list[int]]:
    migrated = live.manage("migrate", "--verbosity", "0")
    if migrated.returncode:
        raise SystemExit(migrated.stderr)
    first = material.servers[0]
    asked = {
        "address": ADDRESS,
        "server": [str(first.certificate), str(first.key)],
        "ca": str(material.trusted(Served())),
        "backend": backends[0],
        "ports": list(served),
        "modes": [{"mutual": one.mutual, "http2": one.http2} for one in served.values()],
    }
    outcome = subprocess.run(
        [sys.executable, "-m", "tests.bench.listener_rows"],
        cwd=ROOT,
        env=live.environment,
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    ids: dict[str, list[int]] = json.loads(outcome.stdout)
    return ids
