"""The master key of a whole console: lost, replaced, and rotated while everything runs."""

import shutil
import sqlite3
from collections.abc import Callable

from certificates.keyring import Keyring
from tests.backend import Backend
from tests.certificates.test_keyring import master_key
from tests.conftest import Pki
from tests.console_client import BackendFields, ConsoleClient
from tests.live import LiveConsole
from tests.ports import free_port
from tests.traffic import traffic

Start = Callable[..., LiveConsole]


def https_listener(client: ConsoleClient, backend: Backend, pki: Pki) -> tuple[int, str]:
    server = client.add_certificate(
        "server", "server", pki.modern.server.certificate_pem, pki.modern.server.key_pem
    )
    port = free_port()
    listener = client.add_listener(1, port, [BackendFields(backend.port)], server_certificate=server)
    client.wait_running(listener)
    return listener, f"https://127.0.0.1:{port}/"


def database(console: LiveConsole) -> list[str]:
    with sqlite3.connect(f"file:{console.data}/console.sqlite3?mode=ro", uri=True) as connection:
        return list(connection.iterdump())


def test_start_without_the_master_key_is_refused_and_makes_none(
    live_console: Start, backend: Backend, pki: Pki
) -> None:
    console = live_console()
    listener, _ = https_listener(console.client(), backend, pki)
    console.stop()
    key, before = console.data / "master.key", database(console)
    shutil.move(key, console.folder / "kept.key")

    outcomes = [console.manage(command) for command in ("serve", "check", "serve")]

    assert [outcome.returncode for outcome in outcomes] == [1, 1, 1]
    assert all("The master key is missing" in outcome.stderr for outcome in outcomes)
    assert (key.exists(), console.envoy_pids(), database(console)) == (False, [], before)
    shutil.move(console.folder / "kept.key", key)
    console.start().client().wait_running(listener)


def test_start_with_another_master_key_is_refused(live_console: Start, backend: Backend, pki: Pki) -> None:
    console = live_console()
    https_listener(console.client(), backend, pki)
    console.stop()
    key, before = console.data / "master.key", database(console)
    sealed_by = Keyring.parse(key.read_text()).first_id
    key.write_text(master_key())

    commands = (["serve"], ["check", "--database", "default"], ["migrate"])
    refused = [console.manage(*command) for command in commands]

    assert [outcome.returncode for outcome in refused] == [1, 1, 1]
    sentence = f"master key {sealed_by} sealed, and it is not configured"
    assert [sentence in outcome.stderr for outcome in refused] == [True, True, True]
    assert (console.envoy_pids(), database(console)) == ([], before)


def test_console_starts_in_spite_of_a_lost_master_key_when_told_to(
    live_console: Start, backend: Backend, pki: Pki
) -> None:
    """The way out where the key is lost for good: keys are uploaded again, one by one."""
    console = live_console()
    listener, _ = https_listener(console.client(), backend, pki)
    console.stop()
    (console.data / "master.key").unlink()
    made = console.manage("rotate_master_key", "--make-key")
    assert (made.returncode, "is not configured" in made.stderr) == (1, True)

    client = console.start("--skip-checks").client()
    client.wait_for_state(listener, "Rejected")
    client.submit("/certificates/1/edit/", private_key=pki.modern.server.key_pem)
    client.wait_running(listener)

    console.stop()
    console.start().client().wait_running(listener)


def test_commands_that_look_at_an_empty_data_directory() -> None:
    console = LiveConsole()
    try:
        commands = (["check", "--database", "default"], ["migrate"], ["check", "--database", "default"])
        assert [console.manage(*command).returncode for command in commands] == [0, 0, 0]
    finally:
        console.remove()


def test_master_key_is_rotated_beside_a_running_console(
    live_console: Start, backend: Backend, pki: Pki
) -> None:
    console = live_console()
    client = console.client()
    listener, url = https_listener(client, backend, pki)
    file, envoy = console.data / "master.key", console.envoy_pid()
    old = Keyring.parse(file.read_text()).first_id

    with traffic(url) as seen:
        outcome = console.manage("rotate_master_key", "--make-key")
        assert (outcome.returncode, f"earlier master key ({old})" in outcome.stdout) == (0, True)
        # The control plane, which has not been restarted, opens what the new key has sealed.
        client.submit("/certificates/1/edit/", name="renamed")
        second, _ = https_listener(client, backend, pki)
        file.write_text(file.read_text().splitlines()[0])  # as the command said
        console.restart()
        for one in (listener, second):
            console.client().wait_running(one)
        seen.wait_for_more()

    assert (seen.failures, console.envoy_pid()) == ([], envoy)
    assert Keyring.parse(file.read_text()).first_id != old
