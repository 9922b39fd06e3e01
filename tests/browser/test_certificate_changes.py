"""Replacing and deleting certificates in the browser: what is asked, what is told, what is served then."""

import http.client
import re
import ssl
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.backend import Backend
from tests.browser.axe import serious_findings
from tests.browser.conftest import NewContext
from tests.browser.walk import Walk
from tests.conftest import Pki
from tests.console_client import BackendFields, ConsoleClient
from tests.live import LiveConsole
from tests.pki import SERVER_EXTENSIONS, KeyPair, issue
from tests.ports import free_port
from tests.waiting import LIMIT, eventually

NARROWER = (*SERVER_EXTENSIONS[:3], "subjectAltName=DNS:api.test.com")


@pytest.fixture(scope="module")
def client(console: LiveConsole) -> ConsoleClient:
    return console.client()


@pytest.fixture
def walk(page: Page, console: LiveConsole) -> Walk:
    walk = Walk(page, console)
    walk.sign_in()
    return walk


def add(client: ConsoleClient, name: str, pair: KeyPair) -> int:
    return client.add_certificate(name, "server", pair.certificate_pem, pair.key_pem)


def mutual_listener(client: ConsoleClient, backend: Backend, pki: Pki, server: int) -> int:
    """Returns its port."""
    port = free_port()
    ca = client.add_certificate("clients", "ca", pki.modern.ca.certificate_pem)
    servers = [BackendFields(backend.port)]
    listener = client.add_listener(1, port, servers, server_certificate=server, ca_certificate=ca)
    client.wait_running(listener)
    return port


