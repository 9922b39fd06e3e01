"""What the local Envoy says of itself: read from its administration socket, never written there."""

import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import ParseError

from listeners.rendering.envoy import content_version

TIMEOUT = 2.0  # seconds, where whoever asks has no limit of its own
MOST_NAMES = 100  # in one pattern; Envoy refuses patterns of more than about 400
# Made once: left to itself, httpx reads all CA certificates of the machine for each question, in 40 ms.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# What is counted of a listener, by the ends of Envoy's names for it.
COUNTERS = {
    "downstream_cx_active": "open_connections",
    "downstream_cx_total": "connections",
    "downstream_rq_total": "requests",
    "downstream_rq_4xx": "client_errors",
    "downstream_rq_5xx": "server_errors",
    "ssl.handshake": "handshakes",
    "ssl.fail_verify_no_cert": "without_certificate",
    "ssl.fail_verify_error": "unverified",
    "rbac.denied": "denied",
    "ssl.connection_error": "other_refusals",
}
# Envoy looks at every statistic that it has for each question. Those that never counted it passes over, in
# a third of the time; of the others, gauges are a tenth.
COUNTED = {"format": "json", "usedonly": ""}
GAUGES = {**COUNTED, "type": "Gauges"}


class EnvoyUnreachableError(Exception):
    """Envoy does not answer on its administration socket."""


@dataclass(frozen=True)
class ListenerReading:
    """`version`: of the content that serves, "" for none and for one that this console cannot read.

    `is_warming`: another waits for a secret; `is_draining`: open connections of one that was removed may
    still be answered.
    """

    name: str
    version: str = ""
    is_served: bool = False
    is_warming: bool = False
    is_draining: bool = False


@dataclass(frozen=True)
class BackendReading:
    """`flags` are Envoy's names of what speaks against the server, such as failed_active_health_check."""

    address: str
    port: int
    weight: int
    flags: frozenset[str]
    draining: bool

    @property
    def passes(self) -> bool:
        """Whether its health check succeeds."""
        return "failed_active_health_check" not in self.flags


@dataclass(frozen=True)
class TrafficReading:
    """What a listener has had since Envoy began to serve it; removing the listener ends the count.

    Of handshakes that failed: `without_certificate`, `unverified` (a certificate that did not verify) and
    `other_refusals` exclude each other. `denied` ones came to an end, and were closed before a request.
    """

    open_connections: int = 0
    connections: int = 0
    requests: int = 0
    client_errors: int = 0
    server_errors: int = 0
    handshakes: int = 0
    without_certificate: int = 0
    unverified: int = 0
    denied: int = 0
    other_refusals: int = 0


def listener_readings(
    admin: Path, names: Iterable[str], limit: float = TIMEOUT
) -> dict[str, ListenerReading]:
    """By name. Raises `EnvoyUnreachableError`.

    The version is computed from the content that Envoy holds: after an update in place (filter chains
    only) Envoy 1.40 goes on showing the version_info of the content before.
    """
    wanted = set(names)
    states = "active_state.listener,warming_state.version_info,draining_state.last_updated"
    query = {"resource": "dynamic_listeners", "mask": f"name,{states}"}
    if len(wanted) <= MOST_NAMES:
        query["name_regex"] = f"^({_any_of(wanted)})$"
    found = {}
    for one in _get(admin, "/config_dump", query, limit).get("configs", []):
        name = one.get("name")  # a refused new listener is listed once more, without a name
        if name in wanted:
            found[name] = ListenerReading(
                name,
                _version(one),
                is_served="active_state" in one,
                is_warming="warming_state" in one,
                is_draining="draining_state" in one,
            )
    return found


def served_listeners(admin: Path) -> set[str]:
    """The names of all listeners that serve. Raises `EnvoyUnreachableError`."""
    query = {"resource": "dynamic_listeners", "mask": "name,active_state.last_updated"}
    answer = _get(admin, "/config_dump", query)
    return {one["name"] for one in answer.get("configs", []) if "name" in one and "active_state" in one}


def traffic_readings(admin: Path, limit: float = TIMEOUT) -> dict[str, TrafficReading]:
    """By name, of all listeners that have counted anything. Raises `EnvoyUnreachableError`.

    All, because what a question costs Envoy hardly depends on how many it is about.
    """
    pattern = rf"^(listener\.|http\.|)(listener-\d+)\.({_any_of(COUNTERS)})$"
    answer = _get(admin, "/stats", {**COUNTED, "filter": pattern}, limit)
    found: dict[str, dict[str, int]] = {}
    for one in answer.get("stats", []):
        place = re.fullmatch(pattern, one.get("name", ""))
        if place and (place[1] == "http.") == ("_rq_" in place[3]):  # it has connections of its own, too
            found.setdefault(place[2], {})[COUNTERS[place[3]]] = one["value"]
    return {name: TrafficReading(**counts) for name, counts in found.items()}


