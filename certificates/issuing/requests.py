"""Certificate signing requests: what one asks for, what of it is taken, and what is left out."""

import re
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID

from certificates import alternative_names
from certificates.alternative_names import AlternativeName
from certificates.issuing.errors import IssuingError
from certificates.issuing.keys import PublicKey
from certificates.pem import quoted
from certificates.pem.facts import READ_ERRORS, key_name, public_key_hash, public_octets

LONGEST_REQUEST = 64 * 1024  # characters
MOST_EXTENSIONS = 50
BLOCK = re.compile(
    r"-----BEGIN (NEW )?CERTIFICATE REQUEST-----.*?-----END (NEW )?CERTIFICATE REQUEST-----", re.DOTALL
)
SMALLEST_RSA, LARGEST_RSA = 2048, 8192


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
    request = _parsed(text)
    key = _checked_key(request)
    try:
        extensions = list(request.extensions)
        common_name = _part(request, NameOID.COMMON_NAME)
        organization = _part(request, NameOID.ORGANIZATION_NAME)
        others = sorted(
            {
                attribute.rfc4514_attribute_name
                for attribute in request.subject
                if attribute.oid not in {NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME}
            }
        )
    except READ_ERRORS:
        raise IssuingError("The request's names or extensions cannot be read.", "request") from None
    if len(extensions) > MOST_EXTENSIONS:
        raise IssuingError(f"The request has more than {MOST_EXTENSIONS} extensions.", "request")
    names, left_out = _extensions(extensions)
    if others:
        left_out = (f"Of its subject, {', '.join(others)} is left out.", *left_out)
    return Request(
        common_name=common_name,
        organization=organization,
        names=names,
        key=key_name(key),
        public_key=key,
        public_key_hash=public_key_hash(public_octets(key)),
        left_out=left_out,
    )


def _parsed(text: str) -> x509.CertificateSigningRequest:
    if len(text) > LONGEST_REQUEST:
        raise IssuingError("This is longer than a request is. Choose the .csr file itself.", "request")
    if "PRIVATE KEY-----" in text:
        raise IssuingError(
            "There is a private key in this. Only the request is wanted; keep the key where it is.", "request"
        )
    found = BLOCK.search(text)
    if not found:
        what = "a certificate, not a request" if "BEGIN CERTIFICATE-----" in text else "no request"
        raise IssuingError(
            f"This is {what}. Expected is text with a line -----BEGIN CERTIFICATE REQUEST-----.", "request"
        )
    lines = "\n".join(line.strip() for line in found[0].splitlines())
    try:
        request = x509.load_pem_x509_csr(lines.encode())
        is_valid = request.is_signature_valid
    except (*READ_ERRORS, InvalidSignature):
        raise IssuingError(
            "The request cannot be read: it is damaged. Copy it again, whole.", "request"
        ) from None
    if not is_valid:
        raise IssuingError(
            "The request's signature is wrong: whoever made it does not have the key, or it was changed on "
            "the way. Make the request anew.",
            "request",
        )
    if isinstance(request.signature_hash_algorithm, hashes.MD5 | hashes.SHA1):
        raise IssuingError("The request is signed with MD5 or SHA-1. Make it anew with -sha256.", "request")
    return request


def _checked_key(request: x509.CertificateSigningRequest) -> PublicKey:
    try:
        key = request.public_key()
    except READ_ERRORS:
        raise IssuingError("The request's key is of a kind that is not known here.", "request") from None
    match key:
        case rsa.RSAPublicKey() if key.key_size < SMALLEST_RSA:
            raise IssuingError(
                f"The request's key is {key_name(key)}, which is too short to be safe. Make the request anew "
                "with RSA 2048 or more, or with ECDSA P-256.",
                "request",
            )
        case rsa.RSAPublicKey() if key.key_size > LARGEST_RSA or key.public_numbers().e.bit_length() > 33:
            raise IssuingError("The request's key is larger than what is taken: RSA 2048 to 8192.", "request")
        case rsa.RSAPublicKey():
            return key
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            return key
        case _:
            raise IssuingError(
                f"The request's key is {key_name(key)}, which Envoy does not take from clients. Make the "
                "request anew with ECDSA P-256 or P-384, or with RSA 2048 or more.",
                "request",
            )


def _extensions(
    extensions: list[x509.Extension[x509.ExtensionType]],
) -> tuple[tuple[AlternativeName, ...], tuple[str, ...]]:
    names: tuple[AlternativeName, ...] = ()
    left_out: list[str] = []
    for extension in extensions:
        value = extension.value
        match value:
            case x509.SubjectAlternativeName():
                names, sentences = alternative_names.of_extension(value)
                left_out += sentences
            case x509.BasicConstraints() if value.ca:
                raise IssuingError(
                    "The request asks for a CA certificate (basicConstraints CA:TRUE), with which its holder "
                    "could let in anybody. Make it anew without.",
                    "request",
                )
            case x509.KeyUsage() if value.key_cert_sign or value.crl_sign:
                raise IssuingError(
                    "The request asks to sign certificates or CRLs (keyUsage), which is for CAs. Make it "
                    "anew without.",
                    "request",
                )
            case x509.NameConstraints():
                raise IssuingError(
                    "The request asks for nameConstraints, which are for CAs. Make it anew without.",
                    "request",
                )
            case x509.BasicConstraints() | x509.KeyUsage() | x509.ExtendedKeyUsage():
                left_out.append(f"Its {_called(extension)} is replaced by what the profile sets.")
            case _:
                left_out.append(f"Its {_called(extension)} is left out.")
    return names, tuple(left_out)


def _called(extension: x509.Extension[x509.ExtensionType]) -> str:
    name = extension.oid._name
    known = {
        ExtensionOID.BASIC_CONSTRAINTS: "basicConstraints",
        ExtensionOID.KEY_USAGE: "keyUsage",
        ExtensionOID.EXTENDED_KEY_USAGE: "extendedKeyUsage",
    }
    if extension.oid in known:
        return known[extension.oid]
    return f"extension {name if name != 'Unknown OID' else extension.oid.dotted_string}"


def _part(request: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier) -> str:
    found = request.subject.get_attributes_for_oid(oid)
    if not found:
        return ""
    value = found[-1].value
    text = value if isinstance(value, str) else value.decode("latin-1")
    if len(text) > 64 or not text.isprintable() or text != text.strip():
        raise IssuingError(
            f"The request's subject has {quoted(text, 40)}, which is longer than 64 characters or has some "
            "that cannot be seen. Make it anew with a plain name.",
            "request",
        )
    return text
