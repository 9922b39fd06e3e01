"""Fills a console's database with listeners: a process with the settings of that console.

It reads what to make as JSON on its standard input and answers with ids. Rows are written many at once, as
no form could; the tests of the forms show that they store the same.
"""

import json
import sys
from pathlib import Path
from typing import Any

import django


def main() -> None:
    django.setup()
    from listeners.models import BackendServer, BackendServerGroup, Listener
    from tests import factories
    from tests.pki import KeyPair

    asked: dict[str, Any] = json.load(sys.stdin)
    server = factories.server_certificate(KeyPair(*map(Path, asked["server"])), "bench-server")
    ca = factories.ca_certificate(KeyPair(Path(asked["ca"]), Path()), "bench-ca")
    balancer = factories.load_balancer("bench", asked["address"])
    ports, modes = asked["ports"], asked["modes"]
    groups = BackendServerGroup.objects.bulk_create(
        BackendServerGroup(name=f"group-{port}") for port in ports
    )
    BackendServer.objects.bulk_create(
        BackendServer(group=group, address="127.0.0.1", port=asked["backend"]) for group in groups
    )
    rows = Listener.objects.bulk_create(
        Listener(
            load_balancer=balancer,
            name=f"listener-{port}",
            port=port,
            authentication=Listener.Authentication.MUTUAL
            if mode["mutual"]
            else Listener.Authentication.ONE_WAY,
            server_certificate=server,
            http2=mode["http2"],
            backend_server_group=group,
        )
        for port, mode, group in zip(ports, modes, groups, strict=True)
    )
    through = Listener.ca_certificates.through
    through.objects.bulk_create(
        through(listener=row, certificate=ca) for row, mode in zip(rows, modes, strict=True) if mode["mutual"]
    )
    json.dump({"server": server.pk, "ca": ca.pk, "listeners": [row.pk for row in rows]}, sys.stdout)


if __name__ == "__main__":
    main()
