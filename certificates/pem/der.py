"""Binary files: what they are by their structure, and the same as PEM, which everything after reads."""

import base64
import textwrap

from certificates.pem.armor import Kind
from certificates.pem.asn1 import (
    BIT_STRING,
    CONSTRUCTED,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    Asn1Error,
    element,
)

LABELS = {
    Kind.CERTIFICATE: "CERTIFICATE",
    Kind.REQUEST: "CERTIFICATE REQUEST",
    Kind.PRIVATE_KEY: "PRIVATE KEY",
    Kind.PUBLIC_KEY: "PUBLIC KEY",
    Kind.CRL: "X509 CRL",
    Kind.PKCS7: "PKCS7",
    Kind.PKCS12: "PKCS12",
}
ENCRYPTED_KEY = "ENCRYPTED PRIVATE KEY"
VERSION_0 = 0xA0
TIMES = {0x17, 0x18}


def armored(octets: bytes) -> str:
    """The file as PEM under the label of what it is; "" when it is nothing that is known here."""
    try:
        label = _label(octets)
    except Asn1Error:
        label = ""
    return pem_block(label, octets) if label else ""


def pem_block(label: str, octets: bytes) -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(octets).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def _label(octets: bytes) -> str:
    """Raises `Asn1Error`."""
    whole = element(octets)
    parts = whole.children()
    tags = tuple(part.tag for part in parts[:3])
    if whole.tag != SEQUENCE or not parts:
        return ""
    if tags[0] == INTEGER:
        is_pkcs12 = parts[0].body == b"\x03" and tags[1:2] == (SEQUENCE,)
        return LABELS[Kind.PKCS12 if is_pkcs12 else Kind.PRIVATE_KEY]
    if tags[0] == OBJECT_IDENTIFIER:
        return LABELS[Kind.PKCS7]
    if tags == (SEQUENCE, OCTET_STRING):
        return ENCRYPTED_KEY
    if tags == (SEQUENCE, BIT_STRING):
        return LABELS[Kind.PUBLIC_KEY]
    if tags == (SEQUENCE, SEQUENCE, BIT_STRING):
        return LABELS[_signed_kind(tuple(part.tag for part in parts[0].children()[:6]))]
    return ""


def _signed_kind(tags: tuple[int, ...]) -> Kind:
    """By what is signed: a certificate, a request or a list of revoked certificates."""
    if tags[:1] == (VERSION_0,):
        return Kind.CERTIFICATE
    if TIMES & set(tags[:4]):
        return Kind.CRL
    # Version 1: serial number, algorithm, issuer, period, subject, key. A request has name, key, [0].
    return Kind.CERTIFICATE if tags[:6] == (INTEGER, *[SEQUENCE] * 5) else Kind.REQUEST


def is_whole_element(octets: bytes) -> bool:
    """Whether a file is one BER element from its first octet to its last, which text never is."""
    try:
        return bool(octets[0] & CONSTRUCTED) and element(octets).tag == SEQUENCE
    except (Asn1Error, IndexError):
        return False
