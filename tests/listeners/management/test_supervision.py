"""`manage.py serve` as the owner of processes: signals, failures, adoption, and what it leaves behind."""

import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from listeners.dataplane.binary import envoy_binary
from tests.backend import Backend
from tests.console_client import BackendFields
from tests.curl import curl
from tests.live import PASSWORD, USERNAME, LiveConsole
from tests.ports import free_port
from tests.waiting import LIMIT, eventually

Start = Callable[..., LiveConsole]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_stops_everything(live_console: Start, number: signal.Signals) -> None:
    console = live_console()
    processes = [psutil.Process(console.envoy_pid()), *children(console)]

    console.send(number)

    assert (console.wait_ended(), [one for one in processes if lives(one)]) == (0, [])


def children(console: LiveConsole) -> list[psutil.Process]:
    return psutil.Process(console.pid).children(recursive=True)


def child(console: LiveConsole, command: str) -> psutil.Process:
    return next(one for one in children(console) if command in one.cmdline())


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_second_restart_during_the_first_is_harmless(live_console: Start) -> None:
    console = live_console()
    envoy, serve, before = console.envoy_pid(), console.pid, children(console)

    console.send(signal.SIGUSR1)
    eventually(lambda: not any(lives(one) for one in before if one.pid != envoy), "the old children end")
    second = console.manage("restart")

    eventually(lambda: console.times_ready() > 1, "a console started anew")
    assert (second.returncode, console.pid, console.envoy_pid()) == (0, serve, envoy)
    assert console.stop() == 0


def test_stop_right_after_a_restart_is_not_lost(live_console: Start) -> None:
    console = live_console()

    console.send(signal.SIGUSR1)
    console.send(signal.SIGTERM)

    assert (console.wait_ended(), console.envoy_pids(), console.times_ready()) == (0, [], 1)


def test_stop_while_a_restart_starts_anew_is_not_lost(live_console: Start) -> None:
    console = live_console()
    before = [one for one in children(console) if one.pid != console.envoy_pid()]

    console.send(signal.SIGUSR1)
    eventually(lambda: not any(lives(one) for one in before), "the old children end")
    console.send(signal.SIGTERM)

    assert (console.wait_ended(), console.envoy_pids()) == (0, [])


def test_stop_during_the_start_ends_an_envoy_of_before_too(live_console: Start) -> None:
    console = live_console()
    lock, envoy = console.data / "run" / "serve.lock", console.envoy_pid()
    console.kill()

    console.start_serve()
    eventually(lambda: lock.read_text() == str(console.pid), "the lock is taken")
    assert console.envoy_pids() == [envoy]
    console.send(signal.SIGINT)

    assert (console.wait_ended(), console.envoy_pids(), console.times_ready()) == (0, [], 1)
    assert "Traceback" not in console.log_tail()


