"""What is said of a CA certificate: what keeps every client out, and what other programs make of it."""

from collections.abc import Iterator
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID

from certificates.pem.facts import ParsedCertificate
from certificates.pem.findings import Finding, note, quoted, refusal, warning
from certificates.pem.rules import SMALLEST_RSA_BITS, WANTED_KEY, called, period

CHECKED_CURVES = {"secp224r1", "secp256r1", "secp384r1", "secp521r1"}


def ca_refusals(certificate: ParsedCertificate, who: str) -> Iterator[Finding]:
    """What loads in Envoy without a word and then keeps every client out."""
    usage = certificate.usage
    if usage.is_ca is False:
        yield refusal(
            "ca_false",
            f"{who} says that it is no CA (basicConstraints CA:FALSE), so no client certificate under it is "
            "let in.",
            "Add the certificate of the CA that signed the client certificates.",
        )
    if usage.signs_certificates is False:
        yield refusal(
            "ca_key_usage",
            f"{who} has a keyUsage without keyCertSign, so no client certificate under it is let in.",
            "Issue the CA with keyUsage=keyCertSign,cRLSign.",
        )
    if not _can_check_clients(certificate):
        form = " with its curve spelled out" if certificate.has_explicit_curve else ""
        yield refusal(
            "ca_key_kind",
            f"{who} has a key that is {certificate.facts.key}{form}. Envoy checks no signatures with such a "
            "key, so no client certificate under it is let in.",
            WANTED_KEY,
        )


def ca_warnings(certificates: tuple[ParsedCertificate, ...], now: datetime) -> Iterator[Finding]:
    for place, certificate in enumerate(certificates, start=1):
        who = called(certificate, place, len(certificates))
        yield from _form(certificate, who)
        if certificate.is_weakly_signed:
            yield warning(
                "weak_signature",
                f"{who} is signed with {certificate.facts.signature_algorithm}. Its clients' certificates "
                'probably are too: curl with OpenSSL 3 refuses to send them (error 58, "ca md too weak"), '
                "and Envoy refuses those signed with MD5.",
                "Sign them with -sha256 in place of -sha1.",
            )
        key = certificate.public_key
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA_BITS:
            yield warning(
                "key_small",
                f"{who} has a key of {certificate.facts.key}, which is too short to be safe. OpenSSL at "
                "security level 2 (Debian's, and its own since 3.2) refuses what it signed; Envoy lets "
                "clients in under it.",
                "Make the CA again with RSA 2048 or more.",
            )
        yield from period(certificate, who, now, "it admits nobody")
        if not certificate.facts.is_self_signed and not any(
            other.issued(certificate) for other in certificates if other is not certificate
        ):
            yield note(
                "partial_chain",
                f"{who} is not a root: it was issued by {quoted(certificate.facts.issuer) or 'no name'}. "
                "Envoy lets clients in under it all the same; nginx and HAProxy want its root too.",
            )


def _can_check_clients(certificate: ParsedCertificate) -> bool:
    """Whether Envoy checks signatures with this key; each kind was tried with a client under such a CA."""
    match certificate.public_key:
        case rsa.RSAPublicKey():
            return certificate.certificate.public_key_algorithm_oid != PublicKeyAlgorithmOID.RSASSA_PSS
        case ec.EllipticCurvePublicKey() as key:
            return key.curve.name in CHECKED_CURVES and not certificate.has_explicit_curve
        case ed25519.Ed25519PublicKey():
            return True
        case _:
            return False


def _form(certificate: ParsedCertificate, who: str) -> Iterator[Finding]:
    usage, facts = certificate.usage, certificate.facts
    if facts.version == 1 and not facts.is_self_signed:
        yield warning(
            "ca_version_1",
            f"{who} is X.509 version 1 and not self-signed. Envoy lets clients in under it; nginx and "
            "HAProxy do not.",
            "Make sure that it is the CA's certificate and not a server's or client's.",
        )
    if facts.version == 3 and usage.is_ca is None and usage.signs_certificates is None:
        yield warning(
            "ca_unmarked",
            f"{who} is version 3 and says nothing of being a CA (neither basicConstraints nor keyUsage). "
            "Envoy lets clients in under it; nginx and HAProxy do not.",
            "Issue it with basicConstraints=critical,CA:TRUE.",
        )
    if not usage.admits(ExtendedKeyUsageOID.CLIENT_AUTH):
        yield warning(
            "ca_usage",
            f"{who} has an extendedKeyUsage without clientAuth. Envoy lets clients in under it; nginx and "
            "HAProxy do not.",
            "Issue the CA without extendedKeyUsage.",
        )
    if usage.constrains_names:
        yield warning(
            "ca_name_constraints",
            f"{who} limits names (nameConstraints): Envoy keeps out a client certificate without "
            "subjectAltName.",
            "Issue client certificates with a subjectAltName within those limits.",
        )
