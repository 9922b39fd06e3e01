"""Which configuration has changed: a number that every change raises, and a journal of what changed."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction

from console.waking import wake

M = TypeVar("M", bound="RevisedModel")

KEPT_CHANGES = 10_000  # a reader that is further behind reads everything
PRUNING = 100  # notes between two removals of those that need not be kept
MOST_NOTED = 1_000  # rows of one write that are noted one by one


class RevisionQuerySet(models.QuerySet["ConfigurationRevision"]):
    def number(self) -> int:
        return self.values_list("number", flat=True).first() or 0

    def advance(self) -> None:
        """Raises the number; to be called inside the transaction of the change that it announces."""
        if not self._raise():
            self.get_or_create(pk=1)  # the very first change; another may be making the row as well
            self._raise()

    def _raise(self) -> int:
        return self.update(number=models.F("number") + 1)

    @contextmanager
    def change(self) -> Iterator[None]:
        """A transaction in which configuration is checked and written, one writer at a time.

        The row of the revision is the lock: what was found free (an address and port, say) stays free
        until the commit, on PostgreSQL too.
        """
        with transaction.atomic():
            self.advance()
            yield


class ConfigurationRevision(models.Model):
    """One row, the lock of those who write; its number counts the changes."""

    number = models.BigIntegerField(default=0)

    objects = RevisionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"revision {self.number}"


@dataclass(frozen=True)
class Noted:
    """What was noted up to `position`: (kind, id) of each object, None when anything may have changed."""

    position: int
    objects: frozenset[tuple[str, int]] | None


class ConfigurationChangeQuerySet(models.QuerySet["ConfigurationChange"]):
    def note(self, kind: str, ids: Collection[int] | None) -> None:
        """To be called inside `ConfigurationRevision.objects.change()`; None: any object of the kind.

        A reader asks for notes behind the last that it saw. The lock on the revision's row is held from
        before a note is numbered until it is committed, so numbers become visible in their order.
        """
        rows = [ConfigurationChange(kind=kind, object_id=id) for id in ([None] if ids is None else ids)]
        if not rows:
            return
        last = max(row.pk for row in self.bulk_create(rows))
        if last % PRUNING < len(rows):
            self.filter(pk__lte=last - KEPT_CHANGES).delete()
        transaction.on_commit(wake)

    def since(self, position: int | None) -> Noted | None:
        """What was noted behind a position, None for a reader's first look; None when nothing was."""
        if position is None:
            return Noted(self.order_by("-pk").values_list("pk", flat=True).first() or 0, None)
        notes = list(self.filter(pk__gte=position).order_by("pk").values_list("pk", "kind", "object_id"))
        if not notes:
            return Noted(0, None) if position else None
        if notes[0][0] != position:
            return Noted(notes[-1][0], None)  # the reader's own place is gone, and perhaps more with it
        if len(notes) == 1:
            return None
        objects = frozenset((kind, id) for _, kind, id in notes[1:] if id is not None)
        is_whole = all(id is not None for _, _, id in notes[1:])
        return Noted(notes[-1][0], objects if is_whole else None)


class ConfigurationChange(models.Model):
    """One note of the journal: an object that was written or deleted."""

    kind = models.CharField(max_length=100)
    object_id = models.BigIntegerField(null=True)

    objects = ConfigurationChangeQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id or 'of any number'}"


class RevisedQuerySet(models.QuerySet[M]):
    """Bulk writes raise the revision and are noted as single ones are."""

    def update(self, **values: Any) -> int:
        with ConfigurationRevision.objects.change():
            # Rows that come to belong to another object change that one as well.
            moves = values.keys() & {self.model.part_of, f"{self.model.part_of}_id"}
            self._note(None if moves else self._noted_ids())
            return super().update(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        with ConfigurationRevision.objects.change():
            self._note(self._noted_ids())
            return super().delete()

    def bulk_create(self, objs: Iterable[M], *args: Any, **options: Any) -> list[M]:
        with ConfigurationRevision.objects.change():
            rows = super().bulk_create(objs, *args, **options)
            # A database may leave out the numbers of rows, some of which were there already.
            ids = {id for row in rows if (id := row.noted_id) is not None}
            is_known = all(row.noted_id is not None for row in rows) and len(ids) <= MOST_NOTED
            self._note(ids if is_known else None)
            return rows

    def bulk_update(self, objs: Any, fields: Iterable[str], batch_size: int | None = None) -> int:
        with ConfigurationRevision.objects.change():
            return super().bulk_update(objs, fields, batch_size)  # notes by way of `update`

    def _noted_ids(self) -> set[int] | None:
        column = self.model.part_of or "pk"
        ids = set(self.order_by().values_list(column, flat=True).distinct()[: MOST_NOTED + 1])
        return ids if len(ids) <= MOST_NOTED else None

    def _note(self, ids: Collection[int] | None) -> None:
        ConfigurationChange.objects.note(self.model.noted_kind(), ids)


class RevisedModel(models.Model):
    """A row that the data plane's configuration is made from.

    `part_of` is the foreign key to the object that a row is a part of: that one is noted as changed. Empty
    for a row that stands for itself.
    """

    part_of: ClassVar[str] = ""

    class Meta:
        abstract = True

    @classmethod
    def noted_kind(cls) -> str:
        model: Any = cls._meta.get_field(cls.part_of).related_model if cls.part_of else cls
        return str(model._meta.label_lower)

    @property
    def noted_id(self) -> int | None:
        """None before it is stored."""
        id: int | None = getattr(self, f"{self.part_of}_id") if self.part_of else self.pk
        return id

    def _stored_id(self) -> int | None:
        return type(self)._base_manager.filter(pk=self.pk).values_list(self.part_of, flat=True).first()

    def save(self, *args: Any, **options: Any) -> None:
        with ConfigurationRevision.objects.change():
            # A part may have belonged to another object.
            ids = [self._stored_id()] if self.part_of and self.pk else []
            super().save(*args, **options)
            self._note(*ids, self.noted_id)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        with ConfigurationRevision.objects.change():
            self._note(self.noted_id)
            return super().delete(*args, **options)

    def _note(self, *ids: int | None) -> None:
        ConfigurationChange.objects.note(self.noted_kind(), {id for id in ids if id is not None})
