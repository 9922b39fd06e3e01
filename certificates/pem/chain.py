"""The order of a server's chain: the leaf, then what issued it, up to the root; strangers are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.x509.oid import ExtendedKeyUsageOID

from certificates.pem.facts import ParsedCertificate, public_octets


@dataclass(frozen=True)
class Chain:
    """`strangers` are certificates that did not issue, directly or in steps, the leaf."""

    ordered: tuple[ParsedCertificate, ...]
    strangers: tuple[ParsedCertificate, ...]

    @property
    def leaf(self) -> ParsedCertificate:
        return self.ordered[0]


def chain(certificates: Sequence[ParsedCertificate], public_key: bytes | None) -> Chain:
    """Orders distinct certificates, at least one. `public_key` settles which of several is the leaf."""
    leaf = _leaf(certificates, public_key)
    return _climb(leaf, [certificate for certificate in certificates if certificate is not leaf])


def is_anchored(
    server: Sequence[ParsedCertificate], trusted: Sequence[ParsedCertificate], now: datetime
) -> bool:
    """Whether a client that trusts `trusted` and nothing else accepts the chain `server`, leaf first.

    Judged as strictly as OpenSSL does: every certificate is valid now, and the path ends in a
    self-signed CA that says it is one or is of version 1.
    """
    known = {certificate.facts.fingerprint for certificate in server}
    path = _climb(
        server[0], [*server[1:], *(one for one in trusted if one.facts.fingerprint not in known)]
    ).ordered
    if not all(one.facts.not_before <= now <= one.facts.not_after for one in path):
        return False
    if not server[0].usage.admits(ExtendedKeyUsageOID.SERVER_AUTH):
        return False
    anchors = {one.facts.fingerprint for one in trusted if one.facts.is_self_signed and _is_authority(one)}
    return any(one.facts.fingerprint in anchors for one in path)


def has_key(certificate: ParsedCertificate, public_key: bytes) -> bool:
    return certificate.public_key is not None and public_octets(certificate.public_key) == public_key


def _climb(leaf: ParsedCertificate, others: Sequence[ParsedCertificate]) -> Chain:
    ordered, left = [leaf], list(others)
    # Breadth first: the list grows while it is walked, so cross-signed issuers find their place too.
    for certificate in ordered:
        issuers = [other for other in left if other.issued(certificate)]
        ordered += issuers
        left = [other for other in left if other not in issuers]
    return Chain(tuple(ordered), tuple(left))


def _is_authority(certificate: ParsedCertificate) -> bool:
    usage = certificate.usage
    if certificate.facts.version == 1 or usage.is_ca:
        return usage.signs_certificates is not False
    return usage.is_ca is None and usage.signs_certificates is True


def _leaf(certificates: Sequence[ParsedCertificate], public_key: bytes | None) -> ParsedCertificate:
    """What issued none of the others; of several such, the one that has the key, else the first."""
    ends = [
        certificate
        for certificate in certificates
        if not any(certificate.issued(other) for other in certificates if other is not certificate)
    ] or list(certificates)
    if public_key is not None:
        return next((end for end in ends if has_key(end, public_key)), ends[0])
    return ends[0]
