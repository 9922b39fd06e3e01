"""Reads of several queries that see the database as it was at one moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

# By Django's names of databases. `atomic` would have SQLite wait for writers and keep them waiting, and
# PostgreSQL see what others commit between two queries.
BEGIN = {"sqlite": "BEGIN DEFERRED", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}


@contextmanager
def one_moment() -> Iterator[None]:
    """Nothing can be written in it. Within a transaction it is that transaction's business."""
    begin = BEGIN.get(connection.vendor)
    if connection.in_atomic_block or begin is None:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(begin)
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")
