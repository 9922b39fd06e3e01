"""The names by which Envoy's resources refer to each other, of row ids and digests alone."""

from listeners.spec import BackendServerGroupSpec, digest


def listener_name(listener: int) -> str:
    return f"listener-{listener}"


def group_name(group: int) -> str:
    return f"group-{group}"


def servers_name(group: BackendServerGroupSpec) -> str:
    """Of the endpoints: another one for other servers, but not for other weights."""
    servers = sorted(f"{server.address} {server.port}" for server in group.servers)
    return f"{group_name(group.id)}-{digest(','.join(servers))}"


def server_certificate_name(certificate: int) -> str:
    return f"certificate-{certificate}"
