"""Django's admin lets an administrator review stored certificates: read-only, and no key material."""

from collections.abc import Iterable
from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from certificates.models import Certificate


class ExpiryFilter(admin.SimpleListFilter):
    """Django's own filter of dates looks back; with expiry it is what comes that counts."""

    title = "expiry"
    parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: object) -> Iterable[tuple[str, str]]:
        return [("expired", "Expired"), ("soon", "Within 30 days"), ("later", "Later")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Certificate]) -> QuerySet[Certificate]:
        now = timezone.now()
        soon = now + timedelta(days=30)
        conditions = {
            "expired": {"not_after__lte": now},
            "soon": {"not_after__gt": now, "not_after__lte": soon},
            "later": {"not_after__gt": soon},
        }
        return queryset.filter(**conditions.get(self.value() or "", {}))


@admin.register(Certificate)
class CertificateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # takes none at run time
    list_display = ["name", "subject", "issuer", "validity", "key", "short_fingerprint", "added"]
    list_filter = ["type", ExpiryFilter, "key", "signature_algorithm", "created_at"]
    list_select_related = ["created_by"]
    search_fields = ["name", "subject", "issuer", "domain_names", "serial_number", "fingerprint"]
    # Named one by one: what is added to the model later, a key perhaps, does not show by itself.
    fields = [
        "name",
        "type",
        "description",
        "subject",
        "issuer",
        "domain_names",
        "serial_number",
        "fingerprint",
        "key",
        "signature_algorithm",
        "not_before",
        "not_after",
        "created_by",
        "created_at",
        "updated_by",
        "updated_at",
        "content",
    ]

    class Media:
        css = {"all": ["admin-certificates.css"]}

    @admin.display(ordering="not_after")
    def validity(self, certificate: Certificate) -> str:
        return f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"

    @admin.display(description="SHA-256 fingerprint", ordering="fingerprint")
    def short_fingerprint(self, certificate: Certificate) -> str:
        return f"{certificate.fingerprint[:16]}…"

    @admin.display(ordering="created_at")
    def added(self, certificate: Certificate) -> str:
        when = timezone.localtime(certificate.created_at)
        whom = certificate.created_by.get_username() if certificate.created_by else "an account since deleted"
        return f"{when:%Y-%m-%d %H:%M %Z} by {whom}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Certificate | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Certificate | None = None) -> bool:
        return False
