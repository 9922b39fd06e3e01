"""Editing, disabling and copying a listener as a person does, with scripts and without."""

import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.backend import Backend
from tests.browser.axe import serious_findings
from tests.browser.conftest import NewContext
from tests.browser.walk import Walk
from tests.console_client import BackendFields, ConsoleClient
from tests.live import LiveConsole
from tests.ports import free_port
from tests.waiting import LIMIT


@pytest.fixture
def client(console: LiveConsole) -> ConsoleClient:
    return console.client()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def listener(client: ConsoleClient, backend: Backend, port: int) -> int:
    listener = client.add_listener(1, port, [BackendFields(backend.port)], name=f"changed-{port}")
    client.wait_running(listener)
    return listener


@pytest.fixture
def held(listener: int, port: int) -> Iterator[http.client.HTTPConnection]:
    """A client whose connection is kept open."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)) as connection:
        connection.request("GET", "/")
        connection.getresponse().read()
        yield connection


@pytest.mark.parametrize(("scripts", "width"), [(True, 1440), (True, 390), (False, 1440)])
def test_edit_asks_before_it_drains(
    new_context: NewContext,
    console: LiveConsole,
    listener: int,
    held: http.client.HTTPConnection,
    scripts: bool,
    width: int,
) -> None:
    page = new_context(java_script_enabled=scripts, viewport={"width": width, "height": 900}).new_page()
    Walk(page, console, scripts).sign_in()
    page.goto(f"{console.url}/listeners/{listener}/edit/")
    expect(page.get_by_text("1 connection to this listener is open now.")).to_be_visible()
    assert_sound(page, scripts)

    page.get_by_text("Advanced Settings", exact=True).click()
    page.get_by_label("Idle Timeout (s)", exact=True).fill("30")
    page.get_by_role("button", name="Save", exact=True).last.click()

    asked = page.get_by_role("alert").filter(has_text="This drains 1 open connection")
    expect(asked).to_be_visible()
    expect(page.get_by_label("Idle Timeout (s)", exact=True)).to_have_value("30")
    assert_sound(page, scripts)
    page.get_by_role("button", name="Save and drain 1 open connection", exact=True).click()
    said = page.get_by_role("status").filter(has_text="1 open connection is drained within 1 second.")
    expect(said).to_be_visible()
    assert held.sock.recv(1) == b""


@pytest.mark.parametrize("scripts", [True, False])
def test_listener_is_disabled_and_enabled_by_keyboard(
    new_context: NewContext, console: LiveConsole, listener: int, scripts: bool
) -> None:
    page = new_context(java_script_enabled=scripts).new_page()
    Walk(page, console, scripts).sign_in()
    page.goto(f"{console.url}/listeners/{listener}/")
    for verb in ("Disable", "Enable"):
        page.get_by_role("button", name=verb, exact=True).press("Enter")
        form = page.get_by_role("dialog", name=f"{verb} Listener") if scripts else page.get_by_role("main")
        expect(form.get_by_role("heading", name=f"{verb} Listener", exact=True)).to_be_visible()
        assert_sound(page, scripts)
        form.get_by_role("button", name=verb, exact=True).press("Enter")
        expect(page.get_by_role("status").filter(has_text=f"was {verb.lower()}d.")).to_be_visible()


def test_copy_begins_with_what_the_listener_has(page: Page, console: LiveConsole, listener: int) -> None:
    Walk(page, console).sign_in()
    page.goto(f"{console.url}/listeners/{listener}/")
    page.get_by_role("button", name="Copy", exact=True).first.click()
    expect(page.get_by_role("heading", name="Add Listener", exact=True)).to_be_visible()
    expect(page.get_by_label("HTTP", exact=True)).to_be_checked()
    name = page.get_by_label("Name", exact=True)
    expect(name).not_to_have_value("")
    expect(name).not_to_have_value(f"changed-{listener}")


def assert_sound(page: Page, scripts: bool) -> None:
    """axe is a script itself; nothing is wider than the page."""
    if scripts:
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
