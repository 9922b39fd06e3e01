"""Pasted text -> frozen facts and findings, chain order, key match; every input gets a verdict.

Pure: `cryptography` only, no Django.
"""

from certificates.pem.armor import private_keys_in, without_private_keys
from certificates.pem.examination import (
    Material,
    Verdict,
    examine_ca,
    examine_server,
    is_trusted,
    stored_facts,
    stored_findings,
)
from certificates.pem.facts import CertificateFacts
from certificates.pem.findings import Field, Finding, Severity

__all__ = [
    "CertificateFacts",
    "Field",
    "Finding",
    "Material",
    "Severity",
    "Verdict",
    "examine_ca",
    "examine_server",
    "is_trusted",
    "private_keys_in",
    "stored_facts",
    "stored_findings",
    "without_private_keys",
]
