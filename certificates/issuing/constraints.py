"""Which names a CA may issue for, where somebody asks for such a limit (RFC 5280, 4.2.1.10)."""

import ipaddress
import re
from collections.abc import Iterator, Sequence

from cryptography import x509

from certificates.alternative_names import (
    DNS_NAME,
    AlternativeName,
    NameFaultError,
    NameKind,
    dns_name,
)
from certificates.issuing.errors import IssuingError
from certificates.issuing.subject import Subject
from certificates.pem import quoted

MOST_CONSTRAINTS = 50
HOST_OF_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(\[[^\]]*\]|[^/:?#]*)")
KINDS: dict[NameKind, type[x509.GeneralName]] = {
    NameKind.DNS: x509.DNSName,
    NameKind.EMAIL: x509.RFC822Name,
    NameKind.URI: x509.UniformResourceIdentifier,
    NameKind.IP: x509.IPAddress,
}


def entered_constraints(text: str) -> tuple[x509.GeneralName, ...]:
    """Permitted DNS domains with all below them, and networks such as 192.0.2.0/24; one a line.

    Raises `IssuingError`.
    """
    parts = [part.strip() for part in re.split(r"[\n,]+", text) if part.strip()]
    if len(parts) > MOST_CONSTRAINTS:
        raise IssuingError(f"At most {MOST_CONSTRAINTS} limits are taken.", "constraints")
    return tuple(dict.fromkeys(map(_constraint, parts)))


def check(subject: Subject, names: Sequence[AlternativeName], certificate: x509.Certificate) -> None:
    """Raises `IssuingError` for a name that the CA's certificate does not permit."""
    permitted, excluded = _limits(certificate)
    for field, name, kind in _names(subject, names):
        of_kind = [one for one in permitted if isinstance(one, kind)]
        is_out = of_kind and not any(_is_within(name, one) for one in of_kind)
        if is_out or any(_is_within(name, one) for one in excluded if isinstance(one, kind)):
            raise IssuingError(
                f"This CA is limited to certain names, and {quoted(_text(name))} is not one of them."
                + (
                    f" It may issue for {', '.join(quoted(_text(one.value)) for one in of_kind)}."
                    if of_kind
                    else ""
                ),
                field,
            )


def check_addresses(names: Sequence[AlternativeName], certificate: x509.Certificate) -> None:
    """Raises `IssuingError` for an address that Envoy cannot compare: BoringSSL knows no limits of those."""
    permitted, excluded = _limits(certificate)
    address = next((name for name in names if name.kind is NameKind.IP), None)
    if address and any(isinstance(one, x509.IPAddress) for one in (*permitted, *excluded)):
        raise IssuingError(
            "This CA is limited to certain networks. Envoy cannot compare those, and keeps out every client "
            f"of such a CA that has an IP address in its certificate. Leave {address.value} out.",
            "names",
        )


def _limits(
    certificate: x509.Certificate,
) -> tuple[Sequence[x509.GeneralName], Sequence[x509.GeneralName]]:
    """What is permitted and what is excluded."""
    try:
        limits = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return (), ()
    return limits.permitted_subtrees or (), limits.excluded_subtrees or ()


def _names(
    subject: Subject, names: Sequence[AlternativeName]
) -> Iterator[tuple[str, str | x509.Name, type[x509.GeneralName]]]:
    """Every name that is compared: the field that it stands in, the name, and the kind of its limits."""
    for name in names:
        yield "names", name.value, KINDS[name.kind]
    has_dns_name = any(name.kind is NameKind.DNS for name in names)
    # OpenSSL takes a common name that looks like a host's for one where no DNS name is there.
    if not has_dns_name and "." in subject.common_name and DNS_NAME.fullmatch(subject.common_name.lower()):
        yield "common_name", subject.common_name.lower(), x509.DNSName
    if subject.name:
        yield "common_name", subject.name, x509.DirectoryName


def _text(value: object) -> str:
    return value.rfc4514_string() if isinstance(value, x509.Name) else str(value)


def _constraint(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(dns_name(text.removeprefix("*.").removeprefix(".")))
    except NameFaultError:
        raise IssuingError(
            f"{quoted(text)} is no limit. Expected is a domain such as test.com, which stands for all names "
            "below it as well, or a network such as 192.0.2.0/24.",
            "constraints",
        ) from None


def _is_within(name: str | x509.Name, limit: x509.GeneralName) -> bool:
    match limit:
        case x509.DirectoryName():
            wanted = list(limit.value.rdns)
            return isinstance(name, x509.Name) and list(name.rdns)[: len(wanted)] == wanted
        case x509.IPAddress():
            return ipaddress.ip_address(str(name)) in ipaddress.ip_network(str(limit.value))
        case x509.DNSName():
            domain = limit.value.lower().removeprefix(".")
            return not domain or f".{str(name).removeprefix('*.')}".endswith(f".{domain}")
        case x509.RFC822Name() if "@" in limit.value:
            return str(name) == limit.value
        case x509.RFC822Name():
            return _is_host_within(str(name).rpartition("@")[2], limit.value)
        case x509.UniformResourceIdentifier():
            found = HOST_OF_URI.match(str(name))
            return found is not None and _is_host_within(found[1].lower(), limit.value)
        case _:
            return False


def _is_host_within(host: str, limit: str) -> bool:
    """Of e-mail addresses and URIs: the very host, or with a dot in front the hosts below it."""
    return host.endswith(limit.lower()) if limit.startswith(".") else host == limit.lower()
