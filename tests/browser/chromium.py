"""Which Chromium the tests drive, and the switches that keep it quiet."""

import os
import shutil

from playwright.sync_api import BrowserType

NAMES = ("chromium", "chromium-browser", "google-chrome")
# No calls home: a test run talks to this machine alone.
SWITCHES = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def executable(browser_type: BrowserType) -> str:
    """The machine's own Chromium, else the one that Playwright has downloaded."""
    found = (shutil.which(name) for name in NAMES)
    return next((path for path in found if path), browser_type.executable_path)


def switches() -> list[str]:
    # Chromium refuses to run as root inside its sandbox.
    return [*SWITCHES, "--no-sandbox"] if os.geteuid() == 0 else [*SWITCHES]