def started_at(admin: Path) -> datetime | None:
    """When the Envoy began to which the administration socket belongs: it makes one for itself."""
    try:
        return datetime.fromtimestamp(admin.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def backend_readings(admin: Path, cluster: str, limit: float = TIMEOUT) -> tuple[BackendReading, ...]:
    """The servers of one cluster. Raises `EnvoyUnreachableError`."""
    answer = _get(admin, "/clusters", {"format": "json", "filter": f"^{re.escape(cluster)}$"}, limit)
    hosts = [
        host
        for status in answer.get("cluster_statuses", [])
        if status.get("name") == cluster
        for host in status.get("host_statuses", [])
    ]
    return tuple(_backend(host) for host in hosts)


def open_connections(admin: Path, names: Iterable[str]) -> dict[str, int]:
    """How many clients are connected to each listener. Raises `EnvoyUnreachableError`."""
    found = dict.fromkeys(names, 0)
    some = _any_of(found) if len(found) <= MOST_NAMES else r"listener-\d+"
    query = {**GAUGES, "filter": rf"^listener\.({some})\.downstream_cx_active$"}
    for one in _get(admin, "/stats", query).get("stats", []):
        name = one.get("name", "..").split(".")[1]
        if name in found:
            found[name] = one.get("value", 0)
    return found


def listening_ports(admin: Path) -> set[int]:
    """The ports that are open for listeners. Raises `EnvoyUnreachableError`."""
    statuses = _get(admin, "/listeners", {"format": "json"}).get("listener_statuses", [])
    addresses = [one.get("local_address", {}).get("socket_address", {}) for one in statuses]
    return {address["port_value"] for address in addresses if "port_value" in address}


def draining_finished(admin: Path) -> bool:
    """Whether no client is connected any more. Raises `EnvoyUnreachableError`."""
    # These count at once; server.total_connections is written every five seconds only.
    counters = r"^listener\.listener-\d+\.downstream_(pre_)?cx_active$"
    stats = _get(admin, "/stats", {**GAUGES, "filter": counters})
    return all(one.get("value", 0) == 0 for one in stats.get("stats", []))


def answers(admin: Path) -> bool:
    """Whether Envoy answers at all, in whatever state."""
    try:
        _get(admin, "/server_info", {})
    except EnvoyUnreachableError:
        return False
    return True


def drain(admin: Path) -> None:
    """Asks clients to go: listeners close after the drain time. Raises `EnvoyUnreachableError`."""
    _answer(admin, "POST", "/drain_listeners", {"graceful": ""})


def is_live(admin: Path) -> bool:
    try:
        return bool(_get(admin, "/server_info", {}).get("state") == "LIVE")
    except EnvoyUnreachableError:
        return False


def _version(listener: dict[str, Any]) -> str:
    """Of the content that serves; "" for none, and for one that this version of the console cannot read."""
    body = listener.get("active_state", {}).get("listener")
    try:
        return content_version(body) if body else ""
    except ParseError:
        return ""


def _backend(host: dict[str, Any]) -> BackendReading:
    health = dict(host.get("health_status", {}))
    draining = health.pop("eds_health_status", "") == "DRAINING"
    socket = host["address"]["socket_address"]
    flags = frozenset(name for name, value in health.items() if value is True)
    return BackendReading(socket["address"], socket["port_value"], host.get("weight", 1), flags, draining)


def _any_of(names: Iterable[str]) -> str:
    return "|".join(re.escape(name) for name in names)


def _get(admin: Path, path: str, query: dict[str, str], limit: float = TIMEOUT) -> dict[str, Any]:
    response = _answer(admin, "GET", path, query, limit)
    found: dict[str, Any] = response.json()
    return found


def _answer(
    admin: Path, method: str, path: str, query: dict[str, str], limit: float = TIMEOUT
) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=str(admin), verify=NO_TLS)
    try:
        with httpx.Client(transport=transport, timeout=limit, base_url="http://envoy") as client:
            response = client.request(method, path, params=query)
            response.raise_for_status()
            return response
    except httpx.HTTPError as error:
        raise EnvoyUnreachableError("Envoy does not answer on its administration socket.") from error
