"""`manage.py serve` and its Envoy: what a person sees of them, and who may serve what."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import psutil
import pytest
from envoy.service.discovery.v3.ads_pb2_grpc import AggregatedDiscoveryServiceStub
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from listeners.dataplane.binary import envoy_binary
from listeners.rendering.envoy import CLUSTER
from tests.backend import Backend
from tests.conftest import Pki
from tests.console_client import BackendFields, ConsoleClient
from tests.curl import curl
from tests.live import LiveConsole
from tests.pki import SERVER_EXTENSIONS, KeyPair, foreign_client, issue
from tests.ports import free_port
from tests.traffic import traffic
from tests.waiting import LIMIT, eventually

Start = Callable[..., LiveConsole]
# What Envoy cannot open is saved, as if it had been free a moment ago, and Envoy says so.
PORTS_UNTRIED = {"ELB_CHECK_SOCKETS": "0"}


def mutual_listener(client: ConsoleClient, backend: Backend, pki: Pki) -> tuple[int, str, int, int]:
    """A running mutual listener on 0.0.0.0; returns its id, a URL, and the ids of its two certificates."""
    port = free_port()
    server = client.add_certificate(
        "server", "server", pki.modern.server.certificate_pem, pki.modern.server.key_pem
    )
    ca = client.add_certificate("ca", "ca", pki.modern.ca.certificate_pem)
    listener = client.add_listener(
        1, port, [BackendFields(backend.port)], server_certificate=server, ca_certificate=ca
    )
    client.wait_running(listener)
    return listener, f"https://127.0.0.1:{port}/", server, ca


def with_certificate(pair: KeyPair) -> tuple[str | Path, ...]:
    return ("--cert", pair.certificate, "--key", pair.key)


def test_killed_console_leaves_envoy_serving_and_adopts_it(
    live_console: Start, backend: Backend, pki: Pki
) -> None:
    console = live_console()
    client = console.client()
    listener, url, *_ = mutual_listener(client, backend, pki)
    envoy = console.envoy_pid()

    with traffic(url, pki.modern.client) as seen:
        console.kill()
        seen.wait_for_more()
        console.start()
        seen.wait_for_more()
        client = console.client()
        client.wait_running(listener)
        client.edit_listener(listener, name="after the crash")
        second = client.add_listener(1, free_port(), [BackendFields(backend.port)])
        client.wait_running(second)
        seen.wait_for_more()

    assert (console.envoy_pid(), seen.failures) == (envoy, [])


def test_restart_leaves_envoy_serving(live_console: Start, backend: Backend, pki: Pki) -> None:
    console = live_console()
    listener, url, *_ = mutual_listener(console.client(), backend, pki)
    envoy, serve = console.envoy_pid(), console.pid

    with traffic(url, pki.modern.client) as seen:
        console.restart()
        seen.wait_for_more()
        console.client().wait_running(listener)

    assert (console.envoy_pid(), console.pid, seen.failures) == (envoy, serve, [])


def test_envoy_that_dies_is_started_again(live_console: Start, backend: Backend, pki: Pki) -> None:
    console = live_console()
    client = console.client()
    listener, url, *_ = mutual_listener(client, backend, pki)
    first = console.envoy_pid()

    psutil.Process(first).kill()

    eventually(lambda: console.envoy_pids() not in ([], [first]), "a new Envoy")
    client.wait_running(listener)
    answers = curl("-k", *with_certificate(pki.modern.client), url).status, curl("-k", url).status
    assert answers == (200, 0)


def test_first_start_makes_what_is_needed_and_the_next_keeps_it(live_console: Start) -> None:
    console = live_console()
    client = console.client()
    client.submit("/load-balancers/1/edit/", name="renamed")
    key = (console.data / "master.key").read_bytes()
    console.stop()

    console.start()

    page = console.client().get("/load-balancers/")
    assert ("renamed" in page, (console.data / "master.key").read_bytes() == key) == (True, True)


def test_single_use_link_makes_the_administrator(live_console: Start) -> None:
    console = live_console(DJANGO_SUPERUSER_USERNAME="", DJANGO_SUPERUSER_PASSWORD="")
    link = eventually(lambda: link_in(console.log_tail()), "the link")
    # The page is a form like any other; its own tests are beside its module.
    assert curl(link).status == 200
    assert "/setup/" not in live_console().log_tail()


def link_in(log: str) -> str:
    return next((word for word in log.split() if "/setup/" in word), "")


def test_server_certificate_is_replaced_under_traffic(
    console: LiveConsole, backend: Backend, pki: Pki, tmp_path: Path
) -> None:
    """Pitfalls A4 and A6: the new one is served and read back, and nobody's connection is cut."""
    client = console.client()
    listener, url, server, _ = mutual_listener(client, backend, pki)
    before = served_certificate(url)
    renewed = issue(tmp_path, "renewed", pki.modern.ca, key="RSA-2048", extensions=SERVER_EXTENSIONS)
    found = []

    with traffic(url, pki.modern.client) as seen:
        for pair in (renewed, pki.modern.server):
            replacement = {"content": pair.certificate_pem, "private_key": pair.key_pem}
            client.submit(f"/certificates/{server}/edit/", **replacement)
            eventually(
                lambda: "Serves this certificate" in client.get(f"/certificates/{server}/served/"),
                "its being served",
            )
            found.append(served_certificate(url))
            client.wait_running(listener)
            seen.wait_for_more()

    assert seen.failures == []
    assert [one == before for one in found] == [False, True]
    assert found[0] in renewed.certificate_pem


