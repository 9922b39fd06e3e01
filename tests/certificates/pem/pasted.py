"""What tests paste, and how they read the verdict."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509

from certificates.pem import Severity, Verdict, examine_server
from tests import pki as make
from tests.conftest import Pki
from tests.pki import KeyPair

DAY = timedelta(days=1)
NOW = datetime.now(UTC) + timedelta(hours=12)  # after all that a test run makes has become valid
GUIDE_SERVER_WARNINGS = ["weak_signature", "san_missing", "version_1"]


def server(pair: KeyPair, content: str | None = None, private_key: str | None = None) -> Verdict:
    return examine_server(
        pair.certificate_pem if content is None else content,
        pair.key_pem if private_key is None else private_key,
        NOW,
    )


def codes(verdict: Verdict, severity: Severity | None = None) -> list[str]:
    return [one.code for one in verdict.findings if severity is None or one.severity is severity]


def refused(verdict: Verdict) -> list[str]:
    """The codes that refuse; a verdict has material exactly when there are none."""
    found = codes(verdict, Severity.REFUSE)
    assert (verdict.material is None) == bool(found)
    return found


def key_windows(pem: str) -> set[str]:
    """Every run of 16 characters of the secret part of a PKCS#8 key's body.

    What comes before it, the algorithm and RSA's modulus, is in the certificate too; so is what follows
    the 32 octets of an EC key.
    """
    body = "".join(line for line in pem.splitlines() if line and not line.startswith("-----"))
    secret = body[48:88] if len(body) < 300 else body[len(body) * 2 // 5 :]
    return {secret[place : place + 16] for place in range(len(secret) - 15)}


def shows_key(text: str, pem: str) -> bool:
    joined = "".join(text.split())
    return any(window in joined for window in key_windows(pem))


def san(*names: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectAlternativeName(names), False


NAMED = san(x509.DNSName("www.test.com"))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "no last newline": lambda pem: pem.rstrip("\n"),
    "blank lines around": lambda pem: f"\n\n{pem}\n\n",
    "CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "CR alone": lambda pem: pem.replace("\n", "\r"),
    "BOM": lambda pem: "\ufeff" + pem,
    "indented": lambda pem: "".join(f"    {line}\n" for line in pem.splitlines()),
    "tabs and trailing blanks": lambda pem: "".join(f"\t{line} \t\n" for line in pem.splitlines()),
    "no-break spaces": lambda pem: pem.replace("\n", "\u00a0\n"),
    "one long line": lambda pem: pem.replace("\n", " "),
    "text before": lambda pem: f"Certificate:\n    Data:\n        Version: 1 (0x0)\nBag Attributes: x\n{pem}",
    "text after": lambda pem: f"{pem}That was it.\n",
    "old label": lambda pem: pem.replace("CERTIFICATE", "X509 CERTIFICATE"),
}


def without_line(pem: str, number: int) -> str:
    lines = pem.splitlines(keepends=True)
    return "".join(lines[: number - 1] + lines[number:])


def with_character(pem: str, line: int, character: str) -> str:
    lines = pem.splitlines(keepends=True)
    lines[line - 1] = character + lines[line - 1][1:]
    return "".join(lines)


KEYS: dict[str, tuple[Callable[[Pki], str], str, str]] = {
    "empty": (lambda pki: "", "key_missing", "Paste the private key"),
    "words": (lambda pki: "server.key", "key_not_found", "No private key in PEM"),
    "no markers": (
        lambda pki: "".join(pki.guide.server.key_pem.splitlines(True)[1:-1]),
        "key_not_found",
        "BEGIN and END lines are missing",
    ),
    "a certificate": (
        lambda pki: pki.guide.server.certificate_pem,
        "key_not_found",
        "Line 1 begins a certificate;",
    ),
    "two": (lambda pki: pki.guide.server.key_pem + pki.guide.client.key_pem, "key_several", "(lines 1, 29)"),
    "encrypted": (lambda pki: make.encrypted_key(pki.guide.server), "key_encrypted", "openssl pkey -in"),
    "encrypted, old form": (
        lambda pki: make.encrypted_key(pki.guide.server, traditional=True),
        "key_encrypted",
        "openssl pkey -in",
    ),
    "cut off": (lambda pki: pki.guide.server.key_pem[:600], "key_damaged", "in line 1 has no END line"),
    "line lost": (lambda pki: without_line(pki.guide.server.key_pem, 7), "key_damaged", "lines were lost"),
    "character": (lambda pki: with_character(pki.guide.server.key_pem, 7, "%"), "key_damaged", "Line 7 has"),
    "another of its kind": (lambda pki: pki.guide.client.key_pem, "key_mismatch", "both are RSA 2048"),
    "another kind": (lambda pki: pki.modern.server.key_pem, "key_mismatch", "it is ECDSA P-256, and the"),
    "OpenSSH": (
        lambda pki: pki.guide.server.key_pem.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY"),
        "key_openssh",
        "ssh-keygen -p",
    ),
}
