"""What pages say of the data plane when it is away, and the configuration that they show."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from pytest_django import DjangoAssertNumQueries, Settings

from listeners.freshness import Patience, control_plane_limit, refresh_milliseconds
from listeners.models import Listener
from listeners.rendered import rendered_configuration
from listeners.status import ListenerState, State, leftovers, observation
from tests import factories
from tests.conftest import Pki
from tests.console_client import words

pytestmark = pytest.mark.django_db


def keys(value: Any) -> Any:
    """The tree of a JSON value's names, its texts and numbers left out."""
    if isinstance(value, dict):
        return {name: keys(one) for name, one in value.items()}
    return [keys(one) for one in value] if isinstance(value, list) else None


@pytest.fixture
def mutual_listener(pki: Pki) -> Listener:
    return factories.listener(
        server_certificate=factories.server_certificate(pki.modern.server, name="server"),
        ca_certificate=factories.ca_certificate(pki.modern.ca, name="ca"),
    )


def test_configuration_names_certificates_and_holds_none(mutual_listener: Listener, pki: Pki) -> None:
    text = rendered_configuration(mutual_listener)
    secrets = json.loads(text)["secrets"]
    del secrets[1]["validation_context"]["max_verify_depth"]
    assert secrets == [
        {
            "name": f"certificate-{mutual_listener.server_certificate_id}",
            "tls_certificate": {
                "certificate_chain": "[chain of certificate server]",
                "private_key": "[private key of certificate server]",
            },
        },
        {
            "name": f"ca-{mutual_listener.chosen_ca_certificates[0].pk}",
            "validation_context": {"trusted_ca": ["[CA certificate ca]"]},
        },
    ]
    assert "-----BEGIN" not in text


class RenderedConfiguration(TestCase):
    """Pitfall I1: whatever a person types, the configuration has the same shape."""

    @settings(deadline=None)
    @given(st.text(), st.text(st.sampled_from("\"'{}[]%\\\n\r\0<>$`,: a")), st.text())
    def test_any_name_leaves_the_shape_as_it_is(self, name: str, server: str, ca: str) -> None:
        listener = self.listener
        listener.name = listener.description = listener.load_balancer.name = name
        assert listener.server_certificate is not None
        (authority,) = listener.chosen_ca_certificates
        listener.server_certificate.name, authority.name = server, ca
        listener.choose(ca_certificates=[authority])
        shown = json.loads(rendered_configuration(listener))
        assert keys(shown) == self.shape
        key = shown["secrets"][0]["tls_certificate"]["private_key"]
        assert key == f"[private key of certificate {listener.server_certificate}]"

    @pytest.fixture(autouse=True)
    def _listener(self, mutual_listener: Listener) -> None:
        self.listener = mutual_listener
        self.shape = keys(json.loads(rendered_configuration(mutual_listener)))


def state_of(listener: Listener) -> ListenerState:
    return observation([listener], Patience.begun()).states[listener.pk]


def test_listener_that_may_not_be_served_is_shown_without_configuration(mutual_listener: Listener) -> None:
    mutual_listener.choose(ca_certificates=[])
    assert rendered_configuration(mutual_listener) == ""


def test_nothing_runs_while_envoy_is_away(mutual_listener: Listener) -> None:
    """Nor is a listener called disabled as long as Envoy has not been heard of it."""
    open_one = state_of(mutual_listener)
    mutual_listener.is_enabled = False
    closed_one = state_of(mutual_listener)
    assert (open_one.state, closed_one.state) == (State.SILENT, State.SILENT)
    assert (open_one.is_served, leftovers(Patience.begun())) == (None, ())


@pytest.mark.parametrize("bound", [1, 3, 60])
def test_waiting_and_asking_stay_within_the_bound(bound: int, settings: Settings) -> None:
    settings.ELB_STATUS_SECONDS = bound
    patience = Patience.begun()
    assert control_plane_limit() <= patience.left
    assert refresh_milliseconds() / 1000 + patience.left <= bound * 0.75


def test_page_asks_as_often_as_the_bound_wants(
    signed_in: Client, settings: Settings, mutual_listener: Listener
) -> None:
    settings.ELB_STATUS_SECONDS = 8
    for page in (mutual_listener, mutual_listener.load_balancer):
        text = signed_in.get(page.get_absolute_url()).content.decode()
        assert 'hx-trigger="every 2000ms"' in text
        assert 'data-fresh="8"' in text


def test_table_has_pages_that_refresh_as_themselves(signed_in: Client) -> None:
    balancer = factories.load_balancer()
    rows = [factories.listener(balancer, 20_000 + number) for number in range(52)]

    def ports(url: str, **query: str) -> list[int]:
        found = re.findall(r"HTTP/(\d+)", words(signed_in.get(url, query).content.decode()))
        return [int(port) for port in found]

    page = balancer.get_absolute_url()
    fragment = reverse("load_balancer_listeners", args=[balancer.pk])
    assert ports(page) == [row.port for row in rows[:50]]
    assert ports(page, page="2") == ports(fragment, page="2") == [20_050, 20_051]
    assert ports(page, page="no number") == ports(page)
    assert (
        "page=2" in signed_in.get(page, {"page": "2"}).content.decode().partition('id="listeners"')[2][:200]
    )
    assert "Listeners 51 to 52 of 52" in words(signed_in.get(page, {"page": "2"}).content.decode())


@pytest.mark.parametrize("name", ["load_balancer_detail", "load_balancer_listeners", "listener_status"])
def test_pages_cost_the_same_however_many_listeners_there_are(
    name: str, signed_in: Client, pki: Pki, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    server = factories.server_certificate(pki.modern.server)
    ca = factories.ca_certificate(pki.modern.ca)
    balancer = factories.load_balancer()
    counts = []
    for _ in range(2):
        for _ in range(4):
            row = factories.listener(balancer, server_certificate=server, ca_certificate=ca)
            factories.listener()
        url = reverse(name, args=[row.pk if name == "listener_status" else balancer.pk])
        with django_assert_max_num_queries(14) as captured:
            signed_in.get(url)
        counts.append(len(captured))
    assert counts[0] == counts[1]