def served_certificate(url: str) -> str:
    """The subject public key's lines of what the listener shows."""
    host = url.removeprefix("https://").rstrip("/")
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", host], input=b"", capture_output=True, timeout=LIMIT
    ).stdout.decode(errors="replace")
    return shown.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END CERTIFICATE-----")[0]


def test_listener_is_edited_and_deleted(console: LiveConsole, backend: Backend, pki: Pki) -> None:
    client = console.client()
    listener, url, _, ca = mutual_listener(client, backend, pki)
    assert curl("-k", url).status == 0

    client.edit_listener(listener, authentication="one-way")
    client.wait_running(listener)
    opened = curl("-k", url).status
    client.edit_listener(listener, authentication="mutual", ca_certificates=[ca])
    client.wait_running(listener)
    closed = curl("-k", url).status, curl("-k", *with_certificate(pki.modern.client), url).status
    client.delete_listener(listener)

    assert (opened, closed) == (200, (0, 200))
    eventually(lambda: curl("-k", url).exit_code == 7, "connection refused")


def test_port_taken_by_another_program_is_said_on_the_page(
    live_console: Start, backend: Backend, pki: Pki
) -> None:
    console = live_console(**PORTS_UNTRIED)
    client = console.client()
    _, url, *_ = mutual_listener(client, backend, pki)
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        taken = client.add_listener(1, port, [BackendFields(backend.port)])
        client.wait_for_state(taken, "Rejected")
        page = client.listener_page(taken)

        assert f"Another program on this machine already uses 0.0.0.0:{port}." in page
        assert curl("-k", *with_certificate(pki.modern.client), url).status == 200


def test_changed_port_of_the_load_balancer_is_rejected_and_the_old_version_serves(
    live_console: Start, backend: Backend
) -> None:
    """Pitfalls A1 and A2: the page says rejected, the traffic goes on as before."""
    console = live_console(**PORTS_UNTRIED)
    client = console.client()
    balancer = client.add_load_balancer("moving", "127.0.0.1")
    port = free_port()
    listener = client.add_listener(balancer, port, [BackendFields(backend.port)])
    client.wait_running(listener)

    with traffic(f"http://127.0.0.1:{port}/") as seen, socket.create_server(("127.0.0.2", port)):
        client.submit(f"/load-balancers/{balancer}/edit/", address="127.0.0.2", drain="agreed")
        client.wait_for_state(listener, "Rejected")
        seen.wait_for_more()

    assert seen.failures == []


def test_page_says_so_when_envoy_or_the_control_plane_is_gone(
    live_console: Start, backend: Backend, pki: Pki
) -> None:
    """Pitfall A2: what is stopped here cannot come back before the page has been read."""
    console = live_console()
    client = console.client()
    listener, _, _, ca = mutual_listener(client, backend, pki)
    envoy, control_plane = psutil.Process(console.envoy_pid()), child(console, "control_plane")

    control_plane.suspend()
    client.edit_listener(listener, authentication="one-way")
    blocked = client.listener_state(listener)
    control_plane.resume()
    client.wait_running(listener)
    envoy.suspend()
    client.edit_listener(listener, authentication="mutual", ca_certificates=[ca])
    frozen = client.listener_state(listener)
    envoy.resume()
    client.wait_running(listener)

    assert (blocked, frozen) == ("Not confirmed", "Not answering")


