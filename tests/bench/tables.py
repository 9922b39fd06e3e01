"""What the bench prints: Markdown, so that a run can be pasted into docs/bench.md."""

import statistics
import sys
from collections.abc import Sequence


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Progress, for the person who waits and not for the document."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def start_table(heading: str, words: Sequence[int] = (0,)) -> None:
    """`heading` has the columns' names between bars; `words` are the numbers of columns that hold words."""
    columns = range(heading.count("|") + 1)
    say(f"| {heading} |")
    say(f"|{'|'.join(' --- ' if number in words else ' ---: ' for number in columns)}|")


def p99(values: Sequence[float]) -> float:
    """By nearest rank: of fewer than a hundred values, the greatest."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * 99 // 100) - 1]


def milliseconds(seconds: Sequence[float]) -> str:
    """The median and p99 of some durations."""
    return f"{statistics.median(seconds) * 1000:.1f} / {p99(seconds) * 1000:.0f}"


def spread(ratios: Sequence[float]) -> str:
    """Least, median and greatest."""
    return f"{min(ratios):.2f} - **{statistics.median(ratios):.2f}** - {max(ratios):.2f}"
