"""What is asked before a certificate is deleted: of a CA that has issued here, its name."""

from typing import Any

from django.utils import timezone

from certificates.forms.typed_name import TypedNameForm
from certificates.models import Certificate, CertificateAuthority


class DeletionForm(TypedNameForm):
    """`issued` is how many certificates the CA has issued here, `valid` how many of them are valid now."""

    def __init__(self, *args: Any, certificate: Certificate, **options: Any) -> None:
        super().__init__(*args, name=str(certificate), **options)
        self.certificate = certificate
        rows = CertificateAuthority.objects.filter(certificate=certificate)
        self.authority = rows.prefetch_related("intermediates__certificate").first()
        self.issued = self.valid = 0
        if self.authority:
            now = timezone.now()
            self.issued = self.authority.issued.count()
            self.valid = self.authority.issued.filter(not_before__lte=now, not_after__gt=now).count()
        if not self.issued:
            del self.fields["typed_name"]

    def delete(self) -> None:
        """Raises `ProtectedError` while a listener uses it or another CA is below it."""
        if self.authority and self.issued:
            self.authority.delete_with_issued()
        else:
            self.certificate.delete()
