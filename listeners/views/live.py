"""What pages show of the data plane's answers, with a version by which a page knows that it is up to date."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from listeners.dataplane.reading import TrafficReading
from listeners.freshness import Patience, refresh_milliseconds
from listeners.health import UNKNOWN, BackendHealth, backend_health
from listeners.models import BackendServer, Listener, LoadBalancer
from listeners.spec import digest
from listeners.status import ListenerState, Observation, State, leftovers, observation
from listeners.traffic import Traffic, readings, traffic

ROWS = 50  # of a table; the questions for one page stay small
TONES = {
    State.RUNNING: "success",
    State.APPLYING: "info",
    State.REJECTED: "danger",
    State.UNCONFIRMED: "warning",
    State.SILENT: "warning",
    State.STOPPING: "info",
    State.DISABLED: "secondary",
}


@dataclass(frozen=True)
class Heard:
    """When the data plane was asked, and whether it answered; `limit` is the age that a page may have."""

    at: str
    text: str
    answers: bool
    limit: int
    refresh: int

    @classmethod
    def of(cls, seen: Observation) -> "Heard":
        at = timezone.localtime(seen.at)
        limit, refresh = settings.ELB_STATUS_SECONDS, refresh_milliseconds()
        return cls(at.isoformat(), f"{at:%Y-%m-%d %H:%M:%S %Z}", seen.envoy_answers, limit, refresh)


class Part(Protocol):
    """Of a page, that is asked for again and again."""

    @property
    def version(self) -> str: ...

    @property
    def mark(self) -> str: ...

    @property
    def heard(self) -> Heard: ...


@dataclass(frozen=True)
class LiveListener:
    """A listener as the data plane has it now. `parts` tell what it is made of."""

    listener: Listener
    state: ListenerState
    heard: Heard
    parts: str
    servers: tuple[tuple[BackendServer, BackendHealth], ...]
    traffic: Traffic | None

    @property
    def tone(self) -> str:
        return TONES[self.state.state]

    @property
    def mark(self) -> str:
        """Another one when another configuration has come to be served."""
        return self.parts if self.state.state == State.RUNNING else ""

    @property
    def version(self) -> str:
        health = [(str(server), server.weight, health) for server, health in self.servers]
        shown = (self.listener.pk, self.listener.updated_at, self.state, self.mark, health, self.traffic)
        return digest(repr(shown))


@dataclass(frozen=True)
class ListenerRow:
    """`traffic` is None where Envoy serves nothing."""

    listener: Listener
    state: ListenerState
    traffic: TrafficReading | None

    @property
    def tone(self) -> str:
        return TONES[self.state.state]


@dataclass(frozen=True)
class ListenerTable:
    """A page of a load balancer's listeners; `leftovers` are sentences about what should be gone."""

    load_balancer: LoadBalancer
    page: "Page[Listener]"
    rows: tuple[ListenerRow, ...]
    leftovers: tuple[str, ...]
    heard: Heard

    @property
    def mark(self) -> str:
        return ""

    @property
    def version(self) -> str:
        rows = [(row.listener.pk, row.listener.updated_at, row.state, row.traffic) for row in self.rows]
        balancer, page = self.load_balancer, (self.page.number, self.page.paginator.count)
        return digest(repr((balancer.address, balancer.is_enabled, page, rows, self.leftovers)))


def live_listener(listener: Listener) -> LiveListener:
    patience = Patience.begun()
    seen = observation([listener], patience)
    group = listener.backend_server_group
    # A silent Envoy is asked once: whoever waits for the page waits for one answer.
    health = backend_health(group, patience) if seen.envoy_answers else {}
    servers = group.servers.all() if group else []
    return LiveListener(
        listener,
        seen.states[listener.pk],
        Heard.of(seen),
        digest(repr(seen.parts[listener.pk])),
        tuple((server, health.get((server.address, server.port), UNKNOWN)) for server in servers),
        traffic(listener, patience) if seen.states[listener.pk].is_served else None,
    )


def listener_table(load_balancer: LoadBalancer, page: str = "") -> ListenerTable:
    """`page` is its number, as a person may have typed it."""
    patience = Patience.begun()
    listeners = Paginator(load_balancer.listeners.with_relations(), ROWS).get_page(page)
    rows = list(listeners)
    for row in rows:
        row.load_balancer = load_balancer
    seen = observation(rows, patience)
    counted = readings([row for row in rows if seen.states[row.pk].is_served], patience)
    return ListenerTable(
        load_balancer,
        listeners,
        tuple(ListenerRow(row, seen.states[row.pk], counted.get(row.pk)) for row in rows),
        leftovers(patience) if seen.control_plane_answers else (),
        Heard.of(seen),
    )


def part_or_nothing(
    request: HttpRequest, template: str, part: Part, context: Mapping[str, Any]
) -> HttpResponse:
    """The part alone, for a page that asks for it; 204 while that page shows what is so.

    Either way the page learns when the data plane was asked, and whether another configuration serves.
    """
    events: dict[str, Any] = {
        "console-heard": {"at": part.heard.at, "text": part.heard.text, "answers": part.heard.answers}
    }
    if part.mark and request.GET.get("mark", "") != part.mark:
        events["listener-changed"] = {}
    if request.GET.get("shown") == part.version:
        response = HttpResponse(status=204)
    else:
        response = render(request, template, context)
    response["HX-Trigger"] = json.dumps(events)
    return response
