"""What people hand in for a certificate, turned into frozen facts and findings; it never raises.

What is kept is what was parsed, written out again: Envoy stumbles over a BOM, indentation or a lost newline.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from certificates.pem.armor import Block, Kind, has_unmarked_base64
from certificates.pem.ca_rules import ca_refusals, ca_warnings
from certificates.pem.chain import Chain, chain, has_key, is_anchored
from certificates.pem.facts import (
    CertificateFacts,
    ParsedCertificate,
    UnreadableError,
    public_key_hash,
    read_certificate,
)
from certificates.pem.findings import Field, Finding, Severity, note, quoted, refusal, refuses
from certificates.pem.intake import LONGEST_INPUT, Contained, chosen_key, contained
from certificates.pem.private_keys import PrivateKey
from certificates.pem.protection import Allowance
from certificates.pem.rules import called
from certificates.pem.server_rules import server_refusals, server_warnings

LARGEST_CHAIN = 11
LARGEST_CA_BUNDLE = 100
COPY_AGAIN = "Copy its file again, whole, from the BEGIN line to the END line."

# What to do about a block that is no certificate, by what it is.
ADVICE = {
    Kind.PRIVATE_KEY: "Leave it out: the key of a CA is not needed here and should stay where it is.",
    Kind.REQUEST: "Have the CA sign it, and add the certificate that comes of it (.crt, not .csr).",
    Kind.TRUSTED_CERTIFICATE: "Write it in the common form with `openssl x509 -in FILE -out plain.crt`.",
}
NOTHING = Contained("", (), (), "")
# Given the hash of a public key: the name of a stored certificate that has it, or "".
Whose = Callable[[str], str]


@dataclass(frozen=True)
class Material:
    """What is stored: certificates (a server's leaf first) and the private key as PKCS#8 PEM."""

    certificates: tuple[CertificateFacts, ...]
    private_key: str | None = field(repr=False)
    findings: tuple[Finding, ...]

    @property
    def content(self) -> str:
        return "".join(facts.pem for facts in self.certificates)


@dataclass(frozen=True)
class Verdict:
    """`material` is None when any finding refuses; the rest is what was understood all the same.

    `key_fits` is None without a key or a certificate to compare. `opened_key` is the private key in
    clear, `revealed` PEM of certificates that a password hid: what a refused form keeps, so that the
    password need not be typed again.
    """

    material: Material | None
    findings: tuple[Finding, ...]
    certificates: tuple[CertificateFacts, ...] = ()
    key_name: str = ""
    key_fits: bool | None = None
    opened_key: str = field(default="", repr=False)
    revealed: str = ""


def examine_server(
    content: str,
    private_key: str,
    now: datetime,
    password: str = "",
    whose: Whose = lambda public_key_hash: "",
) -> Verdict:
    if too_long := _too_long(content, private_key):
        return Verdict(None, too_long)
    allowance = Allowance()
    given, own = contained(content, password, allowance), contained(private_key, password, allowance)
    certificates, found = _certificates(given, own, LARGEST_CHAIN)
    key = chosen_key(own, given, password, allowance)
    findings = [*found, *given.findings, *own.findings, *([key] if isinstance(key, Finding) else [])]
    findings += _company(own)
    revealed = given.revealed + own.revealed
    if isinstance(key, Finding):
        key = None
    if not certificates:
        findings += [] if refuses(found) or not given.keys else [_only_a_key(given)]
        return _verdict((), key, findings, revealed, None)
    ordered = chain(certificates, key.public if key else None)
    if not refuses(found):
        findings += _chain_findings(ordered, certificates)
    findings += server_refusals(ordered.leaf)
    fits = None
    if key and ordered.leaf.public_key is not None:
        fits = has_key(ordered.leaf, key.public)
        findings += [] if fits else [_mismatch(key, ordered, whose)]
    findings += server_warnings(ordered.ordered, now)
    return _verdict(ordered.ordered, key, findings, revealed, fits)


def examine_ca(content: str, now: datetime, password: str = "") -> Verdict:
    if too_long := _too_long(content):
        return Verdict(None, too_long)
    given = contained(content, password, Allowance())
    certificates, found = _certificates(given, NOTHING, LARGEST_CA_BUNDLE)
    findings = [*found, *given.findings, *map(_misplaced, given.keys[:1])]
    for place, certificate in enumerate(certificates, start=1):
        findings += ca_refusals(certificate, called(certificate, place, len(certificates)))
    findings += ca_warnings(certificates, now)
    return _verdict(certificates, None, findings, given.revealed, None)


def stored_facts(content: str) -> tuple[CertificateFacts, ...]:
    """The facts of content that was accepted before, in its order."""
    return tuple(certificate.facts for certificate in _stored(content))


def stored_findings(type: str, content: str, now: datetime) -> tuple[Finding, ...]:
    """What there is to say today of content that was accepted as `type`, "server" or "ca"."""
    certificates = _stored(content)
    if not certificates:
        return (refusal("unreadable", "The stored content cannot be read.", "Modify it."),)
    warnings = server_warnings if type == "server" else ca_warnings
    return _worst_first(warnings(certificates, now))


def is_trusted(server_content: str, ca_content: str, now: datetime) -> bool:
    """Whether a client that trusts the stored CA content alone accepts the stored server content's chain."""
    server, trusted = _stored(server_content), _stored(ca_content)
    return bool(server) and is_anchored(server, trusted, now)


def _stored(content: str) -> tuple[ParsedCertificate, ...]:
    certificates, _ = _certificates(contained(content, "", Allowance()), NOTHING, LARGEST_CA_BUNDLE)
    return certificates


def _verdict(
    certificates: tuple[ParsedCertificate, ...],
    key: PrivateKey | None,
    findings: Iterable[Finding],
    revealed: str,
    fits: bool | None,
) -> Verdict:
    every = _worst_first(findings)
    facts = tuple(certificate.facts for certificate in certificates)
    private_key = key.pem if key else None
    material = None if refuses(every) or not certificates else Material(facts, private_key, every)
    return Verdict(material, every, facts, key.name if key else "", fits, private_key or "", revealed)


def _worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    # Refusals first: they are what the person has to act on.
    return tuple(sorted(findings, key=lambda finding: list(Severity).index(finding.severity)))


def _too_long(*texts: str) -> tuple[Finding, ...]:
    length = sum(len(text) for text in texts)
    if length <= LONGEST_INPUT and sum(len(text.encode(errors="replace")) for text in texts) <= LONGEST_INPUT:
        return ()
    field = Field.PRIVATE_KEY if len(texts[-1]) > LONGEST_INPUT // 2 and len(texts) > 1 else Field.CONTENT
    return (
        refusal(
            "too_long",
            "This is more than 1 MiB; a certificate with its chain and key is a few kilobytes.",
            "Choose the certificate's own file.",
            field,
        ),
    )


def _certificates(
    given: Contained, own: Contained, limit: int
) -> tuple[tuple[ParsedCertificate, ...], tuple[Finding, ...]]:
    """The distinct certificates that can be read, and what there is to say of those that cannot.

    Those that stood beside the key, in its own field, count too.
    """
    beside_key = own.certificates
    if own.findings and not given.text.strip():
        return (), ()  # they may be in what did not open
    if not given.text.strip() and not beside_key:
        return (), (refusal("empty", "There is no certificate.", "Paste it, or choose its file."),)
    if not given.blocks and not given.findings and not beside_key:
        return (), (_nothing(given.text),)
    if not given.others and not given.findings and not beside_key:
        return (), ()
    others = (*given.others, *beside_key)
    distinct = {block.der: block for block in reversed(others) if block.der}
    if len(distinct) > limit:
        sentence = f"There are {len(distinct)} certificates here; at most {limit} can be stored as one."
        return (), (refusal("too_many", sentence, "Leave out what is not needed."),)
    kept = [block for block in others if block.fault or not block.der or block is distinct[block.der]]
    outcomes = [_read(block) for block in kept]
    certificates = tuple(outcome for outcome in outcomes if isinstance(outcome, ParsedCertificate))
    findings = [outcome for outcome in outcomes if isinstance(outcome, Finding)]
    if findings:
        return certificates, tuple({finding.message: finding for finding in findings[:10]}.values())
    repeated = len(given.others) - len({block.der for block in given.others})
    if repeated:
        times = "One certificate was" if repeated == 1 else f"{repeated} certificates were"
        return certificates, (note("duplicates", f"{times} there more than once; each is stored once."),)
    return certificates, ()


def _nothing(text: str) -> Finding:
    if has_unmarked_base64(text):
        return refusal(
            "not_pem",
            "The BEGIN CERTIFICATE and END CERTIFICATE lines are missing.",
            "Copy the file whole, with both.",
        )
    return refusal(
        "not_pem",
        "No certificate was found. Expected is text with a line -----BEGIN CERTIFICATE-----.",
        "Choose the file itself; binary files (.cer, .der, .p7b, .p12, .pfx) are read as they are.",
    )


def _only_a_key(given: Contained) -> Finding:
    return refusal(
        "certificate_missing",
        f"Line {given.keys[0].line} begins a private key, and there is no certificate.",
        "Paste the certificate that belongs to it, or choose its file.",
    )


def _read(block: Block) -> ParsedCertificate | Finding:
    if block.fault and block.kind in {Kind.PKCS7, Kind.PKCS12}:
        return refusal("damaged", f"What begins as {block.kind.value} is damaged. {block.fault}", COPY_AGAIN)
    if block.kind is not Kind.CERTIFICATE:
        return refusal(
            "not_a_certificate",
            f"Line {block.line} begins {block.kind.value}; expected is a certificate.",
            ADVICE.get(block.kind, "Leave it out."),
        )
    if block.fault:
        return refusal("damaged", f"The certificate is damaged. {block.fault}", COPY_AGAIN)
    try:
        return read_certificate(block.der)
    except UnreadableError as error:
        sentence = f"The certificate that begins in line {block.line} cannot be read: {error}."
        return refusal("unreadable", sentence, COPY_AGAIN)


def _misplaced(key: Block) -> Finding:
    return refusal(
        "private_key_here",
        f"Line {key.line} begins a private key; expected is a certificate.",
        ADVICE[Kind.PRIVATE_KEY],
    )


def _company(own: Contained) -> list[Finding]:
    """What is said of what stood beside the private key in its field."""
    beside = [block for block in own.others if block.kind is not Kind.PARAMETERS]
    if not own.keys or not beside or own.revealed:
        return []
    sentence = "What stood beside the private key was put with the certificates."
    if any(block.kind is not Kind.CERTIFICATE for block in beside):
        sentence = "What stood beside the private key was left out where it is no certificate."
    return [note("key_company", sentence, field=Field.PRIVATE_KEY)]


def _chain_findings(ordered: Chain, pasted: tuple[ParsedCertificate, ...]) -> list[Finding]:
    findings = [
        refusal(
            "stranger",
            f"{called(stranger, pasted.index(stranger) + 1, len(pasted))} did not issue the server "
            f"certificate ({quoted(ordered.leaf.facts.subject) or 'no subject'}) or one of its issuers.",
            "Leave it out: expected are the server certificate and the CAs between it and its root.",
        )
        for stranger in ordered.strangers
    ]
    if not findings and ordered.ordered != pasted:
        findings.append(
            note("reordered", "The certificates were put in order, the server certificate first.")
        )
    return findings


def _mismatch(key: PrivateKey, ordered: Chain, whose: Whose) -> Finding:
    name = ordered.leaf.facts.key
    next_step = "Choose the key that the certificate's request was made with."
    if any(has_key(other, key.public) for other in ordered.ordered[1:]):
        sentence = (
            "The private key is that of the CA certificate in the chain, not of the server certificate."
        )
        next_step = "Choose the key that the server certificate was made with, such as server.key."
    elif key.name == name:
        sentence = (
            f"The private key does not belong to the certificate: both are {name}, but they are not a pair."
        )
    else:
        sentence = (
            f"The private key does not belong to the certificate: it is {key.name}, and the certificate's "
            f"key is {name}."
        )
    if owner := whose(public_key_hash(key.public)):
        sentence += f" It is the key of the stored certificate {quoted(owner)}."
    return refusal("key_mismatch", sentence, next_step, Field.PRIVATE_KEY)
