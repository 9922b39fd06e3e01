"""`manage.py serve`: everything that a console on one machine needs, from the first start on."""

import os
import resource
import socket
import sys
from argparse import ArgumentParser
from typing import Any

import psutil
from django.conf import settings
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from console.first_administrator import ensure_superuser_from_environment, setup_link
from listeners.dataplane.binary import BinaryError
from listeners.dataplane.process_signals import ProcessSignals
from listeners.dataplane.supervisor import AlreadyRunningError, Child, ChildFailedError, Supervisor
from listeners.deployment import control_plane_socket, envoy_process, lock
from listeners.management.static_files import collect_static_files
from listeners.models import LoadBalancer


class Command(BaseCommand):
    help = "Prepares the database, then runs the control plane, Envoy and the web server until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-prepare", action="store_true", help="leave database and static files as they are"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        signals = ProcessSignals()
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold private keys
        owner = lock()
        try:
            owner.acquire()
        except AlreadyRunningError as error:
            raise CommandError(str(error)) from error
        _refuse_taken_address()
        if not options["skip_checks"]:
            # Those that look into the database as well, which Django leaves to the commands.
            self.check(tags=[Tags.database], databases=[DEFAULT_DB_ALIAS])
        if not options["no_prepare"]:
            call_command("migrate", interactive=False, verbosity=0)
            collect_static_files()
        LoadBalancer.objects.ensure_first()
        ensure_superuser_from_environment()
        children = (
            Child("control plane", _manage("control_plane"), _control_plane_is_ready),
            Child("web server", _manage("web"), _web_server_is_ready),
        )
        try:
            starts_anew = Supervisor(envoy_process(), children, signals, self._announce).run()
        except (ChildFailedError, BinaryError) as error:
            raise CommandError(str(error)) from error
        if starts_anew:
            owner.keep_through_exec()
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - this very command

    def _announce(self) -> None:
        url = f"http://{_host_in_url()}:{settings.ELB_CONSOLE_PORT}/"
        link = setup_link(url)
        try:
            self.stdout.write(f"ELB Console: {url}")
            if link:
                self.stdout.write(f"Create the administrator (once, within 24 hours): {link}")
            self.stdout.flush()
        except OSError:
            pass  # nobody reads it any more; a closed terminal sends SIGHUP too


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]


def _refuse_taken_address() -> None:
    """Raises `CommandError`; another program's answers would be taken for the console's."""
    host, port = settings.ELB_CONSOLE_HOST, settings.ELB_CONSOLE_PORT
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        raise CommandError(
            f"The console cannot listen on {host}, port {port}: {error.strerror}. "
            "Set ELB_CONSOLE_ADDRESS to an address and a port that are free on this machine."
        ) from error


def _control_plane_is_ready(pid: int) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(control_plane_socket())) == 0


def _web_server_is_ready(pid: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(
        one.status == psutil.CONN_LISTEN and one.laddr.port == settings.ELB_CONSOLE_PORT
        for one in connections
    )


def _host_in_url() -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.ELB_CONSOLE_HOST, settings.ELB_CONSOLE_HOST)
    return f"[{host}]" if ":" in host else str(host)
