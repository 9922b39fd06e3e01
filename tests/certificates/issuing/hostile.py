"""Requests that openssl does not make: any subject, any extensions, keys that are none, broken signatures."""

import base64
import textwrap
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY = ec.generate_private_key(ec.SECP256R1())
NUMBERS = KEY.public_key().public_numbers()
POINT = NUMBERS.x.to_bytes(32) + NUMBERS.y.to_bytes(32)
COMPRESSED = bytes([2 + NUMBERS.y % 2]) + POINT[:32]
MODULUS = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n

UTF8_STRING, BIT_STRING, T61_STRING, BMP_STRING = 0x0C, 0x03, 0x14, 0x1E
OID_COMMON_NAME, OID_COUNTRY = bytes.fromhex("0603550403"), bytes.fromhex("0603550406")
EC_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
UNKNOWN_ALGORITHM = bytes.fromhex("300406022a03")
EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")
# A subjectAltName with the DNS name a.b
NAMES = bytes.fromhex("300e0603551d11040730058203612e62")


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + body


def sequence(*parts: bytes) -> bytes:
    return der(0x30, *parts)


def integer(number: int) -> bytes:
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def subject(octets: bytes, tag: int = UTF8_STRING, oid: bytes = OID_COMMON_NAME) -> bytes:
    """A name of one attribute, a common name unless said otherwise."""
    return sequence(der(0x31, sequence(oid, der(tag, octets))))


def on_p256(point: bytes) -> bytes:
    return sequence(EC_P256, der(BIT_STRING, b"\0" + point))


def of_rsa(modulus: int, exponent: int) -> bytes:
    return sequence(RSA_ENCRYPTION, der(BIT_STRING, b"\0" + sequence(integer(modulus), integer(exponent))))


def octets_of(
    name: bytes = subject(b"client"),
    extensions: Sequence[bytes] = (),
    public_key: bytes | None = None,
    signature: bytes | None = None,
    algorithm: bytes = ECDSA_SHA256,
) -> bytes:
    """Signed with `KEY` unless there is a signature; `public_key` is a SubjectPublicKeyInfo, of `KEY` too."""
    own = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    asked = [sequence(EXTENSION_REQUEST, der(0x31, sequence(*extensions)))] if extensions else []
    signed = sequence(integer(0), name, public_key or own, der(0xA0, *asked))
    signature = signature or KEY.sign(signed, ec.ECDSA(hashes.SHA256()))
    return sequence(signed, algorithm, der(BIT_STRING, b"\0" + signature))


def raw(*arguments: object, **options: object) -> str:
    return pem(octets_of(*arguments, **options))  # type: ignore[arg-type]


def rsa_request(modulus: int, exponent: int) -> str:
    """Not signed, for nobody looks that far."""
    return raw(public_key=of_rsa(modulus, exponent), algorithm=RSA_SHA256, signature=bytes(256))


def pem(octets: bytes, label: str = "CERTIFICATE REQUEST") -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(octets).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def built(
    *extensions: x509.ExtensionType,
    critical: bool = False,
    attributes: Sequence[tuple[x509.ObjectIdentifier, str]] = ((x509.NameOID.COMMON_NAME, "client"),),
) -> str:
    """As a careful program makes it, whatever it asks for."""
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    builder = x509.CertificateSigningRequestBuilder(subject_name=name)
    for one in extensions:
        builder = builder.add_extension(one, critical)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
