"""Text that people paste for a certificate, turned into frozen facts and findings; it never raises.

What is kept is what was parsed, written out again: Envoy stumbles over a BOM, indentation or a lost newline.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from certificates.pem.armor import Block, Kind, blocks, has_unmarked_base64
from certificates.pem.chain import Chain, chain, has_key, is_anchored
from certificates.pem.facts import CertificateFacts, ParsedCertificate, UnreadableError, read_certificate
from certificates.pem.findings import Field, Finding, Severity, note, refusal, refuses
from certificates.pem.private_keys import PrivateKey, read_private_key
from certificates.pem.rules import ca_refusals, ca_warnings, called, server_refusals, server_warnings

LONGEST_INPUT = 1024 * 1024
LARGEST_CHAIN = 11
LARGEST_CA_BUNDLE = 100
COPY_AGAIN = "Copy its file again, whole, from the BEGIN line to the END line."

# What to do about a block that is no certificate, by what it is.
ADVICE = {
    Kind.PRIVATE_KEY: "A server's private key belongs in Private Key; that of a CA is not wanted at all.",
    Kind.REQUEST: "Have the CA sign it, and add the certificate that comes of it (.crt, not .csr).",
    Kind.PKCS7: "Take the certificates out with `openssl pkcs7 -print_certs -in FILE -out chain.crt`.",
    Kind.TRUSTED_CERTIFICATE: "Write it in the common form with `openssl x509 -in FILE -out plain.crt`.",
}


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
    """`material` is None when any finding refuses."""

    material: Material | None
    findings: tuple[Finding, ...]


def examine_server(content: str, private_key: str, now: datetime) -> Verdict:
    certificates, found = _certificates(content, LARGEST_CHAIN)
    key, key_findings = read_private_key(private_key)
    if any(finding.code == "private_key_here" for finding in found) and not private_key.strip():
        key_findings = ()  # there is one, in the wrong field, and that has been said
    findings = [*found, *key_findings]
    if not certificates:
        return _verdict((), None, findings)
    ordered = chain(certificates, key.public if key else None)
    findings += _chain_findings(ordered, certificates)
    findings += server_refusals(ordered.leaf)
    if key:
        findings += _match_findings(key, ordered)
    findings += server_warnings(ordered.ordered, now)
    return _verdict(ordered.ordered, key.pem if key else None, findings)


def examine_ca(content: str, now: datetime) -> Verdict:
    certificates, found = _certificates(content, LARGEST_CA_BUNDLE)
    findings = list(found)
    for place, certificate in enumerate(certificates, start=1):
        findings += ca_refusals(certificate, called(certificate, place, len(certificates)))
    findings += ca_warnings(certificates, now)
    return _verdict(certificates, None, findings)


def stored_facts(content: str) -> tuple[CertificateFacts, ...]:
    """The facts of content that was accepted before, in its order."""
    certificates, _ = _certificates(content, LARGEST_CA_BUNDLE)
    return tuple(certificate.facts for certificate in certificates)


def stored_findings(type: str, content: str, now: datetime) -> tuple[Finding, ...]:
    """What there is to say today of content that was accepted as `type`, "server" or "ca"."""
    certificates, found = _certificates(content, LARGEST_CHAIN if type == "server" else LARGEST_CA_BUNDLE)
    if not certificates:
        return found
    warnings = server_warnings if type == "server" else ca_warnings
    return (*found, *warnings(certificates, now))


def is_trusted(server_content: str, ca_content: str, now: datetime) -> bool:
    """Whether a client that trusts the stored CA content alone accepts the stored server content's chain."""
    server, _ = _certificates(server_content, LARGEST_CHAIN)
    trusted, _ = _certificates(ca_content, LARGEST_CA_BUNDLE)
    return bool(server) and is_anchored(server, trusted, now)


def _verdict(
    certificates: tuple[ParsedCertificate, ...], private_key: str | None, findings: Iterable[Finding]
) -> Verdict:
    # Refusals first: they are what the person has to act on.
    every = tuple(sorted(findings, key=lambda finding: list(Severity).index(finding.severity)))
    if refuses(every) or not certificates:
        return Verdict(None, every)
    facts = tuple(certificate.facts for certificate in certificates)
    return Verdict(Material(facts, private_key, every), every)


