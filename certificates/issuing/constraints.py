"""Which names a CA may issue for, where somebody asks for such a limit (RFC 5280, 4.2.1.10)."""

import ipaddress
import re
from collections.abc import Iterable

from cryptography import x509

from certificates.alternative_names import AlternativeName, NameFaultError, NameKind, dns_name
from certificates.issuing.errors import IssuingError
from certificates.pem import quoted

MOST_CONSTRAINTS = 50


def entered_constraints(text: str) -> tuple[x509.GeneralName, ...]:
    """Permitted DNS domains with all below them, and networks such as 192.0.2.0/24; one a line.

    Raises `IssuingError`.
    """
    parts = [part.strip() for part in re.split(r"[\n,]+", text) if part.strip()]
    if len(parts) > MOST_CONSTRAINTS:
        raise IssuingError(f"At most {MOST_CONSTRAINTS} limits are taken.", "constraints")
    return tuple(map(_constraint, dict.fromkeys(parts)))


def check(names: Iterable[AlternativeName], certificate: x509.Certificate) -> None:
    """Raises `IssuingError` for a name that the CA's certificate does not permit."""
    try:
        limits = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        kind = {NameKind.DNS: x509.DNSName, NameKind.IP: x509.IPAddress}.get(name.kind)
        permitted = [one for one in limits.permitted_subtrees or () if kind and isinstance(one, kind)]
        excluded = [one for one in limits.excluded_subtrees or () if kind and isinstance(one, kind)]
        if (permitted and not any(_is_within(name, one) for one in permitted)) or any(
            _is_within(name, one) for one in excluded
        ):
            shown = ", ".join(str(one.value) for one in permitted) or "others"
            raise IssuingError(
                f"This CA is limited to certain names, and {quoted(name.value)} is not one of them. It may "
                f"issue for {shown}.",
                "names",
            )


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


def _is_within(name: AlternativeName, limit: x509.GeneralName) -> bool:
    if isinstance(limit, x509.IPAddress):
        return ipaddress.ip_address(name.value) in ipaddress.ip_network(str(limit.value))
    domain = str(limit.value).lower().removeprefix(".")
    return f".{name.value.removeprefix('*.')}".endswith(f".{domain}")
