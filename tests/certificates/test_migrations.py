"""Rows from before a migration take what it adds from what they are."""

import importlib
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.db import connection

from certificates.models import Certificate
from tests.conftest import Pki
from tests.factories import ca_certificate, server_certificate

pytestmark = pytest.mark.django_db


def test_earlier_rows_take_their_names_and_the_hash_of_their_key(pki: Pki) -> None:
    migration = importlib.import_module("certificates.migrations.0002_names_and_public_keys")
    server, ca = server_certificate(pki.modern.server), ca_certificate(pki.modern.ca)
    expected = [(row.public_key_hash, row.server_names) for row in (server, ca)]
    Certificate.objects.update(public_key_hash="", server_names="", updated_at=datetime.now(UTC))

    migration.fill(apps, connection.schema_editor())

    rows = [Certificate.objects.get(pk=row.pk) for row in (server, ca)]
    assert [(row.public_key_hash, row.server_names) for row in rows] == expected
    assert [names for _, names in expected] == ["www.test.com", ""]
