"""Ports that nothing listens on."""

import socket


def free_port(address: str = "127.0.0.1") -> int:
    """A port that the kernel just found free; it may be taken before the caller gets to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """As many different ones."""
    found: dict[int, None] = {}
    while len(found) < count:
        found[free_port(address)] = None
    return list(found)
