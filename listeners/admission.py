"""Who may enter, beyond which CA: entries of an allow-list, and the certificates that they let in.

What `admits` says is what Envoy does; a test compares the two over a table of certificates and entries.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certificates.alternative_names import (
    NameFaultError,
    NameKind,
    address_text,
    dns_name,
    email_address,
    ip_address,
    likely_kind,
    uri,
)
from certificates.pem import quoted
from certificates.pem.asn1 import OBJECT_IDENTIFIER, Asn1Error, Element, element
from listeners.spec import AllowedClientSpec, IdentityKind
from listeners.subjects import SubjectError, entered_subject, subject_text

MOST_ENTRIES = 200
LONGEST_ENTRY = 1000

HEXADECIMAL = re.compile("[0-9a-f]+")

VERSION, EXTENSIONS = 0xA0, 0xA3
SUBJECT_ALTERNATIVE_NAME = (OBJECT_IDENTIFIER, bytes.fromhex("551d11"))
EMAIL, DNS, URI_NAME, IP_ADDRESS = 0x81, 0x82, 0x86, 0x87

# As OpenSSL and browsers write them, too.
WORDS = {
    **{kind.value: kind for kind in IdentityKind},
    "dns name": IdentityKind.DNS,
    "e-mail": IdentityKind.EMAIL,
    "ip address": IdentityKind.IP,
    "sha256": IdentityKind.FINGERPRINT,
    "sha-256": IdentityKind.FINGERPRINT,
    "sha256 fingerprint": IdentityKind.FINGERPRINT,
}
PREFIXED = re.compile(r"\s*([A-Za-z0-9 -]+?)\s*(:|=)(.*)", re.DOTALL)
# A word, a colon and a blank: no address, URI or subject that somebody wrote without its kind.
UNKNOWN_KIND = re.compile(r"\s*[A-Za-z][A-Za-z -]*:\s+\S.*", re.DOTALL)
BEFORE_EQUALS = {IdentityKind.SUBJECT, IdentityKind.FINGERPRINT}


class AdmissionError(ValueError):
    """An entry that cannot be listed; the sentence says what to do."""


def entry_from_line(line: str) -> AllowedClientSpec:
    """Of a line such as `dns: client.test.com`; the kind may be left out. Raises `AdmissionError`."""
    found = PREFIXED.fullmatch(line)
    kind = WORDS.get(found[1].lower()) if found else None
    if found and kind and (found[2] == ":" or kind in BEFORE_EQUALS):
        return entry(kind, found[3])
    if UNKNOWN_KIND.fullmatch(line):
        kinds = ", ".join(one.value for one in IdentityKind)
        raise AdmissionError(f"{quoted(line.strip())} begins with none of the kinds: {kinds}.")
    return entry(_likely_kind(line.strip()), line)


def line(entry: AllowedClientSpec) -> str:
    return f"{entry.kind.value}: {entry.value}"


def entry(kind: IdentityKind, text: str) -> AllowedClientSpec:
    """What a person wrote, in the one way in which it is compared. Raises `AdmissionError`."""
    value = text.strip()
    if not value:
        raise AdmissionError("Write a value, or remove this entry.")
    if len(value) > LONGEST_ENTRY:
        raise AdmissionError(
            f"This entry is longer than {LONGEST_ENTRY:,} characters. List the client by its fingerprint."
        )
    if any(ord(character) < 0x20 or character == "\x7f" for character in value):
        raise AdmissionError("This entry has a control character, such as a tab or a line break. Remove it.")
    return AllowedClientSpec(kind, READERS[kind](value))


def admits(entries: Iterable[AllowedClientSpec], certificate: x509.Certificate) -> bool:
    """Whether a client with this certificate may enter, once a CA vouches for it."""
    return not identities(certificate).isdisjoint(entries)


def identities(certificate: x509.Certificate) -> frozenset[AllowedClientSpec]:
    """All entries that would let a certificate in; some of them nobody can list, such as *.test.com."""
    values = [(IdentityKind.FINGERPRINT, certificate.fingerprint(hashes.SHA256()).hex())]
    # Read from the octets: cryptography reads all names or none, Envoy those that it can.
    with suppress(Asn1Error, IndexError):
        parts = element(certificate.tbs_certificate_bytes).children()
        fields = parts[1:] if parts[0].tag == VERSION else parts
        values.append((IdentityKind.SUBJECT, subject_text(fields[4].raw)))
        values += _alternative_names(fields[-1])
    return frozenset(AllowedClientSpec(kind, value) for kind, value in values if value)


def _alternative_names(extensions: Element) -> list[tuple[IdentityKind, str]]:
    if extensions.tag != EXTENSIONS:
        return []
    found = [part.children() for part in extensions.children()[0].children()]
    values = [parts[-1] for parts in found if (parts[0].tag, parts[0].body) == SUBJECT_ALTERNATIVE_NAME]
    return [_alternative_name(one) for value in values for one in element(value.body).children()]


def _alternative_name(name: Element) -> tuple[IdentityKind, str]:
    text = name.body.decode("latin-1")
    if name.tag == DNS:
        return IdentityKind.DNS, _lowered(text)
    if name.tag == EMAIL:
        local, at, host = text.rpartition("@")
        return IdentityKind.EMAIL, local + at + _lowered(host)
    if name.tag == IP_ADDRESS and len(name.body) in (4, 16):
        return IdentityKind.IP, address_text(name.body)
    return IdentityKind.URI, text if name.tag == URI_NAME else ""


def _lowered(text: str) -> str:
    """Only A to Z: no other letter is the same as another in a name of a certificate."""
    return "".join(chr(ord(one) + 32) if "A" <= one <= "Z" else one for one in text)


def _likely_kind(text: str) -> IdentityKind:
    if HEXADECIMAL.fullmatch(_digits(text)) and len(_digits(text)) >= 40:
        return IdentityKind.FINGERPRINT
    kind = likely_kind(text)
    return IdentityKind.SUBJECT if "=" in text and kind is not NameKind.URI else IdentityKind(kind.value)


def _name(reader: Callable[[str], str]) -> Callable[[str], str]:
    def read(value: str) -> str:
        try:
            return reader(value)
        except NameFaultError as error:
            raise AdmissionError(str(error)) from error

    return read


def _subject(value: str) -> str:
    try:
        return entered_subject(value)
    except SubjectError as error:
        raise AdmissionError(str(error)) from error


def _fingerprint(value: str) -> str:
    digits = _digits(value)
    if not HEXADECIMAL.fullmatch(digits) or len(digits) != 64:
        sha1 = " This one has 40, as SHA-1 has." if len(digits) == 40 else ""
        raise AdmissionError(
            f"{quoted(value)} is no SHA-256 fingerprint, which has 64 hexadecimal digits.{sha1} The command "
            "`openssl x509 -noout -fingerprint -sha256 -in client.crt` shows it."
        )
    return digits


def _digits(text: str) -> str:
    return re.sub(r"[\s:]", "", text).lower()


READERS = {
    IdentityKind.DNS: _name(dns_name),
    IdentityKind.EMAIL: _name(email_address),
    IdentityKind.URI: _name(uri),
    IdentityKind.IP: _name(ip_address),
    IdentityKind.SUBJECT: _subject,
    IdentityKind.FINGERPRINT: _fingerprint,
}
