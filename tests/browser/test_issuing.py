"""Issuing in the browser: by keyboard alone, and its pages as assistive technology finds them."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import serious_findings
from tests.browser.walk import Walk
from tests.certificates.issuing_pages import request
from tests.console_client import ConsoleClient, number_in
from tests.live import LiveConsole

WIDTHS = (1440, 390)
MOST_STEPS = 60


@pytest.fixture(scope="module")
def client(console: LiveConsole) -> ConsoleClient:
    return console.client()


def findings(page: Page, name: str) -> list[str]:
    """Of axe, and whether a page is wider than a phone."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{name} at {width}: {finding}" for finding in serious_findings(page)]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append(f"{name} is wider than {width}")
    return found


def tab_to(page: Page, wanted: Locator) -> None:
    for _ in range(MOST_STEPS):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not come to {wanted}.")


def test_client_certificate_is_issued_by_keyboard(
    page: Page, console: LiveConsole, client: ConsoleClient
) -> None:
    authority = number_in(client.submit("/certificates/authorities/add/", name="keyboards"))
    Walk(page, console).sign_in()
    page.goto(f"{console.url}/certificates/authorities/{authority}/")
    tab_to(page, page.get_by_role("button", name="Issue Client Certificate", exact=True))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Issue Client Certificate", exact=True)
    issue = dialog.get_by_role("button", name="Issue", exact=True)
    tab_to(page, issue)
    page.keyboard.press("Enter")
    holder = dialog.get_by_label("Holder")
    expect(holder).to_be_focused()
    expect(holder).to_have_accessible_description(re.compile("Write who the certificate is for."))
    assert findings(page, "refused form in the dialog") == []

    page.keyboard.type("ada@test.com")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="ada@test.com", exact=True)).to_be_visible()
    said = page.get_by_role("status").filter(has_text="The certificate of ada@test.com was issued.")
    expect(said).to_be_visible()


def test_pages_of_issuing_are_fit_for_everybody(
    page: Page, console: LiveConsole, client: ConsoleClient, tmp_path: Path
) -> None:
    add = "/certificates/authorities/add/"
    authority = number_in(client.submit(add, name="everybody", shape="intermediate"))
    ca, certificates = f"/certificates/authorities/{authority}/", "/certificates/issued/"
    issued = number_in(client.submit(f"{ca}client/", common_name="ada@test.com"))
    Walk(page, console).sign_in()
    pages = [
        "/certificates/authorities/",
        add,
        ca,
        f"{ca}client/",
        f"{ca}server/",
        f"{certificates}{issued}/",
    ]
    pages += [f"{certificates}{issued}/download/", f"{certificates}{issued}/renew/"]
    found = []
    for path in pages:
        page.goto(console.url + path)
        found += findings(page, path)

    page.goto(f"{console.url}{ca}client/")
    page.get_by_role("radio", name="From a request (CSR)").check()
    page.get_by_label("Request (CSR)", exact=True).fill(request(tmp_path, "/CN=phone.test.com").read_text())
    page.get_by_role("button", name="Issue", exact=True).click()
    expect(page.get_by_role("heading", name="What the request says", exact=True)).to_be_focused()
    found += findings(page, "what the request says")
    page.goto(f"{console.url}{certificates}{issued}/download/")
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.get_by_label("Your password")).to_be_focused()
    found += findings(page, "refused download")
    assert found == []
