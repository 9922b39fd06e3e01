"""Add Listener in a browser: how it is begun and filled in."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewContext, Stored
from tests.browser.walk import Walk
from tests.live import LiveConsole

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])


def begin(new_context: NewContext, console: LiveConsole, scripts: bool = True, **options: object) -> Walk:
    walk = Walk(new_context(java_script_enabled=scripts, **options).new_page(), console, scripts)
    walk.sign_in()
    walk.begin_listener()
    return walk


def fill_mutual(walk: Walk, stored: Stored, name: str, port: int) -> None:
    page = walk.page
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Frontend Port", exact=True).fill(str(port))
    page.get_by_label("Mutual authentication", exact=True).check()
    walk.choose("Server Certificate", stored.server)
    walk.choose("CA Certificate", stored.ca)


def fill_server(page: Page, address: str = "127.0.0.1", port: int = 9000) -> None:
    server = page.get_by_role("group", name="Backend server 1", exact=True)
    server.get_by_label("Address", exact=True).fill(address)
    server.get_by_label("Backend Port", exact=True).fill(str(port))
