"""The addresses and ports that rows may hold."""

import ipaddress
import socket
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

from listeners import machine

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PORT_RANGE = [MinValueValidator(1), MaxValueValidator(65535)]
# Where clouds tell a machine about itself, credentials included, beside 169.254.169.254 and its kin.
METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    )
)
# Addresses in which an IPv4 address is the last four bytes: compatible ones, and those of a translator.
EMBEDDING = (ipaddress.IPv6Network("::/96"), ipaddress.IPv6Network("64:ff9b::/96"))
BROADCAST = ipaddress.IPv4Address("255.255.255.255")
ALLOW = "An administrator can allow it by name in ELB_ALLOWED_BACKENDS."


def validate_listening_address(value: str) -> None:
    """Refuses what a socket cannot listen on."""
    address = ip_address(value)
    if address.is_multicast or str(address) == "255.255.255.255":
        raise ValidationError(
            f"{value} is a multicast or broadcast address; nothing can listen for HTTP there. "
            "Enter an address of this machine, or 0.0.0.0 for all of them."
        )


def validate_backend_address(value: str) -> None:
    """Refuses what is no server's address, whoever asks for it."""
    address = ip_address(value)
    if any(one.is_unspecified or one.is_multicast or one == BROADCAST for one in _meant(address)):
        raise ValidationError(
            f"{value} is not the address of one backend server; enter an address such as 192.0.2.10."
        )


def backend_refusal(value: str, port: int) -> str:
    """Why requests of others may not be sent to a socket unless it is allowed by name (K7), "" for none."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return ""  # said by the field
    if not settings.ELB_ALLOWED_BACKENDS.isdisjoint({(str(address), None), (str(address), port)}):
        return ""
    for one in _meant(address):
        if one.is_link_local or one in METADATA:
            return (
                f"{value} is a link-local or metadata address, where a machine keeps what is not for others. "
                f"Enter another address. {ALLOW}"
            )
        if any(_is_at(one, port, *own) for own in _own_sockets()):
            return (
                f"{value} port {port} is the console itself, which is not for the clients of a listener. "
                f"Enter another address or port. {ALLOW}"
            )
    return ""


def leads_to(address: str, port: int, to_address: str, to_port: int) -> bool:
    """Whether what is sent to the second socket arrives at a listener on the first."""
    return any(_is_at(one, to_port, address, port) for one in _meant(ipaddress.ip_address(to_address)))


def ip_address(value: str) -> Address:
    """The address; one that hides in another's spelling is refused, for no check would know it again."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise ValidationError(f"{value} is not an IPv4 or IPv6 address.") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ValidationError(f"{value} is an IPv4 address in disguise; enter {address.ipv4_mapped}.")
    return address


def _meant(address: Address) -> tuple[Address, ...]:
    """The address, and the IPv4 address that it leads to where it is another spelling of one."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and int(address) > 1 and any(address in network for network in EMBEDDING):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return (address, inner) if inner else (address,)


def _is_at(address: Address, port: int, own_address: str, own_port: int) -> bool:
    """Whether a socket is one that a program of this machine has; a wildcard stands for each address."""
    if port != own_port:
        return False
    own = ipaddress.ip_address(own_address)
    if not own.is_unspecified:
        return address in _meant(own)
    # A socket on :: takes IPv4 as well.
    return (address.version == 4 or own.version == 6) and machine.has_address(str(address))


def _own_sockets() -> list[tuple[str, int]]:
    """Where the console and its control plane listen."""
    sockets = (
        (settings.ELB_CONSOLE_HOST, settings.ELB_CONSOLE_PORT),
        (settings.ELB_XDS_HOST, settings.ELB_XDS_PORT),
    )
    return [(address, port) for host, port in sockets if host for address in _addresses(host)]


@lru_cache(maxsize=8)
def _addresses(host: str) -> tuple[str, ...]:
    """Of a name such as localhost, or of an address; none where the name is unknown."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple({str(one[4][0]).partition("%")[0] for one in found})
