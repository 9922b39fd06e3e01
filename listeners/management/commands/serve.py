"""`manage.py serve`: everything that a console on one machine needs, from the first start on."""

import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from console.first_administrator import ensure_superuser_from_environment, setup_link
from listeners.dataplane.binary import BinaryError
from listeners.dataplane.supervisor import AlreadyRunningError, Child, ChildFailedError, Supervisor
from listeners.deployment import control_plane_socket, envoy_process, lock
from listeners.models import LoadBalancer


class Command(BaseCommand):
    help = "Prepares the database, then runs the control plane, Envoy and the web server until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-prepare", action="store_true", help="leave database and static files as they are"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        owner = lock()
        try:
            owner.acquire()
        except AlreadyRunningError as error:
            raise CommandError(str(error)) from error
        if not options["skip_checks"]:
            # Those that look into the database as well, which Django leaves to the commands.
            self.check(tags=[Tags.database], databases=[DEFAULT_DB_ALIAS])
        if not options["no_prepare"]:
            call_command("migrate", interactive=False, verbosity=0)
            call_command("collectstatic", interactive=False, verbosity=0)
        LoadBalancer.objects.ensure_first()
        ensure_superuser_from_environment()
        children = (
            Child("control plane", _manage("control_plane"), _control_plane_is_ready),
            Child("web server", _manage("web"), _web_server_is_ready),
        )
        try:
            Supervisor(envoy_process(), children, self._announce).run()
        except (ChildFailedError, BinaryError) as error:
            raise CommandError(str(error)) from error

    def _announce(self) -> None:
        url = f"http://{_host_in_url()}:{settings.ELB_CONSOLE_PORT}/"
        self.stdout.write(f"ELB Console: {url}")
        link = setup_link(url)
        if link:
            self.stdout.write(f"Create the administrator (once, within 24 hours): {link}")
        self.stdout.flush()


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]


def _control_plane_is_ready() -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(control_plane_socket())) == 0


def _web_server_is_ready() -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.ELB_CONSOLE_HOST, settings.ELB_CONSOLE_HOST)
    try:
        with socket.create_connection((host, settings.ELB_CONSOLE_PORT), timeout=1):
            return True
    except OSError:
        return False


def _host_in_url() -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.ELB_CONSOLE_HOST, settings.ELB_CONSOLE_HOST)
    return f"[{host}]" if ":" in host else str(host)
