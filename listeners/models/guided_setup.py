"""A guided way to a verified mutual-TLS request, as far as somebody has come on it."""

import uuid

from django.contrib.auth.models import User
from django.db import models
from django.urls import reverse

from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from listeners.models.listener import Listener


class GuidedSetup(models.Model):
    """Each step leaves behind what it made or chose; what is deleted meanwhile is asked for again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    authority = models.ForeignKey(CertificateAuthority, models.SET_NULL, null=True, related_name="+")
    server_certificate = models.ForeignKey(Certificate, models.SET_NULL, null=True, related_name="+")
    listener = models.ForeignKey(Listener, models.SET_NULL, null=True, related_name="+")
    client = models.ForeignKey(IssuedCertificate, models.SET_NULL, null=True, related_name="+")
    proof = models.JSONField(default=dict, blank=True, help_text="what the last two requests came to")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="guided_setups")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return f"guided setup {self.id}"

    def get_absolute_url(self) -> str:
        return reverse("guided_setup", args=[self.pk])
