"""Envoy's resources: a golden file a scenario, each accepted by Envoy, and what may never be in them."""

import gc
import json
import os
import subprocess
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from listeners.dataplane.binary import envoy_binary
from listeners.rendering import envoy as rendering
from listeners.spec import (
    BackendServerGroupSpec,
    BackendServerSpec,
    CaBundleSpec,
    ClientAuthenticationSpec,
    ClientDemand,
    ConfigurationSpec,
    ListenerSpec,
    RedirectSpec,
    ServerCertificateSpec,
    SniAlgorithm,
    SniCertificateSpec,
    TlsSpec,
)
from listeners.tls_policies import KeyType
from tests.conftest import Pki
from tests.pki import KeyPair, issue

GOLDEN = Path(__file__).parent / "golden"
GROUP = BackendServerGroupSpec(
    7, (BackendServerSpec("192.0.2.10", 8080, 3), BackendServerSpec("::1", 8081, 0))
)
ONE_WAY = ListenerSpec(1, "192.0.2.1", 443, GROUP, TlsSpec(server_certificate=3))
NAMES = (
    SniCertificateSpec(5, ("www.test.com", "*.test.com"), KeyType.ECDSA),
    SniCertificateSpec(6, ("www.test.com",), KeyType.RSA),
    SniCertificateSpec(3, ("own.test.com",), KeyType.ECDSA),
)


def asking(demand: ClientDemand) -> TlsSpec:
    return TlsSpec(server_certificate=3, client=ClientAuthenticationSpec((4,), demand))


SCENARIOS = {
    "http": ListenerSpec(1, "0.0.0.0", 80, GROUP, tls=None),
    "redirect": ListenerSpec(1, "0.0.0.0", 80, RedirectSpec(8443), tls=None),
    "https_one_way": ONE_WAY,
    "https_mutual": replace(ONE_WAY, address="::", tls=asking(ClientDemand.REQUIRED)),
    "https_optional": replace(ONE_WAY, tls=asking(ClientDemand.OPTIONAL)),
    "https_unverified": replace(ONE_WAY, tls=asking(ClientDemand.UNVERIFIED)),
    "http2": replace(ONE_WAY, http2=True),
    "two_certificates": replace(
        ONE_WAY, tls=TlsSpec(3, sni=(replace(NAMES[0], names=NAMES[1].names), NAMES[1]))
    ),
    "sni_wildcard": replace(ONE_WAY, tls=TlsSpec(3, sni=NAMES)),
    "sni_longest_suffix": replace(
        ONE_WAY, tls=TlsSpec(3, sni=NAMES, sni_algorithm=SniAlgorithm.LONGEST_SUFFIX)
    ),
}


@pytest.fixture(scope="session")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return issue(tmp_path_factory.mktemp("rsa"), "rsa", None, key="RSA-2048")


@pytest.fixture
def material(pki: Pki, rsa: KeyPair) -> ConfigurationSpec:
    """The certificates of every scenario."""
    modern = pki.modern.server
    pairs = {3: modern, 5: modern, 6: rsa}
    servers = {id: ServerCertificateSpec(id, one.certificate_pem, one.key_pem) for id, one in pairs.items()}
    return ConfigurationSpec(5, (), servers, {4: CaBundleSpec(4, pki.modern.ca.certificate_pem)})


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_resources_are_as_recorded(scenario: str, golden: Callable[[Path, str], None]) -> None:
    resources = rendering.listener_resources(SCENARIOS[scenario])
    text = json.dumps([rendering.plain(resource.body) for resource in resources], indent=2)
    golden(GOLDEN / f"{scenario}.json", text + "\n")


def test_of_each_listener_only_what_it_was_last_is_remembered() -> None:
    """One with many names takes hundreds of kilobytes, and may be changed thousands of times."""
    before = weakref.ref(rendering.listener_resources(ONE_WAY)[0])
    changed = replace(ONE_WAY, http2=True)
    assert rendering.listener_resources(changed) is rendering.listener_resources(changed)
    gc.collect()
    assert before() is None


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_envoy_accepts_the_scenario(scenario: str, material: ConfigurationSpec) -> None:
    bootstrap = rendering.bootstrap_for_validation((SCENARIOS[scenario],), material)
    memory = os.memfd_create("bootstrap")
    os.write(memory, json.dumps(rendering.plain(bootstrap)).encode())
    command = [envoy_binary(), "--mode", "validate", "-c", f"/dev/fd/{memory}"]

    outcome = subprocess.run(command, pass_fds=[memory], capture_output=True, text=True)

    os.close(memory)
    assert (outcome.returncode, outcome.stdout.strip()) == (0, f"configuration '/dev/fd/{memory}' OK")


def test_private_key_is_in_its_secret_and_nowhere_else(material: ConfigurationSpec, rsa: KeyPair) -> None:
    wanted = replace(material, listeners=(SCENARIOS["sni_wildcard"],))
    key = rsa.key_pem.encode()
    holders = [r.name for r in rendering.resources(wanted) if key in r.body.value]
    assert holders == ["certificate-6"]


def test_repr_shows_no_private_key(material: ConfigurationSpec, rsa: KeyPair) -> None:
    wanted = replace(material, listeners=(SCENARIOS["sni_wildcard"],))
    body = rsa.key_pem.splitlines()[1]
    shown = repr(wanted) + repr(rendering.resources(wanted))
    assert body not in shown


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_version_of_what_envoy_shows_is_the_version_that_was_sent(scenario: str) -> None:
    listener = rendering.listener_resources(SCENARIOS[scenario])[0]
    assert rendering.content_version(rendering.plain(listener.body)) == listener.version
