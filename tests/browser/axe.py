"""axe, which finds what people who use assistive technology would stumble over."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).resolve().parents[1] / "vendor" / "axe.min.js"
SERIOUS = {"serious", "critical"}


def serious_findings(page: Page) -> list[str]:
    """What axe calls serious or critical on the page as it is now, each with the elements concerned."""
    # Evaluated as a debugger does it, which the page's policy has no say in.
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text())
    outcome: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{finding['id']}: {finding['help']}: {[node['html'][:200] for node in finding['nodes']]}"
        for finding in outcome["violations"]
        if finding["impact"] in SERIOUS
    ]
