"""Ports that nothing listens on and that nobody else takes before the test gets to them.

They lie below those that Linux gives to outgoing connections and to whoever asks for port 0. Each process
takes them from a block of its own: it keeps the block's first port, so that other workers of the run, and
other runs, take other blocks.
"""

import socket
from collections.abc import Iterator

# Above the ports that Chromium refuses to ask.
FIRST, END, BLOCK = 20_000, 32_500, 250


def free_port(address: str = "127.0.0.1") -> int:
    """A port that is free at this address; it is given once."""
    for port in _ports:
        if probe := _bound(address, port):
            probe.close()
            return port
    raise AssertionError("Every port is taken.")


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """As many different ones."""
    return [free_port(address) for _ in range(count)]


def _own_ports() -> Iterator[int]:
    kept = []
    for first in range(FIRST, END, BLOCK):
        if holder := _bound("0.0.0.0", first):
            kept.append(holder)
            yield from range(first + 1, first + BLOCK)


def _bound(address: str, port: int) -> socket.socket | None:
    """A socket at this port, None where there is another."""
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        bound.bind((address, port))
    except OSError:
        bound.close()
        return None
    return bound


_ports = _own_ports()
