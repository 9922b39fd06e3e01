"""What the certificate intake says of a certificate, held against what Envoy does with it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from certificates import pem
from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.preflight import Preflight
from listeners.spec import CaBundleSpec, ConfigurationSpec, ServerCertificateSpec
from tests.backend import Backend
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab, https
from tests.pki import CLIENT_EXTENSIONS, KEY_OPTIONS, SERVER_EXTENSIONS, KeyPair, authority, issue
from tests.ports import free_port

OWN_DIGEST = {"Ed25519", "Ed448"}
# Version 3 with and without extensions, several ways to write a subject, and version 1 as the guide makes it.
SERVERS = {
    "version 1": {},
    "all extensions": {"extensions": SERVER_EXTENSIONS},
    "no SAN": {"extensions": SERVER_EXTENSIONS[:3]},
    "SAN without CN": {"subject": "/O=ELB", "extensions": SERVER_EXTENSIONS},
    "neither CN nor SAN": {"subject": "/O=ELB", "extensions": SERVER_EXTENSIONS[:3]},
    "e-mail SAN without CN": {"subject": "/O=ELB", "extensions": ["subjectAltName=email:a@example.com"]},
    "must-staple": {"extensions": [*SERVER_EXTENSIONS, "tlsfeature=status_request"]},
    "a CA": {"extensions": ["basicConstraints=CA:TRUE", "subjectAltName=DNS:www.test.com"]},
    "for clients only": {"extensions": CLIENT_EXTENSIONS},
    "keyUsage without digitalSignature": {"extensions": ["keyUsage=keyEncipherment"]},
    "MD5": {"key": "RSA-2048", "digest": "md5"},
    "SHA-1": {"digest": "sha1"},
}


@pytest.fixture(scope="module")
def preflight() -> Preflight:
    return Preflight(envoy_binary())


def is_loaded(preflight: Preflight, chain: str, private_key: str) -> bool:
    certificate = ServerCertificateSpec(1, chain, private_key)
    return not preflight.refusals(ConfigurationSpec(1, (https(1, 8443, 80),), {1: certificate}))


def examined(pair: KeyPair) -> pem.Verdict:
    return pem.examine_server(pair.certificate_pem, pair.key_pem, datetime.now(UTC))


@pytest.mark.parametrize("key", KEY_OPTIONS)
def test_kinds_of_key_are_taken_exactly_when_envoy_loads_them(
    key: str, preflight: Preflight, pki: Pki, tmp_path: Path
) -> None:
    digest = "" if key in OWN_DIGEST else "sha256"
    pair = issue(tmp_path, "server", None, key=key, digest=digest, extensions=SERVER_EXTENSIONS)

    verdict = examined(pair)

    loaded = is_loaded(preflight, pair.certificate_pem, pair.key_pem)
    assert (verdict.material is not None) == loaded


@pytest.mark.parametrize("case", SERVERS)
def test_certificates_are_taken_exactly_when_envoy_loads_them(
    case: str, preflight: Preflight, pki: Pki, tmp_path: Path
) -> None:
    pair = issue(tmp_path, "server", pki.guide.ca, **SERVERS[case])

    verdict = examined(pair)

    loaded = is_loaded(preflight, pair.certificate_pem, pair.key_pem)
    assert (verdict.material is not None) == loaded


@pytest.mark.parametrize("ending", ["\n", "", "\r\n"])
@pytest.mark.parametrize("before", ["", "Bag Attributes\n    friendlyName: x\n", "\ufeff", "   "])
def test_what_is_stored_is_loaded_however_it_was_pasted(
    preflight: Preflight, pki: Pki, before: str, ending: str
) -> None:
    pasted = before + pki.guide.server.certificate_pem.rstrip("\n").replace("\n", ending or "\n") + ending
    key = pki.guide.server.key_pem.rstrip("\n").replace("\n", ending or "\n") + ending

    material = pem.examine_server(pasted, key, datetime.now(UTC)).material

    assert material is not None
    assert material.private_key is not None
    assert is_loaded(preflight, material.content, material.private_key)


def test_pasted_chain_in_any_order_is_served_leaf_first(preflight: Preflight, tmp_path: Path) -> None:
    root = authority(tmp_path, "root", "/CN=root")
    middle = issue(
        tmp_path, "middle", root, subject="/CN=middle", extensions=["basicConstraints=critical,CA:TRUE"]
    )
    leaf = issue(tmp_path, "leaf", middle, extensions=SERVER_EXTENSIONS)
    pasted = root.certificate_pem + leaf.certificate_pem + middle.certificate_pem

    material = pem.examine_server(pasted, leaf.key_pem, datetime.now(UTC)).material

    assert material is not None
    assert material.private_key is not None
    assert is_loaded(preflight, material.content, material.private_key)
    assert not is_loaded(preflight, pasted, leaf.key_pem)  # or ordering would be of no use


CAS = {
    "modern": {},
    "version 1, SHA-1": {"key": "RSA-2048", "digest": "sha1", "extensions": ()},
    "no basicConstraints but keyCertSign": {"extensions": ["keyUsage=keyCertSign"]},
    "version 3 with neither": {"extensions": ["subjectKeyIdentifier=hash"]},
    "RSA 1024": {"key": "RSA-1024"},
    "P-384": {"key": "P-384"},
    "P-521": {"key": "P-521"},
    "Ed25519": {"key": "Ed25519", "digest": ""},
}
REFUSED_CAS = {
    "CA:FALSE": {"extensions": ["basicConstraints=critical,CA:FALSE"]},
    "keyUsage without keyCertSign": {"extensions": ["basicConstraints=CA:TRUE", "keyUsage=cRLSign"]},
    "secp256k1": {"key": "secp256k1"},
}


@pytest.mark.parametrize("case", CAS)
def test_ca_certificate_that_is_taken_lets_its_client_in_and_no_other(
    case: str, lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path
) -> None:
    ca = authority(tmp_path, "ca", **CAS[case])
    material = pem.examine_ca(ca.certificate_pem, datetime.now(UTC)).material
    assert material is not None
    client = issue(tmp_path, "client", ca, subject="/CN=client", extensions=CLIENT_EXTENSIONS)
    listener = https(1, free_port(), backend.port, ca=2)
    server = ServerCertificateSpec(1, pki.modern.server.certificate_pem, pki.modern.server.key_pem)
    lab.apply(ConfigurationSpec(0, (listener,), {1: server}, {2: CaBundleSpec(2, material.content)}))
    lab.wait_served(listener)

    clients = {"its own": client, "another CA's": pki.modern.client}
    statuses = {name: status(listener.port, pair) for name, pair in clients.items()}

    assert statuses == {"its own": 200, "another CA's": 0}


def status(port: int, pair: KeyPair) -> int:
    certificate = ("--cert", pair.certificate, "--key", pair.key)
    return curl("-k", *certificate, f"https://127.0.0.1:{port}/").status


@pytest.mark.parametrize("case", REFUSED_CAS)
def test_ca_certificate_that_is_no_ca_is_refused(case: str, tmp_path: Path) -> None:
    ca = authority(tmp_path, "ca", **REFUSED_CAS[case])
    assert pem.examine_ca(ca.certificate_pem, datetime.now(UTC)).material is None
