"""What becomes of client certificates that are tried against a list and the chosen CAs; nothing is stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.utils import timezone

from certificates import pem
from certificates.pem.examination import LARGEST_CHAIN
from listeners.admission import AdmissionError, admits, entry, identities, line
from listeners.spec import AllowedClientSpec, IdentityKind

MOST_TRIED = 20
FOR_CLIENTS = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
NOT_VOUCHED_FOR = (
    "is refused: none of the chosen CA certificates vouches for it. If an intermediate CA issued it, paste "
    "that certificate, too."
)
# What a certificate raises whose extensions cannot be read.
UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


@dataclass(frozen=True)
class Trial:
    """What becomes of one client; `could_be` are lines that would list it, each by itself."""

    subject: str
    enters: bool
    sentence: str
    could_be: tuple[str, ...] = ()


def trials(
    entries: Sequence[AllowedClientSpec],
    certificates: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
) -> list[Trial]:
    """What becomes of clients with these certificates; CAs among them only stand between.

    No authorities: whether one vouches for a client is left open.
    """
    between = [one for one in certificates if _is_ca(one)]
    tried = [one for one in certificates if one not in between] or between
    return [_trial(entries, one, authorities, between) for one in tried[:MOST_TRIED]]


def is_vouched_for(
    certificate: x509.Certificate,
    authorities: Sequence[x509.Certificate],
    between: Sequence[x509.Certificate] = (),
) -> bool:
    """Whether one of the authorities issued it, or issued one `between` that did, and so on."""
    for _ in range(LARGEST_CHAIN):
        if any(_issued(certificate, one) for one in authorities):
            return True
        above = next((one for one in between if one != certificate and _issued(certificate, one)), None)
        if above is None:
            return False
        certificate = above
    return False


def _trial(
    entries: Sequence[AllowedClientSpec],
    certificate: x509.Certificate,
    authorities: Sequence[x509.Certificate],
    between: Sequence[x509.Certificate],
) -> Trial:
    own = identities(certificate)
    written = next((one.value for one in own if one.kind == IdentityKind.SUBJECT), "")
    subject = pem.quoted(written) or "A certificate without a subject"
    if sentence := _refusal(certificate):
        return Trial(subject, False, sentence)
    if not admits(entries, certificate):
        return Trial(subject, False, "is refused: no line is in it.", tuple(_lines_for(own)))
    if authorities and not is_vouched_for(certificate, authorities, between):
        return Trial(subject, False, NOT_VOUCHED_FOR)
    by = next(one for one in entries if one in own)
    return Trial(subject, True, f"enters, by the line {pem.quoted(line(by))}.")


def _refusal(certificate: x509.Certificate) -> str:
    """Why no listener lets it in, "" for no reason."""
    now = timezone.now()
    if certificate.not_valid_after_utc <= now:
        return f"is refused: it expired on {certificate.not_valid_after_utc:%Y-%m-%d}."
    if certificate.not_valid_before_utc > now:
        return f"is refused: it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC."
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (*UNREADABLE, x509.ExtensionNotFound):
        return ""
    if FOR_CLIENTS.isdisjoint(usage):
        return "is refused: its extendedKeyUsage has no clientAuth, so it is not for clients."
    return ""


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (*UNREADABLE, x509.ExtensionNotFound):
        return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _lines_for(own: frozenset[AllowedClientSpec]) -> list[str]:
    """What can be listed of a certificate, a name rather than a fingerprint, which the next one changes."""
    kinds = list(IdentityKind)
    lines = []
    for one in sorted(own, key=lambda one: (kinds.index(one.kind), one.value)):
        try:
            if entry(one.kind, one.value) == one:
                lines.append(line(one))
        except AdmissionError:
            continue
    return lines
