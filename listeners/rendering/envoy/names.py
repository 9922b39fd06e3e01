"""The names by which Envoy's resources refer to each other, of row ids alone."""


def listener_name(listener: int) -> str:
    return f"listener-{listener}"


def group_name(group: int) -> str:
    return f"group-{group}"


def server_certificate_name(certificate: int) -> str:
    return f"certificate-{certificate}"
