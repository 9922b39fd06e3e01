"""Waiting for what another process does: the one place in the tests that pauses."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
PAUSE = 0.05
# Only a failure takes so long: several workers share the machine, and perhaps others do.
LIMIT = 60.0  # seconds


def eventually(condition: Callable[[], Answer], what: str, timeout: float = LIMIT) -> Answer:
    """Asks until the answer is truthy and returns it; fails after `timeout` seconds with the last answer."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {timeout} s in vain for: {what}. Last answer: {answer!r}")
        time.sleep(PAUSE)
    return answer
