"""Chains that the CA bundle allows get in, and no longer ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from listeners.spec import CaBundleSpec, ClientAuthenticationSpec, ListenerSpec
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import configuration, envoy_lab, https
from tests.pki import KeyPair, issue_between
from tests.ports import free_port
from tests.tls_client import Outcome, TlsClient


@dataclass(frozen=True)
class Case:
    """`bundle` are the path lengths of CAs, each but the first issued by the one before it.

    `most` is how many further CAs a chain may have below the last of them.
    """

    bundle: tuple[int | None, ...]
    most: int


CASES = {
    "no further CA": Case((0,), 0),
    "one further CA": Case((1,), 1),
    "two further CAs": Case((2,), 2),
    "more than a chain of eleven": Case((12,), 12),
    # The client, nine CAs and the one that is trusted are eleven certificates.
    "no limit": Case((None,), 9),
    "a limit above": Case((2, None), 2),
    # Envoy has one limit for all CAs of a listener; it is that of the most generous.
    "a limit below one without": Case((None, 0), 9),
}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[KeyPair]]:
    folder = tmp_path_factory.mktemp("depth")
    return {label: descent(folder / label, None, case.bundle) for label, case in CASES.items()}


@pytest.fixture(scope="module")
def listeners(
    backend: Backend, pki: Pki, authorities: dict[str, list[KeyPair]]
) -> Iterator[dict[str, ListenerSpec]]:
    bundles, found = {}, {}
    for id, (label, pairs) in enumerate(authorities.items(), start=1):
        bundles[id] = CaBundleSpec(id, "".join(pair.certificate_pem for pair in pairs))
        listener = https(id, free_port(), backend.port)
        assert listener.tls
        found[label] = replace(listener, tls=replace(listener.tls, client=ClientAuthenticationSpec((id,))))
    with envoy_lab() as lab:
        lab.apply(replace(configuration(*found.values(), server=pki.modern.server), ca_bundles=bundles))
        lab.wait_served(*found.values())
        yield found


def descent(folder: Path, ca: KeyPair | None, lengths: Sequence[int | None]) -> list[KeyPair]:
    """CAs with these path lengths, each issued by the one before it."""
    found: list[KeyPair] = []
    for number, length in enumerate(lengths):
        constraints = x509.BasicConstraints(ca=True, path_length=length)
        found.append(certificate(folder, f"ca-{number}", found[-1] if found else ca, constraints))
    return found


def certificate(folder: Path, name: str, ca: KeyPair | None, constraints: x509.BasicConstraints) -> KeyPair:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{folder.name} {name}")])
    return issue_between(
        folder, name, ca, now, now + timedelta(days=1), subject=subject, extensions=[(constraints, True)]
    )


def client(folder: Path, ca: KeyPair, intermediates: int) -> KeyPair:
    """A client so many CAs below `ca`, which brings them along."""
    path = descent(folder, ca, [None] * intermediates)
    leaf = certificate(
        folder, "leaf", path[-1] if path else ca, x509.BasicConstraints(ca=False, path_length=None)
    )
    chain = folder / "chain.crt"
    chain.write_text("".join(one.certificate_pem for one in (leaf, *reversed(path))))
    return KeyPair(chain, leaf.key)


@pytest.mark.parametrize("label", CASES)
def test_chain_gets_in_up_to_the_limit_of_the_bundle(
    listeners: dict[str, ListenerSpec], authorities: dict[str, list[KeyPair]], tmp_path: Path, label: str
) -> None:
    trusted, most = authorities[label][-1], CASES[label].most
    outcomes = [
        TlsClient(client=client(tmp_path / f"chain-{length}", trusted, length)).ask(listeners[label].port)
        for length in range(most + 2)
    ]

    assert outcomes == [Outcome("SUCCESS")] * (most + 1) + [Outcome()]