def test_stop_lets_requests_in_flight_end(live_console: Start, backend: Backend) -> None:
    """The slow backend answers only when Envoy has been told to drain."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        console = live_console(ELB_DRAIN_SECONDS="8")
        client = console.client()
        ports = free_port(), free_port()
        for port, server in zip(ports, (slow.getsockname()[1], backend.port), strict=True):
            client.wait_running(client.add_listener(1, port, [BackendFields(server)]))
        request = subprocess.Popen(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{ports[0]}/"],
            stdout=subprocess.PIPE,
        )
        connection = request_connection(slow)
        console.send(signal.SIGTERM)
        eventually(lambda: tells_to_close(ports[1]), "Envoy drains")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        assert request.communicate(timeout=LIMIT)[0] == b"200"
        connection.close()
        assert console.wait_ended() == 0


def request_connection(server: socket.socket) -> socket.socket:
    """The connection that carries a request; health checks connect and close without a byte."""
    while True:
        connection, _ = server.accept()
        if connection.recv(4096):
            return connection
        connection.close()


def tells_to_close(port: int) -> bool:
    return ("connection", "close") in curl(f"http://127.0.0.1:{port}/").headers


def test_stop_lets_the_web_server_finish_an_answer(live_console: Start) -> None:
    """Signing in waits for the database, which another writer holds until the web server was told to end."""
    console = live_console()
    web = child(console, "web")
    with httpx.Client(base_url=console.url) as visitor, ThreadPoolExecutor() as threads:
        visitor.get("/login/")
        form = {
            "username": USERNAME,
            "password": PASSWORD,
            "csrfmiddlewaretoken": visitor.cookies["csrftoken"],
        }
        with locked(console.data / "console.sqlite3"):
            before = web.cpu_times().user
            answer = threads.submit(visitor.post, "/login/", data=form)
            eventually(lambda: web.cpu_times().user > before + 0.1, "the password is being checked")
            web.terminate()
            eventually(lambda: signal_is_handled(web, signal.SIGTERM), "the signal has come")
        assert answer.result(LIMIT).status_code == httpx.codes.FOUND


@contextmanager
def locked(database: Path) -> Iterator[None]:
    connection = sqlite3.connect(database, isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def signal_is_handled(process: psutil.Process, number: signal.Signals) -> bool:
    """Gone, or the signal is not pending any more."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return True
    pending = (int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd:", "ShdPnd:")))
    return not any(mask >> (number - 1) & 1 for mask in pending)


def test_second_serve_on_the_same_data_is_refused(live_console: Start) -> None:
    console = live_console()
    second = console.manage("serve")
    assert (second.returncode, f"Process {console.pid} already serves" in second.stderr) == (1, True)
    assert len(console.envoy_pids()) == 1


def test_console_on_a_port_of_another_program_is_refused(live_console: Start) -> None:
    console = live_console()
    console.stop()
    with socket.create_server(("127.0.0.1", console.port)):
        outcome = console.manage("serve")
    assert (outcome.returncode, "Set ELB_CONSOLE_ADDRESS to" in outcome.stderr) == (1, True)
    assert (console.envoy_pids(), console.times_ready()) == ([], 1)


@pytest.mark.parametrize("serves_already", [True, False])
def test_start_that_fails_leaves_envoy_as_it_was(
    live_console: Start, tmp_path: Path, serves_already: bool
) -> None:
    console = live_console()
    before = console.envoy_pids() if serves_already else []
    if serves_already:
        console.kill()
    else:
        console.stop()
    broken = tmp_path / "broken.pem"
    broken.write_text("no PEM")
    names = ("ELB_XDS_CERTIFICATE_FILE", "ELB_XDS_KEY_FILE", "ELB_XDS_CLIENT_CA_FILE")
    console.environment |= dict.fromkeys(names, str(broken)) | {"ELB_XDS_ADDRESS": f"127.0.0.1:{free_port()}"}

    outcome = console.manage("serve")

    assert (outcome.returncode, "control plane could not be started" in outcome.stderr) == (1, True)
    assert console.envoy_pids() == before


def test_envoy_that_dies_at_once_is_started_with_pauses_and_never_announced(
    live_console: Start, tmp_path: Path
) -> None:
    console = live_console()
    console.stop()
    starts, program = tmp_path / "starts", tmp_path / "envoy"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *--disable-hot-restart*) echo >> {starts}; exit 1;; esac\n'
        f'exec {envoy_binary()} "$@"\n'
    )
    program.chmod(stat.S_IRWXU)
    console.environment["ELB_ENVOY_BINARY"] = str(program)

    console.start_serve()
    eventually(starts.exists, "the first start")
    begin = time.monotonic()
    eventually(lambda: len(starts.read_text()) > 5, "five more")

    assert (time.monotonic() - begin > 4, console.times_ready()) == (True, 1)
    assert console.stop() == 0


def test_envoy_that_was_started_otherwise_is_replaced(live_console: Start) -> None:
    console = live_console()
    before = console.envoy_pid()
    console.kill()
    console.environment["ELB_DRAIN_SECONDS"] = "2"

    console.start()

    assert console.envoy_pid() != before


def test_children_end_with_a_console_that_is_killed(live_console: Start) -> None:
    console = live_console()
    envoy = console.envoy_pid()
    leashed = [one for one in children(console) if one.pid != envoy]

    console.kill()

    eventually(lambda: not any(lives(one) for one in leashed), "they end")
    assert (len(leashed), console.envoy_pids()) == (2, [envoy])


def test_files_and_memory_are_for_their_owner_alone(live_console: Start) -> None:
    console = live_console()
    names = ("", "master.key", "console.sqlite3", "run/xds.sock", "run/admin.sock", "log/envoy.log")
    modes = {name: stat.S_IMODE((console.data / name).stat().st_mode) for name in names}
    cores = {one.rlimit(psutil.RLIMIT_CORE) for one in [psutil.Process(console.pid), *children(console)]}
    assert modes == {"": 0o700, **dict.fromkeys(names[1:], 0o600)}
    assert cores == {(0, 0)}
