"""Backend servers, and the groups that share the traffic of what forwards to them."""

from collections.abc import Iterable, Sequence

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

from console.models import ConfigurationRevision, RevisedModel, RevisedQuerySet
from listeners.models.addresses import PORT_RANGE, backend_refusal, leads_to, validate_backend_address


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
            for listener in self.listeners.select_related("load_balancer"):
                if sentence := loop(listener.load_balancer.address, listener.port, servers):
                    raise ValidationError(sentence)


class BackendServer(RevisedModel):
    part_of = "group"

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

    def clean(self) -> None:
        if self.address and self.port and (sentence := backend_refusal(self.address, self.port)):
            raise ValidationError({"address": sentence})

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def loop(address: str, port: int, servers: Iterable[BackendServer]) -> str:
    """Why a listener on this socket cannot forward to these servers, "" where it can."""
    for server in servers:
        if leads_to(address, port, server.address, server.port):
            return (
                f"Backend server {server} is the listener itself: its requests would go around in circles. "
                "Enter the address and port of the server behind it."
            )
    return ""
