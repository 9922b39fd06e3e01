"""What holds in a running console, seen from outside: pages, traffic, logs, files and processes."""

import os
import re
import shutil
import socket
import subprocess
import threading
from html import unescape
from pathlib import Path

import psutil
import pytest

from tests.backend import Backend, running_backend
from tests.conftest import Pki
from tests.console_client import BackendFields, ConsoleClient
from tests.curl import curl
from tests.live import LiveConsole
from tests.pki import private_key
from tests.ports import free_port
from tests.waiting import eventually

# Names that would be commands, paths, markup or configuration somewhere else (pitfalls I1, I3 and I4).
HOSTILE_NAMES = (
    "../../etc/passwd",
    "/absolute/name",
    "$(touch pwned); `touch pwned` | touch pwned",
    '"}]}, "admin": {"address": 1}',
    "{{ settings.SECRET_KEY }} {% debug %}",
    "<script>alert(1)</script>",
    "right-to-left \u202egnp.exe",
    "percent %DOWNSTREAM_PEER_CERT% %s",
    "n" * 255,
)


@pytest.fixture(scope="module")
def client(console: LiveConsole) -> ConsoleClient:
    return console.client()


def test_envoy_is_independent_of_its_console(console: LiveConsole) -> None:
    """A session of its own, and neither a pipe nor a terminal that could close."""
    envoy = psutil.Process(console.envoy_pid())
    standard = [os.readlink(f"/proc/{envoy.pid}/fd/{number}") for number in range(3)]
    logs = [str(console.data / "log" / name) for name in ("backend-health.log", "envoy.log")]
    assert (os.getsid(envoy.pid), standard) == (envoy.pid, ["/dev/null", *logs])


def test_private_key_leaves_no_trace(
    console: LiveConsole, client: ConsoleClient, backend: Backend, pki: Pki
) -> None:
    """Pitfalls K1 and K2: no line of the key in a page, a log or a file while its listener runs."""
    server = client.add_certificate(
        "canary", "server", pki.modern.server.certificate_pem, pki.modern.server.key_pem
    )
    port = free_port()
    listener = client.add_listener(1, port, [BackendFields(backend.port)], server_certificate=server)
    client.wait_running(listener)
    lines = [line.encode() for line in pki.modern.server.key_pem.splitlines() if "-----" not in line]
    pages = [f"/certificates/{server}/", f"/certificates/{server}/edit/", f"/listeners/{listener}/"]
    pages += ["/certificates/", f"/admin/certificates/certificate/{server}/change/", "/load-balancers/1/"]

    holders = [page for page in pages if any(line in client.get(page).encode() for line in lines)]
    files = [path for path in console.folder.rglob("*") if path.is_file()]
    holders += [str(path) for path in files if any(line in path.read_bytes() for line in lines)]

    assert curl("-k", f"https://127.0.0.1:{port}/").status == 200
    assert {"console.sqlite3", "envoy.log", "serve.log"} <= {path.name for path in files}
    assert holders == []


def test_hostile_names_are_data(
    console: LiveConsole, client: ConsoleClient, backend: Backend, pki: Pki
) -> None:
    before = {path.relative_to(console.folder) for path in console.folder.rglob("*")}
    for name in HOSTILE_NAMES:
        certificate = client.add_certificate(name, "ca", pki.modern.ca.certificate_pem)
        port = free_port()
        listener = client.add_listener(1, port, [BackendFields(backend.port)], name=name)
        client.wait_running(listener)

        assert " ".join(name.split()) in client.listener_page(listener)
        assert name in unescape(client.get(f"/certificates/{certificate}/"))
        assert curl(f"http://127.0.0.1:{port}/").status == 200

    after = {path.relative_to(console.folder) for path in console.folder.rglob("*")}
    assert {path.name for path in after - before} <= {"console.sqlite3-wal", "console.sqlite3-shm"}
    assert not (Path.cwd() / "pwned").exists()


def test_many_writers_at_once_are_all_served(console: LiveConsole, client: ConsoleClient) -> None:
    """SQLite lets one write at a time; the others wait, and nobody hears of a locked database."""
    writers, each = 6, 5
    outcomes: list[int] = []

    def write(writer: int) -> None:
        session = console.client()
        for number in range(each):
            answer = session.post(
                "/load-balancers/add/", name=f"w{writer}-{number}", address=f"127.1.{writer}.{number}"
            )
            outcomes.append(answer.status_code)
        session.close()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == [200] * writers * each
    assert len(re.findall(r"w\d-\d", client.get("/load-balancers/"))) >= writers * each
    assert "database is locked" not in console.log_tail()


