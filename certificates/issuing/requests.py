"""Certificate signing requests: what one asks for, what of it is taken, and what is left out."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from certificates.alternative_names import AlternativeName
from certificates.issuing import keys
from certificates.issuing.errors import IssuingError
from certificates.issuing.keys import PublicKey
from certificates.issuing.request_extensions import read_extensions
from certificates.issuing.subject import LONGEST_COMMON_NAME
from certificates.pem import quoted
from certificates.pem.armor import SECRET, Kind, blocks
from certificates.pem.asn1 import element
from certificates.pem.facts import READ_ERRORS, key_name, public_key_hash, public_octets

LONGEST_REQUEST = 64 * 1024  # characters
MOST_ATTRIBUTES = 50
MOST_SHOWN = 20


@dataclass(frozen=True)
class Request:
    """`left_out` are sentences on what was asked for and will not be in the certificate."""

    common_name: str
    organization: str
    names: tuple[AlternativeName, ...]
    key: str
    public_key: PublicKey = field(repr=False)
    public_key_hash: str
    left_out: tuple[str, ...]


def read_request(text: str) -> Request:
    """Of a PEM request. Raises `IssuingError` for one that must not be signed whoever it is for."""
    request = _parsed(_octets(text))
    key = _checked_key(request)
    # Its key first: with an odd one a signature proves nothing, and may be costly to look at.
    _check_signature(request)
    try:
        extensions = list(request.extensions)
        attributes = list(request.subject)
    except READ_ERRORS:
        raise IssuingError(
            "The request's names or extensions cannot be read. Make the request anew.", "request"
        ) from None
    if len(attributes) > MOST_ATTRIBUTES:
        raise IssuingError(f"The request's subject has more than {MOST_ATTRIBUTES} parts.", "request")
    common_name, organization, others = _subject(attributes)
    names, left_out = read_extensions(extensions)
    return Request(
        common_name=common_name,
        organization=organization,
        names=names,
        key=key_name(key),
        public_key=key,
        public_key_hash=public_key_hash(public_octets(key)),
        left_out=_shown([*others, *left_out]),
    )


def _octets(text: str) -> bytes:
    """DER of the one request in it."""
    if len(text) > LONGEST_REQUEST:
        raise IssuingError(
            f"This is longer than a request is ({LONGEST_REQUEST // 1024} KiB). Choose the .csr file itself.",
            "request",
        )
    found = blocks(text)
    if any(block.kind in SECRET or block.is_encrypted for block in found):
        raise IssuingError(
            "There is a private key in this. Only the request is wanted; keep the key where it is.", "request"
        )
    asked = [block for block in found if block.kind is Kind.REQUEST]
    if not asked:
        what = f"{found[0].kind.value}, not a request" if found else "no request"
        raise IssuingError(
            f"This is {what}. Expected is text with a line -----BEGIN CERTIFICATE REQUEST-----.", "request"
        )
    if fault := next((block.fault for block in asked if block.fault), ""):
        raise IssuingError(f"The request is damaged. {fault} Copy it again, whole.", "request")
    if len({block.der for block in asked}) > 1:
        raise IssuingError(
            f"There are {len(asked)} requests in this. Paste the one that a certificate is to be issued for.",
            "request",
        )
    return asked[0].der


def _parsed(octets: bytes) -> x509.CertificateSigningRequest:
    try:
        return x509.load_der_x509_csr(octets)
    except READ_ERRORS:
        raise IssuingError(
            "The request cannot be read: it is damaged. Copy it again, whole.", "request"
        ) from None


def _checked_key(request: x509.CertificateSigningRequest) -> PublicKey:
    try:
        key = request.public_key()
        # cryptography reads a curve in numbers and a key bound to RSASSA-PSS as the usual ones.
        usual = element(public_octets(key)).children()[0].raw
    except READ_ERRORS:
        raise IssuingError(
            "The request's key is damaged, or of a kind that is not known here. Make the request anew with "
            "ECDSA P-256 or P-384, or with RSA 2048 or more.",
            "request",
        ) from None
    checked = keys.checked(key)
    if usual not in request.tbs_certrequest_bytes:
        how = "is bound to RSASSA-PSS" if isinstance(key, rsa.RSAPublicKey) else "spells out its curve"
        raise IssuingError(
            f"The request's key {how}, which Envoy does not take. Make the key and the request anew with "
            "-newkey ec -pkeyopt ec_paramgen_curve:P-256.",
            "request",
        )
    return checked


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    try:
        digest = request.signature_hash_algorithm
        is_weak = isinstance(digest, hashes.MD5 | hashes.SHA1)
        is_valid = is_weak or request.is_signature_valid
    except (*READ_ERRORS, InvalidSignature):
        raise IssuingError(
            "The request is signed in a way that is not known here. Make it anew with -sha256.", "request"
        ) from None
    if is_weak:
        raise IssuingError("The request is signed with MD5 or SHA-1. Make it anew with -sha256.", "request")
    if not is_valid:
        raise IssuingError(
            "The request's signature is wrong: whoever made it does not have the key, or it was changed on "
            "the way. Make the request anew.",
            "request",
        )


def _subject(attributes: list[x509.NameAttribute[str | bytes]]) -> tuple[str, str, list[str]]:
    """Common name, organization, and what there is to say of the rest."""
    parts: dict[x509.ObjectIdentifier, list[str]] = {NameOID.COMMON_NAME: [], NameOID.ORGANIZATION_NAME: []}
    others: dict[str, None] = {}
    for attribute in attributes:
        if attribute.oid in parts:
            parts[attribute.oid].append(_plain(attribute.value))
        else:
            others[attribute.rfc4514_attribute_name] = None
    sentences = [f"Of its subject, {', '.join(sorted(others))} is left out."] if others else []
    for oid, what in ((NameOID.COMMON_NAME, "common name"), (NameOID.ORGANIZATION_NAME, "organization")):
        if len(parts[oid]) > 1:
            earlier = ", ".join(quoted(one) for one in parts[oid][:-1])
            sentences.append(f"It has more than one {what}; the last is taken, and {earlier} left out.")
    common_name, organization = ((found or [""])[-1] for found in parts.values())
    return common_name, organization, sentences


def _plain(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode("latin-1")
    if len(text) > LONGEST_COMMON_NAME or not text.isprintable() or text != text.strip():
        raise IssuingError(
            f"The request's subject has {quoted(text, 40)}, which is longer than {LONGEST_COMMON_NAME} "
            "characters, has blanks around it or characters that cannot be seen. Make it anew with a plain "
            "name.",
            "request",
        )
    return text


def _shown(sentences: list[str]) -> tuple[str, ...]:
    more = len(sentences) - MOST_SHOWN
    return (*sentences[:MOST_SHOWN], f"{more:,} more are left out.") if more > 0 else tuple(sentences)
