"""Envoy's resources: a golden file a scenario, each accepted by Envoy, and what may never be in them."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from listeners.dataplane.binary import envoy_binary
from listeners.rendering import envoy as rendering
from listeners.spec import (
    BackendServerGroupSpec,
    BackendServerSpec,
    CaBundleSpec,
    ConfigurationSpec,
    ListenerSpec,
    ServerCertificateSpec,
    TlsSpec,
)
from tests.conftest import Pki

GOLDEN = Path(__file__).parent / "golden"
GROUP = BackendServerGroupSpec(
    7, (BackendServerSpec("192.0.2.10", 8080, 3), BackendServerSpec("::1", 8081, 0))
)
SCENARIOS = {
    "http": ListenerSpec(1, "0.0.0.0", 80, GROUP, tls=None),
    "https_one_way": ListenerSpec(1, "192.0.2.1", 443, GROUP, TlsSpec(server_certificate=3)),
    "https_mutual": ListenerSpec(1, "::", 443, GROUP, TlsSpec(server_certificate=3, ca_bundle=4)),
}


def configuration(listener: ListenerSpec, pki: Pki) -> ConfigurationSpec:
    server = ServerCertificateSpec(3, pki.modern.server.certificate_pem, pki.modern.server.key_pem)
    return ConfigurationSpec(5, (listener,), {3: server}, {4: CaBundleSpec(4, pki.modern.ca.certificate_pem)})


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_resources_are_as_recorded(scenario: str, golden: Callable[[Path, str], None]) -> None:
    resources = rendering.listener_resources(SCENARIOS[scenario])
    text = json.dumps([rendering.plain(resource.body) for resource in resources], indent=2)
    golden(GOLDEN / f"{scenario}.json", text + "\n")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_envoy_accepts_the_scenario(scenario: str, pki: Pki, tmp_path: Path) -> None:
    listener = SCENARIOS[scenario]
    bootstrap = rendering.bootstrap_for_validation((listener,), configuration(listener, pki))
    memory = os.memfd_create("bootstrap")
    os.write(memory, json.dumps(rendering.plain(bootstrap)).encode())
    command = [envoy_binary(), "--mode", "validate", "-c", f"/dev/fd/{memory}"]

    outcome = subprocess.run(command, pass_fds=[memory], capture_output=True, text=True)

    os.close(memory)
    assert (outcome.returncode, outcome.stdout.strip()) == (0, f"configuration '/dev/fd/{memory}' OK")


def test_private_key_is_in_its_secret_and_nowhere_else(pki: Pki) -> None:
    wanted = configuration(SCENARIOS["https_mutual"], pki)
    key = pki.modern.server.key_pem.encode()
    holders = [r.name for r in rendering.resources(wanted) if key in r.body.value]
    assert holders == ["certificate-3"]


def test_repr_shows_no_private_key(pki: Pki) -> None:
    wanted = configuration(SCENARIOS["https_mutual"], pki)
    body = pki.modern.server.key_pem.splitlines()[1]
    shown = repr(wanted) + repr(rendering.resources(wanted))
    assert body not in shown


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_version_of_what_envoy_shows_is_the_version_that_was_sent(scenario: str) -> None:
    listener = rendering.listener_resources(SCENARIOS[scenario])[0]
    assert rendering.content_version(rendering.plain(listener.body)) == listener.version
