"""Where a listener may not send its clients' requests: pitfall K7, and itself; the same at every door."""

import socket

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from console.env import env_sockets
from listeners.models import BackendServer, BackendServerGroup, Listener, ListenerDraft
from tests import factories
from tests.listeners.test_views import stamp_of, words

CONSOLE_PORT, XDS_PORT = 8000, 18000


def refusal(address: str, port: int) -> str:
    """What the model says, "" where it takes the server."""
    group = BackendServerGroup.objects.create(name="group")
    try:
        BackendServer(group=group, address=address, port=port).full_clean()
    except ValidationError as error:
        return " ".join(error.message_dict["address"])
    return ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("169.254.169.254", "link-local or metadata"),
        ("169.254.1.1", "link-local or metadata"),
        ("fe80::1", "link-local or metadata"),
        ("fd00:ec2::254", "link-local or metadata"),
        ("100.100.100.200", "link-local or metadata"),
        ("::ffff:169.254.169.254", "in disguise"),
        ("::ffff:a9fe:a9fe", "in disguise"),
        ("::a9fe:a9fe", "link-local or metadata"),
        ("64:ff9b::a9fe:a9fe", "link-local or metadata"),
        ("2002:a9fe:a9fe::1", "link-local or metadata"),
        ("0.0.0.0", "not the address of one backend server"),
        ("::", "not the address of one backend server"),
        ("224.0.0.1", "not the address of one backend server"),
        ("ff02::1", "not the address of one backend server"),
        ("255.255.255.255", "not the address of one backend server"),
        ("192.0.2.10", ""),
        ("10.0.0.1", ""),
        ("fd00::1", ""),
        ("::1", ""),
    ],
)
def test_backend_server_is_no_machine_of_the_cloud(address: str, words: str) -> None:
    said = refusal(address, 80)
    assert (words in said, bool(said)) == (True, bool(words))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("host", "address", "is_console"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::7f00:1", True),
        ("localhost", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "127.77.0.1", True),
        ("0.0.0.0", "192.0.2.10", False),
        ("0.0.0.0", "::1", False),
        ("::", "127.0.0.1", True),
        ("::", "::1", True),
        ("::1", "::1", True),
        ("192.0.2.10", "127.0.0.1", False),
    ],
)
@pytest.mark.parametrize("what", ["console", "control plane"])
def test_backend_server_is_not_the_console(
    settings: Settings, host: str, address: str, is_console: bool, what: str
) -> None:
    settings.ELB_CONSOLE_HOST, settings.ELB_CONSOLE_PORT = "192.0.2.99", 1
    if what == "console":
        settings.ELB_CONSOLE_HOST, settings.ELB_CONSOLE_PORT = host, CONSOLE_PORT
    else:
        settings.ELB_XDS_HOST, settings.ELB_XDS_PORT = host, CONSOLE_PORT
    assert ("is the console itself" in refusal(address, CONSOLE_PORT)) is is_console
    assert refusal(address, CONSOLE_PORT + 1) == ""


@pytest.mark.django_db
def test_backend_server_on_an_address_of_this_machine_is_the_console(settings: Settings) -> None:
    settings.ELB_CONSOLE_HOST = "0.0.0.0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        route.connect(("192.0.2.1", 9))  # sends nothing: the kernel only chooses an address of its own
        own = route.getsockname()[0]
    assert "is the console itself" in refusal(own, settings.ELB_CONSOLE_PORT)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("allowed", "address", "port", "is_refused"),
    [
        ("169.254.169.254", "169.254.169.254", 80, False),
        ("169.254.169.254", "169.254.169.253", 80, True),
        ("169.254.169.254:80", "169.254.169.254", 80, False),
        ("169.254.169.254:80", "169.254.169.254", 81, True),
        ("[fe80::1]:80, 127.0.0.1:8000", "fe80::1", 80, False),
        ("[fe80::1]:80, 127.0.0.1:8000", "127.0.0.1", CONSOLE_PORT, False),
        ("FE80:0::1", "fe80::1", 80, False),
        ("224.0.0.1", "224.0.0.1", 80, True),
    ],
)
def test_backend_server_is_allowed_by_name(
    settings: Settings, allowed: str, address: str, port: int, is_refused: bool
) -> None:
    settings.ELB_ALLOWED_BACKENDS = env_sockets("X", {"X": allowed})
    assert bool(refusal(address, port)) is is_refused


SERVER = {"servers-TOTAL_FORMS": "1", "servers-0-weight": "1"}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1"])
def test_page_of_backend_servers_says_it_at_the_address(signed_in: Client, address: str) -> None:
    row = factories.listener()
    url = reverse("listener_backends", args=[row.pk])
    fields = {**SERVER, "servers-0-address": address, "servers-0-port": str(CONSOLE_PORT)}
    answer = signed_in.post(url, {**fields, "stamp": stamp_of(signed_in, url)})
    assert (answer.status_code, set(answer.context["formset"].forms[0].errors)) == (422, {"address"})
    assert [str(one) for one in row.backend_server_group.servers.all()] == ["192.0.2.10:8080"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("listening", "address"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.5.5.5"), ("::", "::1")]
)
def test_listener_does_not_forward_to_itself(signed_in: Client, listening: str, address: str) -> None:
    row = factories.listener(factories.load_balancer(address=listening), 9443)
    url = reverse("listener_backends", args=[row.pk])
    fields = {**SERVER, "servers-0-address": address, "servers-0-port": "9443"}
    answer = signed_in.post(url, {**fields, "stamp": stamp_of(signed_in, url)})
    assert answer.status_code == 422
    assert "is the listener itself" in words(answer.content)
    assert [str(one) for one in row.backend_server_group.servers.all()] == ["192.0.2.10:8080"]


@pytest.mark.django_db
def test_listener_may_forward_to_another_listener(signed_in: Client) -> None:
    row = factories.listener(factories.load_balancer(address="127.0.0.1"), 9443)
    url = reverse("listener_backends", args=[row.pk])
    fields = {**SERVER, "servers-0-address": "127.0.0.2", "servers-0-port": "9443"}
    assert signed_in.post(url, {**fields, "stamp": stamp_of(signed_in, url)}).status_code == 302


@pytest.mark.django_db
def test_wizard_refuses_a_listener_that_forwards_to_itself(signed_in: Client) -> None:
    on = factories.load_balancer(address="127.0.0.1")
    signed_in.post(reverse("listener_add", args=[on.pk]))
    draft = ListenerDraft.objects.get()
    fields = draft.fields("configure")
    fields.setlist("protocol", ["HTTP"])
    fields.setlist("port", ["9443"])
    draft.remember("configure", fields)
    draft.remember("backends", [{"address": "127.0.0.1", "port": "9443", "weight": "1"}])

    answer = signed_in.post(reverse("listener_draft", args=[draft.pk, "confirm"]))

    assert (answer.status_code, Listener.objects.count()) == (422, 0)
    assert "is the listener itself" in words(answer.content)
    assert ListenerDraft.objects.count() == 1


@pytest.mark.django_db
def test_load_balancer_does_not_move_to_where_its_listener_forwards() -> None:
    row = factories.listener(port=9443, servers=[factories.backend_server("127.0.0.9", 9443)])
    row.load_balancer.address = "0.0.0.0"
    with pytest.raises(ValidationError, match="is the listener itself"):
        row.load_balancer.full_clean()
