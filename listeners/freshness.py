"""How old a page's word on the data plane may be, and what follows for its questions.

A page asks anew every quarter of `ELB_STATUS_SECONDS`. The answers to one page's questions are waited for
during half of it, the control plane's during a quarter. The last quarter is for all else, so that the sum
stays within.
"""

import time
from dataclasses import dataclass

from django.conf import settings

LEAST = 0.05  # seconds; what answers at all answers in that time


def refresh_milliseconds() -> int:
    """Until a page asks anew."""
    return int(settings.ELB_STATUS_SECONDS * 1000 / 4)


def control_plane_limit() -> float:
    """In seconds."""
    return settings.ELB_STATUS_SECONDS / 4


@dataclass(frozen=True)
class Patience:
    """For all questions of one page together; `ends` is on the monotonic clock."""

    ends: float

    @classmethod
    def begun(cls) -> "Patience":
        return cls(time.monotonic() + settings.ELB_STATUS_SECONDS / 2)

    @property
    def left(self) -> float:
        """The limit of the next question, in seconds."""
        return max(self.ends - time.monotonic(), LEAST)