def _certificates(content: str, limit: int) -> tuple[tuple[ParsedCertificate, ...], tuple[Finding, ...]]:
    """The distinct certificates of the text; none when any of it is refused."""
    if not content.strip():
        return (), (refusal("empty", "Paste the certificate, or choose its file."),)
    if len(content) > LONGEST_INPUT or len(content.encode(errors="replace")) > LONGEST_INPUT:
        return (), (refusal("too_long", "This is more than 1 MiB; a certificate is a few kilobytes."),)
    found = blocks(content)
    if not found:
        return (), (refusal("not_pem", _why_nothing(content)),)
    distinct = list({block.der: block for block in found if block.der}.values())
    if len(distinct) > limit:
        sentence = f"There are {len(distinct)} certificates here; at most {limit} can be stored as one."
        return (), (refusal("too_many", sentence),)
    outcomes = [_read(block) for block in found if block.fault or not block.der or block in distinct]
    refusals = tuple(outcome for outcome in outcomes if isinstance(outcome, Finding))
    if refusals:
        return (), tuple({finding.message: finding for finding in refusals[:10]}.values())
    certificates = tuple(outcome for outcome in outcomes if isinstance(outcome, ParsedCertificate))
    repeated = len(found) - len(distinct)
    if repeated:
        times = "One certificate was" if repeated == 1 else f"{repeated} certificates were"
        return certificates, (note("duplicates", f"{times} there more than once; each is stored once."),)
    return certificates, ()


def _why_nothing(content: str) -> str:
    if has_unmarked_base64(content):
        return "The BEGIN CERTIFICATE and END CERTIFICATE lines are missing; copy the file whole, with both."
    return (
        "No certificate in PEM was found: expected is text with a line -----BEGIN CERTIFICATE-----. A "
        "binary file (.cer, .der) is converted by `openssl x509 -inform DER -in FILE -out certificate.crt`."
    )


def _read(block: Block) -> ParsedCertificate | Finding:
    if block.kind is Kind.PRIVATE_KEY:
        sentence = f"Line {block.line} begins a private key; expected is a certificate. {ADVICE[block.kind]}"
        return refusal("private_key_here", sentence)
    if block.kind is not Kind.CERTIFICATE:
        advice = ADVICE.get(block.kind, "Leave it out.")
        sentence = f"Line {block.line} begins {block.kind.value}; expected is a certificate. {advice}"
        return refusal("not_a_certificate", sentence)
    if block.fault:
        return refusal("damaged", f"The certificate is damaged. {block.fault} {COPY_AGAIN}")
    try:
        return read_certificate(block.der)
    except UnreadableError as error:
        sentence = f"The certificate that begins in line {block.line} cannot be read: {error}. {COPY_AGAIN}"
        return refusal("unreadable", sentence)


def _chain_findings(ordered: Chain, pasted: tuple[ParsedCertificate, ...]) -> list[Finding]:
    findings = [
        refusal(
            "stranger",
            f"{called(stranger, pasted.index(stranger) + 1, len(pasted))} did not issue the server "
            f"certificate ({ordered.leaf.facts.subject[:100] or 'no subject'}) or one of its issuers. Leave "
            "it out: expected are the server certificate and, after it, the CAs between it and its root.",
        )
        for stranger in ordered.strangers
    ]
    if not findings and ordered.ordered != pasted:
        findings.append(
            note("reordered", "The certificates were put in order, the server certificate first.")
        )
    return findings


def _match_findings(key: PrivateKey, ordered: Chain) -> list[Finding]:
    leaf = ordered.leaf
    if leaf.public_key is None or has_key(leaf, key.public):
        return []
    owner = next((other for other in ordered.ordered[1:] if has_key(other, key.public)), None)
    if owner:
        sentence = (
            "The private key is that of the CA certificate in the chain, not of the server certificate. "
            "Expected is the key that the server certificate was made with, such as server.key."
        )
    elif key.name == leaf.facts.key:
        sentence = (
            f"The private key does not belong to the certificate: both are {key.name}, but they are not a "
            "pair. Choose the key that the certificate's request was made with."
        )
    else:
        sentence = (
            f"The private key does not belong to the certificate: it is {key.name}, and the certificate's "
            f"key is {leaf.facts.key}. Choose the key that the certificate's request was made with."
        )
    return [refusal("key_mismatch", sentence, Field.PRIVATE_KEY)]
