"""The journal of changes: every write leaves a note, and no reader misses one."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from certificates.models import Certificate
from console.models import (
    KEPT_CHANGES,
    MOST_NOTED,
    PRUNING,
    ConfigurationChange,
    Noted,
)
from console.waking import wake, wake_socket
from listeners.models import BackendServer, BackendServerGroup, Listener, LoadBalancer
from tests import factories
from tests.conftest import Pki

pytestmark = pytest.mark.django_db

CERTIFICATE, GROUP, LISTENER, LOAD_BALANCER = (
    "certificates.certificate",
    "listeners.backendservergroup",
    "listeners.listener",
    "listeners.loadbalancer",
)


@pytest.fixture
def row(pki: Pki) -> Listener:
    """A mutual listener with one backend server, an SNI certificate and a load balancer."""
    row = factories.listener(
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=factories.ca_certificate(pki.modern.ca),
    )
    row.choose(sni_certificates=[factories.server_certificate(pki.guide.server)]).save()
    return row


def position() -> int:
    noted = ConfigurationChange.objects.since(None)
    assert noted
    return noted.position


def since(before: int) -> frozenset[tuple[str, int]] | None:
    noted = ConfigurationChange.objects.since(before)
    assert noted
    return noted.objects


def server_of(row: Listener) -> BackendServer:
    return BackendServer.objects.get(group=row.backend_server_group_id)


def another_group() -> BackendServerGroup:
    return BackendServerGroup.objects.create(name="another")


WRITES: dict[str, tuple[Callable[[Listener], object], Callable[[Listener], set[tuple[str, int | None]]]]] = {
    "save": (lambda row: row.save(), lambda row: {(LISTENER, row.pk)}),
    "update": (
        lambda row: Listener.objects.filter(port=row.port).update(port=1),
        lambda row: {(LISTENER, row.pk)},
    ),
    "bulk update": (
        lambda row: Listener.objects.bulk_update([row], ["name"]),
        lambda row: {(LISTENER, row.pk)},
    ),
    "chosen certificates": (
        lambda row: row.choose(ca_certificates=list(Certificate.objects.filter(type="ca"))).save(),
        lambda row: {(LISTENER, row.pk)},
    ),
    "relation": (lambda row: row.sni_certificates.clear(), lambda row: {(LISTENER, row.pk)}),
    "load balancer": (
        lambda row: row.load_balancer.save(),
        lambda row: {(LOAD_BALANCER, row.load_balancer_id)},
    ),
    "server": (lambda row: server_of(row).save(), lambda row: {(GROUP, row.backend_server_group_id)}),
    "server deleted": (
        lambda row: server_of(row).delete(),
        lambda row: {(GROUP, row.backend_server_group_id)},
    ),
    "servers deleted": (
        lambda row: BackendServer.objects.filter(group=row.backend_server_group_id).delete(),
        lambda row: {(GROUP, row.backend_server_group_id)},
    ),
    "servers added": (
        lambda row: BackendServer.objects.bulk_create(
            [BackendServer(group=row.backend_server_group, address="::1", port=1)]
        ),
        lambda row: {(GROUP, row.backend_server_group_id)},
    ),
    "certificate": (
        lambda row: Certificate.objects.get(pk=row.server_certificate_id).save(),
        lambda row: {(CERTIFICATE, row.server_certificate_id)},
    ),
}


@pytest.mark.parametrize("write", WRITES)
def test_write_is_noted_with_the_object_that_it_changes(row: Listener, write: str) -> None:
    act, expected = WRITES[write]
    before = position()
    act(row)
    assert since(before) == expected(row)


def test_deleted_objects_are_noted(row: Listener) -> None:
    listener, group, before = row.pk, row.backend_server_group_id, position()
    row.delete()
    assert since(before) == {(LISTENER, listener), (GROUP, group)}


def test_server_that_moves_changes_the_group_that_it_leaves(row: Listener) -> None:
    group, server, before = another_group(), server_of(row), position()
    server.group = group
    server.save()
    assert since(before) == {(GROUP, group.pk), (GROUP, row.backend_server_group_id)}


@pytest.mark.parametrize("column", ["group", "group_id"])
def test_servers_that_move_together_change_anything(row: Listener, column: str) -> None:
    group, before = another_group(), position()
    BackendServer.objects.update(**{column: group.pk})
    assert since(before) is None


def test_write_of_very_many_rows_changes_anything() -> None:
    before = position()
    LoadBalancer.objects.bulk_create([LoadBalancer(name=f"lb-{n}") for n in range(MOST_NOTED + 1)])
    first = since(before)
    before = position()
    LoadBalancer.objects.update(description="x")
    assert (first, since(before)) == (None, None)


def test_reader_is_told_once(row: Listener) -> None:
    before = position()
    row.save()
    noted = ConfigurationChange.objects.since(before)
    assert noted
    assert ConfigurationChange.objects.since(noted.position) is None


def test_write_that_is_undone_leaves_no_note(row: Listener) -> None:
    before = position()
    with transaction.atomic():
        row.save()
        transaction.set_rollback(True)
    assert ConfigurationChange.objects.since(before) is None


def test_reader_that_is_too_far_behind_reads_everything() -> None:
    ConfigurationChange.objects.note(GROUP, [1])
    before = position()
    ConfigurationChange.objects.note(GROUP, range(KEPT_CHANGES))
    assert (since(before), ConfigurationChange.objects.count()) == (None, KEPT_CHANGES)


def test_journal_stays_short() -> None:
    ConfigurationChange.objects.note(GROUP, range(KEPT_CHANGES))
    for _ in range(PRUNING + 1):
        ConfigurationChange.objects.note(GROUP, [1])
    assert KEPT_CHANGES <= ConfigurationChange.objects.count() <= KEPT_CHANGES + PRUNING


def test_reader_of_a_database_that_was_put_back_reads_everything(row: Listener) -> None:
    before = position()
    ConfigurationChange.objects.filter(pk=before).delete()
    assert since(before) is None
    ConfigurationChange.objects.all().delete()
    assert ConfigurationChange.objects.since(before) == Noted(0, None)


def test_number_of_queries_of_a_look_is_one(row: Listener, django_assert_num_queries: Any) -> None:
    before = position()
    row.save()
    with django_assert_num_queries(1):
        ConfigurationChange.objects.since(before)


@pytest.fixture
def sleeper() -> Iterator[socket.socket]:
    """Whoever is to be woken."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sleeper:
        sleeper.bind(str(wake_socket()))
        sleeper.setblocking(False)
        yield sleeper
    wake_socket().unlink()


def test_commit_wakes_and_nothing_before_it_does(
    sleeper: socket.socket, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        factories.load_balancer()
        with pytest.raises(BlockingIOError):
            sleeper.recv(1)
    assert sleeper.recv(1) == b"!"


def test_waking_is_harmless_when_nobody_listens() -> None:
    assert not wake_socket().exists()
    wake()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        gone.bind(str(wake_socket()))
    wake()
    wake_socket().unlink()
