"""Certificates that are made here: CAs, servers and clients, with keys made here or from a request.

Pure: `cryptography` only, no Django. What comes out is correct by RFC 5280 and by what browsers, OpenSSL
with -x509_strict, Go and Envoy ask for; tests have the outside world judge it.
"""

from certificates.issuing.authority import Authority, check_authority, most_days
from certificates.issuing.constraints import entered_constraints
from certificates.issuing.errors import IssuingError
from certificates.issuing.keys import KeyKind, new_private_key
from certificates.issuing.names import Profile
from certificates.issuing.profiles import LONGEST_DAYS, Issued, issue, new_intermediate, new_root
from certificates.issuing.requests import Request, read_request
from certificates.issuing.subject import Subject

__all__ = [
    "LONGEST_DAYS",
    "Authority",
    "Issued",
    "IssuingError",
    "KeyKind",
    "Profile",
    "Request",
    "Subject",
    "check_authority",
    "entered_constraints",
    "issue",
    "most_days",
    "new_intermediate",
    "new_private_key",
    "new_root",
    "read_request",
]
