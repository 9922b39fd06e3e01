"""A guided way to a verified mutual-TLS request, as far as somebody has come on it."""

import uuid
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import models
from django.urls import reverse
from django.utils import timezone

from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from listeners.models.listener import Listener

# What has come to no client certificate is forgotten after so long; what was made on it stays.
UNFINISHED_LIFETIME = timedelta(days=30)


class GuidedSetupQuerySet(models.QuerySet["GuidedSetup"]):
    def begin(self, user: User, listener: Listener | None = None) -> "GuidedSetup":
        """A new one, which may begin with a listener; a second click goes on with what the first began."""
        unfinished = self.filter(client=None)
        unfinished.filter(updated_at__lt=timezone.now() - UNFINISHED_LIFETIME).delete()
        mine = unfinished.filter(created_by=user, listener=listener)
        if listener is None:
            mine = mine.filter(authority=None, server_certificate=None)
        setup = mine.first() or GuidedSetup(created_by=user, listener=listener)
        if listener:
            setup.server_certificate = listener.server_certificate
            setup.authority = setup.authority or _issuing_authority(listener)
        setup.save()
        return setup

    def with_relations(self) -> "GuidedSetupQuerySet":
        """With all that its pages name, and without the keys of servers."""
        rows = self.select_related(
            "authority__certificate",
            "server_certificate",
            "client__authority",
            "listener__load_balancer",
            "listener__server_certificate",
        ).prefetch_related("listener__ca_certificates")
        return rows.defer(
            "server_certificate__sealed_private_key", "listener__server_certificate__sealed_private_key"
        )


class GuidedSetup(models.Model):
    """Each step leaves behind what it made or chose; what is deleted meanwhile is asked for again."""

    class Step(models.TextChoices):
        AUTHORITY = "authority", "CA"
        CERTIFICATE = "certificate", "Server Certificate"
        LISTENER = "listener", "Listener"
        CLIENT = "client", "Client Certificate"
        PROOF = "proof", "Proof"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    authority = models.ForeignKey(CertificateAuthority, models.SET_NULL, null=True, related_name="+")
    server_certificate = models.ForeignKey(Certificate, models.SET_NULL, null=True, related_name="+")
    listener = models.ForeignKey(Listener, models.SET_NULL, null=True, related_name="+")
    client = models.ForeignKey(IssuedCertificate, models.SET_NULL, null=True, related_name="+")
    proof = models.JSONField(default=dict, blank=True, help_text="what the last two requests came to")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="guided_setups")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = GuidedSetupQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return f"guided setup {self.id}"

    def get_absolute_url(self) -> str:
        return reverse("guided_setup", args=[self.pk])

    def url_of(self, step: str) -> str:
        return reverse("guided_step", args=[self.pk, step])

    def is_done(self, step: str) -> bool:
        match step:
            case self.Step.AUTHORITY:
                # Once the client has its certificate, the CA's key has done its part here.
                return self.authority is not None and (self.authority.has_key or self._has_client)
            case self.Step.CERTIFICATE:
                return self.listener is not None or self.server_certificate is not None
            case self.Step.LISTENER:
                return self._is_asked_for_by_listener
            case self.Step.CLIENT:
                return self._has_client
            case _:
                return bool(self.proof)

    @property
    def open_step(self) -> str:
        """The first that is not done; the last for good."""
        return next((step for step in self.Step.values if not self.is_done(step)), self.Step.PROOF.value)

    @property
    def open_title(self) -> str:
        return str(self.Step(self.open_step).label)

    def is_reached(self, step: str) -> bool:
        """Whether all before it is done."""
        earlier = self.Step.values[: self.Step.values.index(step)]
        return all(self.is_done(one) for one in earlier)

    @property
    def _has_client(self) -> bool:
        return self.client is not None and self.client.authority_id == self.authority_id

    @property
    def _is_asked_for_by_listener(self) -> bool:
        """Whether the listener lets in nobody but clients with certificates, this CA's among them."""
        if self.listener is None or self.authority is None or not self.listener.is_mutual:
            return False
        return self.authority.certificate in self.listener.chosen_ca_certificates


def _issuing_authority(listener: Listener) -> CertificateAuthority | None:
    """The first of its CAs that can issue here."""
    trusted = CertificateAuthority.objects.filter(certificate__in=listener.chosen_ca_certificates)
    return trusted.exclude(sealed_private_key="").filter(not_after__gt=timezone.now()).first()