def open_connection(port: int, pki: Pki) -> http.client.HTTPSConnection:
    """A connection that has been answered and stays open."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(pki.modern.client.certificate, pki.modern.client.key)
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=LIMIT)
    assert answered(connection) == 200
    return connection


def answered(connection: http.client.HTTPSConnection) -> int:
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def shown_certificate(connection: http.client.HTTPSConnection) -> bytes:
    assert isinstance(connection.sock, ssl.SSLSocket)
    return connection.sock.getpeercert(binary_form=True) or b""


def modify(walk: Walk, certificate: int, pair: KeyPair) -> Locator:
    """Fills the new content and key in; returns what the form is in."""
    page = walk.page
    page.goto(f"{walk.console.url}/certificates/{certificate}/")
    page.get_by_role("button", name="Modify", exact=True).click()
    dialog = page.get_by_role("dialog", name="Modify Certificate", exact=True)
    form = dialog if walk.scripts else page.get_by_role("main")
    form.get_by_label("Certificate Content", exact=True).fill(pair.certificate_pem)
    form.get_by_label("Private Key", exact=True).fill(pair.key_pem)
    return form


def confirm(form: Locator) -> None:
    form.get_by_role("button", name="OK", exact=True).click()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_replaced_certificate_is_served_at_once_and_open_connections_go_on(
    console: LiveConsole,
    client: ConsoleClient,
    new_context: NewContext,
    backend: Backend,
    pki: Pki,
    tmp_path: Path,
    scripts: bool,
) -> None:
    server = add(client, "replaced", pki.modern.server)
    port = mutual_listener(client, backend, pki, server)
    connection = open_connection(port, pki)
    before = shown_certificate(connection)
    walk = Walk(new_context(java_script_enabled=scripts).new_page(), console, scripts)
    walk.sign_in()
    page = walk.page

    renewed = issue(tmp_path, "renewed", pki.modern.ca, extensions=SERVER_EXTENSIONS)
    confirm(modify(walk, server, renewed))

    expect(page.get_by_role("status").filter(has_text="was changed")).to_be_visible()
    if not scripts:
        page.get_by_role("link", name="See which certificate each listener serves").click()
    served = page.get_by_role("table", name="Served now")
    row = served.get_by_role("row").filter(has_text=f"HTTPS/{port}")
    if scripts:
        expect(row).to_contain_text("Serves this certificate")
        assert serious_findings(page) == []
    else:
        eventually(lambda: _reloaded(page, row, "Serves this certificate"), "the new certificate")
    fingerprint = re.search("[0-9a-f]{64}", row.inner_text())
    assert fingerprint
    assert fingerprint[0] in client.get(f"/certificates/{server}/")
    assert shown_certificate(open_connection(port, pki)) != before
    assert (answered(connection), shown_certificate(connection)) == (200, before)


def _reloaded(page: Page, row: Locator, words: str) -> bool:
    page.reload()
    return words in row.inner_text()


def test_replacement_that_loses_a_name_asks_first(
    walk: Walk, client: ConsoleClient, backend: Backend, pki: Pki, tmp_path: Path
) -> None:
    server = add(client, "asked-first", pki.modern.server)
    mutual_listener(client, backend, pki, server)
    form = modify(walk, server, issue(tmp_path, "narrower", pki.modern.ca, extensions=NARROWER))
    confirm(form)

    alert = form.get_by_role("alert").filter(has_text="is not valid for every name")
    expect(alert).to_contain_text("www.test.com")
    assert serious_findings(walk.page) == []
    alert.get_by_label("Replace it all the same", exact=True).check()
    confirm(form)

    expect(walk.page.get_by_role("status").filter(has_text="was changed")).to_be_visible()
    expect(walk.page.get_by_role("main")).to_contain_text("api.test.com")


def test_second_editor_is_told_and_may_go_on(walk: Walk, client: ConsoleClient, pki: Pki) -> None:
    server = add(client, "edited-twice", pki.modern.server)
    form = modify(walk, server, pki.guide.server)
    client.submit(f"/certificates/{server}/edit/", description="by somebody else")

    confirm(form)
    expect(form.get_by_role("alert").first).to_contain_text("Somebody else has changed this")
    expect(form.get_by_role("link", name="What is stored now")).to_be_visible()
    assert serious_findings(walk.page) == []
    confirm(form)

    expect(walk.page.get_by_role("status").filter(has_text="was changed")).to_be_visible()
    expect(walk.page.get_by_role("main")).to_contain_text("RSA 2048")


def test_delete_is_refused_while_in_use_and_asks_otherwise(
    walk: Walk, client: ConsoleClient, backend: Backend, pki: Pki
) -> None:
    used, free = add(client, "used", pki.modern.server), add(client, "free", pki.modern.server)
    port = mutual_listener(client, backend, pki, used)
    page = walk.page

    page.goto(f"{walk.console.url}/certificates/{used}/")
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog", name="Delete Certificate", exact=True)
    expect(dialog).to_contain_text("is in use and cannot be deleted")
    expect(dialog.get_by_role("button", name="Delete", exact=True)).to_have_count(0)
    assert serious_findings(page) == []
    dialog.get_by_role("link", name=f"listener-{port}", exact=True).click()
    expect(page.get_by_role("heading", name=f"listener-{port}", exact=True)).to_be_visible()

    page.goto(f"{walk.console.url}/certificates/{free}/")
    page.get_by_role("button", name="Delete", exact=True).press("Enter")
    expect(dialog).to_contain_text("a private key that you have nowhere else is lost")
    dialog.get_by_role("button", name="Delete", exact=True).press("Enter")
    expect(page.get_by_role("status").filter(has_text="was deleted")).to_be_visible()
    assert client.http.get(f"/certificates/{free}/").status_code == 404


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_batch_delete_reports_each_certificate(
    console: LiveConsole,
    client: ConsoleClient,
    new_context: NewContext,
    backend: Backend,
    pki: Pki,
    scripts: bool,
) -> None:
    used = add(client, f"batch-used-{scripts}", pki.modern.server)
    mutual_listener(client, backend, pki, used)
    free = [add(client, f"batch-free-{scripts}-{n}", pki.guide.server) for n in range(3)]
    walk = Walk(new_context(java_script_enabled=scripts).new_page(), console, scripts)
    walk.sign_in()
    page = walk.page
    page.goto(f"{console.url}/certificates/?q=batch")

    for name in (f"batch-used-{scripts}", *(f"batch-free-{scripts}-{n}" for n in range(2))):
        page.get_by_label(f"Select {name}", exact=True).press("Space")
    page.get_by_role("button", name="Delete selected", exact=True).click()
    expect(page.get_by_role("heading", name="Delete Certificates", exact=True)).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("In use, so it stays.")
    assert not scripts or serious_findings(page) == []
    client.submit(f"/certificates/{free[1]}/delete/")
    page.get_by_role("button", name="Delete", exact=True).click()

    outcomes = page.get_by_role("table", name="What became of each certificate").get_by_role("row")
    expect(outcomes.filter(has_text=f"ID {free[0]}")).to_contain_text("Deleted")
    assert not scripts or serious_findings(page) == []
    expect(outcomes.filter(has_text=f"ID {free[1]}")).to_contain_text("Not found")
    assert [client.http.get(f"/certificates/{one}/").status_code for one in (used, *free)] == [
        200,
        404,
        404,
        200,
    ]