def child(console: LiveConsole, command: str) -> psutil.Process:
    return next(p for p in psutil.Process(console.pid).children() if command in p.cmdline())


def test_reserved_port_is_explained_with_the_command_that_allows_it(
    live_console: Start, backend: Backend, unprivileged: None
) -> None:
    console = live_console(**PORTS_UNTRIED)
    client = console.client()
    listener = client.add_listener(1, 80, [BackendFields(backend.port)])
    client.wait_for_state(listener, "Rejected")
    page = client.listener_page(listener)
    assert "ports below 1024 are reserved" in page
    assert "sudo setcap cap_net_bind_service=+ep" in page


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consoles started now may not open ports below 1024, whoever runs the tests."""
    setpriv = shutil.which("setpriv")
    assert setpriv, "The tests need setpriv (package util-linux)."
    bounded = [setpriv, "--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service"]
    whole = subprocess.Popen

    def popen(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        return whole([*bounded, *command] if "serve" in command else command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", popen)


@contextmanager
def remote_envoy(
    console: LiveConsole, node: str, port: int, pair: KeyPair, pki: Pki, folder: Path
) -> Iterator[Path]:
    """An Envoy started from `manage.py envoy_bootstrap`; gives its log file."""
    folder.mkdir()
    admin = Path(tempfile.mkdtemp(prefix="elbedge")) / "admin.sock"
    printed = console.manage(
        *("envoy_bootstrap", "--node", node, "--host", "127.0.0.1", "--port", str(port)),
        *("--certificate", str(pair.certificate), "--key", str(pair.key)),
        *("--ca", str(pki.modern.ca.certificate), "--admin", str(admin)),
    )
    assert printed.returncode == 0, printed.stderr
    (folder / "bootstrap.json").write_text(printed.stdout)
    command = [envoy_binary(), "-c", folder / "bootstrap.json", "--disable-hot-restart", "--concurrency", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--component-log-level", "config:debug"], stderr=log)
    try:
        yield folder / "log"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(admin.parent)


def test_envoy_of_another_machine_is_served_with_its_certificate_only(
    live_console: Start, backend: Backend, pki: Pki, tmp_path: Path
) -> None:
    """Pitfall F6: the control plane's own mutual TLS, by an Envoy that is refused."""
    port = free_port()
    console = live_console(
        ELB_XDS_ADDRESS=f"127.0.0.1:{port}",
        ELB_XDS_CERTIFICATE_FILE=str(pki.modern.server.certificate),
        ELB_XDS_KEY_FILE=str(pki.modern.server.key),
        ELB_XDS_CLIENT_CA_FILE=str(pki.modern.ca.certificate),
    )
    client = console.client()
    listener, url, *_ = mutual_listener(client, backend, pki)
    known, stranger = pki.modern.client, foreign_client(tmp_path)

    with remote_envoy(console, "edge-2", port, known, pki, tmp_path / "edge-2"):
        eventually(lambda: "edge-2" in client.listener_page(listener), "the second Envoy on the page")
        # It was fed: on this machine the local Envoy has the port, which it does not share.
        eventually(lambda: "Address already in use" in client.listener_page(listener), "its own word")
        with remote_envoy(console, "edge-3", port, stranger, pki, tmp_path / "edge-3"):
            eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in console.log_tail(), "the third one's refusal")
        assert "edge-3" not in client.listener_page(listener)
    clients = {"its own": known, "another CA's": stranger, "none": None}
    answered = {name: clusters_of_control_plane(port, pki, pair) for name, pair in clients.items()}
    assert clusters_of_control_plane(port, pki, known, node="local") is None  # a namesake is not let in
    assert answered == {"its own": [f"group-{listener}"], "another CA's": None, "none": None}
    assert curl("-k", *with_certificate(known), url).status == 200


def clusters_of_control_plane(
    port: int, pki: Pki, pair: KeyPair | None, node: str = "probe"
) -> list[str] | None:
    """What the control plane tells a client with this certificate; None when it tells nothing."""
    credentials = grpc.ssl_channel_credentials(
        pki.modern.ca.certificate.read_bytes(),
        pair.key.read_bytes() if pair else None,
        pair.certificate.read_bytes() if pair else None,
    )
    request = DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = node
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        stream = AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources(iter([request]), timeout=5)
        try:
            return [resource.name for resource in next(stream).resources]
        except grpc.RpcError:
            return None
