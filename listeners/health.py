"""How a listener's backend servers are, as the local Envoy sees them; never stored."""

from dataclasses import dataclass
from datetime import datetime

from listeners.dataplane.health_log import Turn, last_turns
from listeners.dataplane.reading import BackendReading, EnvoyUnreachableError, backend_readings
from listeners.deployment import admin_socket, health_log
from listeners.freshness import Patience
from listeners.models import BackendServerGroup
from listeners.rendering import envoy as rendering

Server = tuple[str, int]


@dataclass(frozen=True)
class BackendHealth:
    """`tone` is a Bootstrap color name. `since`: None where it is not known.

    `is_earlier`: it has been so since before that.
    """

    word: str
    tone: str
    reason: str = ""
    since: datetime | None = None
    is_earlier: bool = False


UNKNOWN = BackendHealth("Unknown", "secondary", "Envoy says nothing of this server.")
EARLIER = BackendHealth(
    "Not used yet", "secondary", "Envoy still sends requests to the servers of before the change."
)
UNCHECKED = BackendHealth("Not checked yet", "secondary", "The first check has not come to an end.")
LEAVING = BackendHealth("Leaving", "warning", "It was removed; requests that began are answered.")
DRAINING = "Its weight is 0: no new requests."
TIMED_OUT = "No answer within the time of a health check."
FAILED = "The connection was refused or failed."


def backend_health(group: BackendServerGroup | None, patience: Patience) -> dict[Server, BackendHealth]:
    """By address and port; while Envoy is silent, or has none of them nor others, they are unknown."""
    if group is None:
        return {}
    name = rendering.group_name(group.pk)
    servers = [(server.address, server.port) for server in group.servers.all()]
    try:
        readings = backend_readings(admin_socket(), name, patience.left)
    except EnvoyUnreachableError:
        return dict.fromkeys(servers, UNKNOWN)
    by_server = {(reading.address, reading.port): reading for reading in readings}
    turns = last_turns(health_log(), name, by_server)
    # Envoy goes on with the cluster that it has until each server of the new one has been checked once.
    missing = EARLIER if by_server else UNKNOWN
    return {
        server: _health(by_server[server], turns.get(server)) if server in by_server else missing
        for server in servers
    }


def _health(reading: BackendReading, turn: Turn | None) -> BackendHealth:
    if "pending_dynamic_removal" in reading.flags:
        return LEAVING
    if "pending_active_hc" in reading.flags:
        return UNCHECKED
    # The log is written half a second later: what speaks against it is the turn before.
    is_known = turn is not None and turn.is_healthy == reading.passes
    since, is_earlier = (turn.at, turn.is_first) if turn and is_known else (None, False)
    failure = ""
    if not reading.passes:
        failure = TIMED_OUT if "active_hc_timeout" in reading.flags else FAILED
    if reading.draining:
        # Which of the two began when is not told apart, so no time is given.
        return BackendHealth("Draining", "warning", f"{DRAINING} {failure}".strip())
    if failure:
        return BackendHealth("Unhealthy", "danger", failure, since, is_earlier)
    return BackendHealth("Healthy", "success", "", since, is_earlier)
