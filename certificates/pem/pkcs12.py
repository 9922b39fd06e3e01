"""PKCS#12 (RFC 7292) and PKCS#7 (RFC 2315): which certificates and keys are in them."""

import hmac
from dataclasses import dataclass, field

from certificates.pem.asn1 import (
    CONSTRUCTED,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    Asn1Error,
    Element,
    element,
)
from certificates.pem.protection import (
    DIGESTS,
    Allowance,
    WrongPasswordError,
    opened,
    pkcs12_key,
    pkcs12_password,
    protection,
)

PKCS7 = bytes.fromhex("2a864886f70d0107")
DATA, SIGNED, ENCRYPTED = PKCS7 + b"\x01", PKCS7 + b"\x02", PKCS7 + b"\x06"
BAG = bytes.fromhex("2a864886f70d010c0a01")
KEY_BAG, SHROUDED_KEY_BAG, CERTIFICATE_BAG, BAGS_BAG = (BAG + bytes([kind]) for kind in (1, 2, 3, 6))
X509 = bytes.fromhex("2a864886f70d01091601")
CONTEXT_0 = 0x80
EXPLICIT_0 = CONTEXT_0 | CONSTRUCTED
MOST_BAGS = 1000
MOST_DEPTH = 4
LONGEST_SALT = 1024


@dataclass(frozen=True)
class Contents:
    """DER of certificates, and of private keys as PKCS#8 in clear."""

    certificates: tuple[bytes, ...] = ()
    keys: tuple[bytes, ...] = field(default=(), repr=False)


def signed_certificates(octets: bytes) -> tuple[bytes, ...]:
    """The certificates of a PKCS#7 bundle, as they come. Raises `Asn1Error`."""
    name, content = element(octets).parts(OBJECT_IDENTIFIER, EXPLICIT_0)
    if name.body != SIGNED:
        raise Asn1Error("it has no certificates")
    (signed,) = content.parts(SEQUENCE)
    bundle = next((part for part in signed.children() if part.tag == EXPLICIT_0), None)
    return tuple(part.raw for part in bundle.children() if part.tag == SEQUENCE) if bundle else ()


def contents(octets: bytes, password: str, allowance: Allowance) -> Contents:
    """What a PKCS#12 file holds. Raises `Asn1Error` and every `ProtectionError`."""
    version, safe, *mac = element(octets).children()
    if version.tag != INTEGER:
        raise Asn1Error("a version was expected")
    authenticated = _data(safe)
    safes = element(authenticated).children()
    # All that can be read without a password is counted before any of it is done.
    allowance.check(sum(_visible_rounds(one) for one in safes) + (_mac(mac[0]).rounds if mac else 0))
    if mac:
        _check_mac(_mac(mac[0]), authenticated, password, allowance)
    bags = [bag for one in safes for bag in _bags(_safe_contents(one, password, allowance))]
    if len(bags) > MOST_BAGS:
        raise Asn1Error("there are too many parts")
    return Contents(
        certificates=tuple(_certificate(value) for kind, value in bags if kind == CERTIFICATE_BAG),
        keys=tuple(
            value.raw if kind == KEY_BAG else opened_key(value, password, allowance)
            for kind, value in bags
            if kind in {KEY_BAG, SHROUDED_KEY_BAG}
        ),
    )


def opened_key(encrypted: Element, password: str, allowance: Allowance) -> bytes:
    """An EncryptedPrivateKeyInfo (PKCS#8) in clear. Raises `Asn1Error` and every `ProtectionError`."""
    algorithm, ciphertext = encrypted.children()[:2]
    octets = opened(algorithm, ciphertext.octets(), password, allowance)
    try:
        element(octets).parts(INTEGER, SEQUENCE)
    except Asn1Error as error:
        raise WrongPasswordError from error
    return octets


