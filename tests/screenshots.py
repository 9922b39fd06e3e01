"""Takes the pictures of README.md and docs/: `make screenshots`."""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.backend import Backend, running_backend
from tests.browser.chromium import executable, switches
from tests.browser.walk import RUNNING_TIMEOUT, Walk
from tests.console_client import BackendFields, ConsoleClient
from tests.curl import curl
from tests.live import PASSWORD, LiveConsole
from tests.pki import modern_set
from tests.waiting import eventually

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
PORT, GUIDED_PORT = 8443, 8444


def main() -> None:
    console = LiveConsole()
    try:
        with (
            tempfile.TemporaryDirectory() as name,
            running_backend() as backend,
            sync_playwright() as playwright,
        ):
            folder = Path(name)
            client = console.start().client()
            chromium = playwright.chromium
            browser = chromium.launch(executable_path=executable(chromium), args=switches())
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            Walk(page, console).sign_in()
            picture_listener(page, console, mutual_listener(client, backend, folder))
            picture_issuing(page, console, client, backend, folder)
            browser.close()
    finally:
        console.remove()


def mutual_listener(client: ConsoleClient, backend: Backend, folder: Path) -> str:
    """The path of a listener as in Huawei's guide, with a second backend server that nobody answers at."""
    pki = modern_set(folder)
    server = client.add_certificate("www.test.com", "server", pki.server.certificate_pem, pki.server.key_pem)
    ca = client.add_certificate("clients-ca", "ca", pki.ca.certificate_pem)
    servers = [BackendFields(backend.port), BackendFields(backend.port, "127.0.0.2", 0)]
    listener = client.add_listener(
        1, PORT, servers, name="payments", server_certificate=server, ca_certificate=ca
    )
    client.wait_running(listener)
    return f"/listeners/{listener}/"


def picture_listener(page: Page, console: LiveConsole, path: str) -> None:
    page.goto(console.url + path)
    expect(page.get_by_text("Healthy", exact=True)).to_be_visible(timeout=RUNNING_TIMEOUT)
    taken(page, "listener")


def picture_issuing(
    page: Page, console: LiveConsole, client: ConsoleClient, backend: Backend, folder: Path
) -> None:
    """The guided setup to its end, what the client is given, and the pages of the CA and of the client."""
    page.goto(f"{console.url}/guided/")
    pressed(page, "Set Up Mutual TLS")
    page.get_by_label("Name", exact=True).fill("partners")
    pressed(page, "Create CA")
    page.get_by_text("Create a new server certificate", exact=True).click()
    pressed(page, "Create Server Certificate")
    page.get_by_label("Name", exact=True).fill("partners")
    page.get_by_label("Frontend Port", exact=True).fill(str(GUIDED_PORT))
    page.get_by_label("Address", exact=True).fill(backend.address)
    page.get_by_label("Backend Port", exact=True).fill(str(backend.port))
    pressed(page, "Create Listener")
    page.get_by_label("Holder", exact=True).fill("ada@test.com")
    page.get_by_label("Alternative Names", exact=True).fill("")
    pressed(page, "Create Client Certificate")
    expect(page.get_by_text("Mutual TLS works")).to_be_visible(timeout=RUNNING_TIMEOUT)
    taken(page, "guided-proof")

    page.get_by_role("button", name="Download the Client's Certificate", exact=True).click()
    taken(page, "client-download")
    issued = page.url.removeprefix(console.url).removesuffix("download/")
    file = folder / "client.pem"
    fields = {"target": "curl", "format": "pem-plain", "account_password": PASSWORD}
    file.write_bytes(client.post(f"{issued}download/", **fields).content)
    for _ in range(3):
        curl(f"https://127.0.0.1:{GUIDED_PORT}/", "-k", "--cert", str(file))
    eventually(lambda: 'data-label="Connections">4<' in client.get(issued), "all connections are counted")
    page.goto(console.url + issued)
    taken(page, "issued-client")
    page.get_by_role("link", name="partners", exact=True).first.click()
    taken(page, "authority")


def pressed(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).last.click()


def taken(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)


if __name__ == "__main__":
    main()
