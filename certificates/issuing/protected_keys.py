"""A private key under a passphrase, as PKCS#8 PEM that is to lie somewhere else for years.

`cryptography` writes such keys with 2,048 rounds of key derivation, which a graphics card runs through in
no time; so the few lines of ASN.1 are written here (RFC 5958, section 3; RFC 8018, sections 6.2 and A.2).
"""

import hashlib
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from certificates.pem.asn1 import INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE
from certificates.pem.der import ENCRYPTED_KEY, pem_block

# OWASP's Password Storage Cheat Sheet, for PBKDF2 with HMAC-SHA-256. scrypt would be better still, but
# OpenSSL takes no more than 32 MiB for it, and programs other than OpenSSL read none.
ROUNDS = 600_000
PBES2, PBKDF2 = bytes.fromhex("2a864886f70d01050d"), bytes.fromhex("2a864886f70d01050c")
HMAC_SHA256, AES_256_CBC = bytes.fromhex("2a864886f70d0209"), bytes.fromhex("60864801650304012a")
NULL = b"\x05\x00"


def protected(private_key: str, passphrase: str) -> str:
    """Of a key that was stored here; read by `openssl pkey`, Java, and this console."""
    salt, start = secrets.token_bytes(16), secrets.token_bytes(16)
    secret = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ROUNDS, 32)
    padder = PKCS7(128).padder()
    key = load_pem_private_key(private_key.encode(), None, unsafe_skip_rsa_key_validation=True)
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(start)).encryptor()
    ciphertext = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    rounds = ROUNDS.to_bytes(ROUNDS.bit_length() // 8 + 1)
    derivation = _sequence(
        _element(OBJECT_IDENTIFIER, PBKDF2),
        _sequence(
            _element(OCTET_STRING, salt),
            _element(INTEGER, rounds),
            _sequence(_element(OBJECT_IDENTIFIER, HMAC_SHA256), NULL),
        ),
    )
    cipher = _sequence(_element(OBJECT_IDENTIFIER, AES_256_CBC), _element(OCTET_STRING, start))
    algorithm = _sequence(_element(OBJECT_IDENTIFIER, PBES2), _sequence(derivation, cipher))
    return pem_block(ENCRYPTED_KEY, _sequence(algorithm, _element(OCTET_STRING, ciphertext)))


def _sequence(*elements: bytes) -> bytes:
    return _element(SEQUENCE, b"".join(elements))


def _element(tag: int, body: bytes) -> bytes:
    """DER (X.690, 8.1.3): a length below 128 is one octet, a longer one follows its own length."""
    length = len(body)
    if length < 0x80:
        return bytes([tag, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + body
