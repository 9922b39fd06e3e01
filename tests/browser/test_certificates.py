"""The certificate dialog: paste, choose, drop, see what was understood, and go on after a mistake."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import pki as make
from tests.browser.axe import serious_findings
from tests.browser.conftest import NewContext
from tests.browser.walk import Walk
from tests.certificates.pem import containers
from tests.conftest import Pki
from tests.live import LiveConsole
from tests.pki import CA_EXTENSIONS, PASSWORD, SERVER_EXTENSIONS, KeyPair

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyPair, KeyPair, KeyPair]:
    folder = tmp_path_factory.mktemp("browser-levels")
    root = make.authority(folder, "root", "/CN=Root CA")
    middle = make.issue(folder, "middle", root, subject="/CN=Intermediate CA", extensions=CA_EXTENSIONS)
    return make.issue(folder, "leaf", middle, extensions=SERVER_EXTENSIONS), middle, root


@pytest.fixture
def open_walk(new_context: NewContext, console: LiveConsole) -> Callable[[bool], Walk]:
    def open(scripts: bool) -> Walk:
        page = new_context(java_script_enabled=scripts).new_page()
        walk = Walk(page, console, scripts)
        walk.sign_in()
        return walk

    return open


def field(form: Locator, label: str) -> Locator:
    return form.get_by_label(label, exact=True)


def press(form: Locator, name: str) -> None:
    form.get_by_role("button", name=name, exact=True).click()


def preview(form: Locator) -> Locator:
    press(form, "Preview")
    shown = form.get_by_role("region", name="What was understood")
    expect(shown).to_be_visible()
    return shown


def expect_stored(walk: Walk, name: str) -> None:
    expect(walk.page.get_by_role("status").filter(has_text=f"Certificate {name} was added.")).to_be_visible()


def drop(target: Locator, *files: Path) -> None:
    """Drops files as a hand does, which Playwright has no verb for."""
    contents = [{"name": file.name, "body": base64.b64encode(file.read_bytes()).decode()} for file in files]
    transfer = target.page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const { name, body } of files) {
            transfer.items.add(new File([Uint8Array.from(atob(body), (c) => c.charCodeAt(0))], name));
          }
          return transfer;
        }""",
        contents,
    )
    for event in ("dragenter", "dragover", "drop"):
        target.dispatch_event(event, {"dataTransfer": transfer})


@SCRIPTS
def test_everything_in_one_paste_is_understood_and_stored(
    scripts: bool, open_walk: Callable[[bool], Walk], levels: tuple[KeyPair, ...]
) -> None:
    walk, name = open_walk(scripts), f"paste-{scripts}"
    leaf, middle, root = levels
    form = walk.certificate_form(name, "Server certificate")
    pasted = root.certificate_pem + leaf.key_pem + leaf.certificate_pem + middle.certificate_pem
    field(form, "Certificate Content").fill(pasted)

    shown = preview(form)

    expect(shown.get_by_text("It belongs to the certificate.")).to_be_visible()
    subjects = shown.get_by_role("list", name="Chain, from the server certificate to its root")
    expect(subjects.get_by_role("listitem")).to_contain_text(
        ["CN=www.test.com,O=ELB", "CN=Intermediate CA", "CN=Root CA"]
    )
    expect(field(form, "Domain Name")).to_have_value("www.test.com")
    assert leaf.key_pem.splitlines()[1] not in walk.page.content()
    assert not scripts or serious_findings(walk.page) == []
    press(form, "OK")
    expect_stored(walk, name)


@SCRIPTS
def test_pkcs12_asks_for_its_password_once(
    scripts: bool, open_walk: Callable[[bool], Walk], levels: tuple[KeyPair, ...], tmp_path: Path
) -> None:
    walk, name = open_walk(scripts), f"p12-{scripts}"
    file = tmp_path / "web.p12"
    file.write_bytes(containers.pkcs12(tmp_path, *levels))
    form = walk.certificate_form(name, "Server certificate")
    assert field(form, "Password").is_visible() == (not scripts)
    form.get_by_label("or choose files:").first.set_input_files(file)
    expect(field(form, "Password")).to_be_visible()

    shown = preview(form)
    expect(shown).to_contain_text("The file is encrypted. Type its password.")
    field(form, "Password").fill("wrong")
    expect(preview(form)).to_contain_text("does not open with this password")
    expect(field(form, "Password")).to_have_value("")
    field(form, "Password").fill(PASSWORD)
    expect(preview(form)).to_contain_text("This can be stored")

    assert PASSWORD not in walk.page.content()
    press(form, "OK")  # neither file nor password is given again
    expect_stored(walk, name)


