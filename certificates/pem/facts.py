"""Certificates read into frozen facts: names, period, key, signature, and what extensions say of its use."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, PublicKeyAlgorithmOID, SignatureAlgorithmOID

from certificates.pem.names import domain_names

# What cryptography raises for octets that it cannot make sense of; found by fuzzing it.
READ_ERRORS = (
    ValueError,
    TypeError,
    OverflowError,
    LookupError,
    UnsupportedAlgorithm,
    InternalError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
LONGEST_SERIAL_NUMBER_BITS = 255
CURVE_NAMES = {
    "secp192r1": "P-192",
    "secp224r1": "P-224",
    "secp256r1": "P-256",
    "secp384r1": "P-384",
    "secp521r1": "P-521",
}
PUBLIC_POLICIES = {"2.23.140.1.1", "2.23.140.1.2.1", "2.23.140.1.2.2", "2.23.140.1.2.3"}
WEAK_DIGESTS = {"MD5", "SHA-1", "unknown digest"}


class UnreadableError(Exception):
    """Octets that are no certificate which can be read; the sentence says which part."""


@dataclass(frozen=True)
class CertificateFacts:
    """`subject` and `issuer` are RFC 4514 text, `names` the DNS names and IP addresses of the SAN.

    `pem` ends with a newline; `serial_number`, `fingerprint` and `public_key_hash` (both SHA-256, the
    latter "" where the key is of an unknown kind) are lower-case hexadecimal. `common_name` is the
    subject's last CN, "" without one.
    """

    pem: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    serial_number: str
    fingerprint: str
    key: str
    signature_algorithm: str
    not_before: datetime
    not_after: datetime
    version: int
    is_self_signed: bool
    public_key_hash: str
    common_name: str

    @property
    def server_names(self) -> tuple[str, ...]:
        """The domain names that a server certificate can be chosen for, as the console writes them."""
        return domain_names(self.names) or domain_names([self.common_name])


@dataclass(frozen=True)
class Usage:
    """What the certificate says of its own use; None where it says nothing."""

    is_ca: bool | None
    signs: bool | None
    signs_certificates: bool | None
    purposes: frozenset[x509.ObjectIdentifier] | None
    must_staple: bool
    constrains_names: bool
    is_issued_publicly: bool

    def admits(self, purpose: x509.ObjectIdentifier) -> bool:
        allowed = self.purposes
        return allowed is None or purpose in allowed or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed


@dataclass(frozen=True)
class ParsedCertificate:
    """`public_key` is None where its kind is unknown.

    `is_named` is what Envoy asks of a server certificate: a CN, or a DNS, IP or URI name in the SAN.
    """

    facts: CertificateFacts
    usage: Usage
    certificate: x509.Certificate = field(repr=False)
    public_key: CertificatePublicKeyTypes | None = field(repr=False)
    digest: str
    dns_names: tuple[str, ...]
    is_named: bool
    has_empty_common_name: bool
    has_explicit_curve: bool

    @property
    def is_weakly_signed(self) -> bool:
        return self.digest in WEAK_DIGESTS

    def issued(self, other: "ParsedCertificate") -> bool:
        return _issued(self.certificate, self.public_key, other.certificate)


def read_certificate(der: bytes) -> ParsedCertificate:
    """Raises `UnreadableError`. Everything is read here, for cryptography reads most parts when asked."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        version = 1 if certificate.version is x509.Version.v1 else 3
        serial_number = certificate.serial_number
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        pem = certificate.public_bytes(Encoding.PEM).decode()
    except READ_ERRORS as error:
        raise UnreadableError("its structure is not that of an X.509 certificate") from error
    if serial_number.bit_length() > LONGEST_SERIAL_NUMBER_BITS:
        raise UnreadableError("its serial number is far longer than the 20 octets that RFC 5280 allows")
    try:
        subject, issuer = certificate.subject, certificate.issuer
        subject_text, issuer_text = subject.rfc4514_string(), issuer.rfc4514_string()
        common_names = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except READ_ERRORS as error:
        raise UnreadableError("its subject or issuer has text in an encoding that cannot be read") from error
    try:
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except READ_ERRORS as error:
        raise UnreadableError("its period of validity cannot be read") from error
    try:
        usage = _usage(certificate.extensions)
        alternatives = _alternative_names(certificate.extensions)
    except READ_ERRORS as error:
        raise UnreadableError("its extensions cannot be read") from error
    public_key = _public_key(certificate)
    algorithm, digest = _signature(certificate)
    facts = CertificateFacts(
        pem=pem,
        subject=subject_text,
        issuer=issuer_text,
        names=tuple(
            # PostgreSQL stores no NUL; it is written as in RFC 4514.
            str(name.value).replace("\0", "\\00")
            for name in alternatives
            if isinstance(name, x509.DNSName | x509.IPAddress)
        ),
        serial_number=f"{serial_number:x}",
        fingerprint=fingerprint,
        key=_key_name(certificate, public_key),
        signature_algorithm=algorithm,
        not_before=not_before,
        not_after=not_after,
        version=version,
        is_self_signed=_issued(certificate, public_key, certificate),
        public_key_hash=public_key_hash(public_octets(public_key)) if public_key else "",
        common_name=str(common_names[-1]) if common_names else "",
    )
    return ParsedCertificate(
        facts=facts,
        usage=usage,
        certificate=certificate,
        public_key=public_key,
        digest=digest,
        dns_names=tuple(name.value for name in alternatives if isinstance(name, x509.DNSName)),
        is_named=bool(common_names) or bool(alternatives),
        has_empty_common_name=any(not name for name in common_names),
        has_explicit_curve=_has_explicit_curve(certificate, public_key),
    )


