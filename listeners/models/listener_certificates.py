"""The certificates that a listener uses several of; `Listener.choose` is what sets them."""

from django.db import models

from certificates.models import Certificate
from console.models import RevisedModel, RevisedQuerySet
from listeners.models.listener import Listener


class ListenerCertificate(RevisedModel):
    part_of = "listener"

    listener = models.ForeignKey(Listener, models.CASCADE, related_name="+")
    certificate = models.ForeignKey(Certificate, models.PROTECT, related_name="+")

    objects = RevisedQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.listener}: {self.certificate}"


class ListenerCaCertificate(ListenerCertificate):
    class Meta:
        constraints = [models.UniqueConstraint(fields=["listener", "certificate"], name="listener_ca_once")]


class ListenerSniCertificate(ListenerCertificate):
    class Meta:
        constraints = [models.UniqueConstraint(fields=["listener", "certificate"], name="listener_sni_once")]
