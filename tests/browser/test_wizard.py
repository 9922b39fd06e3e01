"""Add Listener by keyboard: errors are where the focus is, and what was typed stays."""

from playwright.sync_api import expect

from tests.browser.conftest import NewContext
from tests.browser.walk import Walk
from tests.live import LiveConsole


def test_refused_step_has_the_focus_on_its_first_error(new_context: NewContext, console: LiveConsole) -> None:
    page = new_context().new_page()
    walk = Walk(page, console)
    walk.sign_in()
    page.goto(f"{console.url}/load-balancers/1/")
    page.get_by_role("button", name="Add Listener", exact=True).press("Enter")
    page.get_by_label("HTTP", exact=True).check()
    name, port = page.get_by_label("Name", exact=True), page.get_by_label("Frontend Port", exact=True)
    name.fill("by keyboard")
    port.fill("70000")

    port.press("Enter")

    expect(port).to_be_focused()
    expect(port).to_have_accessible_description("1 to 65535 Enter a port from 1 to 65535.")
    expect(name).to_have_value("by keyboard")
    port.fill("8080")
    port.press("Enter")
    expect(page.get_by_label("Address", exact=True)).to_be_visible()
