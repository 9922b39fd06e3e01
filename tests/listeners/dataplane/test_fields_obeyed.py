"""Every field of a listener's specs is obeyed by Envoy, and its check would notice if it were not."""

import dataclasses
from collections.abc import Iterator

import pytest

from listeners import spec, tls_policies
from listeners.spec import ListenerSpec
from tests.backend import running_backend
from tests.conftest import Pki
from tests.envoy_lab import envoy_lab, https
from tests.field_checks import AWAY, CA, CHECKS, ED25519, NAME, NO_TRAFFIC, OTHER, OTHER_CA, OWN, RSA, World
from tests.pki import CLIENT_EXTENSIONS, authority, issue
from tests.ports import free_ports
from tests.slow_backend import running_slow_backend

# What holds the listeners, and what says who is to read them anew.
FRAMES = (spec.ConfigurationSpec, spec.ChangesSpec)


@dataclasses.dataclass(frozen=True)
class Served:
    """For each check the listener that is wanted; in `overlooked`, Envoy was given it without the field."""

    world: World
    obeyed: dict[str, ListenerSpec]
    overlooked: dict[str, ListenerSpec]


@pytest.fixture(scope="module")
def world(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("fields")
    other_ca = authority(folder, "other-ca", "/O=Other")
    named = [*CLIENT_EXTENSIONS, f"subjectAltName=DNS:{NAME}"]
    with (
        running_backend("first") as first,
        running_backend("second") as second,
        running_slow_backend() as slow,
        running_slow_backend(AWAY) as away,
    ):
        yield World(
            (first, second),
            slow,
            away,
            certificates={
                OWN: pki.modern.server,
                OTHER: issue(folder, "other", None),
                ED25519: issue(folder, "ed25519", None, key="Ed25519", digest=""),
                RSA: issue(folder, "rsa", None, key="RSA-2048"),
            },
            cas={CA: pki.modern.ca, OTHER_CA: other_ca},
            clients={
                CA: issue(folder, "client", pki.modern.ca, extensions=named),
                OTHER_CA: issue(folder, "other-client", other_ca, extensions=CLIENT_EXTENSIONS),
            },
        )


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Served]:
    backend = world.backends[0].port
    ports = enumerate(free_ports(2 * len(CHECKS)), 1)
    obeyed, overlooked, rendered = {}, {}, []
    for name, check in CHECKS.items():
        obeyed[name] = check.wanted(world, https(*next(ports), backend))
        overlooked[name] = check.wanted(world, https(*next(ports), backend))
        rendered += [obeyed[name], check.ignoring(overlooked[name])]
    with envoy_lab() as lab:
        lab.apply(world.configuration(*rendered))
        lab.wait_served(*rendered)
        yield Served(world, obeyed, overlooked)


def test_every_field_has_a_check_or_a_reason() -> None:
    specs = [
        one
        for module in (spec, tls_policies)
        for one in vars(module).values()
        if isinstance(one, type) and dataclasses.is_dataclass(one) and one.__module__ == module.__name__
    ]
    fields = {
        f"{one.__name__}.{field.name}"
        for one in specs
        if one not in FRAMES
        for field in dataclasses.fields(one)
    }
    assert sorted([*CHECKS, *NO_TRAFFIC]) == sorted(fields)


@pytest.mark.parametrize("name", CHECKS)
def test_field_is_obeyed(served: Served, name: str) -> None:
    assert CHECKS[name].is_obeyed(served.world, served.obeyed[name])


@pytest.mark.parametrize("name", CHECKS)
def test_check_fails_when_the_renderer_overlooks_the_field(served: Served, name: str) -> None:
    assert not CHECKS[name].is_obeyed(served.world, served.overlooked[name])
