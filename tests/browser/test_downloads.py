"""The one download of a client's key in the browser: a second click does not lose it."""

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12
from playwright.sync_api import Page, expect

from tests.browser.axe import serious_findings
from tests.browser.walk import Walk
from tests.console_client import ConsoleClient, number_in
from tests.live import PASSWORD, LiveConsole


@pytest.fixture(scope="module")
def client(console: LiveConsole) -> ConsoleClient:
    return console.client()


def test_a_double_click_gives_one_file_and_says_what_comes_next(
    page: Page, console: LiveConsole, client: ConsoleClient
) -> None:
    authority = number_in(client.submit("/certificates/authorities/add/", name="browsers"))
    form = f"/certificates/authorities/{authority}/client/"
    issued = number_in(client.submit(form, common_name="ada@test.com"))
    Walk(page, console).sign_in()
    page.goto(f"{console.url}/certificates/issued/{issued}/download/")
    steps = page.get_by_role("listitem").filter(has_text="pk12util")
    expect(steps).to_be_hidden()
    page.get_by_role("radio", name="Chrome and Chromium on Linux").check()
    expect(steps).to_be_visible()
    assert serious_findings(page) == []
    file_password = page.get_by_label("Password for the file").input_value()
    page.get_by_label("Your password").fill(PASSWORD)

    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).dblclick(delay=200)

    assert download.value.suggested_filename == f"client-{issued}.p12"
    assert pkcs12.load_pkcs12(download.value.path().read_bytes(), file_password.encode()).key
    said = page.get_by_role("status").filter(has_text="on its way to your downloads")
    expect(said).to_be_focused()
    expect(page.get_by_label("Password for the file")).to_have_value(file_password)

    said.get_by_role("link", name="See the certificate").click()
    expect(page).to_have_url(f"{console.url}/certificates/issued/{issued}/")
