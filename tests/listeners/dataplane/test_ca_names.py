"""CA names in the handshake (B8): they are sent or not, as was chosen, and never stand in the way."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import TLSVersion

import pytest
from cryptography import x509

from listeners.spec import CaBundleSpec, ClientAuthenticationSpec, ClientDemand, ListenerSpec
from listeners.trust_store import LARGEST_NAMES, names_size
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import configuration, envoy_lab, https
from tests.pki import (
    KeyPair,
    authority,
    expired_client,
    foreign_client,
    issue,
    issue_between,
    many_authorities,
)
from tests.ports import free_port
from tests.tls_client import REFUSED, TLS_1_2, TLS_1_3, Outcome, TlsClient

OWN_CA, OTHER_CA = 2, 3
COUNTS = (1, 300, 600, 2000)
VERSIONS = {TLS_1_2: "tls1_2", TLS_1_3: "tls1_3"}
SUCCESS, FAILED = Outcome("SUCCESS"), Outcome("FAILED")
# Names of 36 octets and their lengths: 2,000 of them are too much for the protocol.
LABEL = "Authority of a client"


@dataclass(frozen=True)
class Stores:
    """Listeners with trust stores of so many CAs, the last with others beside it, by count and switch."""

    listeners: dict[tuple[int, bool], ListenerSpec]
    unverified: ListenerSpec
    bundles: dict[int, CaBundleSpec]

    def sizes(self, listener: ListenerSpec) -> int:
        assert listener.tls
        assert listener.tls.client
        return names_size(tuple(self.bundles[id].certificates for id in listener.tls.client.ca_bundles))


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return authority(tmp_path_factory.mktemp("other"), "ca", "/O=Other")


@pytest.fixture(scope="module")
def stores(backend: Backend, pki: Pki, other_ca: KeyPair) -> Iterator[Stores]:
    bundles = {OWN_CA: pki.modern.ca.certificate_pem, OTHER_CA: other_ca.certificate_pem}
    bundles |= {count: many_authorities(count - 2, LABEL) for count in COUNTS[1:]}
    listeners = {}
    for count in COUNTS:
        ids = (OWN_CA,) if count == 1 else (OWN_CA, OTHER_CA, count)
        for sends in (True, False):
            client = ClientAuthenticationSpec(ids, sends_ca_names=sends)
            listeners[count, sends] = asking(len(listeners) + 1, backend, client)
    unverified = asking(
        20, backend, ClientAuthenticationSpec((OWN_CA,), ClientDemand.UNVERIFIED, sends_ca_names=False)
    )
    wanted = configuration(*listeners.values(), unverified, server=pki.modern.server)
    specs = {id: CaBundleSpec(id, text) for id, text in bundles.items()}
    with envoy_lab() as lab:
        lab.apply(replace(wanted, ca_bundles=specs))
        lab.wait_served(*listeners.values(), unverified)
        yield Stores(listeners, unverified, specs)


def asking(id: int, backend: Backend, client: ClientAuthenticationSpec) -> ListenerSpec:
    listener = https(id, free_port(), backend.port)
    assert listener.tls
    return replace(listener, tls=replace(listener.tls, client=client))


def sent_names(port: int, version: TLSVersion) -> int | None:
    """How many names came in the request for a certificate; None when there was no handshake."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", f"-{VERSIONS[version]}", "-showcerts"]
    output = subprocess.run(command, input=b"", capture_output=True, timeout=30).stdout.decode()
    if "No client certificate CA names sent" in output:
        return 0 if "-----BEGIN CERTIFICATE-----" in output else None
    found = re.search(r"^Acceptable client certificate CA names\n((?:.*= .*\n)*)", output, re.MULTILINE)
    return len(found[1].splitlines()) if found else None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("count", COUNTS)
