"""What the certificate intake says of a certificate, held against what Envoy does with it."""

import hashlib
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from certificates import pem
from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.preflight import Preflight
from listeners.rendering.envoy import resources
from listeners.spec import CaBundleSpec, ConfigurationSpec, ServerCertificateSpec
from tests.backend import Backend
from tests.certificates.pem import containers
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab, https
from tests.pki import (
    CA_EXTENSIONS,
    CLIENT_EXTENSIONS,
    KEY_OPTIONS,
    PASSWORD,
    SERVER_EXTENSIONS,
    KeyPair,
    authority,
    encrypted_key,
    issue,
    issue_between,
)
from tests.ports import free_port
from tests.waiting import LIMIT

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
    "wildcard": {"extensions": ["subjectAltName=DNS:*.test.com"]},
    "address as DNS name": {"extensions": ["subjectAltName=DNS:127.0.0.1"]},
    "CN apart from the SAN": {"subject": "/CN=mail.test.com", "extensions": SERVER_EXTENSIONS},
    "ten years": {"days": 3650, "extensions": SERVER_EXTENSIONS},
    "URI alone": {"subject": "/O=ELB", "extensions": ["subjectAltName=URI:https://www.test.com"]},
    "keyUsage without digitalSignature, RSA": {"key": "RSA-2048", "extensions": ["keyUsage=keyEncipherment"]},
    "critical extension that nobody knows": {"extensions": ["1.2.3.4=critical,ASN1:NULL"]},
}


@pytest.fixture(scope="module")
def preflight() -> Preflight:
    return Preflight(envoy_binary())


def is_loaded(preflight: Preflight, chain: str, private_key: str) -> bool:
    certificate = ServerCertificateSpec(1, chain, private_key)
    configuration = ConfigurationSpec(1, (https(1, 8443, 80),), {1: certificate})
    return not preflight.refusals(configuration, {one.key: one for one in resources(configuration)})


def examined(pair: KeyPair) -> pem.Verdict:
    return pem.examine_server(pair.certificate_pem, pair.key_pem, datetime.now(UTC))


@pytest.mark.parametrize("key", KEY_OPTIONS)
def test_kinds_of_key_are_taken_exactly_when_envoy_serves_them(
    key: str, preflight: Preflight, lab: EnvoyLab, backend: Backend, tmp_path: Path
) -> None:
    digest = "" if key in OWN_DIGEST else "sha256"
    pair = issue(tmp_path, "server", None, key=key, digest=digest, extensions=SERVER_EXTENSIONS)

    assert_taken_exactly_when_served(pair, preflight, lab, backend)


@pytest.mark.parametrize("case", SERVERS)
def test_certificates_are_taken_exactly_when_envoy_serves_them(
    case: str, preflight: Preflight, lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path
) -> None:
    pair = issue(tmp_path, "server", pki.guide.ca, **SERVERS[case])

    assert_taken_exactly_when_served(pair, preflight, lab, backend)


def assert_taken_exactly_when_served(
    pair: KeyPair, preflight: Preflight, lab: EnvoyLab, backend: Backend
) -> None:
    material = examined(pair).material
    assert (material is not None) == is_loaded(preflight, pair.certificate_pem, pair.key_pem)
    if material is not None:
        assert_served(material, lab, backend)


def assert_served(material: pem.Material, lab: EnvoyLab, backend: Backend) -> None:
    """Envoy shows this very certificate in a handshake, and answers."""
    assert material.private_key is not None
    listener = https(1, free_port(), backend.port)
    server = ServerCertificateSpec(1, material.content, material.private_key)
    lab.apply(ConfigurationSpec(0, (listener,), {1: server}))
    lab.wait_served(listener)

    shown = shown_certificate(listener.port)

    assert hashlib.sha256(shown).hexdigest() == material.certificates[0].fingerprint
    assert curl("-k", f"https://127.0.0.1:{listener.port}/", sha1=True).status == 200


