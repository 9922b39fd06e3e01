"""What is stored of certificates, of the CAs that issue them here, and of the keys of both."""

from certificates.models.authority import CertificateAuthority, NewAuthority
from certificates.models.certificate import USES, Certificate, CertificateQuerySet, Removal
from certificates.models.issued_certificate import IssuedCertificate
from certificates.models.key_download import KeyDownload
from certificates.models.key_draft import KeyDraft
from certificates.models.master_keys import keyring
from certificates.models.sealed_rows import sealed_key_drafts, sealed_private_keys

__all__ = [
    "USES",
    "Certificate",
    "CertificateAuthority",
    "CertificateQuerySet",
    "IssuedCertificate",
    "KeyDownload",
    "KeyDraft",
    "NewAuthority",
    "Removal",
    "keyring",
    "sealed_key_drafts",
    "sealed_private_keys",
]