def test_client_gets_in_whether_names_are_sent_or_not(
    stores: Stores, pki: Pki, count: int, version: TLSVersion
) -> None:
    loud, silent = stores.listeners[count, True], stores.listeners[count, False]
    fits = stores.sizes(loud) <= LARGEST_NAMES
    client = TlsClient(version, client=pki.modern.client)

    assert fits == (count < 2000)
    assert (client.ask(loud.port), client.ask(silent.port)) == (SUCCESS if fits else REFUSED, SUCCESS)
    assert (sent_names(loud.port, version), sent_names(silent.port, version)) == (count if fits else None, 0)


@pytest.mark.parametrize("sends", [True, False])
def test_certificates_are_verified_whether_names_are_sent_or_not(
    stores: Stores, pki: Pki, other_ca: KeyPair, tmp_path: Path, sends: bool
) -> None:
    intermediate = authority(tmp_path, "intermediate", "/O=Intermediate")
    clients = {
        "good": pki.modern.client,
        "of the second bundle": issue(tmp_path, "other", other_ca),
        "none": None,
        "expired": expired_client(tmp_path, pki.modern.ca),
        "of another CA with the same name": foreign_client(tmp_path),
        "of a CA that is not there": issue(tmp_path, "stranger", intermediate),
    }
    port = stores.listeners[300, sends].port

    outcomes = {name: TlsClient(client=client).ask(port) for name, client in clients.items()}

    assert {name for name, outcome in outcomes.items() if outcome == SUCCESS} == {
        "good",
        "of the second bundle",
    }
    assert set(outcomes.values()) == {SUCCESS, REFUSED}


def test_verdict_is_right_without_names(stores: Stores, pki: Pki, tmp_path: Path) -> None:
    port = stores.unverified.port
    foreign = foreign_client(tmp_path)
    assert [TlsClient(client=one).ask(port) for one in (pki.modern.client, foreign)] == [SUCCESS, FAILED]


@pytest.mark.parametrize(("version", "most"), [(TLS_1_2, 65_535), (TLS_1_3, LARGEST_NAMES)])
def test_size_of_names_is_what_the_protocol_counts(
    backend: Backend, pki: Pki, tmp_path: Path, version: TLSVersion, most: int
) -> None:
    """One octet more, and no handshake comes about. The same name twice counts once."""
    own, filler = pki.modern.ca.certificate_pem, many_authorities(1_300, LABEL)
    missing = most - names_size((own, filler))
    texts = [own, filler, filler], [own, filler]
    exact, above = (
        (*parts, long_authority(tmp_path, size))
        for parts, size in zip(texts, (missing, missing + 1), strict=True)
    )
    bundles = {id: CaBundleSpec(id, "".join(parts)) for id, parts in ((2, exact), (3, above))}
    listeners = [
        asking(id, backend, ClientAuthenticationSpec((id,), ClientDemand.OPTIONAL)) for id in bundles
    ]
    with envoy_lab() as lab:
        lab.apply(replace(configuration(*listeners, server=pki.modern.server), ca_bundles=bundles))
        lab.wait_served(*listeners)
        outcomes = [TlsClient(version, client=pki.modern.client).ask(one.port) for one in listeners]

    assert (names_size(exact), names_size(above)) == (most, most + 1)
    assert outcomes == [SUCCESS, REFUSED]


def long_authority(directory: Path, size: int) -> str:
    """A CA whose name takes so many octets, its length included."""
    now = datetime.now(UTC)
    unit, name = x509.NameOID.ORGANIZATIONAL_UNIT_NAME, x509.Name([])
    while (missing := size - 2 - len(name.public_bytes())) > 150:
        name = x509.Name([*name, x509.NameAttribute(unit, "x" * 64)])
    lengths = next(
        (one, other)
        for one in (1, 64)
        for other in range(1, 65)
        if missing
        == sum(len(x509.Name([x509.NameAttribute(unit, "x" * n)]).public_bytes()) - 2 for n in (one, other))
    )
    name = x509.Name([*name, *(x509.NameAttribute(unit, "x" * length) for length in lengths)])
    return issue_between(
        directory, f"long-{size}", None, now, now + timedelta(days=1), subject=name
    ).certificate_pem
