"""A client's key with its certificate and CAs, in the files that programs import.

PKCS#12 (RFC 7292), PEM, and Apple's configuration profiles
(https://developer.apple.com/documentation/devicemanagement/certificatepkcs12). Which program reads what is
in `targets` and, with sources, in docs/client-bundles.md.
"""

import plistlib
import re
import secrets
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from certificates.issuing.keys import PrivateKey, written
from certificates.issuing.protected_keys import protected

LONGEST_NAME = 40
# Whoever has a PKCS#12 file can try passwords fast: 2,048 rounds stand before its MAC.
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 64
# Letters and digits that are not taken for one another when they are read off a screen.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
PROFILES = uuid.UUID("6f5a2c0e-9d0b-4a56-8c1c-2f9f0f5f6f1d")
PASSWORD = re.compile(rf"[!-~]{{{SHORTEST_PASSWORD},{LONGEST_PASSWORD}}}")


class BundleForm(StrEnum):
    PKCS12 = "p12"
    PKCS12_LEGACY = "p12-legacy"
    PROFILE = "mobileconfig"
    PEM = "pem"
    PEM_PLAIN = "pem-plain"

    @property
    def label(self) -> str:
        return LABELS[self]

    @property
    def suffix(self) -> str:
        return self.value.partition("-")[0]

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.suffix]

    @property
    def has_password(self) -> bool:
        return self is not BundleForm.PEM_PLAIN


LABELS = {
    BundleForm.PKCS12: "PKCS#12, modern encryption (AES-256, SHA-256)",
    BundleForm.PKCS12_LEGACY: "PKCS#12, legacy encryption (3DES, SHA-1)",
    BundleForm.PROFILE: "Apple configuration profile (.mobileconfig)",
    BundleForm.PEM: "PEM, the key encrypted",
    BundleForm.PEM_PLAIN: "PEM, the key not encrypted",
}
MEDIA_TYPES = {
    "p12": "application/x-pkcs12",
    "mobileconfig": "application/x-apple-aspen-config",
    "pem": "application/x-pem-file",
}


@dataclass(frozen=True)
class Holding:
    """What a client holds, in PEM. `authorities` are the CAs above it, the nearest first.

    `name` is harmless in any program (see `harmless`); `file` is the name of the file without its end.
    """

    certificate: str
    private_key: str = field(repr=False)
    authorities: tuple[str, ...]
    name: str
    file: str


def bundle(form: BundleForm, holding: Holding, password: str) -> bytes:
    """`password` is what `PASSWORD` matches; not looked at where the form has none."""
    match form:
        case BundleForm.PKCS12:
            return _pkcs12(holding, _modern(password))
        case BundleForm.PKCS12_LEGACY:
            return _pkcs12(holding, _legacy(password))
        case BundleForm.PROFILE:
            return _profile(holding, _pkcs12(holding, _legacy(password)))
        case BundleForm.PEM | BundleForm.PEM_PLAIN:
            return _pem(holding, password if form.has_password else "")


def new_password() -> str:
    """Of 79 random bits: four groups of four letters and digits."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))


def harmless(name: str, number: int) -> str:
    """A unique name that no keychain, alias or shell stumbles over: ASCII letters, digits and hyphens."""
    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:LONGEST_NAME].strip("-")
    return f"{words or 'client'}-{number}"


def chain_of(certificate: str, known: Sequence[str]) -> tuple[str, ...]:
    """PEM of the CAs above a certificate, the nearest first, as far up as `known` reaches."""
    candidates = [one for text in known for one in x509.load_pem_x509_certificates(text.encode())]
    current, found = x509.load_pem_x509_certificate(certificate.encode()), []
    while (above := next((one for one in candidates if _has_issued(one, current)), None)) is not None:
        candidates.remove(above)
        found.append(_armored(above))
        current = above
    return tuple(found)


def _key(holding: Holding) -> PrivateKey:
    key = load_pem_private_key(holding.private_key.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, PrivateKey):
        raise TypeError("A client's key is ECDSA or RSA.")
    return key


def _has_issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    if authority.subject != certificate.issuer or authority == certificate:
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _modern(password: str) -> KeySerializationEncryption:
    builder = PrivateFormat.PKCS12.encryption_builder()
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    return builder.hmac_hash(hashes.SHA256()).build(password.encode("ascii"))


def _legacy(password: str) -> KeySerializationEncryption:
    """3DES for key and certificates alike; RC2, which older programs use for the latter, protects nothing."""
    builder = PrivateFormat.PKCS12.encryption_builder()
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    return builder.hmac_hash(hashes.SHA1()).build(password.encode("ascii"))  # noqa: S303 - what they read


def _pkcs12(holding: Holding, encryption: KeySerializationEncryption) -> bytes:
    authorities = [x509.load_pem_x509_certificate(one.encode()) for one in holding.authorities]
    return pkcs12.serialize_key_and_certificates(
        holding.name.encode("ascii"),
        _key(holding),
        x509.load_pem_x509_certificate(holding.certificate.encode()),
        authorities,
        encryption,
    )


def _pem(holding: Holding, password: str) -> bytes:
    """The certificate first, then the CAs below the root, which servers have; the key last."""
    key = protected(holding.private_key, password) if password else written(_key(holding))
    below = [one for one in holding.authorities if not _is_root(one)]
    return "".join([holding.certificate, *below, key]).encode("ascii")


def _profile(holding: Holding, identity: bytes) -> bytes:
    """The password is not in it: the device asks. Installed again, it takes its own place."""
    fingerprint = _fingerprint(holding.certificate)
    payloads = [
        _payload(
            "com.apple.security.pkcs12",
            f"{fingerprint}/identity",
            PayloadDisplayName=holding.name,
            PayloadCertificateFileName=f"{holding.file}.p12",
            PayloadContent=identity,
        )
    ]
    for number, authority in enumerate(holding.authorities, 1):
        kind = "com.apple.security.root" if _is_root(authority) else "com.apple.security.pkcs1"
        payloads.append(
            _payload(
                kind,
                f"{fingerprint}/{_fingerprint(authority)}",
                PayloadDisplayName=f"CA {number} of {holding.name}",
                PayloadCertificateFileName=f"{holding.file}-ca-{number}.cer",
                PayloadContent=x509.load_pem_x509_certificate(authority.encode()).public_bytes(Encoding.DER),
            )
        )
    whole = _payload(
        "Configuration",
        fingerprint,
        PayloadDisplayName=f"Client certificate {holding.name}",
        PayloadDescription="A client certificate with its private key, and the CA that issued it.",
        PayloadScope="User",
        PayloadContent=payloads,
    )
    return plistlib.dumps(whole)


def _payload(kind: str, path: str, **more: Any) -> dict[str, Any]:
    common = {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": "elb-console." + path.replace("/", "."),
        "PayloadUUID": str(uuid.uuid5(PROFILES, path)).upper(),
    }
    return common | more


def _is_root(certificate: str) -> bool:
    parsed = x509.load_pem_x509_certificate(certificate.encode())
    return parsed.subject == parsed.issuer


def _fingerprint(certificate: str) -> str:
    return x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA256()).hex()


def _armored(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
