"""What this machine's Envoy could open: asked before a listener is saved, answered in words that help.

A console whose Envoys all run elsewhere switches this off (`ELB_CHECK_SOCKETS`): it can tell nothing.
"""

import errno

from django.conf import settings
from psutil import Process

from listeners import machine
from listeners.dataplane.binary import BinaryError, envoy_binary
from listeners.dataplane.reading import EnvoyUnreachableError, listening_ports
from listeners.dataplane.reasons import explained
from listeners.deployment import admin_socket
from listeners.spec import addresses_overlap


def address_refusal(address: str) -> str:
    """Why nothing on this machine can listen on an address, "" where something can."""
    if not settings.ELB_CHECK_SOCKETS or machine.has_address(address):
        return ""
    return (
        f"{address} is not an address of this machine, so nothing can listen there. Enter one of its "
        "addresses, or 0.0.0.0 for all of them."
    )


def socket_refusal(address: str, port: int) -> str:
    """Why this machine's Envoy cannot open a port, "" where it can; other listeners are not asked here."""
    if not settings.ELB_CHECK_SOCKETS:
        return ""
    problem = machine.bind_error(address, port)
    if problem == errno.EADDRINUSE or (problem == errno.EACCES and _listens(address, port)):
        return _taken(address, port)
    if problem not in (0, errno.EACCES):
        return (
            f"{address} is not an address of this machine, so nothing can listen there. Change the listening "
            "address of the load balancer."
        )
    return _reserved(address, port)


def _taken(address: str, port: int) -> str:
    if _is_held_by_envoy(address, port):
        return ""  # for a moment, of a listener that was deleted or disabled just now
    if port in (settings.ELB_CONSOLE_PORT, settings.ELB_XDS_PORT):
        return f"The console itself uses port {port} of this machine. Choose another port."
    named = [machine.program(process) for process in _programs(address, port)]
    who = f"Another program ({named[0]})" if named and named[0] else "Another program"
    return (
        f"{who} on this machine already uses port {port} of {address}. Stop that program or choose another "
        "port."
    )


def _reserved(address: str, port: int) -> str:
    first = machine.first_free_port()
    if port >= first:
        return ""
    try:
        binary = envoy_binary(settings.ELB_ENVOY_BINARY)
    except BinaryError:
        return ""
    pid = machine.listening_process(admin_socket())
    if machine.has_opened_reserved_ports(pid) if pid else machine.opens_reserved_ports(binary):
        return ""
    remedy = explained(f"cannot bind '{address}:{port}': Permission denied", str(binary)).remedy
    return (
        f"Envoy may not open port {port}: ports below {first} are reserved. Allow this Envoy to open them "
        f"with {remedy} and then stop the console and start it again; or choose a port of {first} or more."
    )


def _listens(address: str, port: int) -> bool:
    return any(addresses_overlap(address, one) for one, _ in machine.holders(port))


def _programs(address: str, port: int) -> list[Process]:
    holders = machine.holders(port)
    return [process for one, process in holders if process and addresses_overlap(address, one)]


def _is_held_by_envoy(address: str, port: int) -> bool:
    """Whether it is this console's own Envoy that listens there."""
    pid = machine.listening_process(admin_socket())
    if pid is None:
        return False
    found = [process.pid for process in _programs(address, port)]
    if found:
        return pid in found
    # Nobody but root may see the sockets of a program with capabilities: it is asked itself.
    try:
        return port in listening_ports(admin_socket())
    except EnvoyUnreachableError:
        return False