def shown_certificate(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection,
        context.wrap_socket(connection, server_hostname="www.test.com") as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


CONTAINERS = {
    "PKCS#12 of today": lambda folder, pairs: (containers.pkcs12(folder, *pairs), b""),
    "PKCS#12 of OpenSSL 1": lambda folder, pairs: (
        containers.pkcs12(folder, *pairs, options=("-legacy",)),
        b"",
    ),
    "PKCS#7 and an encrypted key": lambda folder, pairs: (
        containers.pkcs7(folder, *reversed(pairs)),
        containers.der(encrypted_key(pairs[0])),
    ),
    "DER": lambda folder, pairs: (containers.der(pairs[0].certificate_pem), containers.der(pairs[0].key_pem)),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_what_comes_out_of_a_container_is_served(
    case: str, lab: EnvoyLab, backend: Backend, tmp_path: Path
) -> None:
    root = authority(tmp_path, "root", "/CN=root")
    middle = issue(tmp_path, "middle", root, subject="/CN=middle", extensions=CA_EXTENSIONS)
    leaf = issue(tmp_path, "leaf", middle, key="RSA-2048", extensions=SERVER_EXTENSIONS)
    content, key = (
        pem.armored(octets) if octets else "" for octets in CONTAINERS[case](tmp_path, (leaf, middle, root))
    )

    material = pem.examine_server(content, key, datetime.now(UTC), PASSWORD).material

    assert material is not None
    assert_served(material, lab, backend)


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
    "P-224": {"key": "P-224"},
    "MD5": {"key": "RSA-2048", "digest": "md5"},
    "for servers only": {"extensions": [*CA_EXTENSIONS, "extendedKeyUsage=serverAuth"]},
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
    verdict = pem.examine_ca(ca.certificate_pem, datetime.now(UTC))
    client = issue(tmp_path, "client", ca, subject="/CN=client", extensions=CLIENT_EXTENSIONS)

    assert not admits_nobody(verdict)
    assert admitted(verdict, client, lab, backend, pki) == {"its own": 200, "another CA's": 0}


def test_intermediate_that_is_taken_by_itself_lets_its_client_in_and_no_other(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path
) -> None:
    root = authority(tmp_path, "root", "/CN=root")
    middle = issue(tmp_path, "middle", root, subject="/CN=middle", extensions=CA_EXTENSIONS)
    client = issue(tmp_path, "client", middle, subject="/CN=client", extensions=CLIENT_EXTENSIONS)
    verdict = pem.examine_ca(middle.certificate_pem, datetime.now(UTC))

    assert admitted(verdict, client, lab, backend, pki) == {"its own": 200, "another CA's": 0}


@pytest.mark.parametrize(("begins", "ends"), [(-9, -1), (1, 9)], ids=["expired", "not yet valid"])
def test_ca_certificate_that_is_said_to_admit_nobody_admits_nobody(
    begins: int, ends: int, lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path
) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    marks = [(x509.BasicConstraints(True, None), True)]
    ca = issue_between(tmp_path, "ca", None, now + begins * day, now + ends * day, extensions=marks)
    client = issue(tmp_path, "client", ca, subject="/CN=client", extensions=CLIENT_EXTENSIONS)
    verdict = pem.examine_ca(ca.certificate_pem, now)

    assert admits_nobody(verdict)
    assert admitted(verdict, client, lab, backend, pki) == {"its own": 0, "another CA's": 0}


def admits_nobody(verdict: pem.Verdict) -> bool:
    return any("admits nobody" in finding.message for finding in verdict.findings)


def admitted(
    verdict: pem.Verdict, client: KeyPair, lab: EnvoyLab, backend: Backend, pki: Pki
) -> dict[str, int]:
    """What Envoy answers the client, and one of another CA, where the accepted CA is trusted."""
    assert verdict.material is not None
    listener = https(1, free_port(), backend.port, ca=2)
    server = ServerCertificateSpec(1, pki.modern.server.certificate_pem, pki.modern.server.key_pem)
    bundle = CaBundleSpec(2, verdict.material.content)
    lab.apply(ConfigurationSpec(0, (listener,), {1: server}, {2: bundle}))
    lab.wait_served(listener)
    clients = {"its own": client, "another CA's": pki.modern.client}
    return {name: status(listener.port, pair) for name, pair in clients.items()}


def status(port: int, pair: KeyPair) -> int:
    certificate = ("--cert", pair.certificate, "--key", pair.key)
    return curl("-k", *certificate, f"https://127.0.0.1:{port}/").status


@pytest.mark.parametrize("case", REFUSED_CAS)
def test_ca_certificate_that_is_no_ca_is_refused(case: str, tmp_path: Path) -> None:
    ca = authority(tmp_path, "ca", **REFUSED_CAS[case])
    assert pem.examine_ca(ca.certificate_pem, datetime.now(UTC)).material is None