def key_name(key: PublicKeyTypes) -> str:
    """Such as "RSA 2048", "ECDSA P-256" or "Ed25519"."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"ECDSA {CURVE_NAMES.get(key.curve.name, key.curve.name)}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case ed448.Ed448PublicKey():
            return "Ed448"
        case x25519.X25519PublicKey():
            return "X25519"
        case x448.X448PublicKey():
            return "X448"
        case _:
            return "of an unknown kind"


def public_octets(key: PublicKeyTypes) -> bytes:
    """By which two public keys are compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_key_hash(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def _public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes | None:
    try:
        return certificate.public_key()
    except READ_ERRORS:
        return None


def _key_name(certificate: x509.Certificate, public_key: CertificatePublicKeyTypes | None) -> str:
    if public_key is None:
        return "of an unknown kind"
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        return key_name(public_key).replace("RSA", "RSASSA-PSS")
    return key_name(public_key)


def _has_explicit_curve(certificate: x509.Certificate, public_key: CertificatePublicKeyTypes | None) -> bool:
    # cryptography turns well-known explicit parameters into the named curve; only the octets still tell.
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        return False
    named = public_octets(public_key)
    # SubjectPublicKeyInfo is SEQUENCE { algorithm, BIT STRING }; its length takes one octet more for P-521.
    start = 2 if named[1] < 0x80 else 3
    algorithm = named[start : start + 2 + named[start + 1]]
    return algorithm not in certificate.tbs_certificate_bytes


def _usage(extensions: x509.Extensions) -> Usage:
    found = {type(extension.value): extension.value for extension in extensions}
    constraints, key_usage = found.get(x509.BasicConstraints), found.get(x509.KeyUsage)
    purposes, features = found.get(x509.ExtendedKeyUsage), found.get(x509.TLSFeature)
    return Usage(
        is_ca=constraints.ca if isinstance(constraints, x509.BasicConstraints) else None,
        signs=key_usage.digital_signature if isinstance(key_usage, x509.KeyUsage) else None,
        signs_certificates=key_usage.key_cert_sign if isinstance(key_usage, x509.KeyUsage) else None,
        purposes=frozenset(purposes) if isinstance(purposes, x509.ExtendedKeyUsage) else None,
        must_staple=isinstance(features, x509.TLSFeature) and x509.TLSFeatureType.status_request in features,
        constrains_names=x509.NameConstraints in found,
        is_issued_publicly=_is_issued_publicly(found),
    )


def _is_issued_publicly(found: Mapping[type, x509.ExtensionType]) -> bool:
    """Whether it has what only CAs that browsers trust put in: log entries, or a policy of their forum.

    CA/Browser Forum Baseline Requirements, sections 7.1.2.7 and 7.1.6.1.
    """
    policies = found.get(x509.CertificatePolicies)
    named = (
        {one.policy_identifier.dotted_string for one in policies}
        if isinstance(policies, x509.CertificatePolicies)
        else set()
    )
    return x509.PrecertificateSignedCertificateTimestamps in found or bool(named & PUBLIC_POLICIES)


def _alternative_names(extensions: x509.Extensions) -> list[x509.GeneralName]:
    """Those that a TLS client or Envoy looks at: DNS names, IP addresses, URIs."""
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    kinds = x509.DNSName | x509.IPAddress | x509.UniformResourceIdentifier
    return [name for name in names if isinstance(name, kinds)]


def _signature(certificate: x509.Certificate) -> tuple[str, str]:
    """The algorithm as people write it, and its digest's name ("" where the algorithm brings its own)."""
    oid = certificate.signature_algorithm_oid
    try:
        algorithm = certificate.signature_hash_algorithm
        parameters = _signature_parameters(certificate)
    except READ_ERRORS:
        return oid.dotted_string[:40], "unknown digest"
    if algorithm is None:
        return {"1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}.get(
            oid.dotted_string, oid.dotted_string[:40]
        ), ""
    digest = re.sub(r"^SHA(?=\d+$)", "SHA-", algorithm.name.upper())
    match parameters:
        case padding.PSS():
            method = "RSA-PSS"
        case padding.PKCS1v15():
            method = "RSA"
        case ec.ECDSA():
            method = "ECDSA"
        case _:
            method = "DSA"
    return f"{digest} with {method}", digest


def _signature_parameters(certificate: x509.Certificate) -> padding.PKCS1v15 | padding.PSS | ec.ECDSA | None:
    """None for the algorithms that have none: DSA and the Edwards curves."""
    if certificate.signature_algorithm_oid == SignatureAlgorithmOID.RSA_WITH_MD5:
        return padding.PKCS1v15()  # cryptography verifies MD5 but does not name its padding
    return certificate.signature_algorithm_parameters


def _issued(
    issuer: x509.Certificate, issuer_key: CertificatePublicKeyTypes | None, certificate: x509.Certificate
) -> bool:
    # Not verify_directly_issued_by: it knows no SHA-1, which the guide's certificates are signed with.
    try:
        if issuer.subject != certificate.issuer:
            return False
        signature, signed = certificate.signature, certificate.tbs_certificate_bytes
        digest, parameters = certificate.signature_hash_algorithm, _signature_parameters(certificate)
        match issuer_key, parameters:
            case rsa.RSAPublicKey(), padding.PKCS1v15() | padding.PSS() if digest:
                issuer_key.verify(signature, signed, parameters, digest)
            case ec.EllipticCurvePublicKey(), ec.ECDSA():
                issuer_key.verify(signature, signed, parameters)
            case dsa.DSAPublicKey(), _ if digest:
                issuer_key.verify(signature, signed, digest)
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey(), _ if digest is None:
                issuer_key.verify(signature, signed)
            case _:
                return False
    except (InvalidSignature, *READ_ERRORS):
        return False
    return True
