"""What a listener's clients did, as the local Envoy counts it; never stored."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

from django.conf import settings

from listeners.dataplane.reading import (
    EnvoyUnreachableError,
    TrafficReading,
    started_at,
    traffic_readings,
)
from listeners.deployment import admin_socket
from listeners.freshness import Patience
from listeners.models import Listener
from listeners.rendering import envoy as rendering


@dataclass(frozen=True)
class Counter:
    """`note` says what is counted where the label leaves it open."""

    label: str
    number: int
    note: str = ""


@dataclass(frozen=True)
class Traffic:
    """`since` is when Envoy began, and so the earliest that can be counted."""

    counters: tuple[Counter, ...]
    since: datetime | None


class Counts:
    """What Envoy counts of all listeners, for all pages together.

    Its main thread, which also takes up changes, is busy with a question for longer the more listeners there
    are. An answer that took long is therefore remembered, so that pages, however many, take up a tenth
    of that thread; but for no longer than a page's word on the data plane may be old.
    """

    QUICK = 0.02  # seconds; answers that took no longer are not remembered
    SHARE = 10

    def __init__(self) -> None:
        self._lock = Lock()
        self._admin: Path | None = None
        self._readings: dict[str, TrafficReading] = {}
        self._until = 0.0

    def readings(self, admin: Path, patience: Patience) -> dict[str, TrafficReading]:
        """By name, of those that have counted anything. Raises `EnvoyUnreachableError`."""
        if not self._lock.acquire(timeout=patience.left):
            raise EnvoyUnreachableError("Envoy is slow to say what it has counted.")
        try:
            if self._admin != admin or time.monotonic() >= self._until:
                self._ask(admin, patience)
            return self._readings
        finally:
            self._lock.release()

    def _ask(self, admin: Path, patience: Patience) -> None:
        began = time.monotonic()
        self._readings, self._admin = traffic_readings(admin, patience.left), admin
        ended = time.monotonic()
        took = ended - began
        pause = min(self.SHARE * took, settings.ELB_STATUS_SECONDS) if took > self.QUICK else 0
        self._until = ended + pause


COUNTS = Counts()


def readings(listeners: Collection[Listener], patience: Patience) -> dict[int, TrafficReading]:
    """By primary key; none while Envoy does not answer. One question for all.

    `listeners` are those that Envoy serves: that it has nothing to say of one means that nothing happened.
    """
    if not listeners:
        return {}
    try:
        found = COUNTS.readings(admin_socket(), patience)
    except EnvoyUnreachableError:
        return {}
    return {row.pk: found.get(rendering.listener_name(row.pk), TrafficReading()) for row in listeners}


def traffic(listener: Listener, patience: Patience) -> Traffic | None:
    """Of a listener that Envoy serves; None while it does not answer."""
    reading = readings([listener], patience).get(listener.pk)
    if reading is None:
        return None
    counters = [
        Counter("Open connections", reading.open_connections),
        Counter("Connections", reading.connections),
        Counter("Requests", reading.requests),
        Counter("Answers 4xx", reading.client_errors),
        Counter("Answers 5xx", reading.server_errors),
    ]
    if listener.protocol == Listener.Protocol.HTTPS:
        counters += [Counter("TLS handshakes", reading.handshakes), *_refusals(listener, reading)]
    return Traffic(tuple(counters), started_at(admin_socket()))


def _refusals(listener: Listener, reading: TrafficReading) -> list[Counter]:
    others = Counter(
        "Refused: other TLS errors", reading.other_refusals, "no common protocol, not TLS, and the like"
    )
    unverified = reading.unverified
    match listener.authentication:
        case Listener.Authentication.MUTUAL:
            return [
                Counter("Refused: no certificate", reading.without_certificate),
                Counter("Refused: not verified", unverified, "expired, of another CA, and the like"),
                Counter("Refused: not admitted", reading.denied, "after a handshake that succeeded"),
                others,
            ]
        case Listener.Authentication.OPTIONAL:
            return [
                Counter("Refused: not verified", unverified, "expired, of another CA, and the like"),
                others,
            ]
        case Listener.Authentication.UNVERIFIED:
            return [Counter("Not verified", unverified, "let in all the same, as FAILED"), others]
    return [others]
