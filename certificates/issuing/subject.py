"""Who a certificate is for: the few parts of a subject that are issued here."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from certificates.issuing.errors import IssuingError
from certificates.pem import quoted

# RFC 5280, appendix A.1: ub-common-name and ub-organization-name. It counts characters; `cryptography`
# counts octets, and what it does not write is not issued.
LONGEST_COMMON_NAME = LONGEST_ORGANIZATION = 64


@dataclass(frozen=True)
class Subject:
    """`common_name` may be empty where there is an organization. Raises `IssuingError`."""

    common_name: str
    organization: str = ""

    def __post_init__(self) -> None:
        _check(self.common_name, LONGEST_COMMON_NAME, "common_name")
        _check(self.organization, LONGEST_ORGANIZATION, "organization")
        if not self.common_name and not self.organization:
            raise IssuingError("Write who the certificate is for.", "common_name")

    @property
    def name(self) -> x509.Name:
        # Each is a UTF8String, as RFC 5280, 4.1.2.4 wants it of new certificates.
        parts = (
            (NameOID.ORGANIZATION_NAME, self.organization),
            (NameOID.COMMON_NAME, self.common_name),
        )
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])


def _check(value: str, longest: int, field: str) -> None:
    octets = len(value.encode(errors="replace"))
    if octets > longest:
        more = "" if value.isascii() else " Characters beyond a to z take two to four."
        raise IssuingError(
            f"{quoted(value, 40)} has {octets:,} bytes; a certificate has room for {longest} here.{more}",
            field,
        )
    if value != value.strip():
        raise IssuingError("Leave out the blanks before and behind it.", field)
    if not value.isprintable():
        raise IssuingError(
            f"{quoted(value)} has characters that cannot be seen, such as a line break or a mark that turns "
            "the direction of writing. Remove them.",
            field,
        )
