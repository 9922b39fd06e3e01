"""Names of a subjectAltName, typed: what a person writes of them, in the one way in which it is compared."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509

from certificates.pem import quoted

MOST_NAMES = 100
LONGEST_NAME = 1000

LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*")
ADDRESS_LIKE = re.compile(r"[0-9]+(?:\.[0-9]+)*|.*:.*")
LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
PREFIXED = re.compile(r"\s*([A-Za-z][A-Za-z -]*?)\s*:(.*)", re.DOTALL)


class NameKind(StrEnum):
    DNS = "dns"
    EMAIL = "email"
    URI = "uri"
    IP = "ip"


# As OpenSSL and browsers write them, too.
WORDS = {
    **{kind.value: kind for kind in NameKind},
    "dns name": NameKind.DNS,
    "e-mail": NameKind.EMAIL,
    "ip address": NameKind.IP,
}


class NameFaultError(ValueError):
    """A name that cannot be taken; the sentence says what to do."""


@dataclass(frozen=True, order=True)
class AlternativeName:
    """`value` as it is compared: hosts in lower case, addresses in their shortest form."""

    kind: NameKind
    value: str

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.value}"

    @property
    def general(self) -> x509.GeneralName:
        match self.kind:
            case NameKind.DNS:
                return x509.DNSName(self.value)
            case NameKind.EMAIL:
                return x509.RFC822Name(self.value)
            case NameKind.URI:
                return x509.UniformResourceIdentifier(self.value)
            case NameKind.IP:
                return x509.IPAddress(ipaddress.ip_address(self.value))


def entered(text: str, *, wildcards: bool = False) -> tuple[AlternativeName, ...]:
    """What a person wrote, one name a line or separated by commas, each once. Raises `NameFaultError`.

    The kind may stand before the name (`ip: 192.0.2.1`); left out, it is found from its form. `wildcards`
    lets a star be the first label of a DNS name.
    """
    parts = [part.strip() for part in re.split(r"[\n,]+", text) if part.strip()]
    if len(parts) > MOST_NAMES:
        raise NameFaultError(f"There are {len(parts)} names here; at most {MOST_NAMES} are taken.")
    return tuple(dict.fromkeys(_entered(part, wildcards) for part in parts))


def _entered(text: str, wildcards: bool) -> AlternativeName:
    found = PREFIXED.fullmatch(text)
    kind = WORDS.get(found[1].lower()) if found else None
    if found and kind:
        return alternative_name(kind, found[2], wildcards=wildcards)
    return alternative_name(likely_kind(text), text, wildcards=wildcards)


def alternative_name(kind: NameKind, text: str, *, wildcards: bool = False) -> AlternativeName:
    """Raises `NameFaultError`."""
    value = text.strip()
    if not value:
        raise NameFaultError(f"There is no name behind {kind.value}:")
    if len(value) > LONGEST_NAME:
        raise NameFaultError(f"{quoted(value, 40)} is longer than {LONGEST_NAME:,} characters.")
    if any(ord(character) < 0x20 or character == "\x7f" for character in value):
        raise NameFaultError(f"{quoted(value)} has a control character, such as a tab. Remove it.")
    if wildcards and kind is NameKind.DNS and value.startswith("*."):
        return AlternativeName(kind, f"*.{dns_name(value[2:])}")
    return AlternativeName(kind, READERS[kind](value))


def likely_kind(text: str) -> NameKind:
    if "://" in text or text.lower().startswith("urn:"):
        return NameKind.URI
    if "@" in text:
        return NameKind.EMAIL
    return NameKind.IP if ADDRESS_LIKE.fullmatch(text) else NameKind.DNS


def of_extension(names: Iterable[x509.GeneralName]) -> tuple[tuple[AlternativeName, ...], tuple[str, ...]]:
    """Those of a subjectAltName that can be issued, and a sentence on each of the others."""
    taken, left_out = [], []
    for name in names:
        kind = KINDS.get(type(name))
        try:
            if kind is None:
                raise NameFaultError(f"A name of the kind {type(name).__name__} is not issued here.")
            taken.append(alternative_name(kind, str(name.value), wildcards=True))
        except NameFaultError as error:
            left_out.append(str(error))
    return tuple(dict.fromkeys(taken)), tuple(left_out)


def dns_name(value: str) -> str:
    """In lower case. Raises `NameFaultError`."""
    name = value.lower().removesuffix(".")
    if "*" in name:
        raise NameFaultError(
            f"{quoted(value)}: a star stands for nothing here. List the name of each client in full."
        )
    if ADDRESS_LIKE.fullmatch(name):
        raise NameFaultError(
            f"{quoted(value)} is no DNS name. If it is an address, list it as an IP address."
        )
    if not name.isascii():
        raise NameFaultError(
            f"{quoted(value)} has characters that no certificate has in a DNS name. Write it as the "
            "certificate does, in the form that begins with xn--."
        )
    if not DNS_NAME.fullmatch(name):
        raise NameFaultError(
            f"{quoted(value)} is no DNS name. Expected are labels of letters, digits and hyphens with dots "
            "between them, such as client.test.com."
        )
    return name


def email_address(value: str) -> str:
    """Its host in lower case. Raises `NameFaultError`."""
    local, at, host = value.rpartition("@")
    host = host.lower()
    if not at or not LOCAL_PART.fullmatch(local) or not DNS_NAME.fullmatch(host):
        raise NameFaultError(f"{quoted(value)} is no e-mail address. Expected is one such as name@test.com.")
    return f"{local}@{host}"


def uri(value: str) -> str:
    """Raises `NameFaultError`."""
    if not URI.fullmatch(value):
        raise NameFaultError(
            f"{quoted(value)} is no URI. Expected is a scheme and what it names, without blanks, such as "
            "spiffe://test.com/client."
        )
    return value


def ip_address(value: str) -> str:
    """As Envoy writes it: unlike `ipaddress`, ::ffff:192.0.2.1 with dots. Raises `NameFaultError`."""
    try:
        address = ipaddress.ip_address(value.removeprefix("[").removesuffix("]"))
        if "%" in value:
            raise ValueError
    except ValueError:
        more = " A certificate names single addresses; list each of them." if "/" in value else ""
        raise NameFaultError(
            f"{quoted(value)} is no IP address. Expected is one such as 192.0.2.1 or 2001:db8::1.{more}"
        ) from None
    return address_text(address.packed)


def address_text(octets: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(octets) == 4 else socket.AF_INET6, octets)


READERS = {
    NameKind.DNS: dns_name,
    NameKind.EMAIL: email_address,
    NameKind.URI: uri,
    NameKind.IP: ip_address,
}
KINDS: dict[type[x509.GeneralName], NameKind] = {
    x509.DNSName: NameKind.DNS,
    x509.RFC822Name: NameKind.EMAIL,
    x509.UniformResourceIdentifier: NameKind.URI,
    x509.IPAddress: NameKind.IP,
}
