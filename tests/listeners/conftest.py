"""A data plane and a backend that the tests of one module share, and a browser that has signed in."""

from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from listeners import snapshot
from listeners.models import Listener
from tests import factories
from tests.backend import Backend, running_backend
from tests.envoy_lab import NODE, EnvoyLab, envoy_lab
from tests.listeners.pages import Pages
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
