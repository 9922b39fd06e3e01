"""What is refused before it is saved because this machine could not open it: real sockets, real programs."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from listeners.forms import ListenerForm, LoadBalancerForm
from listeners.models import Listener, LoadBalancer
from listeners.reach import address_refusal, socket_refusal
from tests import factories
from tests.backend import Backend
from tests.console_client import BackendFields, ConsoleClient, words
from tests.live import LiveConsole
from tests.ports import free_port

ELSEWHERE = "192.0.2.1"


@contextmanager
def taken(address: str = "127.0.0.1") -> Iterator[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((address, free_port(address)))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("held", "asked", "is_refused"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "::", True),
        ("::1", "::", True),
        ("127.0.0.2", "127.0.0.1", False),
    ],
)
def test_port_of_another_program_is_refused(held: str, asked: str, is_refused: bool) -> None:
    with taken(held) as port:
        sentence = socket_refusal(asked, port)
    assert (f", process {os.getpid()}) on this machine already uses port {port}" in sentence) is is_refused
    assert socket_refusal(asked, port) == ""


def test_port_whose_connections_ended_just_now_is_free() -> None:
    with taken() as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.shutdown(socket.SHUT_RDWR)
    assert socket_refusal("127.0.0.1", port) == ""


def test_address_of_another_machine_is_refused() -> None:
    assert f"{ELSEWHERE} is not an address of this machine" in address_refusal(ELSEWHERE)
    assert f"{ELSEWHERE} is not an address of this machine" in socket_refusal(ELSEWHERE, 8443)
    assert [address_refusal(one) for one in ("0.0.0.0", "127.0.0.1", "127.9.9.9", "::", "::1")] == [""] * 5


def test_console_is_named_where_it_has_the_port(settings: Settings) -> None:
    with taken() as port:
        settings.ELB_CONSOLE_PORT = port
        assert socket_refusal("127.0.0.1", port).startswith(f"The console itself uses port {port}")


def test_nothing_is_asked_of_the_machine_where_envoys_are_elsewhere(settings: Settings) -> None:
    settings.ELB_CHECK_SOCKETS = False
    with taken() as port:
        assert (socket_refusal("127.0.0.1", port), socket_refusal(ELSEWHERE, 80)) == ("", "")
    assert address_refusal(ELSEWHERE) == ""


PROBE = """
import os, sys
from pathlib import Path
from listeners import machine
print(machine.opens_reserved_ports(Path(sys.argv[1])), machine.has_opened_reserved_ports(os.getpid()))
"""
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


# Only root may become others; anybody else is one of them already.
CAPABILITIES: list[tuple[list[str], bool, str]] = [
    ([], False, "True True"),
    (["setpriv", "--bounding-set=-net_bind_service"], False, "False False"),
    ([*NOBODY, "--inh-caps=-all"], False, "False False"),
    ([*NOBODY, "--inh-caps=-all"], True, "True False"),
    ([*NOBODY, "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"], False, "True True"),
]
if os.geteuid() != 0:
    CAPABILITIES = [([], False, "False False")]


@pytest.mark.parametrize(("become", "has_file_capability", "expected"), CAPABILITIES)
def test_capability_for_reserved_ports_is_told(
    become: list[str], has_file_capability: bool, expected: str
) -> None:
    script = f"import sys; sys.path[:0] = {sys.path!r}\n" + PROBE
    with tempfile.NamedTemporaryFile(prefix="elb-envoy-") as program:  # where everybody may look
        if has_file_capability:
            # What setcap cap_net_bind_service=+ep writes (version 2, effective).
            words = (0x02000001, 1 << 10, 0, 0, 0)
            content = b"".join(word.to_bytes(4, "little") for word in words)
            os.setxattr(program.name, "security.capability", content)
        command = [*become, sys.executable, "-c", script, program.name]
        outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.stdout.strip() == expected, outcome.stderr


def test_reserved_port_is_refused_with_the_command() -> None:
    script = (
        f"import os, sys; sys.path[:0] = {sys.path!r}\n"
        'os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"\n'
        "from listeners.reach import socket_refusal\n"
        'print(socket_refusal("127.0.0.1", 1023)); print(socket_refusal("127.0.0.1", 1024))'
    )
    become = ["setpriv", "--bounding-set=-net_bind_service"] if os.geteuid() == 0 else []
    outcome = subprocess.run([*become, sys.executable, "-c", script], capture_output=True, text=True)
    refused, free = outcome.stdout.splitlines()
    assert "Envoy may not open port 1023: ports below 1024 are reserved." in refused
    assert "sudo setcap cap_net_bind_service=+ep /" in refused
    assert free == ""


@pytest.mark.django_db
def test_wizard_says_it_at_the_port() -> None:
    on = factories.load_balancer()
    with taken() as port:
        fields = {"name": "a", "protocol": "HTTP", "port": str(port)}
        form = ListenerForm(fields, instance=Listener(load_balancer=on))
        assert (form.is_valid(), set(form.errors)) == (False, {"port"})
        assert "Another program" in form.errors["port"][0]


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["add", "edit"])
def test_load_balancer_says_it_at_the_address(signed_in: Client, page: str) -> None:
    row = factories.load_balancer("before")
    url = reverse("load_balancer_add") if page == "add" else reverse("load_balancer_edit", args=[row.pk])
    stamp = signed_in.get(url).context.get("stamp")
    fields = {"name": "a", "address": ELSEWHERE, "stamp": stamp.current if stamp else ""}

    answer = signed_in.post(url, fields)

    assert (answer.status_code, set(answer.context["form"].errors)) == (422, {"address"})
    assert list(LoadBalancer.objects.values_list("name", "address")) == [("before", "127.0.0.1")]


@pytest.mark.django_db
def test_load_balancer_does_not_move_to_where_a_port_is_taken() -> None:
    with taken("127.0.0.6") as port:
        row = factories.load_balancer(address="127.0.0.5")
        factories.listener(row, port)
        form = LoadBalancerForm({"name": row.name, "address": "127.0.0.6"}, instance=row)
        assert f"already uses port {port} of 127.0.0.6" in form.errors["address"][0]


@pytest.mark.django_db
@pytest.mark.parametrize("what", ["listener", "load_balancer"])
def test_enabling_is_refused_where_the_port_was_taken_meanwhile(signed_in: Client, what: str) -> None:
    with taken() as port:
        row = factories.listener(port=port)
        switched = row if what == "listener" else row.load_balancer
        switched.switch(False)
        answer = signed_in.post(reverse(f"{what}_enable", args=[switched.pk]))
    switched.refresh_from_db()
    assert (answer.status_code, switched.is_enabled) == (422, False)
    assert f"already uses port {port} of 127.0.0.1" in words(answer.content.decode())


def test_port_that_the_own_envoy_still_has_is_taken_for_no_other_program(
    console: LiveConsole, backend: Backend, settings: Settings
) -> None:
    client: ConsoleClient = console.client()
    port = free_port()
    listener = client.add_listener(1, port, [BackendFields(backend.port)])
    client.wait_running(listener)

    from_elsewhere = socket_refusal("127.0.0.1", port)
    settings.ELB_RUN_DIR = console.data / "run"
    from_this_console = socket_refusal("127.0.0.1", port)

    assert ("(envoy, process" in from_elsewhere, from_this_console) == (True, "")
