"""TLS Security Policies in the browser: a custom policy's whole life, by keyboard and without scripts."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import NewContext
from tests.browser.walk import Walk
from tests.live import LiveConsole

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def policies(page: Page, console: LiveConsole, *, scripts: bool) -> None:
    Walk(page, console, scripts).sign_in()
    page.goto(f"{console.url}/tls-policies/")
    expect(page.get_by_role("heading", name="TLS Security Policies", exact=True)).to_be_visible()


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def fits(page: Page) -> bool:
    width: bool = page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return width


@pytest.mark.parametrize(("scripts", "viewport"), [(True, WIDE), (True, NARROW), (False, NARROW)])
def test_custom_policy_is_created_modified_and_deleted(
    new_context: NewContext, console: LiveConsole, scripts: bool, viewport: dict[str, int]
) -> None:
    page = new_context(java_script_enabled=scripts, viewport=viewport).new_page()
    policies(page, console, scripts=scripts)
    default = row_of(page, "tls-1-0-inherit")
    expect(default.get_by_role("list", name="Not served")).to_contain_text("RC4-SHA")
    page.get_by_role("link", name="Custom Security Policies", exact=True).click()

    page.get_by_role("button", name="Create Custom Security Policy", exact=True).click()
    expect(page.get_by_role("heading", name="Create Custom Security Policy", exact=True)).to_be_visible()
    page.get_by_label("Name", exact=True).fill("browser")
    page.get_by_label("TLS 1.0", exact=True).check()
    page.get_by_role("button", name="OK", exact=True).click()
    # What was entered is still there, with the error at its field.
    expect(page.get_by_text("Choose the versions in between, too")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("browser")
    expect(page.get_by_label("TLS 1.0", exact=True)).to_be_checked()
    page.get_by_label("TLS 1.0", exact=True).uncheck()
    page.get_by_label("ECDHE-RSA-AES256-SHA384 (not served: Envoy does not know it)", exact=True).check()
    page.get_by_role("button", name="OK", exact=True).click()

    row = row_of(page, "browser")
    expect(row.get_by_role("list", name="Not served")).to_have_text("ECDHE-RSA-AES256-SHA384")
    assert fits(page)
    row.get_by_role("link", name="Modify browser", exact=True).click()
    expect(page.get_by_role("heading", name="Modify Custom Security Policy", exact=True)).to_be_visible()
    page.get_by_label("TLS 1.3", exact=True).uncheck()
    page.get_by_label("Description", exact=True).fill("without TLS 1.3")
    assert fits(page)
    page.get_by_role("button", name="OK", exact=True).click()

    expect(row.get_by_text("without TLS 1.3", exact=True)).to_be_visible()
    expect(row.get_by_role("list", name="Served with TLS 1.3")).to_have_count(0)
    row.get_by_role("link", name="Delete browser", exact=True).click()
    expect(page.get_by_text("No listener uses it")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Security policy browser was deleted.")).to_be_visible()
    expect(page.get_by_role("heading", name="No custom security policies yet", exact=True)).to_be_visible()


def test_dialogs_open_and_close_by_keyboard(page: Page, console: LiveConsole) -> None:
    policies(page, console, scripts=True)
    create = page.get_by_role("button", name="Create Custom Security Policy", exact=True)
    create.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Create Custom Security Policy")
    expect(dialog).to_be_visible()
    dialog.get_by_label("TLS 1.3", exact=True).focus()
    page.keyboard.press("Space")
    expect(dialog.get_by_label("TLS 1.3", exact=True)).not_to_be_checked()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(create).to_be_focused()


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_axe_finds_nothing_serious(
    new_context: NewContext, console: LiveConsole, viewport: dict[str, int]
) -> None:
    page = new_context(viewport=viewport).new_page()
    policies(page, console, scripts=True)
    findings = {"default": serious_findings(page)}
    assert fits(page)
    for name in ("custom", "add"):
        page.goto(f"{console.url}/tls-policies/{name}/")
        findings[name] = serious_findings(page)
    page.goto(f"{console.url}/tls-policies/")
    page.get_by_role("button", name="Create Custom Security Policy", exact=True).click()
    expect(page.get_by_role("dialog", name="Create Custom Security Policy")).to_be_visible()
    findings["dialog"] = serious_findings(page)
    assert findings == {name: [] for name in findings}
