"""Which client certificates have been let in, and where: aggregated from the data plane's own log."""

from collections.abc import Iterable

from django.db import models

from listeners.models.listener import Listener


class SeenClientQuerySet(models.QuerySet["SeenClient"]):
    def note(self, rows: Iterable["SeenClient"]) -> None:
        """Adds what was counted since: `count` and the times of each row are those of that while alone.

        Listeners that are gone meanwhile are passed over. Of all rows the `ELB_SEEN_CLIENTS` that were seen
        last are kept.
        """
        raise NotImplementedError


class SeenClient(models.Model):
    """A client certificate at a listener. Times are the data plane's; a connection counts when it ends."""

    listener = models.ForeignKey(Listener, models.CASCADE, related_name="seen_clients")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256, hexadecimal")
    subject = models.TextField(help_text="as Envoy writes it, at most 1,000 characters")
    issuer = models.TextField(help_text="as Envoy writes it, at most 1,000 characters")
    serial_number = models.CharField(max_length=64, help_text="hexadecimal")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    count = models.BigIntegerField("Connections", default=0)

    objects = SeenClientQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["listener", "fingerprint"], name="seen_client_once"),
        ]
        indexes = [
            models.Index(fields=["fingerprint"], name="seen_client_by_fingerprint"),
            models.Index(fields=["last_seen"], name="seen_client_by_last_seen"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} at {self.listener}"