def key_rounds(encrypted: Element) -> int:
    """What opening an EncryptedPrivateKeyInfo costs."""
    (algorithm,) = encrypted.parts(SEQUENCE)
    return protection(algorithm).rounds


@dataclass(frozen=True)
class _Mac:
    digest: str
    value: bytes
    salt: bytes
    rounds: int


def _mac(mac: Element) -> _Mac:
    info, salt, *count = mac.children()
    algorithm, value = info.parts(SEQUENCE, OCTET_STRING)
    (name,) = algorithm.parts(OBJECT_IDENTIFIER)
    if len(salt.body) > LONGEST_SALT:
        raise Asn1Error("a salt is too long")
    # Another way to authenticate (PBMAC1) is left alone: a wrong password shows when the content is opened.
    return _Mac(DIGESTS.get(name.body, ""), value.body, salt.body, count[0].number() if count else 1)


def _check_mac(mac: _Mac, authenticated: bytes, password: str, allowance: Allowance) -> None:
    if not mac.digest:
        return
    # "No password" is written in two ways.
    for secret in (pkcs12_password(password), *([b""] if not password else [])):
        allowance.spend(mac.rounds)
        key = pkcs12_key(mac.digest, secret, mac.salt, mac.rounds, 3, len(mac.value))
        if hmac.compare_digest(hmac.digest(key, authenticated, mac.digest), mac.value):
            return
    raise WrongPasswordError


def _visible_rounds(safe: Element) -> int:
    if _kind(safe) == ENCRYPTED:
        return protection(_encrypted(safe)[0]).rounds
    return sum(key_rounds(value) for kind, value in _bags(_data(safe)) if kind == SHROUDED_KEY_BAG)


def _safe_contents(safe: Element, password: str, allowance: Allowance) -> bytes:
    if _kind(safe) == DATA:
        return _data(safe)
    algorithm, ciphertext = _encrypted(safe)
    octets = opened(algorithm, ciphertext.octets(), password, allowance)
    try:
        element(octets)
    except Asn1Error as error:
        raise WrongPasswordError from error
    return octets


def _kind(content: Element) -> bytes:
    (name,) = content.parts(OBJECT_IDENTIFIER)
    if name.body not in {DATA, ENCRYPTED}:
        raise Asn1Error("its content is neither plain nor encrypted by a password")
    return name.body


def _data(content: Element) -> bytes:
    name, value = content.parts(OBJECT_IDENTIFIER, EXPLICIT_0)
    if name.body != DATA:
        raise Asn1Error("plain content was expected")
    return value.children()[0].octets() if value.body else b""


def _encrypted(content: Element) -> tuple[Element, Element]:
    _, value = content.parts(OBJECT_IDENTIFIER, EXPLICIT_0)
    (wrapper,) = value.parts(SEQUENCE)
    _, info = wrapper.parts(INTEGER, SEQUENCE)
    _, algorithm, *ciphertext = info.children()
    if not ciphertext or ciphertext[0].tag & ~CONSTRUCTED != CONTEXT_0:
        raise Asn1Error("encrypted content was expected")
    return algorithm, ciphertext[0]


def _bags(octets: bytes, depth: int = 0) -> list[tuple[bytes, Element]]:
    """Kinds and values of the bags, those inside of bags included."""
    if depth > MOST_DEPTH:
        raise Asn1Error("parts are nested too deep")
    found = []
    for bag in element(octets).children():
        name, content = bag.parts(OBJECT_IDENTIFIER, EXPLICIT_0)
        (value,) = content.children()[:1] or (content,)
        if name.body == BAGS_BAG:
            found += _bags(value.raw, depth + 1)
        else:
            found.append((name.body, value))
    return found


def _certificate(value: Element) -> bytes:
    name, content = value.parts(OBJECT_IDENTIFIER, EXPLICIT_0)
    if name.body != X509:
        raise Asn1Error("a certificate is of another kind than X.509")
    return content.children()[0].octets() if content.body else b""
