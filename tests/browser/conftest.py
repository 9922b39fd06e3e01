"""Chromium for browser tests: every page of theirs fails the test on what its console complains about."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.browser.chromium import executable, switches
from tests.conftest import FAILED, Pki
from tests.live import LiveConsole
from tests.waiting import LIMIT

ARTIFACTS = Path(__file__).resolve().parents[2] / ".cache" / "browser"
# Chromium itself reports every answer from 400 on; 422 is how a form says that it was refused.
REFUSED_FORM = re.compile(r"Failed to load resource: the server responded with a status of 422\b")

# A page that is left breaks off the question that it was just asking, which htmx reports.
BROKEN_OFF = re.compile(r"htmx:(afterRequest|sendError|sendAbort)\b")

NewContext = Callable[..., BrowserContext]


@dataclass(frozen=True)
class Stored:
    """Names of certificates that the shared console has for these tests."""

    server: str
    ca: str
    rsa: str


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=LIMIT * 1000)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = playwright.chromium
    browser = chromium.launch(executable_path=executable(chromium), args=switches())
    yield browser
    browser.close()


@pytest.fixture
def new_context(
    browser: Browser,
    live_console: Callable[..., LiveConsole],  # so that consoles outlive the pages that ask them for news
    request: pytest.FixtureRequest,
) -> Iterator[NewContext]:
    """Makes a browser context (`Browser.new_context`'s options) whose pages are watched."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**options)
        context.set_default_timeout(LIMIT * 1000)
        watch(context, complaints)
        contexts.append(context)
        return context

    yield make
    if complaints or request.node.stash.get(FAILED, False):
        keep(contexts, request.node.name)
    for context in contexts:
        context.close()
    assert complaints == [], "The browser's console complained."


@pytest.fixture
def page(new_context: NewContext) -> Page:
    return new_context().new_page()


def watch(context: BrowserContext, complaints: list[str]) -> None:
    """Notes errors and warnings of the console, which include violations of the policy, and page errors."""
    context.on("weberror", lambda error: complaints.append(f"page error: {error.error}"))
    context.on(
        "console",
        lambda message: (
            complaints.append(f"{message.type}: {message.text}")
            if message.type in {"error", "warning"}
            and not REFUSED_FORM.match(message.text)
            and not BROKEN_OFF.match(message.text)
            else None
        ),
    )


def keep(contexts: list[BrowserContext], test: str) -> None:
    """Leaves a screenshot and the markup of every page of a failed test in .cache/browser."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.-]+", "_", test)
    pages = [page for context in contexts for page in context.pages]
    for number, page in enumerate(pages):
        page.screenshot(path=ARTIFACTS / f"{name}-{number}.png", full_page=True)
        (ARTIFACTS / f"{name}-{number}.html").write_text(page.content())


@pytest.fixture(scope="session")
def stored(console: LiveConsole, pki: Pki) -> Iterator[Stored]:
    client = console.client()
    client.add_certificate(
        "wizard-web", "server", pki.modern.server.certificate_pem, pki.modern.server.key_pem
    )
    client.add_certificate("wizard-ca", "ca", pki.modern.ca.certificate_pem)
    client.add_certificate("wizard-rsa", "server", pki.guide.server.certificate_pem, pki.guide.server.key_pem)
    yield Stored("wizard-web", "wizard-ca", "wizard-rsa")
    client.close()
