"""The configuration's revision number: raised by every change that the data plane must learn of."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import models, transaction

M = TypeVar("M", bound=models.Model)


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
    """One row. The control plane looks again whenever its number has grown, so no change is missed."""

    number = models.BigIntegerField(default=0)

    objects = RevisionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"revision {self.number}"


class RevisedQuerySet(models.QuerySet[M]):
    """Bulk writes raise the revision as single ones do."""

    def update(self, **values: Any) -> int:
        with ConfigurationRevision.objects.change():
            return super().update(**values)

    def delete(self) -> tuple[int, dict[str, int]]:
        with ConfigurationRevision.objects.change():
            return super().delete()

    def bulk_create(self, objs: Any, *args: Any, **options: Any) -> list[M]:
        with ConfigurationRevision.objects.change():
            return super().bulk_create(objs, *args, **options)

    def bulk_update(self, objs: Any, fields: Iterable[str], batch_size: int | None = None) -> int:
        with ConfigurationRevision.objects.change():
            return super().bulk_update(objs, fields, batch_size)


class RevisedModel(models.Model):
    """A row that the data plane's configuration is made from."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        with ConfigurationRevision.objects.change():
            super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        with ConfigurationRevision.objects.change():
            return super().delete(*args, **options)
