"""Stored certificates: PEM that was parsed and written out again, and private keys that are sealed."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.urls import reverse

from certificates import pem
from certificates.models.master_keys import keyring
from certificates.sealed import master_key_id
from console.models import ConfigurationRevision, RevisedModel, RevisedQuerySet

MOST_OBJECTIONS = 5
USES = ("server_listeners", "ca_listeners", "sni_listeners")


@dataclass(frozen=True)
class Removal:
    """What became of a certificate that was to be deleted; `certificate` is None when it was not there."""

    number: int
    certificate: "Certificate | None"
    is_deleted: bool


class CertificateQuerySet(RevisedQuerySet["Certificate"]):
    def remove(self, numbers: Sequence[int]) -> list[Removal]:
        """Deletes those that no listener uses and that have issued none, and says what became of each."""
        removals = []
        with ConfigurationRevision.objects.change():
            found = self.prefetch_related(*USES).in_bulk(numbers)
            issuers = self.issuers(numbers)
            for number in numbers:
                certificate = found.get(number)
                is_free = certificate is not None and not certificate.listeners and number not in issuers
                if certificate is not None and is_free:
                    certificate.delete()
                removals.append(Removal(number, certificate, is_free))
        return removals

    def issuers(self, numbers: Sequence[int]) -> set[int]:
        """Those among them that have issued certificates here, or have another CA below them."""
        rows = self.filter(pk__in=numbers).order_by().values_list("pk", flat=True).distinct()
        return {
            *rows.filter(authority__issued__isnull=False),
            *rows.filter(authority__intermediates__isnull=False),
        }


class Certificate(RevisedModel):
    """A server certificate with its chain and sealed private key, or a bundle of CA certificates."""

    class Type(models.TextChoices):
        SERVER = "server", "Server certificate"
        CA = "ca", "CA certificate"

    name = models.CharField("Certificate Name", max_length=255, blank=True)
    type = models.CharField("Certificate Type", max_length=6, choices=Type, default=Type.SERVER)
    content = models.TextField("Certificate Content", help_text="PEM, leaf first")
    sealed_private_key = models.TextField(blank=True, editable=False)
    server_names = models.TextField(
        "Domain Name",
        blank=True,
        help_text="comma-separated; of a server certificate, those it is chosen for",
    )
    description = models.CharField("Description", max_length=255, blank=True)

    # Facts of the first certificate, kept beside it so that lists parse nothing.
    subject = models.TextField(editable=False)
    issuer = models.TextField(editable=False)
    domain_names = models.TextField(
        editable=False, blank=True, help_text="comma-separated; every name of the subjectAltName"
    )
    serial_number = models.CharField(max_length=64, editable=False, db_index=True, help_text="hexadecimal")
    fingerprint = models.CharField(
        max_length=64, editable=False, db_index=True, help_text="SHA-256, hexadecimal"
    )
    key = models.CharField(max_length=40, editable=False, help_text="such as RSA 2048")
    public_key_hash = models.CharField(
        max_length=64, editable=False, blank=True, db_index=True, help_text="SHA-256, hexadecimal"
    )
    signature_algorithm = models.CharField(max_length=40, editable=False)
    not_before = models.DateTimeField(editable=False)
    not_after = models.DateTimeField(editable=False)

    created_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    objects = CertificateQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        indexes = [
            models.Index(master_key_id("sealed_private_key"), name="certificate_master_key"),
            # Each order of the list with all that the list filters by: the index alone answers.
            *(
                models.Index(fields=fields, name=f"certificate_by_{fields[0]}")
                for fields in (
                    ["name", "id", "type", "key", "not_after", "not_before"],
                    ["not_after", "id", "type", "key", "not_before"],
                    ["created_at", "id", "type", "key", "not_after", "not_before"],
                )
            ),
        ]
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
        return self.name or f"ID {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("certificate_detail", args=[self.pk])

    @property
    def listeners(self) -> list[Any]:
        """The listeners that use it, each once; from the reverse relations as they were prefetched."""
        return list(dict.fromkeys(one for use in USES for one in getattr(self, use).all()))

    def objections(self, replacement: "Certificate") -> list[str]:
        """Why it cannot become `replacement`, of the same id: each listener that uses it is asked."""
        found = (sentence for one in self.listeners for sentence in one.objections(replacement))
        return list(islice(found, MOST_OBJECTIONS))

    @classmethod
    def uses(cls) -> list[Any]:
        """The relations of what uses it; those of this app say where it comes from."""
        relations: list[Any] = list(cls._meta.related_objects)
        return [one for one in relations if one.related_model._meta.app_label != cls._meta.app_label]

    @classmethod
    def is_used(cls, number: str = "pk") -> models.Q:
        """The condition that something refers to it; `number` is the primary key or an alias of it."""
        users = []
        for relation in cls.uses():
            column = relation.field.name
            rows = relation.related_model._default_manager.filter(**{f"{column}__isnull": False})
            users.append(rows.order_by().values_list(column))
        # One union, for which databases look up the few numbers in it; an OR would have them read all rows.
        return models.Q(**{f"{number}__in": users[0].union(*users[1:])})

    @property
    def names(self) -> list[str]:
        return self.domain_names.split(",") if self.domain_names else []

    def renewed(self, material: pem.Material) -> "Certificate":
        """What it becomes, the domain names as they are as long as they are covered; saves nothing."""
        row = copy(self)
        if pem.name_faults(row.server_names.split(","), material.certificates[0].server_names):
            row.server_names = ""
        row.hold(material)
        return row

    def hold(self, material: pem.Material) -> None:
        """Takes over parsed material and the facts of its first certificate; saves nothing."""
        facts = material.certificates[0]
        self.content = material.content
        self.subject, self.issuer = facts.subject, facts.issuer
        self.domain_names = ",".join(facts.names)
        if self.type == self.Type.SERVER and not self.server_names:
            self.server_names = ",".join(facts.server_names)
        self.serial_number, self.fingerprint = facts.serial_number, facts.fingerprint
        self.key, self.signature_algorithm = facts.key, facts.signature_algorithm
        self.public_key_hash = facts.public_key_hash
        self.not_before, self.not_after = facts.not_before, facts.not_after
        if material.private_key is not None:
            self.sealed_private_key = keyring().seal(material.private_key, facts.fingerprint)

    def private_key(self) -> str:
        """The private key in clear, for the data plane alone. Raises `keyring.UnsealError`."""
        return keyring().unseal(self.sealed_private_key, self.fingerprint)
