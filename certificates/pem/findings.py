"""What is said about pasted certificates and keys: sentences for a person, and whether they refuse."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    REFUSE = "refuse"
    WARN = "warn"
    NOTE = "note"


class Field(StrEnum):
    CONTENT = "content"
    PRIVATE_KEY = "private_key"


@dataclass(frozen=True)
class Finding:
    """`message` says what was found, what was expected and what to do; it never quotes key material."""

    code: str
    severity: Severity
    message: str
    field: Field = Field.CONTENT


def refusal(code: str, message: str, field: Field = Field.CONTENT) -> Finding:
    return Finding(code, Severity.REFUSE, message, field)


def warning(code: str, message: str) -> Finding:
    return Finding(code, Severity.WARN, message)


def note(code: str, message: str, field: Field = Field.CONTENT) -> Finding:
    return Finding(code, Severity.NOTE, message, field)


def refuses(findings: tuple[Finding, ...]) -> bool:
    return any(finding.severity is Severity.REFUSE for finding in findings)
