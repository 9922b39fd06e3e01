"""`manage.py envoy_bootstrap`: the start file of an Envoy on another machine."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from listeners.dataplane.bootstrap import MutualTls, bootstrap, tcp_address


class Command(BaseCommand):
    help = "Prints the bootstrap of an Envoy that this console feeds over TCP with mutual TLS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--node", required=True, help="a name of its own for this Envoy")
        parser.add_argument("--host", required=True, help="where the console's ELB_XDS_ADDRESS is reached")
        parser.add_argument("--port", required=True, type=int)
        parser.add_argument(
            "--server-name", help="name in the control plane's certificate; default: the host"
        )
        parser.add_argument("--certificate", required=True, type=Path, help="this Envoy's client certificate")
        parser.add_argument("--key", required=True, type=Path, help="its private key")
        parser.add_argument("--ca", required=True, type=Path, help="CA of the control plane's certificate")
        parser.add_argument("--admin", type=Path, default=Path("/run/elb-envoy-admin.sock"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["node"] == settings.ELB_NODE_ID:
            raise CommandError(f"--node {options['node']} is the local Envoy's name; choose another.")
        tls = MutualTls(
            certificate=options["certificate"].absolute(),
            private_key=options["key"].absolute(),
            ca=options["ca"].absolute(),
            server_name=options["server_name"] or options["host"],
        )
        address = tcp_address(options["host"], options["port"])
        self.stdout.write(bootstrap(options["node"], address, options["admin"], tls))
