"""A data plane and a backend that the tests of one module share, and a browser that has signed in."""

from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from listeners import snapshot
from listeners.models import Listener, LoadBalancer
from tests import factories
from tests.backend import Backend, running_backend
from tests.conftest import Pki
from tests.envoy_lab import NODE, EnvoyLab, envoy_lab
from tests.listeners.pages import Pages
from tests.listeners.wizard import Fields
from tests.waiting import eventually


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


@pytest.fixture
def pages(signed_in: Client, lab: EnvoyLab, settings: Settings, transactional_db: None) -> Iterator[Pages]:
    settings.ELB_RUN_DIR = settings.ELB_LOG_DIR = lab.folder
    settings.ELB_NODE_ID = NODE
    yield Pages(signed_in, lab)
    Listener.objects.exclude(redirect_to=None).delete()
    Listener.objects.all().delete()
    lab.apply(snapshot.configuration())
    eventually(lambda: lab.served() == {}, "nothing is served any more")


@pytest.fixture
def load_balancer() -> LoadBalancer:
    return factories.load_balancer(address="127.0.0.1")


@pytest.fixture
def configure(pki: Pki) -> Fields:
    """The first step of a mutual listener, as posted."""
    return {
        "name": "shop",
        "protocol": "HTTPS",
        "port": "8443",
        "authentication": "mutual",
        "server_certificate": str(factories.server_certificate(pki.modern.server).pk),
        "ca_certificates": [str(factories.ca_certificate(pki.modern.ca).pk)],
        "description": "For partners",
    }
