"""The log of who has downloaded which private key."""

import logging

from django.contrib.auth.models import User
from django.db import models

logger = logging.getLogger(__name__)


class KeyDownloadQuerySet(models.QuerySet["KeyDownload"]):
    def note(self, what: str, form: str, user: User, **subject: object) -> "KeyDownload":
        """`subject` is `authority` or `issued`; to be called in the transaction that gives the key away."""
        logger.info("%s has downloaded the private key of %s as %s", user.get_username(), what, form)
        return self.create(what=what, form=form, user=user, username=user.get_username(), **subject)


class KeyDownload(models.Model):
    """Kept when the certificate, the CA or the account is deleted."""

    authority = models.ForeignKey(
        "CertificateAuthority", models.SET_NULL, null=True, related_name="key_downloads"
    )
    issued = models.ForeignKey("IssuedCertificate", models.SET_NULL, null=True, related_name="key_downloads")
    what = models.TextField(help_text="subject and fingerprint of the certificate")
    form = models.CharField(max_length=100, help_text="such as PKCS#12 for Windows")
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    username = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)

    objects = KeyDownloadQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.username}: {self.what}"
