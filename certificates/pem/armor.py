"""PEM as people paste it: finds its blocks, names what they hold, and where they are damaged.

The text may have a BOM, CRLF or bare CR, indentation, words around the blocks, and lost newlines.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

DASH = "[-\u2010-\u2015\u2212]"
# Bounded repeats keep a paste of a million hyphens or spaces from costing more than one pass.
MARKER = re.compile(
    r"-----(?P<kind>BEGIN|END) (?P<label>[A-Z0-9][A-Z0-9 /.#]{0,60})-----"
    r"|^[ \t>\ufeff]{0,80}(?!-----(?:BEGIN|END) [A-Z0-9][A-Z0-9 /.#]{0,60}-----)"
    rf"{DASH}{{0,10}}[ \t]{{0,3}}(?P<bent_kind>BEGIN|END)[ \t]{{1,3}}"
    r"(?P<bent_label>[A-Z0-9 ]{0,40}(?:CERTIFICATE|REQUEST|KEY|CRL|PKCS7|PKCS12|PARAMETERS|CMS))"
    rf"[ \t]{{0,3}}(?:(?!-----(?:BEGIN|END) ){DASH}){{0,10}}",
    re.MULTILINE,
)
LINE_END = re.compile(r"\r\n|\r|\n")
INVISIBLE = re.compile(r"[\s\ufeff\u200b-\u200f\u2060]+")
BASE64_LINE = re.compile(r"[A-Za-z0-9+/]*={0,2}")
LONGEST_WORD = 23
# Far beyond what can be stored, and few enough to look at in a moment.
MOST_BLOCKS = 1000
# What key material looks like where no marker tells: long base64, and the octets of `openssl pkey -text`.
# A key's last line may be short, so whole lines that follow go with the long one.
BARE_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]{24,}(?:\n[A-Za-z0-9+/=_-]+(?=\n|$))*")
PASSWORD_OIDS = re.compile(
    rb"\x30(?:[\x00-\x7f]|\x81.)\x06.\x2a\x86\x48\x86\xf7\x0d\x01[\x05\x0c]", re.DOTALL
)
BARE_OCTETS = re.compile(r"(?:[0-9A-Fa-f]{2}:[ \t\n]*){8,}(?:[0-9A-Fa-f]{2})?")


class Kind(Enum):
    """What a block holds; the value is how it is called in a sentence."""

    CERTIFICATE = "a certificate"
    TRUSTED_CERTIFICATE = "a certificate in OpenSSL's own TRUSTED form"
    REQUEST = "a certificate signing request (CSR)"
    PRIVATE_KEY = "a private key"
    PUBLIC_KEY = "a public key"
    CRL = "a certificate revocation list (CRL)"
    PKCS7 = "a PKCS#7 bundle"
    PKCS12 = "a PKCS#12 file"
    PARAMETERS = "key parameters"
    OTHER = "something that is neither a certificate nor a key"


SECRET = {Kind.PRIVATE_KEY, Kind.PKCS12}


@dataclass(frozen=True)
class Block:
    """One block: its kind, the line of its BEGIN (from 1), and its octets or what is wrong with it.

    An encrypted key of the traditional form has no octets; its text is what is opened.
    """

    kind: Kind
    line: int
    fault: str = ""
    is_encrypted: bool = False
    is_openssh: bool = False
    der: bytes = field(default=b"", repr=False)
    text: str = field(default="", repr=False)


@dataclass(frozen=True)
class _Marker:
    start: int
    end: int
    line: int
    is_begin: bool
    is_bent: bool
    label: str


@dataclass(frozen=True)
class _Span:
    """Where a block is in the text; a marker that is missing is None."""

    start: int
    end: int
    begin_marker: _Marker | None
    end_marker: _Marker | None


def blocks(text: str) -> tuple[Block, ...]:
    text = LINE_END.sub("\n", text)
    return tuple(_block(text, span) for span in islice(_spans(text), MOST_BLOCKS))


def without_private_keys(text: str) -> str:
    """The text for showing a refused form again: private keys are cut out, whole, damaged or unmarked."""
    text = LINE_END.sub("\n", text)
    if "priv" in text.lower():
        text = BARE_OCTETS.sub("", text)
    spans = tuple(islice(_spans(text), MOST_BLOCKS + 1))
    if len(spans) > MOST_BLOCKS:
        return ""
    kept, position = [], 0
    for span in spans:
        kept.append(BARE_BASE64.sub("", text[position : span.start]))
        part = text[span.start : span.end]
        if _kind(text, span) not in SECRET and "PRIVATE KEY" not in part.upper():
            kept.append(part)
        position = span.end
    kept.append(BARE_BASE64.sub("", text[position:]))
    return "".join(kept)


def private_keys_in(text: str) -> str:
    """The blocks that are or hold private keys and could be used, to keep them as a draft; "" without any."""
    keys = (block for block in blocks(text) if block.kind in SECRET and (block.der or block.is_encrypted))
    return "".join(key.text + "\n" for key in keys)


def has_unmarked_base64(text: str) -> bool:
    """Whether lines of a PEM body are there though no marker is."""
    return any(
        len(line) > 2 * LONGEST_WORD and BASE64_LINE.fullmatch(line)
        for line in (INVISIBLE.sub("", line) for line in LINE_END.split(text))
    )


def _markers(text: str) -> Iterator[_Marker]:
    line, position = 1, 0
    for match in MARKER.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        kind = match["kind"] or match["bent_kind"]
        label = (match["label"] or match["bent_label"]).strip()
        yield _Marker(match.start(), match.end(), line, kind == "BEGIN", match["kind"] is None, label)


def _spans(text: str) -> Iterator[_Span]:
    opened: _Marker | None = None
    position = 0
    for marker in _markers(text):
        if marker.is_begin:
            if opened:
                yield _Span(opened.start, marker.start, opened, None)
            opened = marker
        else:
            yield _Span(opened.start if opened else position, marker.end, opened, marker)
            opened = None
        position = marker.end
    if opened:
        yield _Span(opened.start, len(text), opened, None)


def _kind(text: str, span: _Span) -> Kind:
    labels = " ".join(marker.label for marker in (span.begin_marker, span.end_marker) if marker)
    body = text[span.begin_marker.end : span.begin_marker.end + 200] if span.begin_marker else ""
    looks = _looks_secret(body)
    if "PRIVATE KEY" in labels or looks is Kind.PRIVATE_KEY:
        return Kind.PRIVATE_KEY
    if looks:
        return looks
    for word, kind in (
        ("PKCS12", Kind.PKCS12),
        ("REQUEST", Kind.REQUEST),
        ("TRUSTED CERTIFICATE", Kind.TRUSTED_CERTIFICATE),
        ("PUBLIC KEY", Kind.PUBLIC_KEY),
        ("CRL", Kind.CRL),
        ("PKCS7", Kind.PKCS7),
        ("PKCS #7", Kind.PKCS7),
        ("CMS", Kind.PKCS7),
        ("PARAMETERS", Kind.PARAMETERS),
        ("CERTIFICATE", Kind.CERTIFICATE),
    ):
        if word in labels:
            return kind
    return Kind.OTHER


def _looks_secret(body: str) -> Kind | None:
    """Whether the body is, under whatever label, a private key or a file that may hold one."""
    head = INVISIBLE.sub("", body)[:64]
    if len(head) < 16 or not BASE64_LINE.fullmatch(head):
        return None
    octets = base64.b64decode(head[: len(head) // 4 * 4])
    inside = octets[2 + _length_octets(octets) :]
    # Private keys open with a version of 0 or 1, PKCS#12 with 3, encrypted keys with an algorithm of
    # PKCS#5 or PKCS#12 (its OID begins eight octets that all of those share); certificates with neither.
    if octets[0] != 0x30:
        return None
    if inside[:3] in (b"\x02\x01\x00", b"\x02\x01\x01") or PASSWORD_OIDS.match(inside):
        return Kind.PRIVATE_KEY
    return Kind.PKCS12 if inside[:3] == b"\x02\x01\x03" else None


def _block(text: str, span: _Span) -> Block:
    kind = _kind(text, span)
    begin, end = span.begin_marker, span.end_marker
    line = begin.line if begin else end.line if end else 1
    whole = Block(kind, line, text=text[span.start : span.end].strip())
    if begin is None:
        return _faulty(whole, f"Line {line} ends a block whose BEGIN line is missing.")
    if end is None:
        return _faulty(whole, f"The block that begins in line {begin.line} has no END line: it is cut off.")
    for bent in (begin, end):
        if bent.is_bent:
            word = "BEGIN" if bent.is_begin else "END"
            return _faulty(
                whole, f"The {word} line {bent.line} does not have exactly five hyphens on each side."
            )
    if begin.label != end.label:
        return _faulty(
            whole, f"The block that begins in line {begin.line} ends, in line {end.line}, as another kind."
        )
    body = text[begin.end : end.start]
    if "4,ENCRYPTED" in body:
        return Block(kind, line, is_encrypted=True, text=whole.text)
    if begin.label == "OPENSSH PRIVATE KEY":
        return Block(kind, line, is_openssh=True, text=whole.text)
    octets = _decoded(body, begin.line)
    if isinstance(octets, str):
        return _faulty(whole, octets)
    inside = octets[2 + _length_octets(octets) :]
    is_encrypted = kind is Kind.PRIVATE_KEY and inside[:1] == b"\x30"
    return Block(kind, line, is_encrypted=is_encrypted, der=octets, text=whole.text)


def _faulty(block: Block, fault: str) -> Block:
    return Block(block.kind, block.line, fault=fault, text=block.text)


def _decoded(body: str, first_line: int) -> bytes | str:
    """The octets of a body, or a sentence on what is wrong with it."""
    lines = [INVISIBLE.sub("", line) for line in body.split("\n")]
    for number, line in enumerate(lines, start=first_line):
        if not BASE64_LINE.fullmatch(line):
            return f"Line {number} has a character that does not belong in PEM."
    try:
        octets = base64.b64decode("".join(lines), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) < 2 or octets[0] != 0x30:
        return f"The block that begins in line {first_line} is not whole: characters are missing or altered."
    length_octets = _length_octets(octets)
    length = int.from_bytes(octets[2 : 2 + length_octets]) if length_octets else octets[1]
    difference = 2 + length_octets + length - len(octets)
    if octets[1] == 0x80 and octets.endswith(b"\0\0"):
        return octets  # BER, whose length is told by its end
    if difference:
        what = "lacks characters at its end" if difference > 0 else "has more characters than it announces"
        return f"The block that begins in line {first_line} {what}; lines were lost or repeated."
    return octets


def _length_octets(octets: bytes) -> int:
    return octets[1] & 0x7F if octets[1] & 0x80 else 0
