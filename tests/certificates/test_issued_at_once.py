"""Several who issue, or take a key, at once: real threads, each with a connection of its own."""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from django.db import connection, connections

from certificates.alternative_names import entered
from certificates.issuing import KeyKind, Profile, Subject
from certificates.issuing.keys import loaded
from certificates.models import CertificateAuthority, IssuedCertificate
from tests import factories, issued_rows

Together = Callable[[int, Callable[[], Any]], list[Any]]


@pytest.fixture
def together(transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Together]:
    """Does something in several threads at once, each with a connection of its own.

    SQLite's databases in memory have one writer or readers at a time; these have a copy in a file.
    """

    def run(count: int, action: Callable[[], Any]) -> list[Any]:
        if connection.vendor == "sqlite":
            connection.ensure_connection()
            file = tmp_path / "copy.sqlite3"
            with sqlite3.connect(file) as copy:
                connection.connection.backup(copy)
            copy.close()
            monkeypatch.setitem(connections.databases["default"], "NAME", str(file))
        start = threading.Barrier(count, timeout=30)

        def one(_: int) -> Any:
            start.wait()
            try:
                return action()
            finally:
                connection.close()

        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(one, range(count)))

    yield run
    monkeypatch.undo()


def test_several_who_issue_at_once_never_share_a_serial_number(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    by, who = issued_rows.authority(), factories.user()
    drawn = itertools.count()
    # Each number is drawn three times, as if chance had it so.
    monkeypatch.setattr(x509, "random_serial_number", lambda: 10**40 + next(drawn) // 3)

    def issue() -> str:
        mine = CertificateAuthority.objects.get(pk=by.pk)
        names = entered("a.test.com")
        return mine.issue(Profile.CLIENT, Subject("a"), names, KeyKind.P256, 30, who).serial_number

    numbers = together(4, issue)

    assert sorted(numbers) == [f"{10**40 + number:x}" for number in range(4)]
    assert next(drawn) > 4


def test_key_is_given_to_one_of_several_who_take_it_at_once(together: Together) -> None:
    row = issued_rows.client(issued_rows.authority())
    taken = together(4, lambda: IssuedCertificate.objects.take_key(row.pk))
    assert sorted(map(bool, taken)) == [False, False, False, True]
    certificate = x509.load_pem_x509_certificate(row.content.encode())
    assert loaded(max(taken)).public_key() == certificate.public_key()
