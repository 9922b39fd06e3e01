"""Custom TLS policies, beside the predefined ones of `tls_policies`."""

from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from console.models import RevisedModel, RevisedQuerySet
from listeners import tls_policies
from listeners.tls_policies import TLS_1_3_SUITES, TlsPolicy, TlsVersion

MOST_POLICIES = 50


class TlsSecurityPolicy(RevisedModel):
    """`versions` and `suites` are lists of the values of `TlsVersion` and `tls_policies.CHOICES`."""

    name = models.CharField("Name", max_length=255, unique=True)
    description = models.CharField("Description", max_length=255, blank=True)
    versions = models.JSONField("TLS Versions", default=list)
    suites = models.JSONField("Cipher Suites", default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = RevisedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("tls_policy_list")

    def clean(self) -> None:
        """Puts versions and suites into their order; refuses what no data plane could serve."""
        errors: dict[str, str] = {}
        self.versions = [version.value for version in TlsVersion if version in self.versions]
        self.suites = [suite for suite in tls_policies.CHOICES if suite in self.suites]
        if not self.versions:
            errors["versions"] = "Choose at least one TLS version."
        elif not tls_policies.is_gapless(map(TlsVersion, self.versions)):
            errors["versions"] = (
                "Choose the versions in between, too: a server offers all from its lowest to its highest."
            )
        older = [suite for suite in self.suites if suite not in TLS_1_3_SUITES]
        if not self.suites:
            errors["suites"] = "Choose at least one cipher suite."
        elif self.versions and self.versions[-1] != TlsVersion.TLS_1_3 and not older:
            errors["suites"] = (
                "These suites are for TLS 1.3 alone. Choose one for the other versions, too, or TLS 1.3."
            )
        elif self.versions and self.versions[0] != TlsVersion.TLS_1_3 and not older:
            errors["suites"] = "Choose a suite for the versions before TLS 1.3, too, or TLS 1.3 alone."
        elif TlsVersion.TLS_1_3 in self.versions and not set(self.suites) & set(TLS_1_3_SUITES):
            errors["suites"] = "Choose a suite of TLS 1.3, too, or leave TLS 1.3 out."
        if not self.pk and TlsSecurityPolicy.objects.count() >= MOST_POLICIES:
            raise ValidationError(
                f"There are {MOST_POLICIES} custom policies already. Delete one that is not used."
            )
        if errors:
            raise ValidationError(errors)

    @property
    def policy(self) -> TlsPolicy:
        """Raises ValueError for a damaged row."""
        return TlsPolicy(
            self.name, tuple(map(TlsVersion, self.versions)), tuple(self.suites), self.description
        )
