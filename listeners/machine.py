"""What this machine lets a program listen on: its addresses, who has a port, and who may open which."""

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil
from psutil import Process

CAP_NET_BIND_SERVICE = 1 << 10
PORT_START = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
USUAL_PORT_START = 1024


def has_address(address: str) -> bool:
    """Whether a socket of this machine can be bound to the address, as to 0.0.0.0 it always can."""
    return bind_error(address, 0) == 0


def bind_error(address: str, port: int) -> int:
    """The errno of binding a socket as Envoy does, 0 when it can be bound; it is closed at once."""
    is_ipv6 = ipaddress.ip_address(address).version == 6
    try:
        with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET) as probe:
            # Without it a port would count as taken for a minute after its last connection.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_ipv6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind((address, port))
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def holders(port: int) -> Iterator[tuple[str, Process | None]]:
    """Addresses on which a program listens on the port, and the program where this user may see it."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return
    for one in connections:
        if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port:
            yield one.laddr.ip, _process(one.pid)


def program(process: Process) -> str:
    """A program's name and process id, "" once it has ended."""
    try:
        return f"{process.name()}, process {process.pid}"
    except psutil.Error:
        return ""


def listening_process(path: Path) -> int | None:
    """The process id of the program that listens on a Unix socket, None when nobody does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        try:
            connection.connect(str(path))
        except OSError:
            return None
        pid, _, _ = struct.unpack("iii", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def first_free_port() -> int:
    """The lowest port that needs no privilege."""
    try:
        return int(PORT_START.read_text())
    except (OSError, ValueError):
        return USUAL_PORT_START


def opens_reserved_ports(program: Path) -> bool:
    """Whether a program started by this one could open ports below `first_free_port`."""
    own = _capabilities("self")
    if not own["CapBnd"] & CAP_NET_BIND_SERVICE:
        return False
    if os.geteuid() == 0 or own["CapAmb"] & CAP_NET_BIND_SERVICE:
        return True
    return bool(_file_capabilities(program) & CAP_NET_BIND_SERVICE)


def has_opened_reserved_ports(pid: int) -> bool:
    """Whether a running program may open them: capabilities that its file got since do not count."""
    return bool(_capabilities(str(pid))["CapEff"] & CAP_NET_BIND_SERVICE)


def _capabilities(pid: str) -> dict[str, int]:
    """The sets of a process, by their names in /proc/PID/status; empty ones where it cannot be read."""
    found = dict.fromkeys(("CapEff", "CapBnd", "CapAmb"), 0)
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return found
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: int(fields.get(name, "0"), 16) for name in found}


def _file_capabilities(program: Path) -> int:
    """The lower 32 permitted capabilities of a program's file (capability.h, struct vfs_cap_data)."""
    try:
        raw = os.getxattr(program, "security.capability")
        _, permitted = struct.unpack_from("<II", raw)
    except (OSError, struct.error):
        return 0
    return int(permitted)


def _process(pid: int | None) -> Process | None:
    try:
        return Process(pid) if pid else None
    except psutil.Error:
        return None
