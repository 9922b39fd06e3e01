"""The names by which Envoy's resources refer to each other, of row ids and digests alone."""

import re

from listeners.spec import BackendServerGroupSpec, digest

CONTROL_PLANE = "control-plane"  # the cluster that every Envoy is started with
LISTENER_NAME = re.compile("listener-([0-9]{1,18})")  # as many digits as every database takes


def listener_name(listener: int) -> str:
    return f"listener-{listener}"


def listener_id(name: str) -> int | None:
    """Whose name this is, as far as a name tells; None for another thing's."""
    found = LISTENER_NAME.fullmatch(name)
    return int(found[1]) if found else None


def group_name(group: int) -> str:
    return f"group-{group}"


def servers_name(group: BackendServerGroupSpec) -> str:
    """Of the endpoints: another one for other servers, but not for other weights."""
    servers = sorted(f"{server.address} {server.port}" for server in group.servers)
    return f"{group_name(group.id)}-{digest(','.join(servers))}"


def server_certificate_name(certificate: int) -> str:
    return f"certificate-{certificate}"
