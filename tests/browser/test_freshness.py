"""A page that is left open: it tells by itself what has become of the data plane, and that it is old."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
from playwright.sync_api import Page, expect

from tests.backend import Backend
from tests.browser.axe import serious_findings
from tests.browser.walk import Walk
from tests.conftest import Pki
from tests.console_client import BackendFields
from tests.curl import curl
from tests.listeners.management.test_serve import child
from tests.live import LiveConsole
from tests.ports import free_port

Start = Callable[..., LiveConsole]


@contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_open_page_tells_what_fails_and_what_is_back(
    live_console: Start, page: Page, backend: Backend
) -> None:
    """Pitfall A2, in the order: Envoy, the control plane, the console itself."""
    console = live_console()
    listener = console.client().add_listener(1, free_port(), [BackendFields(backend.port)])
    state = page.locator("#listener-state")
    Walk(page, console).sign_in()
    page.goto(f"{console.url}/listeners/{listener}/")
    expect(state).to_have_text("Running")
    last_answer = page.get_by_text("Its last answer on this page came at")
    with frozen(psutil.Process(console.envoy_pid())):
        expect(state).to_have_text("Not answering")
        expect(last_answer).to_be_visible()
    expect(state).to_have_text("Running")
    expect(last_answer).to_be_hidden()
    with frozen(child(console, "control_plane")):
        expect(state).to_have_text("Not confirmed")
    expect(state).to_have_text("Running")
    with frozen(child(console, "web")):
        expect(page.get_by_role("alert")).to_contain_text("What is shown below is old: it was so at 20")
        expect(page.get_by_text("Running", exact=True)).to_be_hidden()
        expect(page.get_by_text("Healthy", exact=True)).to_be_hidden()
    expect(state).to_have_text("Running")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_text("Running", exact=True)).to_be_visible()


def test_load_balancer_page_tells_the_same(live_console: Start, page: Page, backend: Backend) -> None:
    console = live_console()
    console.client().add_listener(1, free_port(), [BackendFields(backend.port)])
    Walk(page, console).sign_in()
    page.goto(f"{console.url}/load-balancers/1/")
    running = page.get_by_role("row").get_by_text("Running", exact=True)
    expect(running).to_be_visible()
    with frozen(psutil.Process(console.envoy_pid())):
        expect(page.get_by_role("row").get_by_text("Not answering")).to_be_visible()
    expect(running).to_be_visible()
    with frozen(child(console, "web")):
        expect(page.get_by_role("alert")).to_be_visible()
        expect(running).to_be_hidden()
    expect(running).to_be_visible()


def test_counters_and_certificates_come_without_reloading(
    live_console: Start, page: Page, backend: Backend, pki: Pki
) -> None:
    console = live_console()
    client = console.client()
    made = [
        client.add_certificate(name, "server", one.server.certificate_pem, one.server.key_pem)
        for name, one in (("first", pki.modern), ("second", pki.guide))
    ]
    ca = client.add_certificate("clients", "ca", pki.modern.ca.certificate_pem)
    port = free_port()
    listener = client.add_listener(
        1,
        port,
        [BackendFields(backend.port)],
        server_certificate=made[0],
        ca_certificate=ca,
        sni_certificates=[made[1]],
    )
    client.wait_running(listener)
    Walk(page, console).sign_in()
    page.goto(f"{console.url}/listeners/{listener}/")
    served = page.get_by_role("table", name="Certificates served")
    expect(served.get_by_text("Serves this certificate")).to_have_count(2)
    refused = page.locator(".counters > div", has_text="Refused: no certificate").locator(".counter")
    expect(refused).to_have_text("0")
    for _ in range(3):
        assert curl("-k", f"https://127.0.0.1:{port}/").status == 0
    expect(refused).to_have_text("3")
    expect(page.get_by_text("Healthy", exact=True)).to_be_visible()
    assert serious_findings(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert serious_findings(page) == []
