"""Lists that are put in order and cut into pages by an address's parameters, whatever they list.

A page begins behind the row that the one before ended with (a keyset), so the last page costs what the
first one does, and no row is skipped or repeated when others come or go. The list is walked along an
index that has every column it filters by; SQLite is kept from sorting instead (`search.Walked`).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import urlencode

from django import forms
from django.db import models
from django.db.models import BooleanField, F, Func, QuerySet, Value
from django.utils import timezone

from certificates.expiry import ExpiryState
from certificates.search import COUNTED, Search, SearchTable, Walked

ROWS = 25
# So many rows are looked at for a search that finds much before the search table is asked for all of it.
WALKED = 1_000

POSITION = re.compile(r"(\d{1,18})\.([^\0]*)", re.DOTALL)
# An order's word in addresses, and the column behind it.
COLUMNS = {"name": "name", "expires": "not_after", "created": "created_at", "issued": "id"}

M = TypeVar("M", bound=models.Model)


class Ordering(models.TextChoices):
    """The orders of a list, by their words in addresses; a minus in front turns one around."""

    @property
    def word(self) -> str:
        return self.value.lstrip("-")

    @property
    def column(self) -> str:
        return COLUMNS[self.word]

    @property
    def is_backwards(self) -> bool:
        return self.value.startswith("-")


@dataclass(frozen=True)
class Heading:
    """A column that the list can be put in order of; `sorted` is aria-sort's word."""

    url: str
    sorted: str


@dataclass(frozen=True)
class KeysetListing(ABC, Generic[M]):
    """One page of the rows that `parameters`, an address's, ask for. `orders` begins with the usual one."""

    parameters: Mapping[str, str]
    now: datetime = field(default_factory=timezone.now)

    form: ClassVar[type[forms.Form]]
    orders: ClassVar[type[Ordering]]
    filters: ClassVar[tuple[str, ...]]
    fields: ClassVar[tuple[str, ...]]
    table: ClassVar[SearchTable]

    @property
    @abstractmethod
    def everything(self) -> QuerySet[M]:
        """What there is to be listed, before any filter."""

    @abstractmethod
    def filtered(self) -> QuerySet[M]:
        """What the filters leave, the search aside."""

    def at(self, rows: QuerySet[M], state: ExpiryState) -> QuerySet[M]:
        """Those of the rows whose end is so near."""
        # In the order of the end itself, the walk may begin where its range does.
        prefix = "" if self.order.column == "not_after" else "walked_"
        return walked(rows, "not_before", "not_after").filter(state.condition(self.now, prefix))

    def shown(self, found: list[M]) -> list[Any]:
        """The rows of a page as it shows them."""
        return found

    @property
    def order(self) -> Ordering:
        return self.orders(self.parameters.get("sort") or self._usual)

    @property
    def _usual(self) -> str:
        return str(self.orders.values[0])

    @property
    def is_narrowed(self) -> bool:
        return self.has_filters or self.search is not None

    @property
    def has_filters(self) -> bool:
        return any(self.parameters.get(name) for name in self.filters)

    @property
    def is_part(self) -> bool:
        """Whether `everything` leaves out rows that the search table has."""
        return False

    def url(self, **changes: str) -> str:
        """The address of this list with other parameters, always of its first page unless they say so."""
        chosen = {name: self.parameters.get(name, "") for name in self.form.base_fields} | changes
        if chosen["sort"] == self._usual:
            chosen["sort"] = ""
        return "?" + urlencode({name: value for name, value in chosen.items() if value})

    @cached_property
    def search(self) -> Search | None:
        text = self.parameters.get("q", "").strip()
        return Search(text, self.table) if text else None

    def page(self, position: Mapping[str, str]) -> "Page[M]":
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
        return Page(
            self,
            found,
            self.shown(found),
            total=len(found) if is_all else self._total(),
            has_previous=goes_on if backwards else bool(after),
            has_next=bool(before) if backwards else goes_on,
        )

    def _total(self) -> int | None:
        if self.search and self.search.count is not None:
            is_narrower = self.has_filters or self.is_part
            if not is_narrower:
                return self.search.count
            if self.search.count > COUNTED:
                return None  # what the filters leave of so much would have to be looked at one by one
        return self._in_order(None, False).values("pk")[: COUNTED + 1].count()

    def _found(self, place: "Place | None", backwards: bool) -> list[M]:
        """The rows of a page and one more, beginning at the page's nearer end."""
        rows = self._in_order(place, backwards)
        if self.search and self.search.is_broad:
            # What is found everywhere most often fills a page from the next rows; else all of it is got.
            walked = self._in_order(place, backwards, search=False).values_list("pk", flat=True)[:WALKED]
            numbers = self.search.among(list(walked))
            if len(numbers) > ROWS or len(walked) < WALKED:
                found = self.everything.only(*self.fields).in_bulk(numbers[: ROWS + 1])
                return [found[number] for number in numbers if number in found]
        return list(rows.only(*self.fields)[: ROWS + 1])

    def _in_order(self, place: "Place | None", backwards: bool, *, search: bool = True) -> QuerySet[M]:
        rows = self.filtered()
        if search and self.search:
            rows = walked(rows, "id").filter(self.search.condition())
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
        if self.order.column in {"name", "id"}:
            return Place(number, Value(value if self.order.column == "name" else number))
        try:
            moment = datetime.fromisoformat(value)
            return Place(number, Value(moment.astimezone(UTC))) if moment.tzinfo else None
        except (ValueError, OverflowError):
            return None

    def place_of(self, row: M) -> str:
        value = getattr(row, self.order.column)
        return f"{row.pk}.{value.isoformat() if isinstance(value, datetime) else value}"


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
class Page(Generic[M]):
    """`found` are rows of the table, `rows` what is shown of them. `total` is counted to one more than
    `COUNTED`; None where that would take too long.
    """

    listing: KeysetListing[M]
    found: list[M]
    rows: list[Any]
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
        for name in dict.fromkeys(order.word for order in listing.orders):
            backwards, sorted = f"-{name}", "none"
            if listing.order.word == name:
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
        return self.listing.url(before=self.listing.place_of(self.found[0]))

    @property
    def next_url(self) -> str:
        return self.listing.url(after=self.listing.place_of(self.found[-1]))


def walked(rows: QuerySet[M], *columns: str) -> QuerySet[M]:
    aliased: QuerySet[M] = rows.alias(**{f"walked_{column}": Walked(F(column)) for column in columns})
    return aliased
