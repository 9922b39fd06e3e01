"""Where private keys are sealed: what a rotation of the master key goes through."""

from certificates.models.authority import CertificateAuthority
from certificates.models.certificate import Certificate
from certificates.models.issued_certificate import IssuedCertificate
from certificates.models.key_draft import KeyDraft
from certificates.sealed import SealedRows


def sealed_private_keys() -> tuple[SealedRows, ...]:
    """All but those of refused forms, which go by themselves."""
    field = "sealed_private_key"
    return (
        SealedRows("private keys of certificates", Certificate.objects.all(), field, "fingerprint"),
        SealedRows("private keys of CAs", CertificateAuthority.objects.all(), field, "public_key_hash"),
        SealedRows(
            "private keys of clients that wait for their download",
            IssuedCertificate.objects.all(),
            field,
            "fingerprint",
        ),
    )


def sealed_key_drafts() -> SealedRows:
    return SealedRows("private keys kept for refused forms", KeyDraft.objects.all(), "sealed", "id")
