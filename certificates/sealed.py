"""Rows with a sealed private key: which master keys they need, and sealing them again under a newer one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from certificates.keyring import ID_LENGTH, ID_START, Keyring, UnsealError
from console.models import ConfigurationRevision

BATCH = 100


def master_key_id(field: str) -> models.Func:
    """The id of the master key that sealed a field; "" where nothing is sealed."""
    # Its numbers stand in the SQL, not beside it: SQLite finds the index of an expression by its text.
    template = f"SUBSTR(%(expressions)s, {ID_START}, {ID_LENGTH})"
    return models.Func(field, template=template, output_field=models.CharField())


@dataclass(frozen=True)
class Batch:
    """`problems` are the rows that did not open, by primary key, each with a sentence."""

    sealed: int
    problems: dict[Any, str]


@dataclass(frozen=True)
class SealedRows:
    """The rows of one model; `context` is the field that says what a key is sealed for."""

    what: str
    rows: models.QuerySet[Any]
    field: str
    context: str

    def master_key_ids(self) -> list[str]:
        """The ids of the master keys that seal anything here: for each, one look into an index."""
        rows = self._with_ids().order_by("master_key").values_list("master_key", flat=True)
        found: list[str] = []
        while (one := rows.filter(master_key__gt=found[-1] if found else "").first()) is not None:
            found.append(one)
        return found

    def to_seal_again(self, keyring: Keyring) -> models.QuerySet[Any]:
        """Those that another master key than the first one sealed."""
        return self._with_ids().exclude(master_key__in=["", keyring.first_id]).order_by("pk")

    def seal_again(self, keyring: Keyring) -> Iterator[Batch]:
        """Seals rows again under the first master key, in transactions of `BATCH` rows each.

        What the data plane is given stays the same, so the revision is not raised.
        """
        last: Any = None
        while outcome := self._batch(keyring, last):
            batch, last = outcome
            yield batch

    def _batch(self, keyring: Keyring, after: Any) -> tuple[Batch, Any] | None:
        """One batch of the rows behind the row `after`, and its last row; None when there are no more."""
        with transaction.atomic():
            # Who stores a certificate holds this lock, and has sealed by the time it is given back.
            ConfigurationRevision.objects.select_for_update().first()
            rows = self.to_seal_again(keyring)
            if after is not None:
                rows = rows.filter(pk__gt=after)
            found = list(rows.values_list("pk", self.field, self.context)[:BATCH])
            problems = {}
            for pk, text, context in found:
                try:
                    private_key = keyring.unseal(text, str(context))
                except UnsealError as error:
                    problems[pk] = str(error)
                    continue
                again = {self.field: keyring.seal(private_key, str(context))}
                # Only what was read is written over: a key that was removed meanwhile stays removed.
                as_read = self.rows.filter(pk=pk, **{self.field: text})
                models.QuerySet.update(as_read, **again)  # not raising the revision
        return (Batch(len(found) - len(problems), problems), found[-1][0]) if found else None

    def _with_ids(self) -> models.QuerySet[Any]:
        rows: models.QuerySet[Any] = self.rows.annotate(master_key=master_key_id(self.field))
        return rows
