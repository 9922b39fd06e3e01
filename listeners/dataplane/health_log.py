"""When backend servers turned healthy or unhealthy: read from the log that Envoy writes of it.

Envoy's pages say how a server is and not since when. The log begins anew with each Envoy, which writes the
outcome of a server's first check and each turn from then on.
"""

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

LIMIT = 4 * 1024 * 1024  # octets, some 10,000 turns


@dataclass(frozen=True)
class Turn:
    """`is_first`: so found by the first check; how long it had been so is not known."""

    at: datetime
    is_healthy: bool
    is_first: bool


def begin(path: Path, content: bytes = b"") -> None:
    """Empties the log, but for `content`. What Envoy, which only appends, writes from now on follows."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
    try:
        os.write(log, content)
    finally:
        os.close(log)


def shorten(path: Path) -> None:
    """Keeps the last turn of each server when the log has grown to its limit.

    A turn that Envoy writes at this very moment can be lost; the server then has no time until its next.
    """
    if not path.exists() or path.stat().st_size <= LIMIT:
        return
    lines = path.read_bytes().splitlines(keepends=True)
    last = {(entry.get("cluster_name"), _server(entry)): line for line in lines if (entry := _entry(line))}
    kept = b"".join(last.values())
    begin(path, kept if len(kept) < LIMIT / 2 else b"")


def last_turns(path: Path, cluster: str, servers: Collection[tuple[str, int]]) -> dict[tuple[str, int], Turn]:
    """Of these servers of a cluster, by address and port. Reads from the end, until all are found."""
    try:
        with path.open("rb") as log:
            content = log.read(2 * LIMIT)
    except OSError:
        return {}
    found: dict[tuple[str, int], Turn] = {}
    end, mark = len(content), f'"cluster_name":"{cluster}"'.encode()
    while len(found) < len(servers) and (place := content.rfind(mark, 0, end)) >= 0:
        end = content.rfind(b"\n", 0, place) + 1
        entry = _entry(content[end : content.find(b"\n", end) + 1])
        server, turn = _server(entry), _turn(entry)
        if server in servers and turn:
            found.setdefault(server, turn)
    return found


def _entry(line: bytes) -> dict[str, Any]:
    """Of a line that is not all there yet, nothing."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _server(entry: dict[str, Any]) -> tuple[str, int]:
    place = entry.get("host", {}).get("socket_address", {})
    return place.get("address", ""), place.get("port_value", 0)


def _turn(entry: dict[str, Any]) -> Turn | None:
    if healthy := entry.get("add_healthy_event"):
        return Turn(datetime.fromisoformat(entry["timestamp"]), True, healthy.get("first_check", False))
    if "eject_unhealthy_event" in entry:
        return Turn(datetime.fromisoformat(entry["timestamp"]), False, False)
    # Of failures that are no turn only a server's first is written.
    if failure := entry.get("health_check_failure_event"):
        return Turn(datetime.fromisoformat(entry["timestamp"]), False, failure.get("first_check", False))
    return None
