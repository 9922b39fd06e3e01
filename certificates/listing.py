"""What the list of certificates shows: chosen, put in order and cut into pages by an address's parameters.

A page begins behind the row that the one before ended with (a keyset), so the last page costs what the
first one does, and no row is skipped or repeated when others come or go. The list is walked along an
index that has every column it filters by; SQLite is kept from sorting instead (`search.Walked`).
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, reduce
from operator import or_
from typing import Any
from urllib.parse import urlencode

from django.db import models
from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.utils import timezone

from certificates.expiry import ExpiryState
from certificates.filters import COLUMNS, KeyType, ListForm, Order, Use
from certificates.models import Certificate
from certificates.rows import Row
from certificates.search import COUNTED, Search, Walked

ROWS = 25
# So many rows are looked at for a search that finds much before the search table is asked for all of it.
WALKED = 1_000

POSITION = re.compile(r"(\d{1,18})\.([^\0]*)", re.DOTALL)
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
class Heading:
    """A column that the list can be put in order of; `sorted` is aria-sort's word."""

    url: str
    sorted: str


@dataclass(frozen=True)
class Listing:
    """One page of the certificates that `parameters`, an address's, ask for."""

    parameters: Mapping[str, str]
    now: datetime = field(default_factory=timezone.now)

    @property
    def order(self) -> Order:
        return Order(self.parameters.get("sort") or Order.NAME)

    @property
    def is_narrowed(self) -> bool:
        return self.has_filters or self.search is not None

    @property
    def has_filters(self) -> bool:
        return any(self.parameters.get(name) for name in ("type", "expiry", "key", "use"))

    def url(self, **changes: str) -> str:
        """The address of this list with other parameters, always of its first page unless they say so."""
        chosen = {name: self.parameters.get(name, "") for name in ListForm.base_fields} | changes
        if chosen["sort"] == Order.NAME:
            chosen["sort"] = ""
        return "?" + urlencode({name: value for name, value in chosen.items() if value})

    @cached_property
    def search(self) -> Search | None:
        text = self.parameters.get("q", "").strip()
        return Search(text) if text else None

    def filtered(self) -> QuerySet[Certificate]:
        """What the filters leave, the search aside."""
        wanted = self.parameters
        rows: QuerySet[Certificate] = Certificate.objects.all()
        if wanted.get("type"):
            rows = _walked(rows, "type").filter(Q(walked_type=wanted["type"]))
        if wanted.get("expiry"):
            # In the order of the end itself, the walk may begin where its range does.
            prefix = "" if self.order.column == "not_after" else "walked_"
            condition = ExpiryState(wanted["expiry"]).condition(self.now, prefix)
            rows = _walked(rows, "not_before", "not_after").filter(condition)
        if wanted.get("key"):
            rows = _walked(rows, "key").filter(KeyType(wanted["key"]).condition("walked_"))
        if wanted.get("use"):
            is_used = wanted["use"] == Use.USED
            condition = Certificate.is_used() if is_used else ~Certificate.is_used("walked_id")
            rows = _walked(rows, "id").filter(condition)
        return rows

    def page(self, position: Mapping[str, str]) -> "Page":
        """The page behind `after` or before `before`, or the `last`; else, or if it is empty, the first."""
        after, before = self._place(position.get("after", "")), self._place(position.get("before", ""))
        backwards = bool(before) or "last" in position
        found = self._found(after or before, backwards)
        if not found and (after or before):
            after = before = None
            backwards, found = False, self._found(None, False)
        goes_on, found = len(found) > ROWS, found[:ROWS]
        is_all = not goes_on and not after and not before
        if backwards:
            found.reverse()
        users = _listeners([certificate.pk for certificate in found]) if found else {}
        return Page(
            self,
            [Row(certificate, users.get(certificate.pk, [])) for certificate in found],
            total=len(found) if is_all else self._total(),
            has_previous=goes_on if backwards else bool(after),
            has_next=bool(before) if backwards else goes_on,
        )

    def _total(self) -> int | None:
        if self.search and self.search.count is not None:
            if not self.has_filters:
                return self.search.count
            if self.search.count > COUNTED:
                return None  # what the filters leave of so much would have to be looked at one by one
        return self._in_order(None, False).values("pk")[: COUNTED + 1].count()

    def _found(self, place: "Place | None", backwards: bool) -> list[Certificate]:
        """The certificates of a page and one more, beginning at the page's nearer end."""
        rows = self._in_order(place, backwards)
        if self.search and self.search.is_broad:
            # What is found everywhere most often fills a page from the next rows; else all of it is got.
            walked = self._in_order(place, backwards, search=False).values_list("pk", flat=True)[:WALKED]
            numbers = self.search.among(list(walked))
            if len(numbers) > ROWS or len(walked) < WALKED:
                certificates = Certificate.objects.only(*FIELDS).in_bulk(numbers[: ROWS + 1])
                return [certificates[number] for number in numbers if number in certificates]
        return list(rows.only(*FIELDS)[: ROWS + 1])

    def _in_order(
        self, place: "Place | None", backwards: bool, *, search: bool = True
    ) -> QuerySet[Certificate]:
        rows = self.filtered()
        if search and self.search:
            rows = _walked(rows, "id").filter(self.search.condition())
        falling = self.order.is_backwards != backwards
        if place:
            rows = rows.filter(Beyond(self.order.column, place, falling))
        direction = "-" if falling else ""
        return rows.order_by(f"{direction}{self.order.column}", f"{direction}pk")

    def _place(self, text: str) -> "Place | None":
        written = POSITION.fullmatch(text)
        if not written:
            return None
        number, value = int(written[1]), written[2]
        if self.order.column == "name":
            return Place(number, Value(value))
        try:
            moment = datetime.fromisoformat(value)
            return Place(number, Value(moment.astimezone(UTC))) if moment.tzinfo else None
        except (ValueError, OverflowError):
            return None

    def place_of(self, certificate: Certificate) -> str:
        value = getattr(certificate, self.order.column)
        return f"{certificate.pk}.{value.isoformat() if isinstance(value, datetime) else value}"


