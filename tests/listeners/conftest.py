"""A data plane and a backend that the tests of one module share, and a browser that has signed in."""

from collections.abc import Iterator

import pytest
from django.test import Client

from tests import factories
from tests.backend import Backend, running_backend
from tests.envoy_lab import EnvoyLab, envoy_lab


@pytest.fixture(scope="module")
def lab() -> Iterator[EnvoyLab]:
    with envoy_lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with running_backend() as backend:
        yield backend


@pytest.fixture
def signed_in(client: Client) -> Client:
    client.force_login(factories.user())
    return client
