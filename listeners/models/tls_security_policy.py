"""Custom TLS policies, beside the predefined ones of `tls_policies`."""

from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from certificates.models import Certificate
from console.models import RevisedModel, RevisedQuerySet
from listeners import tls_policies
from listeners.servable import SERVABLE
from listeners.tls_policies import TlsPolicy, TlsVersion, versions_of

MOST_POLICIES = 50
MOST_EXPLAINED = 5
NAME_TAKEN = "Another policy has this name. Enter another one."


class TlsSecurityPolicy(RevisedModel):
    """`versions` and `suites` are lists of the values of `TlsVersion` and `tls_policies.CHOICES`."""

    name = models.CharField("Name", max_length=255, blank=True)
    description = models.CharField("Description", max_length=255, blank=True)
    versions = models.JSONField("TLS Versions", default=list, blank=True)
    suites = models.JSONField("Cipher Suites", default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RevisedQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=~models.Q(name=""),
                name="tls_security_policy_name_once",
                violation_error_message=NAME_TAKEN,
            )
        ]

    def __str__(self) -> str:
        return self.name or f"ID {self.pk}"

    def get_absolute_url(self) -> str:
        return f"{reverse('tls_policy_custom_list')}#policy-{self.pk}"

    def clean(self) -> None:
        """Puts versions and suites into order, without suites that no chosen version has.

        Refuses what Envoy, or a listener that uses the policy, could not serve.
        """
        self.versions = [version.value for version in TlsVersion if version in self.versions]
        self.suites = [
            suite
            for suite in tls_policies.CHOICES
            if suite in self.suites and not versions_of(suite).isdisjoint(self.versions)
        ]
        if not self.pk and TlsSecurityPolicy.objects.count() >= MOST_POLICIES:
            raise ValidationError(
                f"There are {MOST_POLICIES} custom policies already. Delete one that is not used."
            )
        errors: dict[str, str | list[str]] = {}
        if self.name in tls_policies.BY_NAME:
            errors["name"] = "A default policy has this name. Enter another one."
        elif self.name and TlsSecurityPolicy.objects.filter(name=self.name).exclude(pk=self.pk).exists():
            errors["name"] = NAME_TAKEN  # a constraint with a condition would say it at no field
        if sentence := self._fault_of_versions():
            errors["versions"] = sentence
        elif sentence := self._fault_of_suites():
            errors["suites"] = sentence
        elif sentences := self._faults_of_listeners():
            errors["suites"] = sentences
        if errors:
            raise ValidationError(errors)

    @property
    def policy(self) -> TlsPolicy:
        """Raises ValueError for a damaged row."""
        return TlsPolicy(
            str(self), tuple(map(TlsVersion, self.versions)), tuple(self.suites), self.description
        )

    def _fault_of_versions(self) -> str:
        if not self.versions:
            return "Choose at least one TLS version."
        if not tls_policies.is_gapless(map(TlsVersion, self.versions)):
            return "Choose the versions in between, too: a server offers all from its lowest to its highest."
        return ""

    def _fault_of_suites(self) -> str:
        if not self.suites:
            return "Choose at least one cipher suite for the chosen versions."
        for version in map(TlsVersion, self.versions):
            chosen = {suite for suite in self.suites if version in versions_of(suite)}
            if not chosen:
                return (
                    f"{version.label} is chosen and none of its suites. Choose one, or leave the version out."
                )
            # Envoy reads an empty list as its own choice of suites, which nobody here has made.
            if not chosen & SERVABLE:
                return (
                    f"Envoy can serve none of the suites chosen for {version.label}. "
                    "Choose one that is not marked, or leave the version out."
                )
        return ""

    def _faults_of_listeners(self) -> list[str]:
        """Why some listener that uses the policy could not be reached any more."""
        if not self.pk:
            return []
        certificates = Certificate.objects.only("type", "key", "server_names")
        listeners = self.listeners.prefetch_related(
            models.Prefetch("server_certificate", certificates),
            models.Prefetch("sni_certificates", certificates),
        )
        faults = [(one, sentence) for one in listeners for sentence in one.unservable(self.policy)[:1]]
        sentences = [
            f"Listener {listener.name}: {sentence}" for listener, sentence in faults[:MOST_EXPLAINED]
        ]
        if (others := len(faults) - MOST_EXPLAINED) > 0:
            sentences.append(f"{others} more listeners have certificates that do not fit, either.")
        return sentences
