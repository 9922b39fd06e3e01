"""What people hand in -> frozen facts and findings, chain order, key match; every input gets a verdict.

Pure: `cryptography` only, no Django.
"""

from certificates.pem.armor import private_keys_in, without_private_keys
from certificates.pem.ca_keys import CaKey, examine_ca_key
from certificates.pem.der import armored, is_whole_element
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
from certificates.pem.findings import Field, Finding, Severity, quoted
from certificates.pem.intake import LONGEST_INPUT
from certificates.pem.names import entered_names, name_faults

__all__ = [
    "LONGEST_INPUT",
    "CaKey",
    "CertificateFacts",
    "Field",
    "Finding",
    "Material",
    "Severity",
    "Verdict",
    "armored",
    "entered_names",
    "examine_ca",
    "examine_ca_key",
    "examine_server",
    "is_trusted",
    "is_whole_element",
    "name_faults",
    "private_keys_in",
    "quoted",
    "stored_facts",
    "stored_findings",
    "without_private_keys",
]
