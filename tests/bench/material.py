"""What both sides store: facts of many certificates in plain numbers, and real ones to upload."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

KINDS = ["web", "api", "pay", "mail", "shop", "cdn", "auth", "db"]
KEYS = ["RSA 2048", "RSA 4096", "ECDSA P-256"]


@dataclass(frozen=True)
class Facts:
    number: int
    name: str
    domain: str
    fingerprint: str
    serial_number: int
    key: str
    begins: datetime
    ends: datetime

    @property
    def is_ca(self) -> bool:
        return self.number % 50 == 0


def many(count: int) -> Iterator[Facts]:
    """The same for every run, whatever the count."""
    chance = random.Random(5280)  # noqa: S311 # nothing secret
    today = datetime.now(UTC).replace(microsecond=0)
    for number in range(1, count + 1):
        kind = chance.choice(KINDS)
        fingerprint = hashlib.sha256(str(number).encode()).hexdigest()
        ends = today + timedelta(days=chance.randint(-20, 380), seconds=chance.randint(0, 86_399))
        yield Facts(
            number=number,
            name=f"{kind}-{number:06d}",
            domain=f"{kind}-{number:06d}.example.com",
            fingerprint=fingerprint,
            serial_number=int(fingerprint[:38], 16),
            key=chance.choice(KEYS),
            begins=ends - timedelta(days=397),
            ends=ends,
        )


@dataclass(frozen=True)
class Pem:
    certificate: str
    private_key: str


def authority() -> tuple[Pem, rsa.RSAPrivateKey]:
    key = rsa.generate_private_key(65537, 2048)
    certificate = _certificate("Benchmark CA", "Benchmark CA", key, key, is_ca=True)
    return _pem(certificate, key), key


def leaf(number: int, issuer_key: rsa.RSAPrivateKey) -> Pem:
    """An RSA-2048 server certificate with its private key."""
    key = rsa.generate_private_key(65537, 2048)
    return _pem(
        _certificate(f"upload-{number}.example.com", "Benchmark CA", key, issuer_key, is_ca=False), key
    )


def _certificate(
    name: str, issuer: str, key: rsa.RSAPrivateKey, issuer_key: rsa.RSAPrivateKey, *, is_ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        purposes = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> Pem:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pem(certificate.public_bytes(Encoding.PEM).decode(), private.decode())
