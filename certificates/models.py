"""Stored certificates: PEM that was parsed and written out again, and private keys that are sealed."""

import uuid
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.urls import reverse
from django.utils import timezone

from certificates import pem
from certificates.keyring import Keyring
from console.models import RevisedModel, RevisedQuerySet


def keyring() -> Keyring:
    """The keyring of this deployment's master keys."""
    return Keyring.parse(settings.ELB_MASTER_KEY)


class Certificate(RevisedModel):
    """A server certificate with its chain and sealed private key, or a bundle of CA certificates."""

    class Type(models.TextChoices):
        SERVER = "server", "Server certificate"
        CA = "ca", "CA certificate"

    name = models.CharField("Certificate Name", max_length=255)
    type = models.CharField("Certificate Type", max_length=6, choices=Type, default=Type.SERVER)
    content = models.TextField("Certificate Content", help_text="PEM, leaf first")
    sealed_private_key = models.TextField(blank=True, editable=False)
    description = models.CharField("Description", max_length=255, blank=True)

    # Facts of the first certificate, kept beside it so that lists parse nothing.
    subject = models.TextField(editable=False)
    issuer = models.TextField(editable=False)
    domain_names = models.TextField(editable=False, blank=True, help_text="comma-separated")
    serial_number = models.CharField(max_length=64, editable=False, help_text="hexadecimal")
    fingerprint = models.CharField(
        max_length=64, editable=False, db_index=True, help_text="SHA-256, hexadecimal"
    )
    key = models.CharField(max_length=40, editable=False, help_text="such as RSA 2048")
    signature_algorithm = models.CharField(max_length=40, editable=False)
    not_before = models.DateTimeField(editable=False)
    not_after = models.DateTimeField(editable=False)

    created_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    objects = RevisedQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                name="certificate_server_has_key",
                condition=~models.Q(type="server", sealed_private_key="")
                & ~(models.Q(type="ca") & ~models.Q(sealed_private_key="")),
                violation_error_message="A server certificate has a private key, a CA certificate has none.",
            ),
            models.CheckConstraint(name="certificate_has_content", condition=~models.Q(content="")),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("certificate_detail", args=[self.pk])

    @property
    def listeners(self) -> list[models.Model]:
        """The listeners that use it; from the two reverse relations as they were prefetched."""
        return [*self.server_listeners.all(), *self.ca_listeners.all()]

    @property
    def names(self) -> list[str]:
        return self.domain_names.split(",") if self.domain_names else []

    def hold(self, material: pem.Material) -> None:
        """Takes over parsed material and the facts of its first certificate; saves nothing."""
        facts = material.certificates[0]
        self.content = material.content
        self.subject, self.issuer = facts.subject, facts.issuer
        self.domain_names = ",".join(facts.names)
        self.serial_number, self.fingerprint = facts.serial_number, facts.fingerprint
        self.key, self.signature_algorithm = facts.key, facts.signature_algorithm
        self.not_before, self.not_after = facts.not_before, facts.not_after
        if material.private_key is not None:
            self.sealed_private_key = keyring().seal(material.private_key, facts.fingerprint)

    def private_key(self) -> str:
        """The private key in clear, for the data plane alone. Raises `keyring.UnsealError`."""
        return keyring().unseal(self.sealed_private_key, self.fingerprint)


class KeyDraftQuerySet(models.QuerySet["KeyDraft"]):
    def alive(self, user: User) -> Self:
        return self.filter(created_by=user, created_at__gt=timezone.now() - KeyDraft.lifetime())

    def expire(self) -> None:
        self.filter(created_at__lte=timezone.now() - KeyDraft.lifetime()).delete()

    def keep(self, private_key: str, user: User) -> "KeyDraft":
        """Seals a key that came with a refused form; older drafts that have expired go."""
        self.expire()
        draft = KeyDraft(id=uuid.uuid4(), created_by=user)
        draft.sealed = keyring().seal(private_key, str(draft.id))
        draft.save()
        return draft


class KeyDraft(models.Model):
    """A private key pasted into a form that was refused, sealed, so that it need not be pasted again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sealed = models.TextField()
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = KeyDraftQuerySet.as_manager()

    def __str__(self) -> str:
        return f"key draft {self.id}"

    @staticmethod
    def lifetime() -> timedelta:
        return timedelta(seconds=settings.ELB_KEY_DRAFT_SECONDS)

    @property
    def expires_at(self) -> datetime:
        return self.created_at + self.lifetime()

    def private_key(self) -> str:
        return keyring().unseal(self.sealed, str(self.id))
