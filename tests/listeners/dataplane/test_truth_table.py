"""Every mode of client authentication, with every kind of client, over every protocol: one table."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from ssl import TLSVersion

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from listeners.spec import ClientAuthenticationSpec, ClientDemand, ListenerSpec
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import EnvoyLab, configuration, envoy_lab, https
from tests.pki import (
    KeyPair,
    expired_client,
    foreign_client,
    issue,
    issue_between,
    server_usage_client,
    short_lived_client,
)
from tests.ports import free_port
from tests.tls_client import HTTP_1_1, HTTP_2, REFUSED, TLS_1_2, TLS_1_3, Outcome, TlsClient
from tests.waiting import eventually

SUCCESS, FAILED, NONE = Outcome("SUCCESS"), Outcome("FAILED"), Outcome("NONE")
CA = 2
SUB_CA_EXTENSIONS = ("basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign,digitalSignature")

# What a client comes to: on a mutual listener, where verify if given, where ask but do not verify.
# On a one-way listener nobody is asked for a certificate, and the verdict is always NONE.
TABLE = {
    "none": (REFUSED, NONE, NONE),
    "good": (SUCCESS, SUCCESS, SUCCESS),
    "expired": (REFUSED, REFUSED, FAILED),
    "not yet valid": (REFUSED, REFUSED, FAILED),
    "of another CA with the same name": (REFUSED, REFUSED, FAILED),
    "self-signed": (REFUSED, REFUSED, FAILED),
    # Pitfall B6: what the certificate says of its own use.
    "for servers only": (REFUSED, REFUSED, FAILED),
    "for e-mail only": (REFUSED, REFUSED, FAILED),
    "for any extended usage": (REFUSED, REFUSED, FAILED),
    "without a usage": (SUCCESS, SUCCESS, SUCCESS),
    "a CA itself": (SUCCESS, SUCCESS, SUCCESS),
    # Its signature proves nothing, so there is not even a handshake.
    "key not for signatures": (REFUSED, REFUSED, REFUSED),
}
PROTOCOLS = list(product((TLS_1_2, TLS_1_3), (HTTP_1_1, HTTP_2)))
DEMANDS = (ClientDemand.REQUIRED, ClientDemand.OPTIONAL, ClientDemand.UNVERIFIED)
LIFETIMES = (4, 8, 16, 32)  # seconds


@dataclass(frozen=True)
class Modes:
    """A listener of each mode, and what they are served with."""

    lab: EnvoyLab
    one_way: ListenerSpec
    asking: dict[ClientDemand, ListenerSpec]
    server: KeyPair
    cas: dict[int, KeyPair]

    def apply(self, cas: dict[int, KeyPair]) -> None:
        """Serves with these CAs; whatever is rejected or late fails the test."""
        listeners = [self.one_way, *self.asking.values()]
        self.lab.apply(configuration(*listeners, server=self.server, cas=cas))
        self.lab.wait_served(*listeners)


@pytest.fixture(scope="module")
def modes(backend: Backend, pki: Pki) -> Iterator[Modes]:
    with envoy_lab() as lab:
        one_way = replace(https(1, free_port(), backend.port), http2=True)
        asking = {
            demand: replace(
                https(number, free_port(), backend.port),
                http2=True,
                tls=replace(one_way.tls, client=ClientAuthenticationSpec((CA,), demand)),
            )
            for number, demand in enumerate(DEMANDS, start=2)
        }
        modes = Modes(lab, one_way, asking, pki.modern.server, {CA: pki.modern.ca})
        modes.apply(modes.cas)
        yield modes


@pytest.fixture(scope="module")
def clients(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyPair | None]:
    folder: Path = tmp_path_factory.mktemp("clients")
    ca, now = pki.modern.ca, datetime.now(UTC)
    usage = [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)]
    future = (now + timedelta(days=1), now + timedelta(days=2))
    clients = {
        "none": None,
        "good": pki.modern.client,
        "expired": expired_client(folder, ca),
        "not yet valid": issue_between(folder, "future", ca, *future, extensions=usage),
        "of another CA with the same name": foreign_client(folder),
        "self-signed": issue(folder, "self-signed", None, extensions=["extendedKeyUsage=clientAuth"]),
        "for servers only": server_usage_client(folder, ca),
        "for e-mail only": issue(folder, "email", ca, extensions=["extendedKeyUsage=emailProtection"]),
        "for any extended usage": issue(
            folder, "any", ca, extensions=["extendedKeyUsage=anyExtendedKeyUsage"]
        ),
        "without a usage": issue(folder, "plain", ca, extensions=["basicConstraints=CA:FALSE"]),
        "a CA itself": issue(folder, "sub", ca, extensions=SUB_CA_EXTENSIONS),
        "key not for signatures": issue(folder, "no-signatures", ca, extensions=["keyUsage=keyAgreement"]),
    }
    assert clients.keys() == TABLE.keys()
    return clients


@pytest.mark.parametrize(("version", "protocol"), PROTOCOLS)
def test_what_each_client_comes_to(
    modes: Modes, clients: dict[str, KeyPair | None], version: TLSVersion, protocol: str
) -> None:
    outcomes = {}
    for name, client in clients.items():
        asking = TlsClient(version, protocol, client)
        outcomes[name] = tuple(asking.ask(modes.asking[demand].port) for demand in DEMANDS)
        assert asking.ask(modes.one_way.port) == NONE

    assert outcomes == TABLE


def connected(modes: Modes, client: KeyPair) -> list[tuple[TlsClient, ClientDemand, Outcome, KeyPair]]:
    """A connection for each protocol and way of asking, with its outcome."""
    found = []
    for (version, protocol), demand in product(PROTOCOLS, DEMANDS):
        asking = TlsClient(version, protocol, client)
        found.append((asking, demand, asking.ask(modes.asking[demand].port), client))
    return found


def test_no_session_is_resumed_where_certificates_are_asked_for(
    modes: Modes, pki: Pki, tmp_path: Path
) -> None:
    """Pitfall B2: after a certificate has expired, and after its CA is no longer trusted."""
    kept = connected(modes, pki.modern.client)
    for seconds in LIFETIMES:  # later where the machine is slow
        short = short_lived_client(tmp_path, pki.modern.ca, timedelta(seconds=seconds), f"short-{seconds}")
        soon_over = connected(modes, short)
        if {outcome for _, _, outcome, _ in soon_over} == {SUCCESS}:
            break
    kept += soon_over
    assert {outcome for _, _, outcome, _ in kept} == {SUCCESS}
    one_way = [TlsClient(version, protocol) for version, protocol in PROTOCOLS]
    first = [client.ask(modes.one_way.port) for client in one_way]

    def again(whose: KeyPair) -> set[tuple[ClientDemand, Outcome]]:
        return {
            (demand, asking.ask(modes.asking[demand].port, session=before.session))
            for asking, demand, before, client in kept
            if client is whose
        }

    refused = {
        (ClientDemand.REQUIRED, REFUSED),
        (ClientDemand.OPTIONAL, REFUSED),
        (ClientDemand.UNVERIFIED, FAILED),
    }
    mutual = modes.asking[ClientDemand.REQUIRED].port
    eventually(
        lambda: TlsClient(client=short).ask(mutual) == REFUSED,
        "the client's certificate expires",
        LIFETIMES[-1] + 15,
    )
    assert again(short) == refused
    assert again(pki.modern.client) == {(demand, SUCCESS) for demand in DEMANDS}
    modes.apply({CA: pki.guide.ca})
    assert again(pki.modern.client) == refused
    modes.apply(modes.cas)

    # Where nobody is asked, sessions are resumed: the test would see it.
    resumed = [
        client.ask(modes.one_way.port, session=one.session)
        for client, one in zip(one_way, first, strict=True)
    ]
    assert resumed == [Outcome("NONE", resumed=True)] * len(PROTOCOLS)
