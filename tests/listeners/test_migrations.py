"""Rows from before a migration mean the same after it."""

from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from certificates.models import Certificate
from listeners.models import Listener
from tests.conftest import Pki
from tests.factories import ca_certificate, server_certificate


@pytest.fixture
def before_every_way_to_authenticate(transactional_db: None) -> Any:
    """The tables as they were when a listener had one CA certificate; afterwards as they are now."""
    executor = MigrationExecutor(connection)
    latest = executor.loader.graph.leaf_nodes()
    yield executor.migrate([("listeners", "0001_initial")]).apps
    MigrationExecutor(connection).migrate(latest)


def test_mutual_listener_keeps_its_ca_certificate(pki: Pki, before_every_way_to_authenticate: Apps) -> None:
    server, ca = server_certificate(pki.modern.server), ca_certificate(pki.modern.ca)
    old: Any = before_every_way_to_authenticate
    group = old.get_model("listeners", "BackendServerGroup").objects.create(name="servers")
    balancer = old.get_model("listeners", "LoadBalancer").objects.create(name="edge", address="127.0.0.1")
    rows = old.get_model("listeners", "Listener").objects
    common = {"load_balancer": balancer, "backend_server_group": group, "protocol": "HTTPS"}
    rows.create(
        name="m",
        port=1,
        authentication="mutual",
        server_certificate_id=server.pk,
        ca_certificate_id=ca.pk,
        **common,
    )
    rows.create(name="o", port=2, authentication="one-way", server_certificate_id=server.pk, **common)

    MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())

    found = {
        row.name: (row.authentication, list(row.ca_certificates.all())) for row in Listener.objects.all()
    }
    assert found == {"m": ("mutual", [ca]), "o": ("one-way", [])}
    assert [row.is_enabled for row in Listener.objects.all()] == [True, True]
    for row in Listener.objects.all():
        row.full_clean()
    assert Certificate.objects.get(pk=ca.pk).listeners == [Listener.objects.get(name="m")]
