"""Has the control plane look at once, so that what was committed need not wait, and tells it things."""

import contextlib
import socket
from pathlib import Path

from django.conf import settings

WAKE = b"!"


def wake_socket() -> Path:
    return Path(settings.ELB_RUN_DIR) / "wake.sock"


def wake() -> None:
    """The control plane looks by itself as well."""
    tell(WAKE)


def tell(message: bytes) -> None:
    """A datagram that nobody may be there to take. Those of one writer arrive in order."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.setblocking(False)
        sender.sendto(message, str(wake_socket()))
