"""Load balancers, their listeners, and the backend servers that listeners forward to."""

import ipaddress
import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone

from certificates.models import Certificate
from console.models import ConfigurationRevision, RevisedModel, RevisedQuerySet
from listeners.spec import addresses_overlap

DRAFT_LIFETIME = timedelta(days=30)
PORT_RANGE = [MinValueValidator(1), MaxValueValidator(65535)]


def validate_listening_address(value: str) -> None:
    """Refuses what a socket cannot listen on."""
    address = _ip_address(value)
    if address.is_multicast or str(address) == "255.255.255.255":
        raise ValidationError(
            f"{value} is a multicast or broadcast address; nothing can listen for HTTP there. "
            "Enter an address of this machine, or 0.0.0.0 for all of them."
        )


def validate_backend_address(value: str) -> None:
    address = _ip_address(value)
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        raise ValidationError(
            f"{value} is not the address of one backend server; enter an address such as 192.0.2.10."
        )


def _ip_address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; one that hides in another's spelling is refused, for no check would know it again."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise ValidationError(f"{value} is not an IPv4 or IPv6 address.") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ValidationError(f"{value} is an IPv4 address in disguise; enter {address.ipv4_mapped}.")
    return address


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
        _ip_address(self.address)
        for listener in self.listeners.all():
            taken = listener_in_the_way(self.address, listener.port, but=listener)
            if taken:
                raise ValidationError({"address": _overlap(taken, self.address, listener.port)})


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


class ListenerQuerySet(RevisedQuerySet["Listener"]):
    def open(self, listener: "Listener", servers: Sequence[BackendServer]) -> "Listener":
        """Stores a new listener with a backend server group of its own. Raises ValidationError."""
        with ConfigurationRevision.objects.change():
            group = BackendServerGroup.objects.create(name=f"server_group-{secrets.token_hex(2)}")
            group.hold(servers)
            listener.backend_server_group = group
            listener.full_clean()
            listener.save(force_insert=True)
        return listener

    def with_relations(self) -> Self:
        """With all that a page names, and without the sealed private key, which none does."""
        ones = ("load_balancer", "backend_server_group", "created_by", "server_certificate", "ca_certificate")
        return (
            self.select_related(*ones)
            .prefetch_related("backend_server_group__servers")
            .defer("server_certificate__sealed_private_key", "ca_certificate__sealed_private_key")
        )


