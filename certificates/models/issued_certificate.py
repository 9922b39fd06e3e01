"""Certificates that were issued here, and the keys of clients until they are downloaded."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone

from certificates import issuing, pem
from certificates.alternative_names import AlternativeName, NameKind
from certificates.models.certificate import Certificate
from certificates.models.master_keys import keyring
from certificates.sealed import master_key_id


class IssuedCertificateQuerySet(models.QuerySet["IssuedCertificate"]):
    def forget_keys(self) -> None:
        """Drops the keys of clients that nobody has downloaded in time."""
        ended = timezone.now() - IssuedCertificate.key_lifetime()
        self.exclude(sealed_private_key="").filter(created_at__lte=ended).update(sealed_private_key="")

    def take_key(self, pk: int) -> str:
        """The private key of a client, gone from here from now on; "" when there is none any more.

        Raises `keyring.UnsealError`, and then keeps it.
        """
        with transaction.atomic():
            row = self.select_for_update().get(pk=pk)
            private_key = row.private_key() if row.is_key_here else ""
            self.filter(pk=pk).update(sealed_private_key="")
        return private_key


class IssuedCertificate(models.Model):
    """A server's or client's certificate. `content` is the PEM of it alone.

    The key of a client that was made here is sealed in it until its one download.
    """

    class Profile(models.TextChoices):
        SERVER = issuing.Profile.SERVER.value, "Server"
        CLIENT = issuing.Profile.CLIENT.value, "Client"

    class KeyOrigin(models.TextChoices):
        HERE = "here", "made here"
        REQUEST = "request", "the holder's own, by a request"

    authority = models.ForeignKey("CertificateAuthority", models.PROTECT, related_name="issued")
    profile = models.CharField("For", max_length=6, choices=Profile)
    common_name = models.CharField("Holder", max_length=64, blank=True)
    organization = models.CharField("Organization", max_length=64, blank=True)
    subject = models.TextField()
    alternative_names = models.TextField(help_text="one a line, as `dns: client.test.com`")
    serial_number = models.CharField("Serial number", max_length=64, help_text="hexadecimal")
    fingerprint = models.CharField(max_length=64, unique=True, help_text="SHA-256, hexadecimal")
    key = models.CharField(max_length=40, help_text="such as ECDSA P-256")
    public_key_hash = models.CharField(max_length=64, db_index=True, help_text="SHA-256, hexadecimal")
    key_origin = models.CharField(max_length=7, choices=KeyOrigin)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField("Expires")
    content = models.TextField()
    sealed_private_key = models.TextField(blank=True)
    stored = models.ForeignKey(Certificate, models.SET_NULL, null=True, related_name="issued")
    renewal_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="renewals")
    form_token = models.UUIDField(unique=True, null=True, help_text="of the form that asked for it")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = IssuedCertificateQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(master_key_id("sealed_private_key"), name="issued_master_key"),
            models.Index(fields=["authority", "not_after"], name="issued_by_end"),
            models.Index(fields=["not_after"], name="issued_by_not_after"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["authority", "serial_number"],
                name="issued_serial_once",
                violation_error_message="This CA has issued a certificate of this serial number.",
            ),
            models.UniqueConstraint(
                fields=["renewal_of"],
                name="issued_renewed_once",
                violation_error_message="It has been renewed already. Renew its latest renewal.",
            ),
            models.CheckConstraint(
                name="issued_server_key_elsewhere",
                condition=~models.Q(profile="server") | models.Q(sealed_private_key=""),
                violation_error_message="The key of a server is kept with its stored certificate.",
            ),
        ]

    def __str__(self) -> str:
        return self.common_name or self.subject

    def get_absolute_url(self) -> str:
        return reverse("issued_detail", args=[self.pk])

    def hold(self, made: issuing.Issued, subject: issuing.Subject, names: Sequence[AlternativeName]) -> None:
        facts = pem.stored_facts(made.certificate)[0]
        self.content = made.certificate
        self.common_name, self.organization = subject.common_name, subject.organization
        self.subject = facts.subject
        self.alternative_names = "\n".join(map(str, names))
        self.serial_number, self.fingerprint = facts.serial_number, facts.fingerprint
        self.key, self.public_key_hash = facts.key, facts.public_key_hash
        self.not_before, self.not_after = facts.not_before, facts.not_after
        self.key_origin = self.KeyOrigin.HERE if made.private_key else self.KeyOrigin.REQUEST
        if made.private_key and self.profile == self.Profile.CLIENT:
            self.sealed_private_key = keyring().seal(made.private_key, facts.fingerprint)

    @property
    def names(self) -> tuple[AlternativeName, ...]:
        parts = (line.partition(": ") for line in self.alternative_names.splitlines())
        return tuple(AlternativeName(NameKind(kind), value) for kind, _, value in parts)

    @property
    def days(self) -> int:
        """For how long it was issued."""
        return max(1, round((self.not_after - self.not_before) / timedelta(days=1)))

    @property
    def in_its_place(self) -> Certificate | None:
        """A server's stored certificate as it is now, unless another one has replaced it by hand."""
        same = Certificate.objects.filter(fingerprint=self.fingerprint)
        return same.filter(pk=self.stored_id).first() if self.stored_id else None

    @staticmethod
    def key_lifetime() -> timedelta:
        return timedelta(seconds=settings.ELB_CLIENT_KEY_SECONDS)

    @property
    def key_kept_until(self) -> datetime:
        return self.created_at + self.key_lifetime()

    @property
    def is_key_here(self) -> bool:
        """Whether its private key can still be downloaded."""
        return bool(self.sealed_private_key) and timezone.now() < self.key_kept_until

    def private_key(self) -> str:
        """In clear, for its download and for a request that proves it. Raises `keyring.UnsealError`."""
        return keyring().unseal(self.sealed_private_key, self.fingerprint)

    @property
    def chain(self) -> str:
        """PEM of it and of the CAs between it and its root, the root left out."""
        return self.content + "".join(self.authority.between)
