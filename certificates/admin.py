"""Django's admin lets an administrator review stored certificates: read-only, and no key material."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from certificates import pem
from certificates.expiry import USERS, ExpiryState
from certificates.filters import KeyType, Use
from certificates.models import Certificate
from certificates.rows import LISTENERS_SHOWN
from certificates.search import Search, Walked

SEVERITIES = {
    pem.Severity.REFUSE: "Would be refused today",
    pem.Severity.WARN: "Warning",
    pem.Severity.NOTE: "Note",
}


class ExpiryFilter(admin.SimpleListFilter):
    """Django's own filter of dates looks back; with expiry it is what comes that counts."""

    title = "expiry"
    parameter_name = "expiry"

    def lookups(self, request: HttpRequest, model_admin: object) -> Iterable[tuple[str, str]]:
        return ExpiryState.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Certificate]) -> QuerySet[Certificate]:
        chosen = self.value() or ""
        if chosen not in ExpiryState.values:
            return queryset
        return queryset.filter(ExpiryState(chosen).condition(timezone.now()))


class KeyFilter(admin.SimpleListFilter):
    title = "key"
    parameter_name = "key"

    def lookups(self, request: HttpRequest, model_admin: object) -> Iterable[tuple[str, str]]:
        return KeyType.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Certificate]) -> QuerySet[Certificate]:
        chosen = self.value() or ""
        return queryset.filter(KeyType(chosen).condition()) if chosen in KeyType.values else queryset


class UseFilter(admin.SimpleListFilter):
    title = "use"
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: object) -> Iterable[tuple[str, str]]:
        return Use.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Certificate]) -> QuerySet[Certificate]:
        conditions = {Use.USED.value: Certificate.is_used(), Use.UNUSED.value: ~Certificate.is_used()}
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(Certificate)
class CertificateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # takes none at run time
    list_display = [
        "title",
        "subject",
        "issuer",
        "validity",
        "key",
        "short_fingerprint",
        "used_by_few",
        "added",
    ]
    list_filter = ["type", ExpiryFilter, KeyFilter, UseFilter, "created_at"]
    list_select_related = ["created_by"]
    list_per_page = 50
    show_full_result_count = False  # it would count the whole table a second time
    search_fields = ["name"]  # shows the box; `get_search_results` looks further than that
    search_help_text = "Name, domain name, fingerprint, serial number or subject"
    # Named one by one: what is added to the model later, a key perhaps, does not show by itself.
    fields = [
        "name",
        "type",
        "description",
        "findings",
        "used_by",
        "subject",
        "issuer",
        "server_names",
        "domain_names",
        "serial_number",
        "fingerprint",
        "key",
        "signature_algorithm",
        "valid_from",
        "valid_until",
        "added",
        "changed",
        "content",
    ]
    readonly_fields = ["findings", "used_by", "valid_from", "valid_until", "added", "changed"]

    class Media:
        css = {"all": ["admin-certificates.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Certificate]:
        rows: QuerySet[Certificate] = super().get_queryset(request)
        return rows.defer("sealed_private_key").prefetch_related(*USERS)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Certificate], search_term: str
    ) -> tuple[QuerySet[Certificate], bool]:
        if not search_term.strip():
            return queryset, False
        rows = queryset.alias(walked_id=Walked(F("pk")))
        return rows.filter(Search(search_term).condition()), False

    @admin.display(description="name", ordering="name")
    def title(self, certificate: Certificate) -> str:
        return str(certificate)

    @admin.display(ordering="not_after")
    def validity(self, certificate: Certificate) -> str:
        return f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"

    @admin.display(description="SHA-256 fingerprint", ordering="fingerprint")
    def short_fingerprint(self, certificate: Certificate) -> str:
        return f"{certificate.fingerprint[:16]}…"

    @admin.display
    def valid_from(self, certificate: Certificate) -> str:
        return _moment(certificate.not_before)

    @admin.display
    def valid_until(self, certificate: Certificate) -> str:
        return _moment(certificate.not_after)

    @admin.display(ordering="created_at")
    def added(self, certificate: Certificate) -> str:
        return _moment(certificate.created_at, certificate.created_by)

    @admin.display
    def changed(self, certificate: Certificate) -> str:
        return _moment(certificate.updated_at, certificate.updated_by)

    @admin.display(description="used by", empty_value="no listener")
    def used_by(self, certificate: Certificate) -> SafeString | None:
        return _links(certificate.listeners) or None

    @admin.display(description="used by", empty_value="no listener")
    def used_by_few(self, certificate: Certificate) -> SafeString | None:
        listeners = certificate.listeners
        left_out = len(listeners) - LISTENERS_SHOWN
        more = f", and {left_out} more" if left_out > 0 else ""
        return format_html("{}{}", _links(listeners[:LISTENERS_SHOWN]), more) if listeners else None

    @admin.display(empty_value="none")
    def findings(self, certificate: Certificate) -> SafeString | None:
        found = pem.stored_findings(certificate.type, certificate.content, timezone.now())
        lines = ((SEVERITIES[one.severity], one.message) for one in found)
        items = format_html_join("", "<li><b>{}.</b> {}</li>", lines)
        return format_html("<ul>{}</ul>", items) if items else None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Certificate | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Certificate | None = None) -> bool:
        return False


def _moment(when: datetime, *who: User | None) -> str:
    """With its zone, which Django's own display of a date leaves out."""
    shown = f"{timezone.localtime(when):%Y-%m-%d %H:%M %Z}"
    names = (person.get_username() if person else "an account since deleted" for person in who)
    return " by ".join([shown, *names])


def _links(listeners: list[Any]) -> SafeString:
    links = (
        (one.get_absolute_url(), str(one), one.protocol, one.port, str(one.load_balancer))
        for one in listeners
    )
    return format_html_join(", ", '<a href="{}">{}</a> ({}/{}) of {}', links)
