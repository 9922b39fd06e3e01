"""The kinds of keys that certificates are issued for."""

from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


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
    """Of a key that was stored here. Raises TypeError for one of another kind."""
    key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, PrivateKey):
        raise TypeError("A CA's key is ECDSA or RSA.")
    return key
