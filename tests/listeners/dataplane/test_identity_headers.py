"""What a client says about itself in headers that backends trust never reaches a backend (H1 to H4)."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from listeners.identity_headers import IDENTITY_HEADERS, VERDICT_HEADER
from listeners.spec import ClientAuthenticationSpec, ClientDemand
from tests.backend import Backend
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab, configuration, envoy_lab, http, https
from tests.pki import KeyPair, foreign_client
from tests.ports import free_port

FORGED = "forged-by-the-client"
SPELLINGS = {
    "as it is": lambda name: [f"{name}: {FORGED}"],
    "lower case": lambda name: [f"{name.lower()}: {FORGED}"],
    "upper case": lambda name: [f"{name.upper()}: {FORGED}"],
    "mixed case": lambda name: [f"{name.swapcase()}: {FORGED}"],
    "underscores": lambda name: [f"{name.replace('-', '_')}: {FORGED}"],
    "one underscore": lambda name: [f"{name.replace('-', '_', 1)}: {FORGED}"],
    "percent encoded": lambda name: [f"{name.replace('-', '%2D')}: {FORGED}"],
    "twice": lambda name: [f"{name}: {FORGED}", f"{name}: SUCCESS"],
    "empty": lambda name: [f"{name};"],
    # Pitfall H2: what is named there belongs to one hop, and a proxy may drop its own value with it.
    "named in Connection": lambda name: [f"{name}: {FORGED}", f"Connection: {name}"],
}
# Envoy and the backend answer more than a hundred headers with 431, Envoy more than some in Connection
# with 400.
AT_ONCE = 60
FEW = ("twice", "named in Connection")
SOME_HEADERS = (VERDICT_HEADER, "X-Real-IP", "Remote-User", "SSL-Client-Verify")


@dataclass(frozen=True)
class Target:
    """A listener, the client certificate to show it, and the verdict that the backend has to be told."""

    url: str
    client: KeyPair | None
    verdict: str


KINDS = (
    "HTTP",
    "one-way",
    "mutual",
    "optional: none",
    "optional: good",
    "unverified: none",
    "unverified: bad",
)


@pytest.fixture(scope="module")
def targets(
    backend: Backend, pki: Pki, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Target]]:
    with envoy_lab() as lab:
        targets = _targets(lab, backend, pki, foreign_client(tmp_path_factory.mktemp("foreign")))
        assert tuple(targets) == KINDS
        yield targets


def _targets(lab: EnvoyLab, backend: Backend, pki: Pki, bad: KeyPair) -> dict[str, Target]:
    plain = http(1, free_port(), backend.port)
    one_way = replace(https(2, free_port(), backend.port), http2=True)
    assert one_way.tls
    asking = {
        demand: replace(
            https(id, free_port(), backend.port),
            http2=True,
            tls=replace(one_way.tls, client=ClientAuthenticationSpec((2,), demand)),
        )
        for id, demand in enumerate(ClientDemand, start=3)
    }
    listeners = (plain, one_way, *asking.values())
    lab.apply(configuration(*listeners, server=pki.modern.server, cas={2: pki.modern.ca}))
    lab.wait_served(*listeners)
    mutual, optional, unverified = (f"https://127.0.0.1:{one.port}/" for one in asking.values())
    good = pki.modern.client
    return {
        "HTTP": Target(f"http://127.0.0.1:{plain.port}/", None, "NONE"),
        "one-way": Target(f"https://127.0.0.1:{one_way.port}/", good, "NONE"),
        "mutual": Target(mutual, good, "SUCCESS"),
        "optional: none": Target(optional, None, "NONE"),
        "optional: good": Target(optional, good, "SUCCESS"),
        "unverified: none": Target(unverified, None, "NONE"),
        "unverified: bad": Target(unverified, bad, "FAILED"),
    }


def arrived(backend: Backend, target: Target, headers: list[str], *options: str) -> dict[str, str]:
    """The headers that the backend's application saw of a request with these."""
    backend.forget()
    certificate = ("--cert", target.client.certificate, "--key", target.client.key) if target.client else ()
    lines = [part for header in headers for part in ("--header", header)]
    assert curl("-k", *certificate, *lines, *options, target.url).status == 200
    return backend.requests[0].headers


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_forged_identity_header_is_dropped(
    backend: Backend, targets: dict[str, Target], kind: str, spelling: str, version: str
) -> None:
    names = SOME_HEADERS if spelling in FEW else IDENTITY_HEADERS
    # Without TLS, curl would ask for an upgrade to HTTP/2, which there is none of.
    options = [] if kind == "HTTP" else [version]
    folded = {name.upper().replace("-", "_") for name in IDENTITY_HEADERS}
    verdict = VERDICT_HEADER.upper().replace("-", "_")

    for first in range(0, len(names), AT_ONCE):
        headers = [line for name in names[first : first + AT_ONCE] for line in SPELLINGS[spelling](name)]
        seen = arrived(backend, targets[kind], ["X-Harmless: kept", *headers], *options)

        assert seen["X_HARMLESS"] == "kept"
        assert {name: value for name, value in seen.items() if name in folded} == {
            verdict: targets[kind].verdict
        }


@pytest.mark.parametrize("kind", KINDS)
def test_upgrade_names_no_header_that_a_proxy_behind_would_drop(
    backend: Backend, targets: dict[str, Target], kind: str
) -> None:
    asked = ["Upgrade: websocket", f"Connection: X-Forwarded-For, Upgrade, {VERDICT_HEADER}"]
    seen = arrived(backend, targets[kind], asked, "--http1.1")
    verdict = seen[VERDICT_HEADER.upper().replace("-", "_")]
    assert (seen["UPGRADE"], seen["CONNECTION"], verdict) == ("websocket", "Upgrade", targets[kind].verdict)


def test_forwarded_for_ends_with_the_address_that_connected(
    backend: Backend, targets: dict[str, Target]
) -> None:
    seen = arrived(backend, targets["HTTP"], ["X-Forwarded-For: 203.0.113.9"])
    # For a client on the loopback interface Envoy writes the machine's own address.
    claimed, _, added = seen["X_FORWARDED_FOR"].rpartition(",")
    assert (claimed, bool(ipaddress.ip_address(added))) == ("203.0.113.9", True)


def test_envoy_headers_of_a_client_are_not_taken_over(backend: Backend, targets: dict[str, Target]) -> None:
    forged = ("Retry-On", "Upstream-Rq-Timeout-Ms", "External-Address", "Internal", "Decorator-Operation")
    seen = arrived(backend, targets["HTTP"], [f"X-Envoy-{name}: {FORGED}" for name in forged])
    # Envoy writes the address that connected; it is the only one that arrives.
    assert {name for name in seen if name.startswith("X_ENVOY")} == {"X_ENVOY_EXTERNAL_ADDRESS"}
    assert seen["X_ENVOY_EXTERNAL_ADDRESS"] != FORGED