@dataclass(frozen=True)
class Place:
    """A row's place in the order: what it is sorted by, and its number where that is the same."""

    number: int
    value: Value


class Beyond(Func):
    """Rows behind a place, compared as a pair: both databases find it in the index at once."""

    output_field = BooleanField()

    def __init__(self, column: str, place: Place, falling: bool) -> None:
        super().__init__(F(column), F("pk"), place.value, Value(place.number))
        self.operator = "<" if falling else ">"

    def as_sql(
        self, compiler: Any, connection: Any, *args: Any, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        parts = [compiler.compile(expression) for expression in self.source_expressions]
        column, number, value, place = (sql for sql, _ in parts)
        parameters = tuple(parameter for _, some in parts for parameter in some)
        return f"({column}, {number}) {self.operator} ({value}, {place})", parameters


@dataclass(frozen=True)
class Page:
    """`total` is counted to one more than `COUNTED`; None where that would take too long."""

    listing: Listing
    rows: list[Row]
    total: int | None
    has_previous: bool
    has_next: bool

    @property
    def count(self) -> str:
        if self.total is None:
            return "More than one page of certificates"
        if self.total > COUNTED:
            return f"More than {COUNTED:,} certificates"
        return f"{self.total:,} certificate{'s' * (self.total != 1)}"

    @property
    def headings(self) -> dict[str, Heading]:
        """The columns by which the list can be put in order."""
        listing, headings = self.listing, {}
        for name in COLUMNS:
            backwards, sorted = f"-{name}", "none"
            if listing.order.value.lstrip("-") == name:
                sorted = "descending" if listing.order.is_backwards else "ascending"
            headings[name] = Heading(listing.url(sort=backwards if sorted == "ascending" else name), sorted)
        return headings

    @property
    def first_url(self) -> str:
        return self.listing.url()

    @property
    def last_url(self) -> str:
        return self.listing.url(last="1")

    @property
    def previous_url(self) -> str:
        return self.listing.url(before=self.listing.place_of(self.rows[0].certificate))

    @property
    def next_url(self) -> str:
        return self.listing.url(after=self.listing.place_of(self.rows[-1].certificate))


def _walked(rows: QuerySet[Certificate], *columns: str) -> QuerySet[Certificate]:
    return rows.alias(**{f"walked_{column}": Walked(F(column)) for column in columns})


def _listeners(numbers: list[int]) -> dict[int, list[Any]]:
    """The listeners of these certificates, in one query; a prefetch would make a query set for each row."""
    columns: dict[Any, list[models.Field[Any, Any]]] = defaultdict(list)
    for relation in Certificate._meta.related_objects:
        columns[relation.related_model].append(relation.field)
    users: dict[int, list[Any]] = defaultdict(list)
    for model, foreign_keys in columns.items():
        names = [key.name for key in foreign_keys]
        uses = reduce(or_, (Q(**{f"{name}__in": numbers}) for name in names))
        for row in model._default_manager.filter(uses).only("name", "protocol", "port", *names):
            for key in foreign_keys:
                users[getattr(row, key.attname)].append(row)
    return users
