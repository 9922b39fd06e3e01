"""CAs that sign: what they are made of, and whether a key that somebody brings is theirs."""

from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from certificates.issuing.errors import IssuingError
from certificates.issuing.keys import PrivateKey, loaded
from certificates.issuing.validity import days_left
from certificates.pem.facts import READ_ERRORS, public_octets


@dataclass(frozen=True)
class Authority:
    """A CA that signs: its own certificate in PEM, the key in PKCS#8 PEM, and the CAs above it."""

    certificate: str
    private_key: str = field(repr=False)
    above: tuple[str, ...] = ()

    @property
    def chain(self) -> tuple[str, ...]:
        """Its own certificate and those above it, the root last."""
        return (self.certificate, *self.above)


def check_authority(certificate: str, private_key: str) -> None:
    """That the key, in PKCS#8 PEM, is that of the CA certificate, and signs. Raises `IssuingError`."""
    key = loaded(private_key)
    own = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if public_octets(own) != public_octets(key.public_key()):
        raise IssuingError("This is the key of another certificate than this CA's.", "key")
    try:
        _try(key)
    except (InvalidSignature, *READ_ERRORS):
        raise IssuingError(
            "The key is damaged: its private numbers do not fit its public ones. Copy its file again, whole.",
            "key",
        ) from None


def most_days(certificate: str, now: datetime) -> int:
    """For how many days the CA can issue from now on; 0 when it has expired."""
    return days_left(x509.load_pem_x509_certificate(certificate.encode()), now)


def _try(key: PrivateKey) -> None:
    """Its own primes and exponents are not proved otherwise; with bad ones it signs what nobody accepts."""
    trial, digest = b"trial", hashes.SHA256()
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey) and isinstance(public, rsa.RSAPublicKey):
        public.verify(key.sign(trial, padding.PKCS1v15(), digest), trial, padding.PKCS1v15(), digest)
    elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(key.sign(trial, ec.ECDSA(digest)), trial, ec.ECDSA(digest))
