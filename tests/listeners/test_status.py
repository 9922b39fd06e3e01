"""What pages say of the data plane when it is away, and the configuration that they show."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from listeners.models import Listener
from listeners.status import State, backend_health, leftovers, listener_states, rendered_configuration
from tests import factories
from tests.conftest import Pki


def keys(value: Any) -> Any:
    """The tree of a JSON value's names, its texts and numbers left out."""
    if isinstance(value, dict):
        return {name: keys(one) for name, one in value.items()}
    return [keys(one) for one in value] if isinstance(value, list) else None


@pytest.fixture
def mutual_listener(pki: Pki, db: None) -> Listener:
    return factories.listener(
        server_certificate=factories.server_certificate(pki.modern.server, name="server"),
        ca_certificate=factories.ca_certificate(pki.modern.ca, name="ca"),
    )


def test_configuration_names_certificates_and_holds_none(mutual_listener: Listener, pki: Pki) -> None:
    text = rendered_configuration(mutual_listener)
    secrets = json.loads(text)["secrets"]
    assert secrets == [
        {
            "name": f"certificate-{mutual_listener.server_certificate_id}",
            "tls_certificate": {
                "certificate_chain": "[chain of certificate server]",
                "private_key": "[private key of certificate server]",
            },
        },
        {
            "name": f"ca-{mutual_listener.ca_certificate_id}",
            "validation_context": {"trusted_ca": "[CA certificate ca]"},
        },
    ]
    assert "-----BEGIN" not in text


class RenderedConfiguration(TestCase):
    """Pitfall I1: whatever a person types, the configuration has the same shape."""

    @given(st.text(), st.text(st.sampled_from("\"'{}[]%\\\n\r\0<>$`,: a")), st.text())
    def test_any_name_leaves_the_shape_as_it_is(self, name: str, server: str, ca: str) -> None:
        listener = self.listener
        listener.name = listener.description = listener.load_balancer.name = name
        assert listener.server_certificate is not None
        assert listener.ca_certificate is not None
        listener.server_certificate.name, listener.ca_certificate.name = server, ca
        shown = json.loads(rendered_configuration(listener))
        assert keys(shown) == self.shape
        key = shown["secrets"][0]["tls_certificate"]["private_key"]
        assert key == f"[private key of certificate {server}]"

    @pytest.fixture(autouse=True)
    def _listener(self, mutual_listener: Listener) -> None:
        self.listener = mutual_listener
        self.shape = keys(json.loads(rendered_configuration(mutual_listener)))


def test_listener_that_may_not_be_served_is_rejected_and_shown_without_configuration(
    mutual_listener: Listener,
) -> None:
    mutual_listener.ca_certificate = None
    state = listener_states([mutual_listener])[mutual_listener.pk]
    assert (state.state, "no CA certificate" in state.sentence) == (State.REJECTED, True)
    assert rendered_configuration(mutual_listener) == ""


def test_nothing_runs_while_envoy_is_away(mutual_listener: Listener) -> None:
    states = listener_states([mutual_listener])
    health = backend_health(mutual_listener)
    assert (states[mutual_listener.pk].state, [one.word for one in health.values()], leftovers()) == (
        State.STOPPED,
        ["Unknown"],
        (),
    )
