"""Takes the README's screenshots of a console with the guide's listener: `make screenshots`."""

import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.backend import running_backend
from tests.browser.chromium import executable, switches
from tests.browser.walk import Walk
from tests.console_client import BackendFields
from tests.live import LiveConsole
from tests.pki import modern_set

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
PORT = 8443


def main() -> None:
    console = LiveConsole()
    try:
        with tempfile.TemporaryDirectory() as folder, running_backend() as backend:
            pki = modern_set(Path(folder))
            client = console.start().client()
            server = client.add_certificate(
                "www.test.com", "server", pki.server.certificate_pem, pki.server.key_pem
            )
            ca = client.add_certificate("clients-ca", "ca", pki.ca.certificate_pem)
            servers = [BackendFields(backend.port), BackendFields(backend.port, "127.0.0.2", 0)]
            listener = client.add_listener(
                1, PORT, servers, name="payments", server_certificate=server, ca_certificate=ca
            )
            client.wait_running(listener)
            photograph(console, f"/listeners/{listener}/")
    finally:
        console.remove()


def photograph(console: LiveConsole, path: str) -> None:
    with sync_playwright() as playwright:
        chromium = playwright.chromium
        browser = chromium.launch(executable_path=executable(chromium), args=switches())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        Walk(page, console).sign_in()
        page.goto(console.url + path)
        expect(page.get_by_text("Healthy", exact=True)).to_be_visible(timeout=20_000)
        page.screenshot(path=IMAGES / "listener.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
