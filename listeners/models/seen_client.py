"""Which client certificates have been let in, and where: aggregated from the data plane's own log."""

from collections.abc import Iterable

from django.conf import settings
from django.db import models, transaction

from console.models import ConfigurationRevision
from listeners.models.listener import Listener


class SeenClientQuerySet(models.QuerySet["SeenClient"]):
    def note(self, rows: Iterable["SeenClient"]) -> None:
        """Adds what was counted since: `count` and the times of each row are those of that while alone.

        A certificate at a listener is in one row at most; rows of listeners that are gone are passed over. Of
        all that are stored, the `ELB_SEEN_CLIENTS` that were seen last are kept.
        """
        seen = list(rows)
        with transaction.atomic():
            # Who deletes a listener has this lock, and would fail over a row that came meanwhile.
            ConfigurationRevision.objects.select_for_update().first()
            there = Listener.objects.filter(pk__in={row.listener_id for row in seen})
            ids = frozenset(there.values_list("pk", flat=True))
            seen = [row for row in seen if row.listener_id in ids]
            known = self.filter(listener__in=ids, fingerprint__in={row.fingerprint for row in seen})
            earlier = {
                (row.listener_id, row.fingerprint): row for row in known.order_by("pk").select_for_update()
            }
            news = [row for row in seen if not row._go_on(earlier.get((row.listener_id, row.fingerprint)))]
            self.bulk_create(
                seen,
                update_conflicts=True,
                unique_fields=["listener", "fingerprint"],
                update_fields=["subject", "issuer", "serial_number", "first_seen", "last_seen", "count"],
            )
            if news:
                self._forget()

    def _forget(self) -> None:
        excess = self.count() - settings.ELB_SEEN_CLIENTS
        if excess > 0:
            oldest = self.order_by("last_seen", "pk").values("pk")[:excess]
            self.filter(pk__in=oldest).delete()


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

    def _go_on(self, earlier: "SeenClient | None") -> bool:
        """Counts on from what is stored, if it is there."""
        if earlier is None:
            return False
        self.first_seen = min(self.first_seen, earlier.first_seen)
        self.last_seen = max(self.last_seen, earlier.last_seen)
        self.count += earlier.count
        return True
