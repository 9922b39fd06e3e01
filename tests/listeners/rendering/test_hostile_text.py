"""Text that people typed is data in Envoy's configuration and never its structure (pitfalls I1 and I2)."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listeners.rendering import envoy as rendering
from listeners.spec import (
    AllowedClientSpec,
    BackendServerGroupSpec,
    BackendServerSpec,
    ClientAuthenticationSpec,
    IdentityKind,
    ListenerSpec,
    SniAlgorithm,
    SniCertificateSpec,
    SpecError,
    TlsSpec,
)
from listeners.tls_policies import DEFAULT, KeyType

GROUP = BackendServerGroupSpec(1, (BackendServerSpec("127.0.0.1", 80),))
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80)
ODD_PARTS = st.lists(
    st.sampled_from(["\n", "\r\n", '"', "'", "{", "}", "%", "$", "\\", "\0", "#", ".", "*.", "a", "test.com"])
    | TEXT
).map("".join)
NO_NAMES = (
    *("", "*", "*.", "a.*.test.com", "**.test.com", "*test.com", "A.test.com", "a..test.com", "a.test.com."),
    *("a.test.com\n", "\u00e4.test.com", "a b", "a" * 64, ".".join(["a" * 60] * 5), "a/b", "[::1]", "a:1"),
)
LABEL = st.from_regex(r"[a-z0-9_-]{1,20}", fullmatch=True)
NAME = st.builds(
    lambda star, labels: star + ".".join(labels),
    st.sampled_from(["", "*."]),
    st.lists(LABEL, min_size=1, max_size=5),
)


def listener(tls: TlsSpec) -> ListenerSpec:
    return ListenerSpec(1, "192.0.2.1", 443, GROUP, tls)


def keys(value: object, path: str = "") -> Iterator[str]:
    """Every key of a tree of JSON, with the way there."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}"
            yield from keys(inner, f"{path}.{key}")
    if isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{path}[]")


def structure(tls: TlsSpec) -> list[str]:
    plain = rendering.plain(rendering.listener_message(listener(tls), rendering.ADS))
    return list(keys(json.loads(json.dumps(plain))))


@settings(deadline=None)
@given(ODD_PARTS)
def test_sni_name_is_a_name_or_refused(text: str) -> None:
    try:
        spec = SniCertificateSpec(2, (text,), KeyType.ECDSA)
    except SpecError:
        return
    assert set(text) <= set("*.abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert spec.names == (text,)


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_sni_name_is_refused(name: str) -> None:
    with pytest.raises(SpecError):
        SniCertificateSpec(2, (name,), KeyType.ECDSA)


@pytest.mark.parametrize("algorithm", SniAlgorithm)
@settings(deadline=None)
@given(name=NAME)
def test_sni_name_changes_no_structure(algorithm: SniAlgorithm, name: str) -> None:
    def named(one: str) -> TlsSpec:
        sni = (SniCertificateSpec(2, (one,), KeyType.ECDSA),)
        return TlsSpec(1, sni=sni, sni_algorithm=algorithm)

    assert structure(named(name)) == structure(named("*.a" if name.startswith("*") else "a"))


@pytest.mark.parametrize("kind", IdentityKind)
@settings(deadline=None)
@given(text=TEXT)
def test_allowed_client_changes_no_structure(kind: IdentityKind, text: str) -> None:
    def allowing(value: str) -> TlsSpec:
        client = ClientAuthenticationSpec((4,), allowed=(AllowedClientSpec(kind, value),))
        return TlsSpec(1, client=client)

    try:
        hostile = allowing(text)
    except SpecError:
        return
    assert structure(hostile) == structure(allowing("a"))


@settings(deadline=None)
@given(TEXT, TEXT)
def test_words_about_a_policy_reach_no_configuration(name: str, description: str) -> None:
    policy = replace(DEFAULT, name=name, description=description)
    assert rendering.listener_resources(listener(TlsSpec(1, policy=policy))) == rendering.listener_resources(
        listener(TlsSpec(1))
    )
