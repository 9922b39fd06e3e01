"""What is said about pasted certificates and keys: sentences for a person, and whether they refuse.

docs/certificates.md has every code, and who refuses what, with its source.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    REFUSE = "refuse"
    WARN = "warn"
    NOTE = "note"


class Field(StrEnum):
    CONTENT = "content"
    PRIVATE_KEY = "private_key"
    PASSWORD = "password"  # noqa: S105  # the name of a field


@dataclass(frozen=True)
class Finding:
    """`message` says what was found and what comes of it, `next_step` what to do; no key is ever quoted."""

    code: str
    severity: Severity
    message: str
    next_step: str = ""
    field: Field = Field.CONTENT

    @property
    def sentence(self) -> str:
        return f"{self.message} {self.next_step}".strip()


def refusal(code: str, message: str, next_step: str = "", field: Field = Field.CONTENT) -> Finding:
    return Finding(code, Severity.REFUSE, message, next_step, field)


def warning(code: str, message: str, next_step: str = "") -> Finding:
    return Finding(code, Severity.WARN, message, next_step)


def note(code: str, message: str, next_step: str = "", field: Field = Field.CONTENT) -> Finding:
    return Finding(code, Severity.NOTE, message, next_step, field)


def refuses(findings: Iterable[Finding]) -> bool:
    return any(finding.severity is Severity.REFUSE for finding in findings)


def quoted(text: str, most: int = 100) -> str:
    """A name out of a certificate for a sentence: short, and unable to turn or break the words around it."""
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    if shown.isascii() and shown.isprintable():
        return shown
    # FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE; controls, of direction too, become blanks.
    plain = "".join(letter if letter.isprintable() else " " for letter in shown)
    return f"\u2068{plain}\u2069"
