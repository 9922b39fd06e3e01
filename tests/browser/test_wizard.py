"""Add Listener as people use it: forwards and backwards, by keyboard, on a phone, without scripts."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests import pki as make
from tests.browser.axe import serious_findings
from tests.browser.conftest import NewContext, Stored
from tests.browser.walk import Walk
from tests.browser.wizard import SCRIPTS, begin, fill_mutual, fill_server
from tests.conftest import Pki
from tests.live import LiveConsole
from tests.pki import CLIENT_EXTENSIONS
from tests.ports import free_port

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
STEPS = ("Configure Listener", "Configure Routing Policy", "Add Backend Server", "Confirm")


@SCRIPTS
def test_steps_keep_what_was_entered_forwards_and_backwards(
    new_context: NewContext, console: LiveConsole, stored: Stored, scripts: bool
) -> None:
    walk = begin(new_context, console, scripts)
    page, name, port = walk.page, f"back and forth {scripts}", free_port("0.0.0.0")
    fill_mutual(walk, stored, name, port)
    page.get_by_text("Advanced Settings", exact=True).click()
    page.get_by_label("Idle Timeout (s)", exact=True).fill("75")
    page.get_by_label("HTTP/2", exact=True).check()

    walk.next_step("Configure Routing Policy")
    page.get_by_label("Name", exact=True).fill("our servers")
    walk.next_step("Add Backend Server")
    fill_server(page)
    walk.previous_step("Configure Routing Policy")
    expect(page.get_by_label("Name", exact=True)).to_have_value("our servers")
    walk.previous_step("Configure Listener")
    expect(page.get_by_label("Name", exact=True)).to_have_value(name)
    expect(page.get_by_label("Mutual authentication", exact=True)).to_be_checked()
    expect(walk.picker("Server Certificate").get_by_label(stored.server, exact=True)).to_be_checked()
    expect(walk.picker("CA Certificate").get_by_label(stored.ca, exact=True)).to_be_checked()
    # Something in it is not as it is proposed, so it is open.
    expect(page.get_by_label("Idle Timeout (s)", exact=True)).to_have_value("75")
    expect(page.get_by_label("HTTP/2", exact=True)).to_be_checked()
    for title in STEPS[1:]:
        walk.next_step(title)

    main = page.get_by_role("main")
    expect(main).to_contain_text(f"Only clients with a certificate that {stored.ca} vouches for")
    expect(main).to_contain_text("X-Forwarded-Clientcert-Clientverify is SUCCESS on every request")
    expect(main).to_contain_text("our servers")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


@SCRIPTS
def test_errors_are_at_their_fields_and_open_what_hides_them(
    new_context: NewContext, console: LiveConsole, stored: Stored, scripts: bool
) -> None:
    walk = begin(new_context, console, scripts)
    page = walk.page
    page.get_by_text("Advanced Settings", exact=True).click()
    page.get_by_label("Idle Timeout (s)", exact=True).fill("4001")
    page.get_by_label("Frontend Port", exact=True).fill("0")

    page.get_by_role("button", name="Next: Configure Routing Policy", exact=True).click()

    port = page.get_by_label("Frontend Port", exact=True)
    idle = page.get_by_label("Idle Timeout (s)", exact=True)
    expect(port).to_have_accessible_description("1 to 65535 Enter a port from 1 to 65535.")
    expect(idle).to_be_visible()
    expect(idle).to_have_accessible_description("0 to 4000 Enter a number of seconds from 0 to 4000.")
    expect(walk.picker("Server Certificate")).to_contain_text("Choose the server certificate")


def test_refused_step_has_the_focus_on_its_first_error(new_context: NewContext, console: LiveConsole) -> None:
    walk = begin(new_context, console)
    page = walk.page
    page.get_by_label("HTTP", exact=True).check()
    name, port = page.get_by_label("Name", exact=True), page.get_by_label("Frontend Port", exact=True)
    name.fill("by keyboard")
    port.fill("70000")

    port.press("Enter")

    expect(port).to_be_focused()
    expect(port).to_have_accessible_description("1 to 65535 Enter a port from 1 to 65535.")
    expect(name).to_have_value("by keyboard")
    port.fill(str(free_port("0.0.0.0")))
    port.press("Enter")
    walk.expect_step("Configure Routing Policy")


def test_listener_is_added_by_keyboard_alone(
    new_context: NewContext, console: LiveConsole, stored: Stored
) -> None:
    walk = begin(new_context, console)
    page, port = walk.page, free_port("0.0.0.0")

    def go_to(label: str, most: int = 60) -> None:
        """Tab until what is called so has the focus."""
        for _ in range(most):
            page.keyboard.press("Tab")
            found = page.evaluate(
                """() => {
                  const at = document.activeElement;
                  return (at.labels?.[0] ?? at).textContent.trim();
                }"""
            )
            if found == label:
                return
        raise AssertionError(f"Tab does not lead to {label}.")

    def type_over(text: str) -> None:
        page.keyboard.press("Control+A")
        page.keyboard.type(text)

    page.get_by_label("Name", exact=True).focus()
    type_over("keys only")
    go_to("HTTPS")
    go_to("Frontend Port")
    type_over(str(port))
    go_to("One-way authentication")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Mutual authentication", exact=True)).to_be_checked()
    for label, chosen in (("Server Certificate", stored.server), ("CA Certificate", stored.ca)):
        go_to(f"Search: {label}")
        page.keyboard.type(chosen)
        page.keyboard.press("Enter")  # searches, and does not leave the step
        expect(walk.picker(label).locator(".picker-option")).to_have_count(1)
        go_to(chosen)
        page.keyboard.press("Space")
        expect(walk.picker(label).get_by_label(chosen, exact=True)).to_be_checked()
    go_to("Next: Configure Routing Policy")
    page.keyboard.press("Enter")
    walk.expect_step("Configure Routing Policy")
    go_to("Next: Add Backend Server")
    page.keyboard.press("Enter")
    walk.expect_step("Add Backend Server")
    page.get_by_label("Address", exact=True).focus()
    page.keyboard.type("127.0.0.1")
    go_to("Backend Port")
    page.keyboard.type("9000")
    page.keyboard.press("Enter")
    walk.expect_step("Confirm")
    go_to("Submit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="keys only", exact=True)).to_be_visible()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_step_fits_and_stands_in_nobodys_way(
    new_context: NewContext, console: LiveConsole, stored: Stored, size: dict[str, int]
) -> None:
    walk = begin(new_context, console, viewport=size)
    page = walk.page

    def look() -> None:
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]

    look()
    page.get_by_label("HTTP", exact=True).check()
    page.get_by_label("Redirect", exact=True).check()
    look()
    page.get_by_label("HTTPS", exact=True).check()
    fill_mutual(walk, stored, "fits", free_port("0.0.0.0"))
    page.get_by_label("Only the clients listed below", exact=True).check()
    page.get_by_label("Allowed clients", exact=True).fill("client.example.com\n*")
    page.get_by_label("Enable SNI", exact=True).check()
    walk.choose("SNI Certificate", stored.server)
    page.get_by_text("Advanced Settings", exact=True).click()
    look()
    page.get_by_role("button", name="Next: Configure Routing Policy", exact=True).click()
    expect(page.get_by_text("Line 2:").first).to_be_visible()
    look()
    page.get_by_label("Allowed clients", exact=True).fill("client.example.com")
    walk.next_step("Configure Routing Policy")
    look()
    page.get_by_label("Use existing", exact=True).check()
    look()
    page.get_by_label("Create new", exact=True).check()
    walk.next_step("Add Backend Server")
    look()
    fill_server(page)
    walk.next_step("Confirm")
    look()


def test_port_follows_the_protocol_until_it_is_touched(new_context: NewContext, console: LiveConsole) -> None:
    page = begin(new_context, console).page
    port = page.get_by_label("Frontend Port", exact=True)
    expect(port).to_have_value("443")
    page.get_by_label("HTTP", exact=True).check()
    expect(port).to_have_value("80")
    page.get_by_label("HTTPS", exact=True).check()
    expect(port).to_have_value("443")
    port.fill("80")
    page.get_by_label("HTTP", exact=True).check()
    page.get_by_label("HTTPS", exact=True).check()
    expect(port).to_have_value("80")


def test_policy_is_described_as_it_is_chosen(new_context: NewContext, console: LiveConsole) -> None:
    page = begin(new_context, console).page
    page.get_by_text("Advanced Settings", exact=True).click()
    policy = page.get_by_label("Security Policy", exact=True)
    first = page.get_by_text("TLS 1.2 and 1.3 with forward secrecy: high compatibility", exact=False)
    expect(first).to_be_visible()
    policy.select_option("tls-1-0-with-1-3")
    expect(page.get_by_text("Ultra-high compatibility, low security", exact=True)).to_be_visible()
    expect(first).to_be_hidden()


@SCRIPTS
def test_draft_outlives_a_reload_a_new_sign_in_and_another_beside_it(
    new_context: NewContext, console: LiveConsole, stored: Stored, scripts: bool
) -> None:
    walk = begin(new_context, console, scripts)
    page, name = walk.page, f"half filled {scripts}"
    fill_mutual(walk, stored, name, free_port("0.0.0.0"))
    walk.next_step("Configure Routing Policy")
    page.get_by_label("Name", exact=True).fill("kept")
    walk.next_step("Add Backend Server")

    other = Walk(page.context.new_page(), console, scripts)
    other.begin_listener()
    other.page.get_by_label("HTTP", exact=True).check()
    other.page.get_by_label("Name", exact=True).fill(f"beside {scripts}")
    other.page.get_by_label("Frontend Port", exact=True).fill(str(free_port("0.0.0.0")))
    other.next_step("Configure Routing Policy")
    page.reload()
    walk.expect_step("Add Backend Server")
    page.context.clear_cookies()

    again = Walk(new_context(java_script_enabled=scripts).new_page(), console, scripts)
    again.sign_in()
    again.page.goto(f"{console.url}/load-balancers/1/")
    again.page.get_by_role("link", name=f"Continue adding {name}", exact=True).click()
    expect(again.page.get_by_label("Name", exact=True)).to_have_value(name)
    expect(again.page.get_by_label("Mutual authentication", exact=True)).to_be_checked()
    expect(again.picker("CA Certificate").get_by_label(stored.ca, exact=True)).to_be_checked()
    again.next_step("Configure Routing Policy")
    expect(again.page.get_by_label("Name", exact=True)).to_have_value("kept")


@SCRIPTS
def test_certificate_is_added_without_leaving_the_wizard(
    new_context: NewContext, console: LiveConsole, stored: Stored, pki: Pki, scripts: bool
) -> None:
    walk = begin(new_context, console, scripts)
    page = walk.page
    page.get_by_label("Name", exact=True).fill("kept meanwhile")
    page.get_by_label("Mutual authentication", exact=True).check()
    walk.picker("CA Certificate").get_by_role("button", name="Add Certificate: CA Certificate").click()

    name = f"added on the way {scripts}"
    expect(page.get_by_role("heading", name="Add Certificate", exact=True)).to_be_visible()
    expect(page.get_by_label("CA certificate", exact=True)).to_be_checked()
    page.get_by_label("Certificate Name", exact=True).fill(name)
    page.get_by_label("Certificate Content", exact=True).fill(pki.guide.ca.certificate_pem)
    page.get_by_role("button", name="OK", exact=True).click()

    walk.expect_step("Configure Listener")
    expect(page.get_by_label("Name", exact=True)).to_have_value("kept meanwhile")
    expect(walk.picker("CA Certificate").get_by_label(name, exact=True)).to_be_checked()
    expect(page.get_by_role("status").filter(has_text=f"{name} is selected below.")).to_be_visible()


@SCRIPTS
def test_allow_list_is_tried_before_it_is_saved(
    new_context: NewContext, console: LiveConsole, stored: Stored, pki: Pki, tmp_path: Path, scripts: bool
) -> None:
    extensions = (*CLIENT_EXTENSIONS, "subjectAltName=DNS:partner.example.com")
    listed = make.issue(tmp_path, "listed", pki.modern.ca, subject="/CN=listed", extensions=extensions)
    walk = begin(new_context, console, scripts)
    page = walk.page
    fill_mutual(walk, stored, f"tried {scripts}", free_port("0.0.0.0"))
    page.get_by_label("Only the clients listed below", exact=True).check()
    page.get_by_label("Allowed clients", exact=True).fill("dns: partner.example.com")
    tried = listed.certificate_pem + pki.modern.client.certificate_pem + listed.key_pem
    page.get_by_label("Client certificates to test", exact=True).fill(tried)
    page.get_by_role("button", name="Test", exact=True).click()

    verdicts = page.get_by_role("list", name="Certificates that were tested")
    expect(verdicts).to_contain_text("enters, by the line dns: partner.example.com.")
    expect(verdicts).to_contain_text("is refused: no line is in it.")
    walk.next_step("Configure Routing Policy")
    walk.next_step("Add Backend Server")
    fill_server(page)
    walk.next_step("Confirm")
    expect(verdicts).to_contain_text("enters, by the line dns: partner.example.com.")
    walk.previous_step("Add Backend Server")
    page.get_by_role("link", name="Configure Listener", exact=True).click()
    kept = page.get_by_label("Client certificates to test", exact=True).input_value()
    assert "BEGIN CERTIFICATE" in kept
    assert "PRIVATE KEY" not in kept
