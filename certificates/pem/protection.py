"""What a password protects: PKCS#5 and PKCS#12 encryption, opened only as far as its cost is bounded.

How often a key derivation goes round is read from the ASN.1 and counted before it is begun: 50 million
rounds, which a file of 200 octets can ask for, would cost nine seconds.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from certificates.pem.asn1 import OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, Asn1Error, Element
from certificates.pem.rc2 import decrypted_cbc

# All that one submitted form may ask for. Firefox writes files with three times 600,000.
MOST_ROUNDS = 3_000_000
# scrypt takes 128 octets of memory for each N * r; OpenSSL writes N = 16,384 and r = 8.
MOST_SCRYPT_BLOCKS = 2**19
LONGEST_SALT = 1024
LONGEST_PASSWORD = 1024
LONGEST_RC2 = 128 * 1024

PBES2, PBKDF2 = bytes.fromhex("2a864886f70d01050d"), bytes.fromhex("2a864886f70d01050c")
SCRYPT = bytes.fromhex("2b06010401da47040b")
PKCS12_PBE = bytes.fromhex("2a864886f70d010c01")
DIGESTS = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040204"): "sha224",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
HMAC = bytes.fromhex("2a864886f70d02")
HMACS = {7: "sha1", 8: "sha224", 9: "sha256", 10: "sha384", 11: "sha512"}
DES_EDE3 = bytes.fromhex("2a864886f70d0307")
AES = bytes.fromhex("6086480165030401")
AES_KEYS = {0x02: 16, 0x16: 24, 0x2A: 32}


class ProtectionError(Exception):
    """What is protected cannot be opened here."""


class TooCostlyError(ProtectionError):
    """`rounds` is what the key derivation asks for."""

    def __init__(self, rounds: int) -> None:
        super().__init__(rounds)
        self.rounds = rounds


class UnknownProtectionError(ProtectionError):
    """An algorithm that is not known here."""


class WrongPasswordError(ProtectionError):
    """It does not open with this password; or it is damaged, which cannot be told apart."""


class Allowance:
    """How many rounds of key derivation may still be done."""

    def __init__(self, rounds: int = MOST_ROUNDS) -> None:
        self.rounds = rounds

    def spend(self, rounds: int) -> None:
        """Raises `TooCostlyError`."""
        self.check(rounds)
        self.rounds -= rounds

    def check(self, rounds: int) -> None:
        if rounds > self.rounds:
            raise TooCostlyError(rounds)


@dataclass(frozen=True)
class Protection:
    """An encryption as its AlgorithmIdentifier describes it; `open` derives.

    `rounds` is what that costs, and `rounds_per_octet` what deciphering costs where it costs as much.
    """

    rounds: int
    open: Callable[[bytes, str], bytes]
    rounds_per_octet: int = 0


def protection(algorithm: Element) -> Protection:
    """Reads and derives nothing. Raises `Asn1Error`, `UnknownProtectionError`, `TooCostlyError`."""
    name, *parameters = algorithm.children()
    if name.tag != OBJECT_IDENTIFIER or not parameters:
        raise UnknownProtectionError
    if name.body == PBES2:
        return _pbes2(parameters[0])
    if name.body[:-1] == PKCS12_PBE:
        return _pkcs12_pbe(name.body[-1], parameters[0])
    raise UnknownProtectionError


def opened(algorithm: Element, ciphertext: bytes, password: str, allowance: Allowance) -> bytes:
    """Raises `Asn1Error` and every `ProtectionError`."""
    found = protection(algorithm)
    allowance.spend(found.rounds + found.rounds_per_octet * len(ciphertext))
    return found.open(ciphertext, password[:LONGEST_PASSWORD])


def pkcs12_key(digest: str, password: bytes, salt: bytes, rounds: int, purpose: int, length: int) -> bytes:
    """RFC 7292, appendix B.2. `purpose` is 1 for a key, 2 for an IV, 3 for a MAC."""
    size, block = hashlib.new(digest).digest_size, hashlib.new(digest).block_size
    start = bytes([purpose]) * block
    mixed = bytearray(_repeated(salt, block) + _repeated(password, block))
    key = b""
    while True:
        octets = hashlib.new(digest, start + mixed).digest()
        for _ in range(rounds - 1):
            octets = hashlib.new(digest, octets).digest()
        key += octets
        if len(key) >= length:
            return key[:length]
        addend = int.from_bytes((octets * (block // size + 1))[:block]) + 1
        for place in range(0, len(mixed), block):
            added = int.from_bytes(mixed[place : place + block]) + addend
            mixed[place : place + block] = (added % (1 << 8 * block)).to_bytes(block)


def pkcs12_password(password: str) -> bytes:
    return password.encode("utf-16-be", errors="replace") + b"\0\0"


def _pbes2(parameters: Element) -> Protection:
    derivation, encryption = parameters.parts(SEQUENCE, SEQUENCE)
    cipher_name, iv = encryption.parts(OBJECT_IDENTIFIER, OCTET_STRING)
    make_cipher, length = _cipher(cipher_name.body)
    if len(iv.body) != (8 if make_cipher is TripleDES else 16):
        raise Asn1Error("an initialization vector has the wrong length")
    rounds, derive = _derivation(derivation, length)

    def open(ciphertext: bytes, password: str) -> bytes:
        key = derive(password.encode(errors="replace"))
        return _unpadded(make_cipher, key, iv.body, ciphertext)

    return Protection(rounds, open)


def _cipher(name: bytes) -> tuple[Callable[[bytes], algorithms.AES | TripleDES], int]:
    if name == DES_EDE3:
        return TripleDES, 24
    if name[:-1] == AES and name[-1] in AES_KEYS:
        return algorithms.AES, AES_KEYS[name[-1]]
    raise UnknownProtectionError


def _derivation(algorithm: Element, length: int) -> tuple[int, Callable[[bytes], bytes]]:
    name, parameters = algorithm.parts(OBJECT_IDENTIFIER, SEQUENCE)
    if name.body == PBKDF2:
        return _pbkdf2(parameters, length)
    if name.body == SCRYPT:
        return _scrypt(parameters, length)
    raise UnknownProtectionError


def _pbkdf2(parameters: Element, length: int) -> tuple[int, Callable[[bytes], bytes]]:
    salt, count, *rest = parameters.children()
    if salt.tag != OCTET_STRING or len(salt.body) > LONGEST_SALT:
        raise UnknownProtectionError
    rounds, digest = _rounds(count), "sha1"
    # An optional key length, which the cipher tells already, and an optional function.
    for function in (part for part in rest if part.tag == SEQUENCE):
        (name,) = function.parts(OBJECT_IDENTIFIER)
        if name.body[:-1] != HMAC or name.body[-1] not in HMACS:
            raise UnknownProtectionError
        digest = HMACS[name.body[-1]]
    blocks = -(-length // hashlib.new(digest).digest_size)
    return rounds * blocks, lambda password: hashlib.pbkdf2_hmac(digest, password, salt.body, rounds, length)


def _scrypt(parameters: Element, length: int) -> tuple[int, Callable[[bytes], bytes]]:
    salt, *numbers = parameters.children()[:4]
    n, r, p = (number.number() for number in numbers)
    if salt.tag != OCTET_STRING or len(salt.body) > LONGEST_SALT or min(n, r, p) < 1 or n & n - 1 or n < 2:
        raise UnknownProtectionError
    rounds = 2 * n * r * p
    if n * r > MOST_SCRYPT_BLOCKS:
        raise TooCostlyError(rounds)
    memory = 128 * r * (n + p + 2) + 2**20

    def derive(password: bytes) -> bytes:
        return hashlib.scrypt(password, salt=salt.body, n=n, r=r, p=p, maxmem=memory, dklen=length)

    return rounds, derive


def _pkcs12_pbe(kind: int, parameters: Element) -> Protection:
    salt, count = parameters.parts(OCTET_STRING, 2)
    rounds = _rounds(count)
    if kind not in {3, 5, 6} or len(salt.body) > LONGEST_SALT:
        raise UnknownProtectionError
    length = {3: 24, 5: 16, 6: 5}[kind]

    def open(ciphertext: bytes, password: str) -> bytes:
        secret = pkcs12_password(password)
        key = pkcs12_key("sha1", secret, salt.body, rounds, 1, length)
        iv = pkcs12_key("sha1", secret, salt.body, rounds, 2, 8)
        if kind == 3:
            return _unpadded(TripleDES, key, iv, ciphertext)
        if len(ciphertext) % 8 or not 0 < len(ciphertext) <= LONGEST_RC2:
            raise WrongPasswordError
        return _without_padding(decrypted_cbc(key, iv, ciphertext), 8)

    # SHA-1 gives 20 octets a time: two for a key of three DES keys, one for the vector.
    if kind == 3:
        return Protection(rounds * 3, open)
    return Protection(rounds * 2, open, rounds_per_octet=10)


def _rounds(count: Element) -> int:
    if count.number() < 1:
        raise Asn1Error("a key derivation goes round at least once")
    return count.number()


def _unpadded(
    make_cipher: Callable[[bytes], algorithms.AES | TripleDES], key: bytes, iv: bytes, ciphertext: bytes
) -> bytes:
    if not ciphertext or len(ciphertext) % len(iv):
        raise WrongPasswordError
    decryptor = Cipher(make_cipher(key), modes.CBC(iv)).decryptor()
    return _without_padding(decryptor.update(ciphertext) + decryptor.finalize(), len(iv))


def _without_padding(octets: bytes, block: int) -> bytes:
    unpadder = PKCS7(block * 8).unpadder()
    try:
        return unpadder.update(octets) + unpadder.finalize()
    except ValueError as error:
        raise WrongPasswordError from error


def _repeated(octets: bytes, block: int) -> bytes:
    length = -(-len(octets) // block) * block
    return (octets * (length // len(octets) + 1))[:length] if octets else b""