def test_health_of_backend_servers_is_shown(client: ConsoleClient, backend: Backend) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        down = reserved.getsockname()[1]
        servers = [
            BackendFields(backend.port),
            BackendFields(down),
            BackendFields(backend.port, "127.0.0.2", 0),
        ]
        listener = client.add_listener(1, free_port(), servers)
        client.wait_running(listener)

        page = eventually(
            lambda: (found := client.listener_page(listener)) and "Unhealthy" in found and found, "the health"
        )

    health = dict(
        re.findall(r"(127\.0\.0\.\d:\d+|127\.0\.0\.\d \d+) (?:\d+ )?(Healthy|Unhealthy|Draining)", page)
    )
    assert list(health.values()) == ["Healthy", "Unhealthy", "Draining"]


def test_requests_follow_the_weights(client: ConsoleClient) -> None:
    with (
        running_backend("heavy") as heavy,
        running_backend("light") as light,
        running_backend("none") as none,
    ):
        port = free_port()
        servers = [
            BackendFields(heavy.port, weight=3),
            BackendFields(light.port),
            BackendFields(none.port, weight=0),
        ]
        listener = client.add_listener(1, port, servers)
        client.wait_running(listener)
        eventually(lambda: client.listener_page(listener).count("Healthy") >= 2, "healthy backend servers")

        for _ in range(40):
            assert curl(f"http://127.0.0.1:{port}/").status == 200

        assert [len(one.requests) for one in (heavy, light, none)] == [30, 10, 0]


@pytest.mark.parametrize("field", ["content", "private_key"])
def test_refused_form_keeps_the_key_out_of_the_answer(
    client: ConsoleClient, pki: Pki, tmp_path: Path, field: str
) -> None:
    key = private_key(tmp_path / "other.key", "P-256").read_text()
    fields = {"content": pki.modern.server.certificate_pem, "private_key": "", field: key}
    answer = client.post("/certificates/add/", name="refused", type="server", **fields)
    assert (answer.status_code, key.splitlines()[1] in answer.text) == (422, False)


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    ("certificates", "address"),
    [
        ("guide", "0.0.0.0"),
        ("modern", "0.0.0.0"),
        ("modern", "127.0.0.2"),
        ("modern", "::1"),
        ("guide", "::1"),
    ],
)
def test_commands_of_the_page_work_when_pasted(
    client: ConsoleClient,
    backend: Backend,
    pki: Pki,
    tmp_path: Path,
    certificates: str,
    address: str,
    shell: str,
) -> None:
    made = {"guide": pki.guide, "modern": pki.modern}[certificates]
    server = client.add_certificate("pasted", "server", made.server.certificate_pem, made.server.key_pem)
    ca = client.add_certificate("pasted", "ca", made.ca.certificate_pem)
    # A listener that listens everywhere stands alone on its port, so each address has its own balancer.
    balancer = client.add_load_balancer(f"pasted-{certificates}-{address}-{shell}", address)
    servers = [BackendFields(backend.port)]
    listener = client.add_listener(
        balancer, free_port(), servers, server_certificate=server, ca_certificate=ca
    )
    client.wait_running(listener)
    eventually(lambda: "Healthy" in client.listener_page(listener), "a healthy backend server")
    for name, file in (("client.crt", made.client.certificate), ("client.key", made.client.key)):
        shutil.copy(file, tmp_path / name)
    shutil.copy(made.ca.certificate, tmp_path / "ca.crt")
    page = client.get(f"/listeners/{listener}/")
    commands = [
        text
        for text in map(unescape, re.findall(r"<code[^>]*>(.*?)</code>", page, re.DOTALL))
        if "curl" in text
    ]

    outcomes = [
        subprocess.run([shell], input=command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        for command in commands
    ]

    assert [outcome.stdout.partition("\n")[0].strip() for outcome in outcomes] == ["HTTP/1.1 200 OK", ""]
    assert outcomes[1].returncode in {35, 52, 55, 56}  # in TLS 1.3 timing decides which
