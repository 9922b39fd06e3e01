"""Who may enter, as people write it: one client a line; and certificates to try, as PEM."""

import re
from typing import Any

from cryptography import x509
from django import forms

from console.forms import KEY_MARKER
from listeners.admission import LONGEST_ENTRY, MOST_ENTRIES, AdmissionError, entry_from_line
from listeners.forms.trials import MOST_TRIED
from listeners.spec import AllowedClientSpec

EXAMPLES = "dns: client.example.com\nsubject: CN=client,O=Example\nfingerprint: 5f:0c:…"
BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----[^-]{1,200000}-----END CERTIFICATE-----")
# More sentences help nobody.
MOST_FAULTS = 5
UNREADABLE = "Paste client certificates as PEM (-----BEGIN CERTIFICATE-----), or leave this empty."


class AllowedClientsField(forms.CharField):
    """Its cleaned value is what `Listener.allowed_clients` holds: pairs of a kind and a value."""

    def __init__(self) -> None:
        super().__init__(
            label="Allowed clients",
            required=False,
            max_length=MOST_ENTRIES * (LONGEST_ENTRY + 20),
            widget=forms.Textarea(
                attrs={"rows": 5, "spellcheck": "false", "class": "pem", "placeholder": EXAMPLES}
            ),
            help_text=(
                "One a line, by a kind and a value: dns, email, uri, ip, subject or fingerprint (SHA-256). "
                "A client enters when one line is in its certificate, letter for letter."
            ),
        )

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(f"{kind}: {text}" for kind, text in value)
        return value

    def clean(self, value: Any) -> list[list[str]]:
        text = super().clean(value)
        if KEY_MARKER in text:
            raise forms.ValidationError("This has a private key in it. List certificates by their names.")
        entries, faults = read_entries(text)
        if faults:
            raise forms.ValidationError(faults)
        return [[one.kind.value, one.value] for one in entries]


class TriedCertificatesField(forms.CharField):
    """Its cleaned value is the certificates, which are tried and never stored."""

    def __init__(self) -> None:
        super().__init__(
            label="Client certificates to test",
            required=False,
            widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "pem"}),
            help_text=(
                "PEM, without private keys. Each is tried against the list and the chosen CA certificates "
                "before anything is saved; certificates of intermediate CAs may stand beside it."
            ),
        )

    def clean(self, value: Any) -> list[x509.Certificate]:
        text: str = super().clean(value)
        certificates = read_certificates(text)
        if text.strip() and not certificates:
            raise forms.ValidationError(UNREADABLE)
        if len(certificates) > MOST_TRIED:
            raise forms.ValidationError(f"Test {MOST_TRIED} certificates at a time at most.")
        return certificates


def read_entries(text: str) -> tuple[list[AllowedClientSpec], list[str]]:
    """The entries of a text, each once, and what is wrong with its other lines."""
    entries: dict[AllowedClientSpec, None] = {}
    faults = []
    for number, written in enumerate(text.splitlines(), 1):
        if not written.strip():
            continue
        try:
            entries[entry_from_line(written)] = None
        except AdmissionError as error:
            faults.append(f"Line {number}: {error}")
    if len(entries) > MOST_ENTRIES:
        faults.append(f"These are {len(entries)} clients; {MOST_ENTRIES} are the most for a listener.")
    left = len(faults) - MOST_FAULTS
    return list(entries), [*faults[:MOST_FAULTS], *([f"{left} more lines are wrong."] if left > 0 else [])]


def read_certificates(text: str) -> list[x509.Certificate]:
    """Those in a text that can be read."""
    certificates = []
    for block in BLOCK.findall(text):
        try:
            certificates.append(x509.load_pem_x509_certificate(block.encode()))
        except (ValueError, x509.InvalidVersion):
            continue
    return certificates
