"""The kinds of keys that are made here, and which public keys of others a certificate is issued for."""

import math
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from certificates.issuing.errors import IssuingError
from certificates.pem.facts import READ_ERRORS, key_name

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

SMALLEST_RSA, LARGEST_RSA = 2048, 8192
# CA/Browser Forum, Baseline Requirements, 6.1.6, and the largest exponent that BoringSSL takes.
SMALLEST_EXPONENT, LARGEST_EXPONENT_BITS = 65537, 33
SMALL_PRIMES = math.prod(n for n in range(2, 752) if all(n % divisor for divisor in range(2, n)))


class KeyKind(StrEnum):
    P256 = "ec-p256"
    P384 = "ec-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"

    @property
    def label(self) -> str:
        return LABELS[self]


LABELS = {
    KeyKind.P256: "ECDSA P-256",
    KeyKind.P384: "ECDSA P-384",
    KeyKind.RSA_2048: "RSA 2048",
    KeyKind.RSA_3072: "RSA 3072",
    KeyKind.RSA_4096: "RSA 4096",
}


def new_private_key(kind: KeyKind) -> PrivateKey:
    """RSA takes a tenth of a second to some seconds."""
    match kind:
        case KeyKind.P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.P384:
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return rsa.generate_private_key(65537, int(kind.removeprefix("rsa-")))


def written(key: PrivateKey) -> str:
    """PKCS#8 PEM, in clear: to be sealed at once."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def loaded(pem: str) -> PrivateKey:
    """A key in PKCS#8 PEM. Raises `IssuingError` for one that nothing is signed with here."""
    try:
        key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    except READ_ERRORS:
        raise IssuingError(
            "The key cannot be read. Choose the file of the CA's private key, such as ca.key.", "key"
        ) from None
    match key:
        case rsa.RSAPrivateKey() if SMALLEST_RSA <= key.key_size <= LARGEST_RSA:
            return key
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1() | ec.SECP384R1() | ec.SECP521R1()):
            return key
        case _:
            raise IssuingError(
                f"The key is {key_name(key.public_key())}. A CA that issues here has one of ECDSA P-256, "
                f"P-384 or P-521, or of RSA {SMALLEST_RSA} to {LARGEST_RSA}.",
                "key",
            )


def checked(key: PublicKeyTypes) -> PublicKey:
    """A requester's public key. Raises `IssuingError` for one that is weak or that TLS is not done with."""
    match key:
        case rsa.RSAPublicKey() if key.key_size < SMALLEST_RSA:
            raise IssuingError(
                f"The request's key is {key_name(key)}, which is too short to be safe. Make the request anew "
                "with RSA 2048 or more, or with ECDSA P-256.",
                "request",
            )
        case rsa.RSAPublicKey() if key.key_size > LARGEST_RSA:
            raise IssuingError(
                f"The request's key is {key_name(key)}, which is larger than what is taken. Make the request "
                "anew with RSA 2048 to 8192.",
                "request",
            )
        case rsa.RSAPublicKey():
            return _checked_numbers(key)
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            return key
        case _:
            raise IssuingError(
                f"The request's key is {key_name(key)}, which Envoy does not take from clients and browsers "
                "do not take from servers. Make the request anew with ECDSA P-256 or P-384, or with RSA 2048 "
                "or more.",
                "request",
            )


def _checked_numbers(key: rsa.RSAPublicKey) -> rsa.RSAPublicKey:
    numbers = key.public_numbers()
    if numbers.e < SMALLEST_EXPONENT or numbers.e.bit_length() > LARGEST_EXPONENT_BITS or numbers.e % 2 == 0:
        raise IssuingError(
            "The request's RSA key has an unusual public exponent, with which it may not be safe. Make the "
            "key and the request anew with the usual one, 65537.",
            "request",
        )
    if math.gcd(numbers.n, SMALL_PRIMES) != 1:
        raise IssuingError(
            "The request's RSA key is not safe: its modulus has a small factor. Make the key and the request "
            "anew.",
            "request",
        )
    return key
