"""What the local Envoy says of itself: read from its administration socket, never written there."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import ParseError

from listeners.rendering.envoy import content_version

TIMEOUT = 2.0  # seconds
MOST_NAMES = 100  # in one pattern; Envoy refuses patterns of more than about 400


class EnvoyUnreachableError(Exception):
    """Envoy does not answer on its administration socket."""


@dataclass(frozen=True)
class ListenerReading:
    """`version`: of the content that serves, "" for none; `is_warming`: another waits for a secret."""

    name: str
    version: str
    is_warming: bool


@dataclass(frozen=True)
class BackendReading:
    """`flags` are Envoy's names of what speaks against the server, such as failed_active_health_check."""

    address: str
    port: int
    weight: int
    flags: frozenset[str]
    draining: bool


def listener_readings(admin: Path, names: Iterable[str]) -> dict[str, ListenerReading]:
    """By name. Raises `EnvoyUnreachableError`.

    The version is computed from the content that Envoy holds: after an update in place (filter chains
    only) Envoy 1.40 goes on showing the version_info of the content before.
    """
    wanted = set(names)
    query = {"resource": "dynamic_listeners", "mask": "name,active_state.listener,warming_state.version_info"}
    if len(wanted) <= MOST_NAMES:
        query["name_regex"] = f"^({'|'.join(re.escape(name) for name in wanted)})$"
    found = {}
    for one in _get(admin, "/config_dump", query).get("configs", []):
        name = one.get("name")  # a refused new listener is listed once more, without a name
        if name in wanted:
            found[name] = ListenerReading(name, _version(one), "warming_state" in one)
    return found


def served_listeners(admin: Path) -> set[str]:
    """The names of all listeners that serve. Raises `EnvoyUnreachableError`."""
    query = {"resource": "dynamic_listeners", "mask": "name,active_state.last_updated"}
    answer = _get(admin, "/config_dump", query)
    return {one["name"] for one in answer.get("configs", []) if "name" in one and "active_state" in one}


def backend_readings(admin: Path, cluster: str) -> tuple[BackendReading, ...]:
    """The servers of one cluster. Raises `EnvoyUnreachableError`."""
    answer = _get(admin, "/clusters", {"format": "json", "filter": f"^{re.escape(cluster)}$"})
    hosts = [
        host
        for status in answer.get("cluster_statuses", [])
        if status.get("name") == cluster
        for host in status.get("host_statuses", [])
    ]
    return tuple(_backend(host) for host in hosts)


def draining_finished(admin: Path) -> bool:
    """Whether no client is connected any more. Raises `EnvoyUnreachableError`."""
    # These count at once; server.total_connections is written every five seconds only.
    counters = r"^listener\.listener-\d+\.downstream_(pre_)?cx_active$"
    stats = _get(admin, "/stats", {"format": "json", "filter": counters})
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


def _get(admin: Path, path: str, query: dict[str, str]) -> dict[str, Any]:
    response = _answer(admin, "GET", path, query)
    found: dict[str, Any] = response.json()
    return found


def _answer(admin: Path, method: str, path: str, query: dict[str, str]) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=str(admin))
    try:
        with httpx.Client(transport=transport, timeout=TIMEOUT, base_url="http://envoy") as client:
            response = client.request(method, path, params=query)
            response.raise_for_status()
            return response
    except httpx.HTTPError as error:
        raise EnvoyUnreachableError("Envoy does not answer on its administration socket.") from error