class Listener(RevisedModel):
    class Protocol(models.TextChoices):
        HTTPS = "HTTPS", "HTTPS"
        HTTP = "HTTP", "HTTP"

    class Authentication(models.TextChoices):
        ONE_WAY = "one-way", "One-way authentication"
        MUTUAL = "mutual", "Mutual authentication"

    load_balancer = models.ForeignKey(LoadBalancer, models.PROTECT, related_name="listeners")
    name = models.CharField("Name", max_length=255)
    description = models.CharField("Description", max_length=255, blank=True)
    protocol = models.CharField("Frontend Protocol", max_length=5, choices=Protocol, default=Protocol.HTTPS)
    port = models.PositiveIntegerField("Frontend Port", validators=PORT_RANGE)
    authentication = models.CharField(
        "SSL Authentication", max_length=7, choices=Authentication, default=Authentication.ONE_WAY
    )
    server_certificate = models.ForeignKey(
        Certificate,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="server_listeners",
        limit_choices_to={"type": Certificate.Type.SERVER},
        verbose_name="Server Certificate",
    )
    ca_certificate = models.ForeignKey(
        Certificate,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ca_listeners",
        limit_choices_to={"type": Certificate.Type.CA},
        verbose_name="CA Certificate",
    )
    backend_server_group = models.ForeignKey(
        BackendServerGroup, models.PROTECT, related_name="listeners", verbose_name="Backend Server Group"
    )
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ListenerQuerySet.as_manager()

    class Meta:
        ordering = ["port", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["load_balancer", "port"],
                name="listener_port_once",
                violation_error_message="Another listener of this load balancer has this port.",
            ),
            # What a listener asks of its clients never depends on a missing value (pitfall F1).
            models.CheckConstraint(
                name="listener_https_has_certificate",
                condition=models.Q(protocol="HTTPS", server_certificate__isnull=False)
                | models.Q(protocol="HTTP", server_certificate__isnull=True),
                violation_error_message="An HTTPS listener needs a server certificate; HTTP takes none.",
            ),
            models.CheckConstraint(
                name="listener_mutual_has_ca",
                condition=models.Q(authentication="mutual", protocol="HTTPS", ca_certificate__isnull=False)
                | models.Q(authentication="one-way", ca_certificate__isnull=True),
                violation_error_message="Mutual authentication needs a CA certificate.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("listener_detail", args=[self.pk])

    @property
    def is_mutual(self) -> bool:
        return self.authentication == self.Authentication.MUTUAL

    def clean(self) -> None:
        """Drops what the chosen protocol and authentication do not use; refuses what they miss."""
        errors: dict[str, str] = {}
        if self.protocol == self.Protocol.HTTP:
            self.authentication = self.Authentication.ONE_WAY
            self.server_certificate = None
        elif self.server_certificate is None:
            errors["server_certificate"] = "Choose the server certificate that clients will see."
        elif self.server_certificate.type != Certificate.Type.SERVER:
            errors["server_certificate"] = "This is not a server certificate."
        if not self.is_mutual:
            self.ca_certificate = None
        elif self.ca_certificate is None:
            errors["ca_certificate"] = "Choose the CA whose client certificates are let in."
        elif self.ca_certificate.type != Certificate.Type.CA:
            errors["ca_certificate"] = "This is not a CA certificate."
        if self.port and self.load_balancer_id:
            taken = listener_in_the_way(self.load_balancer.address, self.port, but=self)
            if taken:
                errors["port"] = _overlap(taken, self.load_balancer.address, self.port)
        if errors:
            raise ValidationError(errors)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """Takes the backend server group along when nothing else forwards to it."""
        with ConfigurationRevision.objects.change():
            group = self.backend_server_group
            outcome = super().delete(*args, **options)
            if not group.listeners.exists():
                group.delete()
        return outcome


class ListenerDraftQuerySet(models.QuerySet["ListenerDraft"]):
    def begin(self, load_balancer: LoadBalancer, user: User) -> "ListenerDraft":
        """A new draft with what the first step proposes; drafts that nobody came back to go."""
        self.filter(updated_at__lt=timezone.now() - DRAFT_LIFETIME).delete()
        proposed = {
            "name": f"listener-{secrets.token_hex(2)}",
            "protocol": Listener.Protocol.HTTPS.value,
            "port": "443",
            "authentication": Listener.Authentication.ONE_WAY.value,
        }
        return self.create(load_balancer=load_balancer, created_by=user, steps={"configure": proposed})


class ListenerDraft(models.Model):
    """A half-filled Add Listener page: what was posted at each step, kept until it is submitted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    load_balancer = models.ForeignKey(LoadBalancer, models.CASCADE, related_name="drafts")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    steps = models.JSONField(default=dict, help_text="step name: what was posted, as text")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ListenerDraftQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return self.fields("configure").get("name") or f"listener draft {self.id}"

    def fields(self, step: str) -> dict[str, str]:
        """The fields last posted at a step; none when it was not reached, or when the row is damaged."""
        kept = self.steps.get(step) if isinstance(self.steps, dict) else None
        return _texts(kept)

    def rows(self, step: str) -> list[dict[str, str]]:
        """The rows of fields last posted at a step."""
        kept = self.steps.get(step) if isinstance(self.steps, dict) else None
        return [_texts(row) for row in kept] if isinstance(kept, list) else []

    def remember(self, step: str, posted: Mapping[str, str] | Sequence[Mapping[str, str]]) -> None:
        """Keeps a step as it was posted, right or wrong."""
        kept = _without_nul(posted) if isinstance(posted, Mapping) else [_without_nul(row) for row in posted]
        self.steps = {**(self.steps if isinstance(self.steps, dict) else {}), step: kept}
        self.save()


def _texts(kept: object) -> dict[str, str]:
    if not isinstance(kept, dict):
        return {}
    return {name: value for name, value in kept.items() if isinstance(value, str)}


def _without_nul(fields: Mapping[str, str]) -> dict[str, str]:
    # PostgreSQL's JSON cannot hold NUL; no field takes it either.
    return {name: value.replace("\0", "") for name, value in fields.items()}


def listener_in_the_way(address: str, port: int, but: Listener) -> Listener | None:
    """The listener that already has this port on an address that overlaps, if there is one."""
    others = Listener.objects.filter(port=port).exclude(pk=but.pk).select_related("load_balancer")
    return next((one for one in others if addresses_overlap(one.load_balancer.address, address)), None)


def _overlap(taken: Listener, address: str, port: int) -> str:
    where = taken.load_balancer
    if where.address == address:
        return (
            f"Port {port} of {address} is taken by listener {taken.name} ({where.name}). Choose another port."
        )
    return (
        f"Port {port} on {address} overlaps listener {taken.name} of {where.name}, which listens on "
        f"{where.address}. Choose another port, or give the two load balancers distinct addresses."
    )
