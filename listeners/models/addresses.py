"""The addresses and ports that rows may hold."""

import ipaddress

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator

PORT_RANGE = [MinValueValidator(1), MaxValueValidator(65535)]


def validate_listening_address(value: str) -> None:
    """Refuses what a socket cannot listen on."""
    address = ip_address(value)
    if address.is_multicast or str(address) == "255.255.255.255":
        raise ValidationError(
            f"{value} is a multicast or broadcast address; nothing can listen for HTTP there. "
            "Enter an address of this machine, or 0.0.0.0 for all of them."
        )


def validate_backend_address(value: str) -> None:
    address = ip_address(value)
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        raise ValidationError(
            f"{value} is not the address of one backend server; enter an address such as 192.0.2.10."
        )


def ip_address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; one that hides in another's spelling is refused, for no check would know it again."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise ValidationError(f"{value} is not an IPv4 or IPv6 address.") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ValidationError(f"{value} is an IPv4 address in disguise; enter {address.ipv4_mapped}.")
    return address
