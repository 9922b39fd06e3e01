"""The guided setup: from the empty console to a page that an own browser fetches with the downloaded file."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, Playwright, expect

from tests.backend import Backend
from tests.browser.axe import serious_findings
from tests.browser.chromium import executable
from tests.browser.conftest import NewContext
from tests.browser.policy import managed_policy
from tests.browser.test_guide import (
    Guide,
    assert_page_is_refused,
    assert_page_is_shown,
    browser_of_new_person,
)
from tests.browser.walk import RUNNING_TIMEOUT, Walk
from tests.conftest import Pki
from tests.live import PASSWORD, LiveConsole
from tests.waiting import eventually

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "guided-mutual-tls.md"
WORKS = "Mutual TLS works"
# A click of the pointer has a detail; Enter on a button has none.
COUNT_CLICKS = """
addEventListener("click", (event) => {
  if (event.isTrusted && event.detail) sessionStorage.clicks = Number(sessionStorage.clicks ?? 0) + 1;
}, true);
"""


def test_guided_setup_from_the_empty_console_to_a_page_in_an_own_browser(
    pki: Pki,
    backend: Backend,
    new_context: NewContext,
    live_console: Callable[..., LiveConsole],
    playwright: Playwright,
    tmp_path: Path,
) -> None:
    page = new_context(viewport={"width": 390, "height": 800}).new_page()
    page.add_init_script(COUNT_CLICKS)
    Walk(page, live_console()).sign_in()
    page.evaluate("sessionStorage.clicks = 0")

    port = click_through(page, backend)
    expect(page.get_by_text(WORKS)).to_be_visible(timeout=RUNNING_TIMEOUT)

    clicks = int(page.evaluate("sessionStorage.clicks"))
    assert [int(one) for one in re.findall(r"\*\*(\d+) clicks\*\*", DOCUMENTED.read_text())] == [clicks]
    assert serious_findings(page) == []
    proof = page.url
    page.get_by_role("link", name="Set Up Mutual TLS", exact=True).first.click()
    assert serious_findings(page) == []
    page.get_by_role("link", name=re.compile("^View the setup")).click()
    assert page.url == proof
    guide = Guide(pki.modern, backend, port, is_sha1=False)
    imported = download(page, tmp_path)
    policy = {"AutoSelectCertificateForUrls": [json.dumps({"pattern": guide.url.rstrip("/"), "filter": {}})]}
    with managed_policy(executable(playwright.chromium), policy, tmp_path) as program:
        with browser_of_new_person(playwright, program, tmp_path / "with", imported) as browser:
            assert_page_is_shown(browser, guide)
        with browser_of_new_person(playwright, program, tmp_path / "without") as browser:
            assert_page_is_refused(browser, guide)


def click_through(page: Page, backend: Backend) -> int:
    """All steps as they are proposed, and the backend server typed; returns the listener's port."""
    main = page.get_by_role("main")
    main.get_by_role("button", name="Set Up Mutual TLS", exact=True).click()
    pressed(page, "Create CA")
    pressed(page, "Create Server Certificate")
    port = int(page.get_by_label("Frontend Port", exact=True).input_value())
    # The focus waits in the address.
    page.keyboard.type(backend.address)
    page.keyboard.press("Tab")
    page.keyboard.type(str(backend.port))
    pressed(page, "Create Listener")
    pressed(page, "Create Client Certificate")
    return port


def pressed(page: Page, name: str) -> None:
    button: Locator = page.get_by_role("button", name=name, exact=True).last
    expect(button).to_be_visible()
    assert serious_findings(page) == []
    button.click()


def download(page: Page, folder: Path) -> tuple[Path, str]:
    """The .p12 file for Chromium and its password, by the button of the proof page."""
    page.get_by_role("button", name="Download the Client's Certificate", exact=True).click()
    page.get_by_label("Chrome and Chromium on Linux", exact=True).check()
    password = page.get_by_label("Password for the file", exact=True).input_value()
    page.get_by_label("Your password", exact=True).fill(PASSWORD)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download", exact=True).click()
    path = folder / downloading.value.suggested_filename
    downloading.value.save_as(path)
    assert path.suffix == ".p12"
    return path, password


def test_guided_setup_works_by_keyboard_and_without_javascript(
    console: LiveConsole, backend: Backend, new_context: NewContext
) -> None:
    """What is not typed is reached by Tab and pressed by Enter; a reload shows the proof."""
    page = new_context(java_script_enabled=False).new_page()
    Walk(page, console).sign_in()
    page.goto(f"{console.url}/guided/")
    enter(page, "Set Up Mutual TLS")
    page.wait_for_url("**/authority/")
    if page.get_by_role("button", name="Use this CA", exact=True).count():
        page.locator("summary", has_text="Create a new CA").press("Enter")
    enter(page, "Create CA")
    page.wait_for_url("**/certificate/")
    if page.get_by_role("button", name="Use this certificate", exact=True).count():
        page.locator("summary", has_text="Create a new server certificate").press("Enter")
    enter(page, "Create Server Certificate")
    page.get_by_label("Address", exact=True).fill(backend.address)
    page.get_by_label("Backend Port", exact=True).fill(str(backend.port))
    page.get_by_label("Backend Port", exact=True).press("Enter")
    page.get_by_label("Holder", exact=True).press("Enter")
    shown = page.get_by_text(WORKS)
    eventually(lambda: shown.is_visible() or (page.reload() and shown.is_visible()), WORKS)


def enter(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).last.press("Enter")
