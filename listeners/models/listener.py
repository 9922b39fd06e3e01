"""Listeners: a port of a load balancer, what its clients must show, and where their requests go."""

from collections.abc import Iterable
from typing import Any, Self

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from certificates.models import Certificate
from console.models import ConfigurationRevision, RevisedModel
from listeners import tls_policies
from listeners.admission import AdmissionError
from listeners.models.addresses import PORT_RANGE
from listeners.models.backend_server_group import BackendServerGroup, loop
from listeners.models.listener_checks import certificate_errors, fault_of_names, listed_clients
from listeners.models.listener_queryset import ListenerQuerySet
from listeners.models.load_balancer import LoadBalancer
from listeners.models.sni import served_names, sni_faults
from listeners.models.sockets import overlap
from listeners.models.tls_security_policy import TlsSecurityPolicy
from listeners.servable import unservable
from listeners.spec import IdentityKind, SniAlgorithm
from listeners.tls_policies import KeyType, TlsPolicy

IDLE_RANGE = [MinValueValidator(0), MaxValueValidator(4000)]
TIMEOUT_RANGE = [MinValueValidator(1), MaxValueValidator(300)]


class Listener(RevisedModel):
    class Protocol(models.TextChoices):
        HTTPS = "HTTPS", "HTTPS"
        HTTP = "HTTP", "HTTP"

    class Authentication(models.TextChoices):
        ONE_WAY = "one-way", "One-way authentication"
        MUTUAL = "mutual", "Mutual authentication"
        OPTIONAL = "optional", "Verify if given"
        UNVERIFIED = "unverified", "Ask but do not verify"

    class Admission(models.TextChoices):
        ANY = "any", "Every client whose certificate the CA certificates vouch for"
        LISTED = "listed", "Only the clients listed below"

    class SniMatching(models.TextChoices):
        WILDCARD = SniAlgorithm.WILDCARD.value, "Wildcard: a star stands for one label"
        LONGEST_SUFFIX = (
            SniAlgorithm.LONGEST_SUFFIX.value,
            "Longest suffix: a star stands for any number of labels",
        )

    load_balancer = models.ForeignKey(LoadBalancer, models.PROTECT, related_name="listeners")
    name = models.CharField("Name", max_length=255)
    description = models.CharField("Description", max_length=255, blank=True)
    is_enabled = models.BooleanField("Enabled", default=True, editable=False)
    protocol = models.CharField("Frontend Protocol", max_length=5, choices=Protocol, default=Protocol.HTTPS)
    port = models.PositiveIntegerField("Frontend Port", validators=PORT_RANGE)
    redirect_to = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="redirecting_listeners",
        verbose_name="Redirected to",
    )
    authentication = models.CharField(
        "SSL Authentication", max_length=10, choices=Authentication, default=Authentication.ONE_WAY
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
    ca_certificates = models.ManyToManyField(
        Certificate,
        through="ListenerCaCertificate",
        blank=True,
        related_name="ca_listeners",
        limit_choices_to={"type": Certificate.Type.CA},
        verbose_name="CA Certificate",
    )
    sends_ca_names = models.BooleanField("Send CA names to clients", default=True)
    admission = models.CharField("Who may enter", max_length=6, choices=Admission, default=Admission.ANY)
    allowed_clients = models.JSONField(
        "Allowed clients", default=list, blank=True, help_text="pairs of an IdentityKind and a value"
    )
    sni_certificates = models.ManyToManyField(
        Certificate,
        through="ListenerSniCertificate",
        blank=True,
        related_name="sni_listeners",
        limit_choices_to={"type": Certificate.Type.SERVER},
        verbose_name="SNI Certificate",
    )
    sni_matching = models.CharField(
        "SNI matching", max_length=14, choices=SniMatching, default=SniMatching.WILDCARD
    )
    tls_policy = models.CharField(
        "Security Policy",
        max_length=32,
        default=tls_policies.DEFAULT.name,
        blank=True,
        help_text="the name of a predefined policy; empty where a custom one is chosen",
    )
    custom_tls_policy = models.ForeignKey(
        TlsSecurityPolicy, models.PROTECT, null=True, blank=True, related_name="listeners"
    )
    http2 = models.BooleanField("HTTP/2", default=False)
    idle_timeout = models.PositiveIntegerField("Idle Timeout (s)", default=60, validators=IDLE_RANGE)
    request_timeout = models.PositiveIntegerField("Request Timeout (s)", default=60, validators=TIMEOUT_RANGE)
    response_timeout = models.PositiveIntegerField(
        "Response Timeout (s)", default=60, validators=TIMEOUT_RANGE
    )
    backend_server_group = models.ForeignKey(
        BackendServerGroup,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="listeners",
        verbose_name="Backend Server Group",
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
                | models.Q(protocol="HTTP", server_certificate__isnull=True, authentication="one-way"),
                violation_error_message="An HTTPS listener needs a server certificate; HTTP takes none.",
            ),
            models.CheckConstraint(
                name="listener_allows_somebody",
                condition=models.Q(admission="any")
                | (models.Q(admission="listed", authentication="mutual") & ~models.Q(allowed_clients=[])),
                violation_error_message="List at least one client that may enter.",
            ),
            models.CheckConstraint(
                name="listener_goes_somewhere",
                condition=models.Q(redirect_to__isnull=True, backend_server_group__isnull=False)
                | models.Q(protocol="HTTP", redirect_to__isnull=False, backend_server_group__isnull=True),
                violation_error_message="Requests need backend servers, or a listener to redirect to.",
            ),
        ]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._chosen: dict[str, list[Certificate]] = {}

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("listener_detail", args=[self.pk])

    @property
    def is_mutual(self) -> bool:
        return self.authentication == self.Authentication.MUTUAL

    @property
    def asks_for_certificates(self) -> bool:
        return self.authentication != self.Authentication.ONE_WAY

    @property
    def is_open(self) -> bool:
        """Whether it is to be served at all."""
        return self.is_enabled and self.load_balancer.is_enabled

    @property
    def sharing(self) -> models.QuerySet["Listener"]:
        """The other listeners that use its backend server group."""
        others = Listener.objects.exclude(pk=self.pk)
        return others.filter(backend_server_group=self.backend_server_group_id or 0)

    def switch(self, is_enabled: bool) -> None:
        """Disables it, which keeps all that it is and its port; or enables it, as it was."""
        self.is_enabled = is_enabled
        self.save(update_fields=["is_enabled", "updated_at"])

    def choose(self, **certificates: Iterable[Certificate]) -> Self:
        """Takes `ca_certificates` or `sni_certificates`, to be checked by `clean` and stored by `save`."""
        self._chosen |= {name: list(chosen) for name, chosen in certificates.items()}
        return self

    def chosen(self, name: str) -> list[Certificate]:
        """The certificates of a relation as they will be once this is saved."""
        if name in self._chosen:
            return self._chosen[name]
        return list(getattr(self, name).all()) if self.pk else []

    @property
    def chosen_ca_certificates(self) -> list[Certificate]:
        return self.chosen("ca_certificates")

    @property
    def chosen_sni_certificates(self) -> list[Certificate]:
        return self.chosen("sni_certificates")

    @property
    def shown_certificates(self) -> list[Certificate]:
        """The server certificates that its clients may see, each once."""
        server = [self.server_certificate] if self.server_certificate else []
        return list(dict.fromkeys([*server, *self.chosen_sni_certificates]))

    def clean(self) -> None:
        """Drops what the chosen protocol and authentication do not use; refuses what they miss."""
        self._drop_what_is_not_used()
        errors = certificate_errors(self)
        if self.admission == self.Admission.LISTED:
            try:
                self.allowed_clients = listed_clients(self.allowed_clients)
            except AdmissionError as error:
                errors["allowed_clients"] = str(error)
        if sentences := self._policy_faults():
            errors["tls_policy"] = " ".join(sentences)
        if self.redirect_to and (
            self.redirect_to.protocol != self.Protocol.HTTPS
            or self.redirect_to.load_balancer_id != self.load_balancer_id
        ):
            errors["redirect_to"] = "Choose an HTTPS listener of the same load balancer."
        if self.port and self.load_balancer_id:
            if sentence := overlap(self.load_balancer.address, self.port, but=self.pk):
                errors["port"] = sentence
            servers = self.backend_server_group.servers.all() if self.backend_server_group else ()
            if sentence := loop(self.load_balancer.address, self.port, servers):
                errors["backend_server_group"] = sentence
        if errors:
            raise ValidationError(errors)

    def _drop_what_is_not_used(self) -> None:
        if self.protocol == self.Protocol.HTTP:
            self.authentication = self.Authentication.ONE_WAY
            self.server_certificate, self.custom_tls_policy, self.http2 = None, None, False
            self.tls_policy = tls_policies.DEFAULT.name
            self.choose(sni_certificates=[])
        else:
            self.redirect_to = None
        if self.redirect_to:
            self.backend_server_group = None
        if not self.asks_for_certificates:
            self.choose(ca_certificates=[])
            self.sends_ca_names = True
        if not self.is_mutual:
            self.admission = self.Admission.ANY
        if self.admission == self.Admission.ANY:
            self.allowed_clients = []
        if not self.chosen("sni_certificates"):
            self.sni_matching = self.SniMatching.WILDCARD
        if self.custom_tls_policy:
            self.tls_policy = ""
        elif not self.tls_policy:
            self.tls_policy = tls_policies.DEFAULT.name

    def _policy_faults(self) -> list[str]:
        try:
            policy = self.policy
        except (KeyError, ValueError):
            return ["There is no policy of this name any more. Choose another one."]
        return self.unservable(policy)

    @property
    def policy(self) -> TlsPolicy:
        """Raises KeyError or ValueError for a damaged row."""
        custom = self.custom_tls_policy
        return custom.policy if custom else tls_policies.BY_NAME[self.tls_policy]

    def unservable(self, policy: TlsPolicy) -> list[str]:
        """Why clients could not reach it, or some name of it, with its certificates and this policy."""
        if self.server_certificate is None:
            return []
        names = {
            served.name: [KeyType.of(one.key) for one in served.certificates]
            for served in served_names(self.chosen_sni_certificates)
        }
        return unservable(policy, KeyType.of(self.server_certificate.key), names)

    def objections(self, replacement: Certificate) -> list[str]:
        """Why a certificate that it uses cannot become `replacement`, which has the same id."""
        others = self.chosen_sni_certificates
        if replacement in others:
            self.choose(sni_certificates=[replacement if one == replacement else one for one in others])
        if self.server_certificate == replacement:
            self.server_certificate = replacement
        faults = [
            *fault_of_names(self, replacement),
            *sni_faults(self.chosen_sni_certificates),
            *self._policy_faults(),
        ]
        return [f"Listener {self.name}: {sentence}" for sentence in faults]

    def save(self, *args: Any, **options: Any) -> None:
        with ConfigurationRevision.objects.change():
            super().save(*args, **options)
            for name, chosen in self._chosen.items():
                getattr(self, name).set(chosen)
            self._chosen = {}

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """Takes the backend server group along when nothing else forwards to it."""
        with ConfigurationRevision.objects.change():
            group = self.backend_server_group
            outcome = super().delete(*args, **options)
            if group and not group.listeners.exists():
                group.delete()
        return outcome

    @property
    def allowed(self) -> list[tuple[IdentityKind, str]]:
        """Raises ValueError for a damaged row."""
        return [(IdentityKind(kind), str(value)) for kind, value in self.allowed_clients]
