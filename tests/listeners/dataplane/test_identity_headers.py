"""What a client says about itself in headers that backends trust never reaches a backend (H1, H3)."""

import ipaddress
from collections.abc import Iterator

import pytest

from listeners.identity_headers import IDENTITY_HEADERS
from tests.backend import Backend
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab, configuration, envoy_lab, http, https
from tests.pki import KeyPair
from tests.ports import free_port

FORGED = "forged-by-the-client"
SPELLINGS = {
    "as it is": lambda name: name,
    "lower case": str.lower,
    "upper case": str.upper,
    "underscores": lambda name: name.replace("-", "_"),
    "one underscore": lambda name: name.replace("-", "_", 1),
    "percent encoded": lambda name: name.replace("-", "%2D"),
}


@pytest.fixture(scope="module")
def targets(backend: Backend, pki: Pki) -> Iterator[dict[str, tuple[str, KeyPair | None]]]:
    """A listener of each kind: its URL and the client certificate that it wants."""
    with envoy_lab() as lab:
        yield _targets(lab, backend, pki)


def _targets(lab: EnvoyLab, backend: Backend, pki: Pki) -> dict[str, tuple[str, KeyPair | None]]:
    plain = http(1, free_port(), backend.port)
    one_way = https(2, free_port(), backend.port)
    mutual = https(3, free_port(), backend.port, ca=2)
    lab.apply(configuration(plain, one_way, mutual, server=pki.modern.server, cas={2: pki.modern.ca}))
    lab.wait_served(plain, one_way, mutual)
    return {
        "HTTP": (f"http://127.0.0.1:{plain.port}/", None),
        "one-way": (f"https://127.0.0.1:{one_way.port}/", None),
        "mutual": (f"https://127.0.0.1:{mutual.port}/", pki.modern.client),
    }


def arrived(backend: Backend, target: tuple[str, KeyPair | None], headers: list[str]) -> dict[str, str]:
    """The headers that the backend's application saw of a request with these."""
    url, client = target
    backend.forget()
    certificate = ("--cert", client.certificate, "--key", client.key) if client else ()
    options = [part for header in headers for part in ("--header", header)]
    assert curl("-k", *certificate, *options, url).status == 200
    return backend.requests[0].headers


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("kind", ["HTTP", "one-way", "mutual"])
def test_forged_identity_header_is_dropped(
    backend: Backend, targets: dict[str, tuple[str, KeyPair | None]], kind: str, spelling: str
) -> None:
    headers = [f"{SPELLINGS[spelling](name)}: {FORGED}" for name in IDENTITY_HEADERS]

    seen = arrived(backend, targets[kind], ["X-Harmless: kept", *headers])

    folded = {name.upper().replace("-", "_") for name in IDENTITY_HEADERS}
    assert seen["X_HARMLESS"] == "kept"
    assert {name: value for name, value in seen.items() if name in folded} == {}


def test_forwarded_for_ends_with_the_address_that_connected(
    backend: Backend, targets: dict[str, tuple[str, KeyPair | None]]
) -> None:
    seen = arrived(backend, targets["HTTP"], ["X-Forwarded-For: 203.0.113.9"])
    # For a client on the loopback interface Envoy writes the machine's own address.
    claimed, _, added = seen["X_FORWARDED_FOR"].rpartition(",")
    assert (claimed, bool(ipaddress.ip_address(added))) == ("203.0.113.9", True)


def test_envoy_headers_of_a_client_are_not_taken_over(
    backend: Backend, targets: dict[str, tuple[str, KeyPair | None]]
) -> None:
    forged = ("Retry-On", "Upstream-Rq-Timeout-Ms", "External-Address", "Internal", "Decorator-Operation")
    seen = arrived(backend, targets["HTTP"], [f"X-Envoy-{name}: {FORGED}" for name in forged])
    # Envoy writes the address that connected; it is the only one that arrives.
    assert {name for name in seen if name.startswith("X_ENVOY")} == {"X_ENVOY_EXTERNAL_ADDRESS"}
    assert seen["X_ENVOY_EXTERNAL_ADDRESS"] != FORGED
