"""Finding a certificate in the browser: by keyboard alone, without scripts; and what axe says of it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import NewContext
from tests.browser.walk import Walk
from tests.conftest import Pki
from tests.live import LiveConsole

NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def filled(pki: Pki) -> Iterator[LiveConsole]:
    """A console with two pages of certificates, of which one is for payments; no test changes them."""
    console = LiveConsole().start()
    try:
        client = console.client()
        for number in range(27):
            client.add_certificate(f"clients-{number:02d}", "ca", pki.modern.ca.certificate_pem)
        server = pki.modern.server
        client.add_certificate("payments", "server", server.certificate_pem, server.key_pem)
        yield console
        console.stop()
    finally:
        console.remove()


def signed_in(page: Page, console: LiveConsole, *, scripts: bool = True) -> Page:
    walk = Walk(page, console, scripts)
    walk.sign_in()
    page.goto(f"{console.url}/certificates/")
    return page


def rows(page: Page) -> Locator:
    return page.get_by_role("table").get_by_role("row")


def tab_to(page: Page, target: Locator, limit: int = 60) -> None:
    """Presses Tab until the target has the focus."""
    for _ in range(limit):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} is not reached by {limit} presses of Tab.")


def test_certificate_is_found_by_keyboard_alone(page: Page, filled: LiveConsole) -> None:
    signed_in(page, filled)
    expect(rows(page)).to_have_count(26)

    tab_to(page, page.get_by_role("searchbox", name="Search"))
    page.keyboard.type("PAYM")
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(f"{filled.url}/certificates/?q=PAYM")
    expect(page.get_by_role("status").filter(has_text="1 certificate")).to_have_count(1)
    # What was typed and where one is stay while the results change.
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()

    tab_to(page, page.get_by_role("link", name="payments", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="payments", exact=True)).to_be_visible()

    page.go_back()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("PAYM")
    expect(rows(page)).to_have_count(2)


def test_filter_order_and_pages_by_keyboard(page: Page, filled: LiveConsole) -> None:
    signed_in(page, filled)

    tab_to(page, page.get_by_label("Type", exact=True))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Type", exact=True)).to_have_value("ca")
    expect(page.get_by_text("27 certificates", exact=True).first).to_be_visible()

    tab_to(page, page.get_by_role("link", name="Name/ID", exact=True))
    page.keyboard.press("Enter")
    heading = page.get_by_role("columnheader", name="Name/ID")
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(rows(page).nth(1)).to_contain_text("clients-26")

    tab_to(page, page.get_by_role("link", name="Next", exact=True), limit=200)
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(3)
    expect(page.get_by_label("Type", exact=True)).to_have_value("ca")
    page.get_by_role("link", name="Previous", exact=True).click()
    expect(rows(page)).to_have_count(26)


def test_list_works_without_scripts(new_context: NewContext, filled: LiveConsole) -> None:
    page = signed_in(new_context(java_script_enabled=False).new_page(), filled, scripts=False)

    page.get_by_role("searchbox", name="Search").fill("clients-1")
    page.get_by_label("Sort by", exact=True).select_option("Name, backwards")
    page.get_by_role("button", name="Search", exact=True).click()

    expect(rows(page)).to_have_count(11)
    expect(rows(page).nth(1)).to_contain_text("clients-19")
    page.get_by_role("searchbox", name="Search").fill("nowhere")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("heading", name="No certificate matches", exact=True)).to_be_visible()
    page.get_by_role("link", name="Show every certificate", exact=True).click()
    expect(rows(page)).to_have_count(26)


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_axe_finds_nothing_serious(new_context: NewContext, filled: LiveConsole, narrow: bool) -> None:
    page = signed_in(new_context(**({"viewport": NARROW} if narrow else {})).new_page(), filled)
    assert serious_findings(page) == []

    for name in ("Add Certificate", "Modify clients-00", "Delete clients-00"):
        page.get_by_role("main").get_by_text(name.split(" clients")[0], exact=False).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert serious_findings(page) == [], name
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()

    for path in ("?q=nowhere", "?q=clients&sort=-expires", "?last=1"):
        page.goto(f"{filled.url}/certificates/{path}")
        assert serious_findings(page) == [], path
    page.goto(f"{filled.url}/certificates/?q=payments")
    page.get_by_role("link", name="payments", exact=True).click()
    expect(page.get_by_role("heading", name="payments", exact=True)).to_be_visible()
    assert serious_findings(page) == []
