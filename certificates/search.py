"""Finding certificates by a part of what they say: the search tables and the conditions that read them.

The table `certificates_search` holds one text a stored certificate (name, domain names, subject, serial
number, fingerprint), `certificates_issued_search` one a certificate that was issued here. Triggers of
migrations 0003 and 0006 keep them in step, whatever writes. On SQLite they are FTS5 tables of trigrams, on
PostgreSQL tables with a trigram index (docs/decisions/0004).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Func, Q
from django.db.models.expressions import RawSQL

SHORTEST_PART = 3  # a trigram has three characters
# More rows than this are not looked up and sorted: the list is walked in its order instead.
FEW = 250
# Counting goes so far and no further: it would cost more the more there is.
COUNTED = 1_000
OCTETS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2})+", re.IGNORECASE)
FINGERPRINT = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)


class Walked(Func):
    """A column that is compared while the list is walked in its order, never looked up by itself.

    SQLite knows nothing of how rare a value is and would sort all that an index of the column finds. The
    unary plus is its documented way to say so; PostgreSQL has statistics and needs no such word.
    """

    template = "%(expressions)s"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="+%(expressions)s", **context)


@dataclass(frozen=True)
class SearchTable:
    """`name` of the table, and what it finds rows of: their table, and the column of their own name."""

    name: str
    rows: str
    named: str


CERTIFICATES = SearchTable("certificates_search", "certificates_certificate", "name")
ISSUED = SearchTable("certificates_issued_search", "certificates_issuedcertificate", "common_name")


@dataclass(frozen=True)
class Search:
    """Every word has to occur somewhere; a word too short for trigrams has to begin a name or a number."""

    text: str
    table: SearchTable = CERTIFICATES

    @property
    def words(self) -> list[str]:
        return [_as_stored(word) for word in self.text.split()]

    @property
    def has_parts(self) -> bool:
        """Whether the search table can answer."""
        return any(len(word) >= SHORTEST_PART for word in self.words)

    @property
    def is_fingerprint(self) -> bool:
        return len(self.words) == 1 and FINGERPRINT.fullmatch(self.words[0]) is not None

    @cached_property
    def count(self) -> int | None:
        """How many certificates are found, counted to one more than `COUNTED`; None where nobody asked.

        Neither database knows beforehand how many have a part of a text; by the number it is chosen how
        to go on. A short search or a fingerprint finds few.
        """
        if not self.has_parts or self.is_fingerprint:
            return None
        rows, parameters = self._rows()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM ({rows} LIMIT {COUNTED + 1}) AS counted", parameters)  # noqa: S608
            return int(cursor.fetchone()[0])

    @property
    def is_broad(self) -> bool:
        return self.count is not None and self.count > FEW

    def condition(self) -> Q:
        """What to filter by; rows need the alias `walked_id`."""
        if not self.has_parts:
            return self._prefixes()
        if self.is_fingerprint:
            return Q(fingerprint=self.words[0].lower())
        rows, parameters = self._rows()
        if not self.is_broad:
            return Q(pk__in=RawSQL(rows, parameters))  # noqa: S611 # what was typed is a parameter
        if connection.vendor == "sqlite":
            return Q(walked_id__in=RawSQL(rows, parameters))  # noqa: S611
        # An array is made once; PostgreSQL would otherwise look every row up as it walks.
        found = f"{self.table.rows}.id = ANY(ARRAY({rows}))"
        return Q(RawSQL(found, parameters, output_field=BooleanField()))  # noqa: S611

    def among(self, numbers: Sequence[int]) -> list[int]:
        """Those of some certificates, in their order, that are found."""
        places = ", ".join(["%s"] * len(numbers))
        texts = f"SELECT rowid, text FROM {self.table.name} WHERE rowid IN ({places})"  # noqa: S608
        words = [word.lower() for word in self.words]
        with connection.cursor() as cursor:
            cursor.execute(texts, numbers)
            found = {row for row, text in cursor.fetchall() if all(word in text.lower() for word in words)}
        return [number for number in numbers if number in found]

    def _rows(self) -> tuple[str, list[str]]:
        """A query for the primary keys, and its parameters."""
        table = self.table.name
        if connection.vendor != "sqlite":
            texts = " AND ".join(["text ILIKE %s"] * len(self.words))
            rows = f"SELECT rowid FROM {table} WHERE {texts}"  # noqa: S608 # parameters only
            return rows, [f"%{_like(word)}%" for word in self.words]
        long = [word for word in self.words if len(word) >= SHORTEST_PART]
        short = [word for word in self.words if len(word) < SHORTEST_PART]
        texts = "".join([r" AND text LIKE %s ESCAPE '\'"] * len(short))
        rows = f"SELECT rowid FROM {table} WHERE {table} MATCH %s{texts}"  # noqa: S608
        # In FTS5's language a quoted string is only text, and a quote in it is written twice.
        phrases = ['"' + word.replace('"', '""') + '"' for word in long]
        return rows, [" AND ".join(phrases), *(f"%{_like(word)}%" for word in short)]

    def _prefixes(self) -> Q:
        text = " ".join(self.text.split())
        spellings = {text, text.lower(), text.upper(), text.capitalize()}
        condition = _begins("fingerprint", text.lower()) | _begins("serial_number", text.lower())
        for spelling in sorted(spellings):
            condition |= _begins(self.table.named, spelling)
        return condition


def _as_stored(word: str) -> str:
    """Octets with colons and "0x", as other programs write numbers, turned into plain hexadecimal."""
    if OCTETS.fullmatch(word):
        octets = word.replace(":", "")
        return octets if FINGERPRINT.fullmatch(octets) else octets.lstrip("0") or word
    return word[2:] if re.fullmatch(r"0[xX][0-9a-fA-F]{3,}", word) else word


def _like(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)


def _begins(field: str, text: str) -> Q:
    if connection.vendor != "sqlite":
        return Q(**{f"{field}__startswith": text})
    # SQLite's LIKE takes no index; the last code point stands behind everything that begins so.
    return Q(**{f"{field}__gte": text, f"{field}__lt": f"{text}\U0010ffff"})
