"""`manage.py web`: the web server of one machine; `serve` starts it."""

import signal
import sys
from types import FrameType
from typing import Any

import waitress
from django.conf import settings
from django.core.management.base import BaseCommand

from console.wsgi import application
from listeners.dataplane.supervisor import leash

THREADS = 8
# A form takes 1 MiB of certificates; above this the web server answers 413 itself.
MAXIMUM_REQUEST_BYTES = 8 * 1024 * 1024


class Command(BaseCommand):
    help = "Serves the console's pages."

    def handle(self, *args: Any, **options: Any) -> None:
        leash()
        signal.signal(signal.SIGTERM, _exit)  # waitress then lets requests end
        waitress.serve(
            application,
            host=settings.ELB_CONSOLE_HOST,
            port=settings.ELB_CONSOLE_PORT,
            threads=THREADS,
            ident=None,
            clear_untrusted_proxy_headers=True,
            max_request_body_size=MAXIMUM_REQUEST_BYTES,
            # A request may hold a private key, so none is spooled to a file.
            inbuf_overflow=2 * MAXIMUM_REQUEST_BYTES,
        )


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(0)
