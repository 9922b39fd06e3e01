"""What came, sorted out by what it is: certificates and keys, out of bundles and encrypted files too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from certificates.pem.armor import Block, Kind, blocks, has_unmarked_base64
from certificates.pem.der import LABELS, pem_block
from certificates.pem.findings import Finding, refusal
from certificates.pem.pkcs12 import Contents, contents, signed_certificates
from certificates.pem.private_keys import (
    PrivateKey,
    key_refusal,
    protection_finding,
    read_private_key,
)
from certificates.pem.protection import Allowance, ProtectionError

# Of one submitted form, everything together.
LONGEST_INPUT = 1024 * 1024
# Keys are opened and checked one by one; nobody has this many to choose from.
MOST_KEYS = 20


@dataclass(frozen=True)
class Contained:
    """The blocks of one field with its containers opened; `findings` are of those that did not open.

    `revealed` is PEM of the certificates that a password hid.
    """

    text: str = field(repr=False)
    blocks: tuple[Block, ...]
    findings: tuple[Finding, ...]
    revealed: str

    @property
    def keys(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.kind is Kind.PRIVATE_KEY)

    @property
    def others(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.kind is not Kind.PRIVATE_KEY)

    @property
    def certificates(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.kind is Kind.CERTIFICATE)


def contained(text: str, password: str, allowance: Allowance) -> Contained:
    found: list[Block] = []
    findings: list[Finding] = []
    revealed: list[str] = []
    for block in blocks(text):
        if block.kind not in {Kind.PKCS7, Kind.PKCS12} or block.fault:
            found.append(block)
            continue
        try:
            inside = tuple(_inside(block, password, allowance))
        except ProtectionError as error:
            findings.append(protection_finding("file", error, password))
            continue
        except ValueError:
            findings.append(_unreadable(block))
            continue
        found += inside
        if not inside:
            findings.append(_empty(block))
        if block.kind is Kind.PKCS12:
            revealed += [one.text for one in inside if one.kind is Kind.CERTIFICATE]
    distinct = {finding.message: finding for finding in findings}
    return Contained(text, tuple(found), tuple(distinct.values()), "".join(revealed))


def chosen_key(
    own: Contained, content: Contained, password: str, allowance: Allowance
) -> PrivateKey | Finding | None:
    """The one key in what was given as Private Key (`own`) and among the certificates (`content`).

    None where what should hold it could not be opened, which has been said.
    """
    candidates = (*own.keys, *content.keys)
    is_junk = bool(own.text.strip()) and not (own.keys or own.certificates)
    if not candidates or is_junk:
        return _no_key(own, content)
    if len(candidates) > MOST_KEYS:
        return _several(candidates)
    outcomes = [read_private_key(block, password, allowance) for block in candidates]
    keys = {one.public: one for one in outcomes if isinstance(one, PrivateKey)}
    faults = [one for one in outcomes if isinstance(one, Finding)]
    if len(keys) + len(faults) > 1 and not (len(keys) == 0 and len({one.code for one in faults}) == 1):
        return _several(candidates)
    return faults[0] if faults else next(iter(keys.values()))


def _inside(block: Block, password: str, allowance: Allowance) -> Iterator[Block]:
    """Raises `ValueError` (of which `Asn1Error` is one) and `ProtectionError`."""
    if block.kind is Kind.PKCS7:
        opened = Contents(signed_certificates(block.der))
    else:
        opened = contents(block.der, password, allowance)
    for octets in opened.certificates:
        text = pem_block(LABELS[Kind.CERTIFICATE], octets)
        yield Block(Kind.CERTIFICATE, block.line, der=octets, text=text)
    for octets in opened.keys:
        yield Block(Kind.PRIVATE_KEY, block.line, der=octets)


def _unreadable(block: Block) -> Finding:
    return refusal(
        "container_unreadable",
        f"Line {block.line} begins {block.kind.value} that cannot be read: it is damaged, or written in "
        "a way that is not known here.",
        "Export it again, or convert it to PEM with `openssl pkcs12 -in FILE -nodes` or `openssl pkcs7 "
        "-print_certs -in FILE`.",
    )


def _empty(block: Block) -> Finding:
    return refusal(
        "container_empty",
        f"Line {block.line} begins {block.kind.value} in which there is neither a certificate nor a key.",
        "Export it again with its certificates.",
    )


def _no_key(own: Contained, content: Contained) -> Finding | None:
    if own.findings or content.findings:
        return None
    if not own.text.strip():
        return key_refusal(
            "key_missing",
            "There is no private key.",
            "Paste that of the server certificate, or choose its file.",
        )
    return key_refusal("key_not_found", _what_instead(own))


def _what_instead(own: Contained) -> str:
    if own.blocks:
        first = own.blocks[0]
        return f"Line {first.line} begins {first.kind.value}; expected is a private key."
    if has_unmarked_base64(own.text):
        return "The BEGIN and END lines are missing; copy the private key's file whole, with both of them."
    return "No private key was found here; expected is text with a line BEGIN PRIVATE KEY or similar."


def _several(keys: Sequence[Block]) -> Finding:
    lines = ", ".join(str(block.line) for block in keys[:5])
    return key_refusal(
        "key_several",
        f"There are {len(keys)} private keys here (lines {lines}).",
        "Keep the one of the certificate.",
    )
