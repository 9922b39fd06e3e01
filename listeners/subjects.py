"""Subjects of certificates as text, letter for letter as Envoy compares them (RFC 2253).

Measured against Envoy 1.40: what it writes differs from cryptography's `rfc4514_string` in the names of
attributes, in characters outside ASCII and in the order of parts joined by a plus.
"""

import re
from collections.abc import Iterable

from certificates.pem import quoted
from certificates.pem.asn1 import OBJECT_IDENTIFIER, SEQUENCE, Asn1Error, Element, element

# BoringSSL's names; it writes the value of any other attribute in hexadecimal.
NAMES = {
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.15": "businessCategory",
    "2.5.4.16": "postalAddress",
    "2.5.4.17": "postalCode",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
}
ALIASES = {"e": "1.2.840.113549.1.9.1", "email": "1.2.840.113549.1.9.1", "s": "2.5.4.8"}
OIDS = {**{oid: oid for oid in NAMES}, **{name.lower(): oid for oid, name in NAMES.items()}, **ALIASES}
ENCODINGS = {
    0x0C: "utf-8",
    **dict.fromkeys((0x12, 0x13, 0x14, 0x16, 0x1A), "latin-1"),
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
SPECIAL = frozenset(',+"\\<>;')
# What stands for itself, a character after a backslash, or the octets that two digits stand for.
VALUE = r"""(?:[^,+"\\<>;]|\\[0-9A-Fa-f]{2}|\\.)*"""
# A blank before the equals sign is OpenSSL's form, which has the parts the other way round.
PART = re.compile(rf"\s*([A-Za-z0-9.]+)=\s*({VALUE})(,|\+|\Z)", re.DOTALL)
OCTETS = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
PIECE = re.compile(rf"{OCTETS.pattern}|\\.|.", re.DOTALL)
HOW = "Write it as the console shows subjects, the most specific part first: CN=client,O=ELB."

Attribute = tuple[str, str]


class SubjectError(ValueError):
    """A subject that cannot be listed; the sentence says what to do."""


def subject_text(name: bytes) -> str:
    """Of a DER encoded name; "" for one that Envoy cannot write, or writes in hexadecimal in part."""
    try:
        sets = element(name).children()
        return _joined([[_attribute(part) for part in one.children()] for one in sets])
    except (ValueError, LookupError):
        return ""


def entered_subject(text: str) -> str:
    """What a person wrote, as Envoy writes it. Raises `SubjectError`."""
    if text.startswith("/"):
        raise SubjectError(f"A subject does not begin with a slash. {HOW}")
    if (len(text) - len(text.rstrip("\\"))) % 2:
        text += " "  # the escaped blank at the end of a line that was trimmed
    sets: list[list[Attribute]] = [[]]
    position = 0
    while True:
        part = PART.match(text, position)
        if part is None:
            raise SubjectError(
                f"{quoted(text[position:].strip(), 40) or 'Its end'} cannot be read as part of a subject. "
                f'{HOW} A backslash goes before each , + " \\ < > ; that belongs to a value.'
            )
        sets[-1].append((_oid(part[1]), _value(part[2])))
        if not part[3]:
            break
        if part[3] == ",":
            sets.append([])
        position = part.end()
    # DER has the parts of one set in the order of their octets.
    return _joined([sorted(one, key=_octets) for one in reversed(sets)])


def _joined(sets: Iterable[Iterable[Attribute]]) -> str:
    parts = [
        "+".join(f"{NAMES[oid]}={_escaped(value)}" for oid, value in reversed(list(one))) for one in sets
    ]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    written = []
    for place, character in enumerate(value):
        if character in SPECIAL or (place == 0 and character in " #"):
            written.append("\\" + character)
        elif place == len(value) - 1 and character == " ":
            written.append("\\ ")
        elif " " <= character <= "~":
            written.append(character)
        else:
            written.append("".join(f"\\{octet:02X}" for octet in character.encode()))
    return "".join(written)


def _attribute(part: Element) -> Attribute:
    oid, value = part.children()
    if part.tag != SEQUENCE or oid.tag != OBJECT_IDENTIFIER:
        raise Asn1Error("a name has a part of another kind")
    text = value.body.decode(ENCODINGS[value.tag])
    if not _is_text(text):
        raise Asn1Error("a name has what is no character")
    return _dotted(oid.body), text


def _is_text(value: str) -> bool:
    """Whether every code point is a character, as BoringSSL demands (Unicode, section 23.7)."""
    points = [ord(character) for character in value]
    return not any(0xD800 <= p <= 0xDFFF or 0xFDD0 <= p <= 0xFDEF or p & 0xFFFE == 0xFFFE for p in points)


def _dotted(body: bytes) -> str:
    numbers, number = [], 0
    for octet in body:
        number = number << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _oid(written: str) -> str:
    try:
        return OIDS[written.lower()]
    except KeyError:
        raise SubjectError(
            f"A subject with {quoted(written, 40)} cannot be listed, for Envoy does not know this "
            "attribute. List the client by its fingerprint."
        ) from None


def _value(written: str) -> str:
    if written.startswith("#"):
        raise SubjectError(f"A value in hexadecimal cannot be listed. {HOW}")
    pieces = PIECE.findall(written)
    # Blanks at the end belong to a value only behind a backslash.
    while pieces and pieces[-1].isspace():
        pieces.pop()
    try:
        value = "".join(map(_plain, pieces))
    except UnicodeDecodeError:
        raise SubjectError(f"{quoted(written, 40)} has octets that are not UTF-8.") from None
    if not _is_text(value):
        raise SubjectError(f"{quoted(written, 40)} has what is no character.")
    return value


def _plain(piece: str) -> str:
    if not piece.startswith("\\"):
        return piece
    return bytes.fromhex(piece.replace("\\", "")).decode() if OCTETS.fullmatch(piece) else piece[1:]


def _octets(attribute: Attribute) -> bytes:
    oid, value = attribute
    first, second, *others = map(int, oid.split("."))
    body = b"".join(map(_base_128, [first * 40 + second, *others]))
    content = _element(OBJECT_IDENTIFIER, body) + _element(0x0C, value.encode())
    return _element(SEQUENCE, content)


def _base_128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))


def _element(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + body
