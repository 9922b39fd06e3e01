"""Private keys as people paste them: one, unencrypted, consistent in itself, written out again as PKCS#8."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from certificates.pem.armor import Block, Kind, blocks, has_unmarked_base64
from certificates.pem.facts import READ_ERRORS, key_name, public_octets
from certificates.pem.findings import Field, Finding, note, refusal

LONGEST_INPUT = 1024 * 1024
LARGEST_RSA_BITS = 8192
# An RSA key of 8192 bits is 4.7 kB; anything larger is not even loaded.
LARGEST_KEY_OCTETS = 8 * 1024


@dataclass(frozen=True)
class PrivateKey:
    """`public` are the octets of its public key, to compare with a certificate's."""

    name: str
    public: bytes = field(repr=False)
    pem: str = field(repr=False)


def read_private_key(text: str) -> tuple[PrivateKey | None, tuple[Finding, ...]]:
    if not text.strip():
        return None, (
            _refusal("key_missing", "Paste the private key of the server certificate, or choose its file."),
        )
    if len(text) > LONGEST_INPUT:
        return None, (_refusal("key_too_long", "This is more than 1 MiB; a private key is a few kilobytes."),)
    found = blocks(text)
    keys = [block for block in found if block.kind is Kind.PRIVATE_KEY]
    if not keys:
        return None, (_refusal("key_not_found", _what_instead(text, found)),)
    if len(keys) > 1:
        lines = ", ".join(str(block.line) for block in keys[:5])
        sentence = (
            f"There are {len(keys)} private keys here (lines {lines}); keep the one of the certificate."
        )
        return None, (_refusal("key_several", sentence),)
    outcome = _read(keys[0])
    if isinstance(outcome, Finding):
        return None, (outcome,)
    if any(block.kind is not Kind.PARAMETERS for block in found if block is not keys[0]):
        sentence = (
            "What stood beside the private key was left out; certificates belong in Certificate Content."
        )
        return outcome, (note("key_company", sentence, Field.PRIVATE_KEY),)
    return outcome, ()


def _what_instead(text: str, found: tuple[Block, ...]) -> str:
    if found:
        first = found[0]
        return f"Line {first.line} begins {first.kind.value}; expected is a private key."
    if has_unmarked_base64(text):
        return "The BEGIN and END lines are missing; copy the private key's file whole, with both of them."
    return "No private key in PEM was found here; expected is text with a line BEGIN PRIVATE KEY or similar."


def _read(block: Block) -> PrivateKey | Finding:
    if block.is_encrypted:
        return _refusal(
            "key_encrypted",
            "The private key is encrypted, and its password cannot be given here. Decrypt it with "
            "`openssl pkey -in server.key -out server-plain.key`, and use that file.",
        )
    if block.is_openssh:
        return _refusal(
            "key_openssh",
            "The private key is in OpenSSH's own form. Convert a copy of its file with "
            "`ssh-keygen -p -N '' -m PEM -f COPY`, and use that.",
        )
    if block.fault:
        sentence = f"The private key is damaged. {block.fault} Copy its file again, whole."
        return _refusal("key_damaged", sentence)
    if len(block.der) > LARGEST_KEY_OCTETS:
        return _too_large()
    try:
        key = load_der_private_key(block.der, password=None, unsafe_skip_rsa_key_validation=True)
    except READ_ERRORS:
        return _refusal(
            "key_unreadable",
            f"The private key that begins in line {block.line} cannot be read: it is damaged, or of a kind "
            "that is not known here. Expected is RSA (2048 bits or more) or ECDSA (P-256, P-384, P-521).",
        )
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
            return _refusal(
                "key_kind",
                f"The private key is {key_name(key.public_key())}, which no HTTPS client takes. Expected is "
                "RSA (2048 bits or more) or ECDSA (P-256, P-384, P-521).",
            )
    if not is_consistent:
        return _refusal(
            "key_inconsistent",
            "The private key is damaged: its numbers do not fit each other. Copy it again from its source.",
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
    return _refusal(
        "key_too_large", f"The private key is larger than RSA {LARGEST_RSA_BITS}; use RSA 2048 to 4096."
    )


def _refusal(code: str, message: str) -> Finding:
    return refusal(code, message, Field.PRIVATE_KEY)
