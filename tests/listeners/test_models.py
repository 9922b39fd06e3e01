"""What rows refuse, and what the verbs that touch several rows leave behind."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from console.models import ConfigurationRevision
from listeners.models import (
    BackendServer,
    BackendServerGroup,
    Listener,
    ListenerDraft,
    LoadBalancer,
)
from listeners.models.listener_draft import DRAFT_LIFETIME
from tests import factories
from tests.conftest import Pki

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "address", ["224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:192.0.2.1", "localhost", "300.1.1.1", ""]
)
def test_load_balancer_refuses_what_nothing_can_listen_on(address: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        factories.load_balancer(address=address)
    assert set(refusal.value.message_dict) == {"address"}


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "127.0.0.2", "::", "::1", "2001:db8::1"])
def test_load_balancer_takes_an_address(address: str) -> None:
    assert factories.load_balancer(address=address).address == address


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "224.0.0.1", "169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "backend.test"],
)
def test_backend_server_refuses_what_is_not_one_server(address: str) -> None:
    group = BackendServerGroup.objects.create(name="group")
    server = BackendServer(group=group, address=address, port=80)
    with pytest.raises(ValidationError) as refusal:
        server.full_clean()
    assert set(refusal.value.message_dict) == {"address"}


@pytest.mark.parametrize(
    ("one", "other", "is_refused"),
    [
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("::", "127.0.0.1", True),
        ("::1", "127.0.0.1", False),
        ("::1", "::", True),
    ],
)
def test_listener_refuses_a_port_that_overlaps(one: str, other: str, is_refused: bool) -> None:
    factories.listener(factories.load_balancer(address=one), 8443, name="first")
    second = factories.load_balancer(address=other)
    if is_refused:
        with pytest.raises(ValidationError) as refusal:
            factories.listener(second, 8443)
        assert "first" in refusal.value.message_dict["port"][0]
    else:
        factories.listener(second, 8443)
    assert Listener.objects.count() == (1 if is_refused else 2)


def test_load_balancer_refuses_an_address_on_which_its_listener_overlaps() -> None:
    factories.listener(factories.load_balancer(address="127.0.0.1"), 8443, name="first")
    moving = factories.load_balancer(address="127.0.0.2")
    factories.listener(moving, 8443)

    moving.address = "0.0.0.0"

    with pytest.raises(ValidationError) as refusal:
        moving.full_clean()
    assert "first" in refusal.value.message_dict["address"][0]


def test_open_stores_the_listener_its_group_and_servers() -> None:
    before = ConfigurationRevision.objects.number()
    servers = [factories.backend_server(port=8081), factories.backend_server(port=8082, weight=5)]

    row = factories.listener(servers=servers)

    stored = row.backend_server_group.servers.values_list("address", "port", "weight")
    assert list(stored) == [("192.0.2.10", 8081, 1), ("192.0.2.10", 8082, 5)]
    assert ConfigurationRevision.objects.number() > before


@pytest.mark.parametrize(
    ("servers", "fields"),
    [
        ([factories.backend_server(), factories.backend_server()], {}),
        ([factories.backend_server(port=0)], {}),
        ([factories.backend_server(port=65536)], {}),
        ([factories.backend_server(weight=101)], {}),
        ([factories.backend_server()], {"port": 70_000}),
        ([factories.backend_server()], {"name": "x" * 256}),
    ],
)
def test_open_stores_nothing_when_one_part_is_refused(
    servers: list[BackendServer], fields: dict[str, object]
) -> None:
    on = factories.load_balancer()
    revision = ConfigurationRevision.objects.number()
    with pytest.raises(ValidationError):
        factories.listener(on, servers=servers, **fields)
    assert (
        Listener.objects.count() == BackendServerGroup.objects.count() == BackendServer.objects.count() == 0
    )
    assert ConfigurationRevision.objects.number() == revision


def test_open_refuses_a_listener_without_servers() -> None:
    row = Listener(load_balancer=factories.load_balancer(), name="empty", protocol="HTTP", port=8080)
    with pytest.raises(ValidationError, match="Requests need backend servers"):
        Listener.objects.open(row, [])


def test_hold_keeps_the_row_of_a_server_that_stays() -> None:
    group = factories.listener(
        servers=[factories.backend_server(port=8081), factories.backend_server(port=8082)]
    ).backend_server_group
    stays = group.servers.get(port=8082)

    group.hold([factories.backend_server(port=8083), factories.backend_server(port=8082, weight=0)])

    assert set(group.servers.values_list("port", "weight")) == {(8082, 0), (8083, 1)}
    assert group.servers.get(port=8082).pk == stays.pk


def test_listener_takes_its_group_along_when_deleted() -> None:
    goes, stays = factories.listener(), factories.listener()

    goes.delete()

    assert list(Listener.objects.all()) == [stays]
    assert list(BackendServerGroup.objects.all()) == [stays.backend_server_group]
    assert BackendServer.objects.count() == 1


@pytest.mark.parametrize(
    ("protocol", "authentication", "missing"),
    [
        ("HTTPS", "one-way", {"server_certificate"}),
        ("HTTPS", "mutual", {"server_certificate", "ca_certificates"}),
    ],
)
def test_listener_refuses_https_without_certificates(
    protocol: str, authentication: str, missing: set[str]
) -> None:
    row = Listener(name="x", port=443, protocol=protocol, authentication=authentication)
    with pytest.raises(ValidationError) as refusal:
        row.clean()
    assert set(refusal.value.message_dict) == missing


def test_listener_refuses_a_certificate_of_the_other_type(pki: Pki) -> None:
    server = factories.server_certificate(pki.modern.server)
    ca = factories.ca_certificate(pki.modern.ca)
    with pytest.raises(ValidationError) as refusal:
        factories.listener(server_certificate=ca, ca_certificate=server)
    assert set(refusal.value.message_dict) == {"server_certificate", "ca_certificates"}


def test_database_refuses_https_without_a_certificate(pki: Pki) -> None:
    row = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    with pytest.raises(IntegrityError), transaction.atomic():
        Listener.objects.filter(pk=row.pk).update(server_certificate=None)


def test_draft_proposes_a_name_and_the_usual_port() -> None:
    draft = ListenerDraft.objects.begin(factories.load_balancer(), factories.user())
    fields = draft.fields("configure").dict()
    assert fields.pop("name").startswith("listener-")
    assert fields == {"protocol": "HTTPS", "port": "443", "authentication": "one-way"}
    routing = draft.fields("routing").dict()
    assert routing.pop("group_name").startswith("server_group-")
    assert routing == {"group": "new"}


def test_draft_of_before_keeps_its_certificate() -> None:
    draft = ListenerDraft(steps={"configure": {"name": "old", "ca_certificate": "7"}})
    assert dict(draft.fields("configure").lists()) == {"name": ["old"], "ca_certificates": ["7"]}


def test_drafts_go_when_nobody_came_back_to_them() -> None:
    on, user = factories.load_balancer(), factories.user()
    old, recent = (ListenerDraft.objects.begin(on, user) for _ in range(2))
    long_ago = timezone.now() - DRAFT_LIFETIME - timedelta(minutes=1)
    ListenerDraft.objects.filter(pk=old.pk).update(updated_at=long_ago)

    new = ListenerDraft.objects.begin(on, user)

    assert set(ListenerDraft.objects.all()) == {recent, new}


@pytest.mark.parametrize("steps", [None, 5, "text", [], {"configure": "text", "backends": {"a": 1}}])
def test_draft_that_is_damaged_counts_as_empty(steps: object) -> None:
    draft = ListenerDraft(steps=steps)
    assert (draft.fields("configure"), draft.rows("backends")) == ({}, [])


def test_draft_keeps_what_was_posted_without_nul() -> None:
    draft = factories.listener_draft(
        factories.load_balancer(), factories.user(), {"name": "a\0b"}, [{"address": "\0junk"}]
    )
    draft.refresh_from_db()
    assert draft.fields("configure")["name"] == "ab"
    assert draft.rows("backends") == [{"address": "junk"}]


def test_load_balancer_is_kept_by_its_listeners() -> None:
    row = factories.listener()
    with pytest.raises(Exception, match="protected"):
        row.load_balancer.delete()
    assert LoadBalancer.objects.count() == 1


@pytest.mark.parametrize(
    ("pairs", "stored"),
    [
        ([["dns", "Robot.test.com."], ["dns", "robot.test.com"]], [["dns", "robot.test.com"]]),
        ([["ip", "2001:DB8::0:1"]], [["ip", "2001:db8::1"]]),
        ([], None),
        ([["dns", "*.test.com"]], None),
        ([["dns", ""]], None),
        ([["nobody", "robot.test.com"]], None),
        ([["dns", 1]], None),
        (["dns"], None),
        ({"dns": "robot.test.com"}, None),
        ("dns", None),
        ([["dns", f"r{number}.test.com"] for number in range(201)], None),
    ],
)
def test_allowed_clients_are_stored_as_they_are_compared(
    pki: Pki, pairs: object, stored: list[list[str]] | None
) -> None:
    row = factories.listener(
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=factories.ca_certificate(pki.modern.ca),
    )
    row.admission, row.allowed_clients = Listener.Admission.LISTED, pairs
    if stored is None:
        with pytest.raises(ValidationError) as caught:
            row.full_clean()
        assert set(caught.value.message_dict) >= {"allowed_clients"}
    else:
        row.full_clean()
        assert row.allowed_clients == stored
