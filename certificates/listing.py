"""What the list of certificates shows, with the listeners that use each row's certificate."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, QuerySet

from certificates.expiry import ExpiryState
from certificates.filters import KeyType, ListForm, Order, Use
from certificates.keyset import KeysetListing, walked
from certificates.models import Certificate
from certificates.rows import Row
from certificates.search import CERTIFICATES

FIELDS = (
    "name",
    "type",
    "subject",
    "domain_names",
    "server_names",
    "key",
    "not_before",
    "not_after",
    "created_at",
)


@dataclass(frozen=True)
class Listing(KeysetListing[Certificate]):
    """One page of the stored certificates."""

    form = ListForm
    orders = Order
    filters = ("type", "expiry", "key", "use")
    fields = FIELDS
    table = CERTIFICATES

    @property
    def everything(self) -> QuerySet[Certificate]:
        return Certificate.objects.all()

    def filtered(self) -> QuerySet[Certificate]:
        wanted, rows = self.parameters, self.everything
        if wanted.get("type"):
            rows = walked(rows, "type").filter(Q(walked_type=wanted["type"]))
        if wanted.get("expiry"):
            rows = self.at(rows, ExpiryState(wanted["expiry"]))
        if wanted.get("key"):
            rows = walked(rows, "key").filter(KeyType(wanted["key"]).condition("walked_"))
        if wanted.get("use"):
            is_used = wanted["use"] == Use.USED
            condition = Certificate.is_used() if is_used else ~Certificate.is_used("walked_id")
            rows = walked(rows, "id").filter(condition)
        return rows

    def shown(self, found: list[Certificate]) -> list[Row]:
        users = _listeners([certificate.pk for certificate in found]) if found else {}
        return [Row(certificate, users.get(certificate.pk, [])) for certificate in found]


def _listeners(numbers: list[int]) -> dict[int, list[Any]]:
    """The listeners of these certificates, a query for each way to use one; a prefetch would make a query
    set for each row.
    """
    users: dict[int, dict[Any, None]] = defaultdict(dict)
    for relation in Certificate.uses():
        column = relation.field.name
        rows = relation.related_model._default_manager.filter(**{f"{column}__in": numbers})
        for row in rows.annotate(used=F(column)).only("name", "protocol", "port"):
            users[row.used][row] = None
    return {number: list(found) for number, found in users.items()}
