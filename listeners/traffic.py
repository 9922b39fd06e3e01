"""What a listener's clients did, as the local Envoy counts it; never stored."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

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


def readings(listeners: Collection[Listener], patience: Patience) -> dict[int, TrafficReading]:
    """By primary key, of those that Envoy counts; none while it does not answer. One question for all."""
    names = {rendering.listener_name(row.pk): row.pk for row in listeners}
    if not names:
        return {}
    try:
        found = traffic_readings(admin_socket(), names, patience.left)
    except EnvoyUnreachableError:
        return {}
    return {names[name]: reading for name, reading in found.items()}


def traffic(listener: Listener, patience: Patience) -> Traffic | None:
    """None where Envoy counts nothing for this listener."""
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
