"""Static files are collected when they have changed, and otherwise left to the consoles that serve them."""

import os
from pathlib import Path

import pytest
from pytest_django import Settings

from listeners.management.static_files import collect_static_files


@pytest.fixture
def places(settings: Settings, tmp_path: Path) -> tuple[Path, Path]:
    """A source file and where it is collected to; without those of Django, which are many."""
    source = tmp_path / "static" / "page.js"
    source.parent.mkdir()
    source.write_text("one")
    settings.STATICFILES_DIRS, settings.STATIC_ROOT = [source.parent], tmp_path / "collected"
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    return source, tmp_path / "collected" / "page.js"


def test_files_are_collected_anew_when_one_has_changed(places: tuple[Path, Path]) -> None:
    source, collected = places
    collect_static_files()
    first = collected.read_text()
    collected.write_text("left alone")
    collect_static_files()
    kept = collected.read_text()
    source.write_text("other")
    later = collected.stat().st_mtime + 2  # Django compares whole seconds
    os.utime(source, (later, later))

    collect_static_files()

    assert (first, kept, collected.read_text()) == ("one", "left alone", "other")


def test_files_that_were_removed_are_collected_again(places: tuple[Path, Path]) -> None:
    _, collected = places
    collect_static_files()
    for path in collected.parent.iterdir():
        path.unlink()
    collect_static_files()
    assert collected.read_text() == "one"
