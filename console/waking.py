"""Wakes the control plane, so that what was committed need not wait for its next look."""

import contextlib
import socket
from pathlib import Path

from django.conf import settings


def wake_socket() -> Path:
    return Path(settings.ELB_RUN_DIR) / "wake.sock"


def wake() -> None:
    """A datagram that nobody may be there to take: the control plane looks by itself as well."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.setblocking(False)
        sender.sendto(b"!", str(wake_socket()))
