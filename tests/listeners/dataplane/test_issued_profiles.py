"""What is issued here, in a real Envoy: as its server certificate, and as its clients'."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from certificates.issuing import Authority, IssuingError, KeyKind, Profile
from listeners.spec import (
    CaBundleSpec,
    ClientAuthenticationSpec,
    ConfigurationSpec,
    ListenerSpec,
    ServerCertificateSpec,
)
from tests.backend import Backend
from tests.certificates.issuing.made import authority, leaf, requested, stored, unlimited
from tests.envoy_lab import envoy_lab, https
from tests.hello import connected
from tests.pki import KeyPair
from tests.ports import free_ports
from tests.tls_client import REFUSED, Outcome, TlsClient

LET_IN = Outcome("SUCCESS")


@dataclass(frozen=True)
class Shape:
    """`trusted` are how many of the CAs, from the root on, stand in what the listener is given."""

    kind: KeyKind = KeyKind.P256
    intermediate: bool = False
    permitted: str = ""
    trusted: int = 2


SHAPES = {
    **{f"{kind} root": Shape(kind) for kind in KeyKind},
    **{f"{kind} intermediate": Shape(kind, intermediate=True) for kind in (KeyKind.P256, KeyKind.RSA_2048)},
    "root of an intermediate alone": Shape(intermediate=True, trusted=1),
    "limited to domains": Shape(permitted="test.com"),
    "limited below a root": Shape(intermediate=True, permitted="test.com"),
    "limited to networks": Shape(permitted="127.0.0.0/8, 192.0.2.0/24"),
}


@dataclass(frozen=True)
class Place:
    """A mutual listener that serves a certificate of the CA and trusts it."""

    spec: ListenerSpec
    by: Authority
    kind: KeyKind
    root: Path

    @property
    def port(self) -> int:
        return self.spec.port


@pytest.fixture(scope="module")
def places(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    folder = tmp_path_factory.mktemp("roots")
    found, servers, bundles = {}, {}, {}
    for id, (label, port) in enumerate(zip(SHAPES, free_ports(len(SHAPES)), strict=True), start=1):
        shape = SHAPES[label]
        by = authority(shape.kind, intermediate=shape.intermediate, permitted=shape.permitted)
        names = "127.0.0.1" if "networks" in label else "www.test.com, *.shop.test.com"
        server = leaf(Profile.SERVER, by, shape.kind, names=names)
        chain = server.certificate + "".join(by.chain[:-1])
        servers[id] = ServerCertificateSpec(id, chain, server.private_key)
        bundles[id] = CaBundleSpec(id, "".join(by.chain[-shape.trusted :]))
        listener = https(id, port, backend.port)
        assert listener.tls
        tls = replace(listener.tls, server_certificate=id, client=ClientAuthenticationSpec((id,)))
        root = folder / f"{id}.pem"
        root.write_text(by.chain[-1])
        found[label] = Place(replace(listener, tls=tls), by, shape.kind, root)
    specs = tuple(place.spec for place in found.values())
    with envoy_lab() as lab:
        lab.apply(ConfigurationSpec(0, specs, servers, bundles))
        lab.wait_served(*specs)
        yield found


def client(
    folder: Path,
    place: Place,
    *,
    kind: KeyKind = KeyKind.P256,
    names: str = "client.test.com",
    profile: Profile = Profile.CLIENT,
    alone: bool = False,
) -> KeyPair:
    """One that brings the CAs between it and its root along, unless it is `alone`."""
    made = leaf(profile, place.by, kind, names=names)
    chain = made.certificate + ("" if alone else "".join(place.by.chain[:-1]))
    return stored(folder, "client", chain, made.private_key)


def test_server_is_verified_by_a_strict_client_under_its_name(places: dict[str, Place]) -> None:
    """Python's own checks, with OpenSSL's strict ones: chain, purpose, name."""
    seen = {}
    for label, place in places.items():
        context = ssl.create_default_context(cafile=place.root)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        for name in ("127.0.0.1",) if "networks" in label else ("www.test.com", "a.shop.test.com"):
            with connected(place.port, name, context) as connection:
                seen[label] = connection.version()
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            connected(place.port, "www.test.net", context)
    assert seen == dict.fromkeys(SHAPES, "TLSv1.3")


def test_client_with_its_chain_is_let_in(places: dict[str, Place], tmp_path: Path) -> None:
    assert {
        label: TlsClient(client=client(tmp_path / label, place, kind=place.kind)).ask(place.port)
        for label, place in places.items()
    } == dict.fromkeys(SHAPES, LET_IN)


def test_client_without_its_chain_is_let_in_where_the_listener_has_the_intermediate(
    places: dict[str, Place], tmp_path: Path
) -> None:
    """What the console gives to listeners has both, so clients need not bring it."""
    expected = dict.fromkeys(SHAPES, LET_IN) | {"root of an intermediate alone": REFUSED}
    assert {
        label: TlsClient(client=client(tmp_path / label, place, alone=True)).ask(place.port)
        for label, place in places.items()
    } == expected


def test_client_of_another_ca_is_refused(places: dict[str, Place], tmp_path: Path) -> None:
    others = dict(zip(places, [*list(places.values())[1:], places["ec-p256 root"]], strict=True))
    assert {
        label: TlsClient(client=client(tmp_path / label, other)).ask(places[label].port)
        for label, other in others.items()
    } == dict.fromkeys(SHAPES, REFUSED)


def test_server_certificate_is_no_clients(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["ec-p256 root"]
    pair = client(tmp_path, place, profile=Profile.SERVER, names="www.test.com")
    assert TlsClient(client=pair).ask(place.port) == REFUSED


@pytest.mark.parametrize(
    "names", ["ann@test.com", "spiffe://test.com/a", "192.0.2.1", "a.test.com, ann@test.net"]
)
@pytest.mark.parametrize("label", ["ec-p256 root", "limited to domains"])
def test_client_with_any_kind_of_name_is_let_in(
    places: dict[str, Place], tmp_path: Path, label: str, names: str
) -> None:
    assert TlsClient(client=client(tmp_path, places[label], names=names)).ask(places[label].port) == LET_IN


def test_address_is_not_issued_to_clients_of_a_ca_that_limits_networks(
    places: dict[str, Place], tmp_path: Path
) -> None:
    """Envoy keeps them out, even within the networks."""
    place = places["limited to networks"]
    with pytest.raises(IssuingError, match=r"Leave 192\.0\.2\.1 out"):
        client(tmp_path, place, names="client.test.com, 192.0.2.1")

    asked = [
        TlsClient(client=client(tmp_path, replace(place, by=unlimited(place.by)), names=names)).ask(
            place.port
        )
        for names in ("client.test.com, 192.0.2.1", "client.test.com")
    ]
    assert asked == [REFUSED, LET_IN]


@pytest.mark.parametrize("kind", [KeyKind.P384, KeyKind.RSA_2048])
def test_client_whose_key_stayed_with_it_is_let_in(
    places: dict[str, Place], tmp_path: Path, kind: KeyKind
) -> None:
    place = places["ec-p256 intermediate"]
    key, path = requested(tmp_path, kind)
    made = leaf(Profile.CLIENT, place.by, key)
    pair = KeyPair(stored(tmp_path, "client", made.certificate, "").certificate, path)
    assert TlsClient(client=pair).ask(place.port) == LET_IN
