"""The mutual-authentication guide, from its OpenSSL commands to its two methods of testing."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Playwright, expect

from tests.backend import Backend
from tests.browser.chromium import executable, switches
from tests.browser.conftest import NewContext
from tests.browser.policy import managed_policy
from tests.browser.walk import Walk
from tests.conftest import Pki
from tests.curl import curl
from tests.live import LiveConsole
from tests.pki import CertificateSet, foreign_client
from tests.ports import free_port

FIRST_LOAD_BALANCER = "load-balancer-1"
# curl's words for it: connect error, empty reply, send error, receive error. With TLS 1.3 the refusal comes
# after the client's side of the handshake is done, and any of them may meet it.
HANDSHAKE_REFUSED = {35, 52, 55, 56}
SETS = pytest.mark.parametrize("set_name", ["guide", "modern"])


@dataclass(frozen=True)
class Guide:
    """Where the guide's console sections have led: a listener that runs."""

    certificates: CertificateSet
    backend: Backend
    port: int
    is_sha1: bool

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/"


@SETS
def test_guide_lets_in_its_client_alone(
    set_name: str,
    pki: Pki,
    backend: Backend,
    new_context: NewContext,
    live_console: Callable[..., LiveConsole],
    playwright: Playwright,
    tmp_path: Path,
) -> None:
    guide = follow_guide(set_name, pki, backend, Walk(new_context().new_page(), live_console()))
    backend.forget()

    assert_curl_is_let_in_with_the_client_certificate_alone(guide, tmp_path)
    assert_own_browser_is_let_in_after_import_alone(guide, playwright, tmp_path)
    assert_playwright_is_let_in_with_the_client_certificate_alone(guide, new_context)


def test_guide_works_without_javascript(
    pki: Pki,
    backend: Backend,
    new_context: NewContext,
    live_console: Callable[..., LiveConsole],
    tmp_path: Path,
) -> None:
    page = new_context(java_script_enabled=False).new_page()

    guide = follow_guide("guide", pki, backend, Walk(page, live_console(), scripts=False))

    assert_curl_is_let_in_with_the_client_certificate_alone(guide, tmp_path)


def follow_guide(set_name: str, pki: Pki, backend: Backend, walk: Walk) -> Guide:
    """The guide's set is pasted, the modern one chosen from disk."""
    certificates: CertificateSet = getattr(pki, set_name)
    port = free_port("0.0.0.0")
    add = walk.paste_certificate if set_name == "guide" else walk.choose_certificate
    walk.sign_in()
    add("server", "Server certificate", certificates.server.certificate, certificates.server.key)
    add("ca", "CA certificate", certificates.ca.certificate)
    walk.add_mutual_listener(
        FIRST_LOAD_BALANCER, "listener-guide", port, "server", "ca", (backend.address, backend.port)
    )
    walk.wait_running()
    return Guide(certificates, backend, port, is_sha1=set_name == "guide")


def assert_curl_is_let_in_with_the_client_certificate_alone(guide: Guide, folder: Path) -> None:
    """Method 2: the guide's command, then without a certificate, then with one from another CA."""
    client, stranger = guide.certificates.client, foreign_client(folder)
    shown = ("--cert", client.certificate, "--key", client.key)

    head = curl("-k", *shown, guide.url, "-I", sha1=guide.is_sha1)
    answered = curl("-k", *shown, guide.url, sha1=guide.is_sha1)
    refused = [
        curl("-k", guide.url, sha1=guide.is_sha1),
        curl("-k", "--cert", stranger.certificate, "--key", stranger.key, guide.url, sha1=guide.is_sha1),
    ]

    assert (head.exit_code, head.status) == (0, 200), head
    assert (answered.status, json.loads(answered.body)["backend"]) == (200, guide.backend.name)
    assert [answer.status for answer in refused] == [0, 0], refused
    assert {answer.exit_code for answer in refused} <= HANDSHAKE_REFUSED, refused
    assert [request.method for request in guide.backend.requests] == ["HEAD", "GET"]
    guide.backend.forget()


def assert_own_browser_is_let_in_after_import_alone(
    guide: Guide, playwright: Playwright, folder: Path
) -> None:
    """Method 1: `client.p12` is imported into the browser's own store, and chosen by its policy."""
    policy = {"AutoSelectCertificateForUrls": [json.dumps({"pattern": guide.url.rstrip("/"), "filter": {}})]}
    with managed_policy(executable(playwright.chromium), policy, folder) as program:
        imported = guide.certificates.client_p12, guide.certificates.password
        with browser_of_new_person(playwright, program, folder / "with", imported) as page:
            assert_page_is_shown(page, guide)
        with browser_of_new_person(playwright, program, folder / "without") as page:
            assert_page_is_refused(page, guide)


def assert_playwright_is_let_in_with_the_client_certificate_alone(
    guide: Guide, new_context: NewContext
) -> None:
    """Playwright's `client_certificates`: TLS ends in Playwright, outside the browser."""
    certificate = {
        "origin": guide.url.rstrip("/"),
        "pfxPath": guide.certificates.client_p12,
        "passphrase": guide.certificates.password,
    }

    assert_page_is_shown(
        new_context(ignore_https_errors=True, client_certificates=[certificate]).new_page(), guide
    )
    assert_page_is_refused(new_context(ignore_https_errors=True).new_page(), guide)


def assert_page_is_shown(page: Page, guide: Guide) -> None:
    page.goto(guide.url)
    expect(page.locator("body")).to_contain_text(f'"backend": "{guide.backend.name}"')


def assert_page_is_refused(page: Page, guide: Guide) -> None:
    guide.backend.forget()
    with pytest.raises(Error, match="net::ERR_"):
        page.goto(guide.url)
    assert guide.backend.requests == ()


@contextmanager
def browser_of_new_person(
    playwright: Playwright, program: str, home: Path, imported: tuple[Path, str] | None = None
) -> Iterator[Page]:
    """Chromium with a home directory, and so a certificate store, of its own.

    `imported` is a PKCS#12 file and its password.
    """
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    nss(store, "certutil", "-N", "--empty-password")
    if imported:
        nss(store, "pk12util", "-i", str(imported[0]), "-W", imported[1])
    context: BrowserContext = playwright.chromium.launch_persistent_context(
        home / "profile",
        executable_path=program,
        args=switches(),
        env={**os.environ, "HOME": str(home)},
        ignore_https_errors=True,
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def nss(store: Path, *command: str) -> None:
    subprocess.run([*command, "-d", f"sql:{store}"], check=True, capture_output=True)