@SCRIPTS
def test_encrypted_key_and_several_files(
    scripts: bool, open_walk: Callable[[bool], Walk], levels: tuple[KeyPair, ...], tmp_path: Path
) -> None:
    walk, name = open_walk(scripts), f"files-{scripts}"
    leaf, middle, root = levels
    der, key = tmp_path / "leaf.der", tmp_path / "leaf.key"
    der.write_bytes(containers.der(leaf.certificate_pem))
    key.write_text(make.encrypted_key(leaf))
    form = walk.certificate_form(name, "Server certificate")
    form.get_by_label("or choose files:").first.set_input_files(
        [root.certificate, key, der, middle.certificate]
    )
    field(form, "Password").fill(PASSWORD)

    press(form, "OK")

    expect_stored(walk, name)


def test_dropped_files_are_understood(
    open_walk: Callable[[bool], Walk], levels: tuple[KeyPair, ...], tmp_path: Path
) -> None:
    walk = open_walk(True)
    leaf, middle, root = levels
    bundle = tmp_path / "chain.p7b"
    bundle.write_bytes(containers.pkcs7(tmp_path, root, middle))
    form = walk.certificate_form("dropped", "Server certificate")
    drop(field(form, "Certificate Content"), leaf.certificate, bundle)
    expect(field(form, "Certificate Content")).to_have_value(leaf.certificate_pem)
    expect(walk.page.locator("#announcement")).to_have_text("leaf.crt was read, chain.p7b is chosen")
    drop(field(form, "Private Key"), leaf.key)
    expect(field(form, "Private Key")).to_have_value(leaf.key_pem)

    shown = preview(form)

    expect(shown).to_contain_text("This can be stored")
    expect(shown.get_by_role("listitem")).to_contain_text(
        ["CN=www.test.com", "CN=Intermediate CA", "CN=Root CA"]
    )
    press(form, "OK")
    expect_stored(walk, "dropped")


def test_files_dropped_beside_the_fields_count_as_content(
    open_walk: Callable[[bool], Walk], levels: tuple[KeyPair, ...]
) -> None:
    form = open_walk(True).certificate_form("beside", "Server certificate")

    drop(field(form, "Certificate Name"), levels[0].certificate)

    expect(field(form, "Certificate Content")).to_have_value(levels[0].certificate_pem)


@SCRIPTS
def test_form_goes_on_after_a_wrong_key(
    scripts: bool, open_walk: Callable[[bool], Walk], levels: tuple[KeyPair, ...], pki: Pki
) -> None:
    walk, name = open_walk(scripts), f"recovered-{scripts}"
    leaf = levels[0]
    form = walk.certificate_form(name, "Server certificate")
    field(form, "Description").fill("of the shop")
    field(form, "Certificate Content").fill(leaf.certificate_pem)
    field(form, "Private Key").fill(pki.guide.server.key_pem)
    press(form, "OK")
    expect(form.get_by_text("does not belong to the certificate")).to_be_visible()
    assert not scripts or serious_findings(walk.page) == []
    expect(field(form, "Private Key")).to_have_value("")
    expect(field(form, "Description")).to_have_value("of the shop")
    assert pki.guide.server.key_pem.splitlines()[1] not in walk.page.content()

    field(form, "Private Key").fill(leaf.key_pem)
    field(form, "Domain Name").fill("mail.test.com")
    press(form, "OK")
    expect(form.get_by_text("is not covered by the certificate")).to_be_visible()
    field(form, "Domain Name").fill("www.test.com")
    press(form, "OK")  # the key was kept, sealed

    expect_stored(walk, name)


def test_dialog_by_keyboard_alone(open_walk: Callable[[bool], Walk], levels: tuple[KeyPair, ...]) -> None:
    walk = open_walk(True)
    page: Page = walk.page
    walk.navigate("Certificates")
    page.get_by_role("button", name="Add Certificate", exact=True).focus()
    page.keyboard.press("Enter")
    form = page.get_by_role("dialog", name="Add Certificate", exact=True)
    expect(field(form, "Certificate Name")).to_be_focused()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("keyboard")
    for label in ("Server certificate", "Certificate Content"):
        page.keyboard.press("Tab")
        expect(field(form, label)).to_be_focused()
    page.keyboard.insert_text(levels[0].certificate_pem + levels[0].key_pem)
    form.get_by_role("button", name="Preview", exact=True).focus()
    page.keyboard.press("Enter")
    expect(form.get_by_role("heading", name="What was understood")).to_be_focused()
    form.get_by_role("button", name="OK", exact=True).focus()
    page.keyboard.press("Enter")

    expect_stored(walk, "keyboard")
