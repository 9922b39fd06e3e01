"""Backend servers, and the groups that share the traffic of what forwards to them."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

from console.models import ConfigurationRevision, RevisedModel, RevisedQuerySet
from listeners.models.addresses import PORT_RANGE, validate_backend_address


class BackendServerGroup(RevisedModel):
    """Servers that share the traffic of what forwards to the group."""

    name = models.CharField("Name", max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RevisedQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def hold(self, servers: Sequence["BackendServer"]) -> None:
        """Makes these the group's servers; one that stays keeps its row. Raises ValidationError."""
        if not servers:
            raise ValidationError("A backend server group needs at least one backend server.")
        with ConfigurationRevision.objects.change():
            stored = {(server.address, server.port): server for server in self.servers.all()}
            for server in servers:
                row = stored.pop((server.address, server.port), None) or server
                row.group, row.weight = self, server.weight
                row.full_clean()
                row.save()
            for row in stored.values():
                row.delete()


class BackendServer(RevisedModel):
    group = models.ForeignKey(BackendServerGroup, models.CASCADE, related_name="servers")
    address = models.GenericIPAddressField("Address", validators=[validate_backend_address])
    port = models.PositiveIntegerField("Backend Port", validators=PORT_RANGE)
    weight = models.PositiveIntegerField(
        "Weight",
        default=1,
        validators=[MaxValueValidator(100)],
        help_text="0 to 100; 0 sends no new requests.",
    )

    objects = RevisedQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "address", "port"],
                name="backend_server_once_in_group",
                violation_error_message="This address and port is listed twice.",
            )
        ]

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
