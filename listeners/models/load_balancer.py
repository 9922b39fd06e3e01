"""Load balancers: an address on which listeners open ports."""

from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from console.models import ConfigurationRevision, RevisedModel, RevisedQuerySet
from listeners.models.addresses import ip_address, validate_listening_address
from listeners.models.backend_server_group import loop
from listeners.models.sockets import overlap


class LoadBalancerQuerySet(RevisedQuerySet["LoadBalancer"]):
    def ensure_first(self) -> None:
        """A console that has never held anything begins with one load balancer, ready for listeners."""
        if ConfigurationRevision.objects.number() == 0:
            self.create(name="load-balancer-1", description="Made at the first start")


class LoadBalancer(RevisedModel):
    name = models.CharField("Name", max_length=255, unique=True)
    description = models.CharField("Description", max_length=255, blank=True)
    address = models.GenericIPAddressField(
        "Listening Address",
        default="0.0.0.0",
        validators=[validate_listening_address],
        help_text="0.0.0.0 listens on every IPv4 address of the machine, :: on every IPv4 and IPv6 address.",
    )
    is_enabled = models.BooleanField("Enabled", default=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = LoadBalancerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("load_balancer_detail", args=[self.pk])

    def clean(self) -> None:
        if not self.pk or not self.address:
            return
        ip_address(self.address)
        listeners = self.listeners.select_related("backend_server_group")
        for listener in listeners.prefetch_related("backend_server_group__servers"):
            group = listener.backend_server_group
            sentence = overlap(self.address, listener.port, but=listener.pk) or (
                loop(self.address, listener.port, group.servers.all()) if group else ""
            )
            if sentence:
                raise ValidationError({"address": sentence})

    def switch(self, is_enabled: bool) -> None:
        """Disables it with all its listeners, which keep their own switches; or enables it, as it was."""
        self.is_enabled = is_enabled
        self.save(update_fields=["is_enabled", "updated_at"])
