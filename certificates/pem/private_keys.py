"""Private keys as they come: opened when encrypted, consistent in themselves, written out again as PKCS#8."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from certificates.pem.armor import Block
from certificates.pem.asn1 import element
from certificates.pem.facts import READ_ERRORS, key_name, public_octets
from certificates.pem.findings import Field, Finding, refusal
from certificates.pem.pkcs12 import key_rounds, opened_key
from certificates.pem.protection import (
    Allowance,
    ProtectionError,
    TooCostlyError,
    UnknownProtectionError,
    WrongPasswordError,
)

LARGEST_RSA_BITS = 8192
# An RSA key of 8192 bits is 4.7 kB; anything larger is not even loaded.
LARGEST_KEY_OCTETS = 8 * 1024
WANTED_KEY = "Expected is RSA (2048 bits or more) or ECDSA (P-256, P-384, P-521)."
COPY_AGAIN = "Copy its file again, whole."


@dataclass(frozen=True)
class PrivateKey:
    """`public` are the octets of its public key, to compare with a certificate's."""

    name: str
    public: bytes = field(repr=False)
    pem: str = field(repr=False)


def read_private_key(block: Block, password: str, allowance: Allowance) -> PrivateKey | Finding:
    if block.is_openssh:
        return key_refusal(
            "key_openssh",
            "The private key is in OpenSSH's own form.",
            "Convert a copy of its file with `ssh-keygen -p -N '' -m PEM -f COPY`, and use that.",
        )
    if block.fault:
        return key_refusal("key_damaged", f"The private key is damaged. {block.fault}", COPY_AGAIN)
    if max(len(block.der), len(block.text) // 2) > LARGEST_KEY_OCTETS:
        return _too_large()
    try:
        return _checked(_loaded(block, password, allowance))
    except ProtectionError as error:
        return protection_finding("private key", error, password)
    except READ_ERRORS:
        return key_refusal(
            "key_unreadable",
            f"The private key that begins in line {block.line} cannot be read: it is damaged, or of a kind "
            "that is not known here.",
            WANTED_KEY,
        )


def protection_finding(what: str, error: ProtectionError, password: str) -> Finding:
    """Why something that a password protects was not opened; `what` is the private key or the file."""
    match error:
        case TooCostlyError():
            return key_refusal(
                "protection_costly",
                f"The password of the {what} is protected by {error.rounds:,} rounds of key derivation, more "
                "than are done here.",
                "Write it anew with fewer: `openssl pkcs8 -topk8 -iter 100000` for a key, `openssl pkcs12 "
                "-export -iter 100000` for a .p12 file.",
            )
        case WrongPasswordError() if password:
            return refusal(
                "password_wrong",
                f"The {what} does not open with this password.",
                "Type the password again; capital letters count.",
                Field.PASSWORD,
            )
        case WrongPasswordError():
            return refusal(
                "password_missing",
                f"The {what} is encrypted.",
                "Type its password. It is used once, and not kept.",
                Field.PASSWORD,
            )
        case _:
            return key_refusal(
                "protection_unknown",
                f"The {what} is encrypted in a way that is not known here.",
                "Write it anew: `openssl pkcs8 -topk8 -in FILE` for a key, `openssl pkcs12 -export` for a "
                ".p12 file.",
            )


def key_refusal(code: str, message: str, next_step: str = "") -> Finding:
    return refusal(code, message, next_step, Field.PRIVATE_KEY)


def _loaded(block: Block, password: str, allowance: Allowance) -> PrivateKeyTypes:
    """Raises `ProtectionError` and `READ_ERRORS`."""
    if not block.is_encrypted:
        return load_der_private_key(block.der, password=None, unsafe_skip_rsa_key_validation=True)
    if block.der:
        encrypted = element(block.der)
        allowance.check(key_rounds(encrypted))
        if not password:
            raise WrongPasswordError
        octets = opened_key(encrypted, password, allowance)
        return load_der_private_key(octets, password=None, unsafe_skip_rsa_key_validation=True)
    if not password:
        raise WrongPasswordError
    # The traditional form derives its key in one round, whatever it says.
    text = "\n".join(line.strip() for line in block.text.split("\n"))
    secret = password.encode(errors="replace")
    try:
        return load_pem_private_key(text.encode(), secret, unsafe_skip_rsa_key_validation=True)
    except READ_ERRORS as error:
        if "cipher" in str(error).lower() or "DEK-Info" not in text:
            raise UnknownProtectionError from error
        raise WrongPasswordError from error


def _checked(key: PrivateKeyTypes) -> PrivateKey | Finding:
    match key:
        case rsa.RSAPrivateKey():
            if key.key_size > LARGEST_RSA_BITS:
                return _too_large()
            is_consistent = _rsa_is_consistent(key)
        case ec.EllipticCurvePrivateKey():
            is_consistent = _ec_is_consistent(key)
        case ed25519.Ed25519PrivateKey() | ed448.Ed448PrivateKey():
            is_consistent = True  # the public key is always derived from the private one
        case _:
            kind = key_name(key.public_key())
            return key_refusal(
                "key_kind", f"The private key is {kind}, which no HTTPS client takes.", WANTED_KEY
            )
    if not is_consistent:
        return key_refusal(
            "key_inconsistent",
            "The private key is damaged: its numbers do not fit each other.",
            "Copy it again from its source.",
        )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key()
    return PrivateKey(key_name(public), public_octets(public), pem)


def _rsa_is_consistent(key: rsa.RSAPrivateKey) -> bool:
    """RFC 8017, section 3.2. That p and q are primes is not proven: for 8192 bits it would take seconds."""
    numbers = key.private_numbers()
    public = numbers.public_numbers
    p, q, d = numbers.p, numbers.q, numbers.d
    # BoringSSL takes public exponents of at most 33 bits, and a private exponent below the modulus.
    if not (p > 2 and q > 2 and p & q & public.e & 1 and 2 < public.e < 2**33 and 1 < d < public.n):
        return False
    return (
        p * q == public.n
        and d * public.e % (p - 1) == 1
        and d * public.e % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and numbers.iqmp < p
        and numbers.iqmp * q % p == 1
    )


def _ec_is_consistent(key: ec.EllipticCurvePrivateKey) -> bool:
    try:
        derived = ec.derive_private_key(key.private_numbers().private_value, key.curve)
    except READ_ERRORS:
        return False
    return public_octets(derived.public_key()) == public_octets(key.public_key())


def _too_large() -> Finding:
    return key_refusal(
        "key_too_large", f"The private key is larger than RSA {LARGEST_RSA_BITS}.", "Use RSA 2048 to 4096."
    )
