import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.template import Context, Template
from django.utils import timezone

from console.settings import BASE_DIR
from console.templatetags.console import expiry, expiry_state

SPRITE = BASE_DIR / "static" / "vendor" / "bootstrap-icons.svg"


@dataclass(frozen=True)
class Period:
    not_before: datetime
    not_after: datetime


def templates() -> Iterator[Path]:
    return (BASE_DIR / "templates").rglob("*.html")


@pytest.mark.parametrize(
    ("start", "end", "word", "tone"),
    [
        (-10, -1, "Expired", "danger"),
        (1, 10, "Not valid yet", "warning"),
        (-1, 0.5, "Less than a day left", "warning"),
        (-1, 1.5, "1 day left", "warning"),
        (-1, 30.5, "30 days left", "warning"),
        (-1, 31.5, "31 days left", "success"),
    ],
)
def test_expiry(start: float, end: float, word: str, tone: str) -> None:
    now = timezone.now()
    period = Period(now + timedelta(days=start), now + timedelta(days=end))

    assert expiry_state(period) == (word, tone)
    assert f"{period.not_after:%Y-%m-%d %H:%M} UTC</time>" in expiry(period)
    assert word in expiry(period)


def test_status_badge_escapes() -> None:
    page = Template("{% load console %}{% status_badge word 'success' %}").render(Context({"word": "<b>"}))

    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_icons_used_are_in_the_sprite_and_no_others() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', SPRITE.read_text()))
    # The navigation's icons are named in Python; a template may choose between two with an `if`.
    sources = [*templates(), BASE_DIR / "console" / "templatetags" / "console.py"]
    text = "".join(path.read_text() for path in sources)
    used = set(re.findall(r"""\{% icon ["']([a-z0-9-]+)["']""", text)) | {
        name for name in sprite if re.search(rf"""["']{name}["']""", text)
    }

    assert used == sprite


def test_templates_have_no_inline_script_or_style() -> None:
    inline = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|\shx-on|javascript:")
    guilty = [str(path) for path in templates() if inline.search(path.read_text())]

    assert guilty == []
