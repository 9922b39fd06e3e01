"""BER and DER as far as containers of keys and certificates need it: elements, nothing decoded ahead of need.

Every walk is bounded: by depth, by the number of elements, and by the octets that are there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

SEQUENCE, SET, INTEGER, OCTET_STRING, OBJECT_IDENTIFIER, BIT_STRING = 0x30, 0x31, 0x02, 0x04, 0x06, 0x03
CONSTRUCTED = 0x20
MOST_DEPTH = 16
MOST_ELEMENTS = 5000


class Asn1Error(ValueError):
    """Octets that are not what they would have to be."""


@dataclass(frozen=True)
class Element:
    """`tag` is the identifier octet, `body` the content, `raw` all of its octets."""

    tag: int
    body: bytes = field(repr=False)
    raw: bytes = field(repr=False)

    def children(self) -> tuple["Element", ...]:
        if not self.tag & CONSTRUCTED:
            raise Asn1Error("an element that has parts was expected")
        return elements(self.body)

    def parts(self, *tags: int) -> tuple["Element", ...]:
        """The first children, which must have these tags. Further ones are left out."""
        found = self.children()[: len(tags)]
        if tuple(part.tag for part in found) != tags:
            raise Asn1Error("a part is missing or of another kind")
        return found

    def octets(self, depth: int = 0) -> bytes:
        """Of an OCTET STRING or what is tagged as one; BER may have it in pieces."""
        if not self.tag & CONSTRUCTED:
            return self.body
        if depth > MOST_DEPTH:
            raise Asn1Error("pieces are nested too deep")
        return b"".join(piece.octets(depth + 1) for piece in self.children())

    def number(self) -> int:
        """Of an INTEGER that is a count: not negative, below 2**64."""
        if self.tag != INTEGER or not 0 < len(self.body) <= 9:
            raise Asn1Error("a number was expected")
        return int.from_bytes(self.body, signed=True)


def element(octets: bytes) -> Element:
    """The one element that these octets are. Raises `Asn1Error`."""
    found, end = _element(octets, 0, 0)
    if end != len(octets):
        raise Asn1Error("octets are left over")
    return found


def elements(octets: bytes) -> tuple[Element, ...]:
    """Raises `Asn1Error`."""
    return tuple(_walk(octets))


def _walk(octets: bytes) -> Iterator[Element]:
    position, count = 0, 0
    while position < len(octets):
        found, position = _element(octets, position, 0)
        count += 1
        if count > MOST_ELEMENTS:
            raise Asn1Error("there are too many parts")
        yield found


def _element(octets: bytes, start: int, depth: int) -> tuple[Element, int]:
    """The element at `start`, and where the next one begins."""
    if depth > MOST_DEPTH:
        raise Asn1Error("parts are nested too deep")
    if start + 2 > len(octets) or octets[start] & 0x1F == 0x1F:
        raise Asn1Error("an element is cut off or has a long tag")
    tag, length, body = octets[start], octets[start + 1], start + 2
    if length == 0x80:
        if not tag & CONSTRUCTED:
            raise Asn1Error("a length is missing")
        end = _end_of_contents(octets, body, depth)
        return Element(tag, octets[body:end], octets[start : end + 2]), end + 2
    if length & 0x80:
        size = length & 0x7F
        if size > 4:
            raise Asn1Error("a length is too large")
        length, body = int.from_bytes(octets[body : body + size]), body + size
    end = body + length
    if end > len(octets):
        raise Asn1Error("an element is cut off")
    return Element(tag, octets[body:end], octets[start:end]), end


def _end_of_contents(octets: bytes, position: int, depth: int) -> int:
    for _ in range(MOST_ELEMENTS):
        if octets[position : position + 2] == b"\0\0":
            return position
        _, position = _element(octets, position, depth + 1)
    raise Asn1Error("there are too many parts")
