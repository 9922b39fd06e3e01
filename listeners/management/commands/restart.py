"""`manage.py restart`: the running console starts anew, code and settings included; Envoy serves on."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from listeners.dataplane.process_signals import RESTART
from listeners.deployment import lock


class Command(BaseCommand):
    help = "Restarts the control plane and the web server of the running console; traffic goes on."

    def handle(self, *args: Any, **options: Any) -> None:
        holder = lock().holder()
        if holder is None:
            raise CommandError("No console runs on this data directory; start it with `make run`.")
        os.kill(holder, RESTART)
        self.stdout.write(f"Restarting the console, process {holder}; Envoy serves on.")
