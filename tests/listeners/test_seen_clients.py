"""Which client certificates were let in, as it is stored: added up, bounded, no part of the configuration."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from console.models import ConfigurationChange, ConfigurationRevision
from listeners.models import SeenClient
from tests import factories
from tests.backend import Backend
from tests.conftest import Pki
from tests.console_client import BackendFields
from tests.curl import curl
from tests.live import LiveConsole
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def sighting(listener: int, letter: str, minute: int, until: int = 0, count: int = 1) -> SeenClient:
    """Of a certificate that is told from others by a letter; minutes after `NOON`."""
    return SeenClient(
        listener_id=listener,
        fingerprint=letter * 64,
        subject=f"CN={letter}",
        issuer="CN=ca",
        serial_number="0a",
        first_seen=NOON + timedelta(minutes=minute),
        last_seen=NOON + timedelta(minutes=max(minute, until)),
        count=count,
    )


def stored() -> list[tuple[int, str, int, int, int]]:
    """Listener, letter, first and last minute, count."""
    return [
        (
            row.listener_id,
            row.fingerprint[0],
            *((time - NOON) // timedelta(minutes=1) for time in (row.first_seen, row.last_seen)),
            row.count,
        )
        for row in SeenClient.objects.order_by("listener", "fingerprint")
    ]


def test_what_is_noted_is_added_to_what_is_stored() -> None:
    one, other = factories.listener(), factories.listener()
    SeenClient.objects.note([sighting(one.pk, "a", 5, count=3, until=7), sighting(other.pk, "a", 6)])

    SeenClient.objects.note(
        [sighting(one.pk, "a", 2, count=4, until=4), sighting(one.pk, "b", 9), sighting(other.pk, "a", 8)]
    )

    assert stored() == [(one.pk, "a", 2, 7, 7), (one.pk, "b", 9, 9, 1), (other.pk, "a", 6, 8, 2)]


def test_listeners_that_are_gone_are_passed_over() -> None:
    here, gone = factories.listener(), factories.listener()
    number = gone.pk
    gone.delete()

    SeenClient.objects.note(
        [sighting(number, "a", 1), sighting(10**18 - 1, "a", 1), sighting(here.pk, "a", 1)]
    )

    assert stored() == [(here.pk, "a", 1, 1, 1)]


def test_of_more_than_the_bound_those_seen_last_are_kept(settings: Settings) -> None:
    settings.ELB_SEEN_CLIENTS = 3
    one, other = factories.listener(), factories.listener()
    SeenClient.objects.note([sighting(one.pk, "a", 1), sighting(one.pk, "b", 2), sighting(other.pk, "a", 3)])

    SeenClient.objects.note([sighting(one.pk, "a", 4), sighting(one.pk, "c", 5), sighting(one.pk, "d", 6)])

    assert [row[:2] for row in stored()] == [(one.pk, "a"), (one.pk, "c"), (one.pk, "d")]


def test_noting_is_no_change_of_the_configuration() -> None:
    listener = factories.listener()
    before = ConfigurationRevision.objects.number(), ConfigurationChange.objects.count()

    with CaptureQueriesContext(connection) as queries:
        SeenClient.objects.note([sighting(listener.pk, "a", 1)])

    assert (ConfigurationRevision.objects.number(), ConfigurationChange.objects.count()) == before
    assert not [one for one in queries if 'UPDATE "console_configurationrevision"' in one["sql"]]


@pytest.mark.parametrize("count", [1, 100])
def test_statements_do_not_grow_with_the_certificates(
    count: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    listener = factories.listener()
    rows = [sighting(listener.pk, chr(ord("A") + number), 1) for number in range(count)]
    SeenClient.objects.note(rows)

    with django_assert_max_num_queries(6):
        SeenClient.objects.note([sighting(listener.pk, row.fingerprint[0], 2) for row in rows])

    assert SeenClient.objects.count() == count


def test_client_that_was_let_in_is_stored(console: LiveConsole, backend: Backend, pki: Pki) -> None:
    """From a request to a row, with Envoy and control plane as processes of their own."""
    client, modern, port = console.client(), pki.modern, free_port()
    server = client.add_certificate("seen", "server", modern.server.certificate_pem, modern.server.key_pem)
    ca = client.add_certificate("seeing", "ca", modern.ca.certificate_pem)
    listener = client.add_listener(
        1, port, [BackendFields(backend.port)], server_certificate=server, ca_certificate=ca
    )
    client.wait_running(listener)
    url, pair = (
        f"https://127.0.0.1:{port}/",
        ("--cert", modern.client.certificate, "--key", modern.client.key),
    )

    statuses = [curl("-k", url).status, curl("-k", *pair, url).status, curl("-k", *pair, url).status]

    def seen() -> list[tuple[str, int]]:
        with closing(sqlite3.connect(console.data / "console.sqlite3")) as database:
            query = "SELECT subject, count FROM listeners_seenclient WHERE listener_id = ?"
            return database.execute(query, [listener]).fetchall()

    eventually(lambda: seen() == [("CN=client,O=ELB", 2)], "two connections are stored")
    assert statuses == [0, 200, 200]
