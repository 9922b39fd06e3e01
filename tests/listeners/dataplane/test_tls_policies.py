"""What a real Envoy serves under each TLS policy, as `openssl s_client` and bare ClientHellos find out."""

import json
import re
import socket
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.preflight import Preflight
from listeners.rendering import envoy as rendering
from listeners.servable import FIXED_TLS_1_3_SUITES, SERVABLE, left_out, served_suites
from listeners.spec import ConfigurationSpec, ListenerSpec, ServerCertificateSpec, TlsSpec
from listeners.tls_policies import (
    CHOICES,
    INHERITED,
    PREDEFINED,
    TLS_1_3_SUITES,
    KeyType,
    TlsPolicy,
    TlsVersion,
    key_types,
    versions_of,
)
from tests import pki as make
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import EnvoyLab, group
from tests.pki import KeyPair
from tests.ports import free_port
from tests.s_client import REQUEST
from tests.waiting import LIMIT

OPTIONS = {
    TlsVersion.TLS_1_0: "-tls1",
    TlsVersion.TLS_1_1: "-tls1_1",
    TlsVersion.TLS_1_2: "-tls1_2",
    TlsVersion.TLS_1_3: "-tls1_3",
}
V10, V11, V12, V13 = TlsVersion
CUSTOM = (
    # Against the order of the predefined ones and of any client.
    TlsPolicy("least first", (V12,), tuple(reversed(CHOICES))),
    TlsPolicy("old alone", (V10, V11), CHOICES),
    TlsPolicy("new alone", (V13,), TLS_1_3_SUITES),
    TlsPolicy("one of TLS 1.3", (V12, V13), ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_AES_256_GCM_SHA384")),
)
POLICIES = (*PREDEFINED, *CUSTOM)
KEYS = (KeyType.RSA, KeyType.ECDSA)

# Numbers of suites that openssl was built without, or that no policy may ever negotiate (IANA's registry).
NUMBERS = {
    "DES-CBC3-SHA": 0x000A,
    "ECDHE-ECDSA-AES256-SHA384": 0xC024,
    "ECDHE-RSA-AES256-SHA384": 0xC028,
    "AES128-SHA256": 0x003C,
    "AES256-SHA256": 0x003D,
    "DHE-RSA-AES128-SHA": 0x0033,
    "DHE-DSS-AES128-SHA": 0x0032,
    "CAMELLIA128-SHA": 0x0041,
    "EDH-RSA-DES-CBC3-SHA": 0x0016,
    "ECDHE-RSA-RC4-SHA": 0xC011,
    "RC4-SHA": 0x0005,
    "DHE-RSA-AES256-SHA": 0x0039,
    "DHE-DSS-AES256-SHA": 0x0038,
    "DHE-RSA-CAMELLIA256-SHA": 0x0088,
    "DHE-DSS-CAMELLIA256-SHA": 0x0087,
    "CAMELLIA256-SHA": 0x0084,
    "EDH-DSS-DES-CBC3-SHA": 0x0013,
    "DHE-RSA-CAMELLIA128-SHA": 0x0045,
    "DHE-DSS-CAMELLIA128-SHA": 0x0044,
    "ECC-SM4-SM3": 0xE013,
    "ECDHE-SM4-SM3": 0xE011,
}
SERVED_NUMBERS = {
    "AES256-SHA": 0x0035,
    "DES-CBC3-SHA": 0x000A,
    "ECDHE-RSA-AES128-SHA256": 0xC027,
    "ECDHE-RSA-AES128-GCM-SHA256": 0xC02F,
    "ECDHE-RSA-AES256-GCM-SHA384": 0xC030,
}


@dataclass(frozen=True)
class Served:
    """A listener for each policy and kind of key, all in one Envoy."""

    ports: dict[tuple[str, KeyType], int]
    configuration: ConfigurationSpec


@pytest.fixture(scope="module")
def served(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("rsa")
    rsa = make.issue(folder, "rsa", pki.modern.ca, key="RSA-2048", extensions=make.SERVER_EXTENSIONS)
    pairs = {KeyType.RSA: rsa, KeyType.ECDSA: pki.modern.server}
    certificates = {
        place: ServerCertificateSpec(place, pairs[key].certificate_pem, pairs[key].key_pem)
        for place, key in enumerate(KEYS, start=1)
    }
    wanted = [(policy, place, key) for policy in POLICIES for place, key in enumerate(KEYS, start=1)]
    ports = [free_port() for _ in wanted]
    listeners = tuple(
        ListenerSpec(id, "127.0.0.1", port, group(1, backend.port), TlsSpec(place, policy=policy))
        for id, (port, (policy, place, _)) in enumerate(zip(ports, wanted, strict=True), start=1)
    )
    configuration = ConfigurationSpec(0, listeners, certificates)
    lab.apply(configuration)
    lab.wait_served(*listeners)
    by_policy = {(policy.name, key): port for port, (policy, _, key) in zip(ports, wanted, strict=True)}
    yield Served(by_policy, configuration)
    lab.apply(ConfigurationSpec(0))


@pytest.fixture(scope="module")
def known() -> list[str]:
    """What this openssl can offer, the weakest first, so that the client's order is never the server's."""
    command = ["openssl", "ciphers", "-tls1_2", "ALL:COMPLEMENTOFALL:!aNULL:!PSK:!SRP:@SECLEVEL=0"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(":")
    return [name for name in reversed(names) if not name.startswith("TLS_")]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_policy_serves_its_versions_and_suites_in_its_order(
    served: Served, known: list[str], policy: TlsPolicy, key: KeyType
) -> None:
    port = served.ports[policy.name, key]
    found = {version: enumerated(port, version, known) for version in (V10, V11, V12)}
    expected = {
        version: [
            suite
            for suite in served_suites(policy)
            if version in policy.versions
            and version in versions_of(suite)
            and key in key_types(suite)
            and suite in known
        ]
        for version in (V10, V11, V12)
    }
    assert found == expected
    newest = [suite for suite in TLS_1_3_SUITES if negotiated(port, V13, "-ciphersuites", suite) == suite]
    assert newest == (list(FIXED_TLS_1_3_SUITES) if V13 in policy.versions else [])


@pytest.mark.parametrize("policy", [*PREDEFINED, CUSTOM[0]], ids=lambda policy: policy.name)
def test_suite_that_is_left_out_is_never_agreed_on(served: Served, policy: TlsPolicy) -> None:
    port = served.ports[policy.name, KeyType.RSA]
    others = [number for suite, number in NUMBERS.items() if suite not in SERVABLE]
    assert {suite for suite in left_out(policy) if suite not in TLS_1_3_SUITES} <= NUMBERS.keys()
    assert agreed(port, others) is None
    # The same hello, once it has something to agree on.
    served_one = [suite for suite in served_suites(policy) if KeyType.RSA in key_types(suite)][-1]
    assert agreed(port, [*others, SERVED_NUMBERS[served_one]]) == SERVED_NUMBERS[served_one]


def test_suite_that_openssl_no_longer_has_is_served_where_it_is_chosen(served: Served) -> None:
    triple_des = NUMBERS["DES-CBC3-SHA"]
    assert agreed(served.ports["least first", KeyType.RSA], [triple_des]) == triple_des
    assert agreed(served.ports["tls-1-2", KeyType.RSA], [triple_des]) is None


def test_suites_are_as_envoy_itself_judges_them(pki: Pki, tmp_path: Path) -> None:
    suites = list(dict.fromkeys([*INHERITED, *CHOICES, *NUMBERS]))
    negotiable = [suite for suite in suites if suite not in TLS_1_3_SUITES]
    accepted = [
        suite for suite in negotiable if is_accepted(suite, pki.modern.server, tmp_path / "envoy.json")
    ]
    assert accepted == [suite for suite in negotiable if suite in SERVABLE]


def test_every_predefined_policy_passes_the_check_before_delivery(served: Served) -> None:
    rendered = {resource.key: resource for resource in rendering.resources(served.configuration)}
    assert Preflight(envoy_binary()).refusals(served.configuration, rendered) == {}


def enumerated(port: int, version: TlsVersion, known: list[str]) -> list[str]:
    """The suites that the server picks when its last pick is offered no more: all it has, in its order."""
    left, picked = list(known), []
    while left and (suite := negotiated(port, version, "-cipher", ":".join([*left, "@SECLEVEL=0"]))):
        picked.append(suite)
        left.remove(suite)
    return picked


def negotiated(port: int, version: TlsVersion, *options: str) -> str:
    """The suite over which a request was answered, "" where there was no handshake."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", OPTIONS[version], "-ign_eof"]
    run = subprocess.run([*command, *options], input=REQUEST, capture_output=True, timeout=LIMIT)
    output = run.stdout.decode(errors="replace")
    if not re.search(r"^HTTP/1\.1 200", output, re.MULTILINE):
        return ""
    agreement = re.search(r"^New, (\S+), Cipher is (\S+)", output, re.MULTILINE)
    protocol = re.search(r"^ *Protocol *: (\S+)", output, re.MULTILINE)
    assert agreement
    assert (protocol[1] if protocol else agreement[1]) == version.value
    return agreement[2]


def agreed(port: int, suites: list[int]) -> int | None:
    """The number of the suite that the server picks from a hello of TLS 1.2; None for a refusal."""
    offered = b"".join(struct.pack("!H", number) for number in suites)
    extensions = b"".join(
        struct.pack("!HH", kind, len(body)) + body
        for kind, body in (
            (10, bytes.fromhex("0006001d00170018")),  # supported_groups: X25519, P-256, P-384
            (11, bytes.fromhex("0100")),  # ec_point_formats: uncompressed
            # signature_algorithms: ECDSA and RSA with SHA-256, RSA-PSS, and both with SHA-1
            (13, bytes.fromhex("000a04030401080402030201")),
        )
    )
    body = b"".join(
        [
            b"\x03\x03",
            bytes(32),
            b"\x00",
            struct.pack("!H", len(offered)) + offered,
            b"\x01\x00",
            struct.pack("!H", len(extensions)) + extensions,
        ]
    )
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
        connection.sendall(b"\x16\x03\x01" + struct.pack("!H", len(hello)) + hello)
        answer = connection.makefile("rb")
        kind, _, length = struct.unpack("!BHH", answer.read(5))
        record = answer.read(length)
    if kind == 21:
        assert record[1] == 40  # handshake_failure
        return None
    assert (kind, record[0]) == (22, 2)
    number: int = struct.unpack_from("!H", record, 4 + 2 + 32 + 1 + record[38])[0]
    return number


def is_accepted(suite: str, pair: KeyPair, path: Path) -> bool:
    """Whether Envoy takes a configuration that has this suite alone."""
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"cipher_suites": [suite]},
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(pair.certificate)},
                    "private_key": {"filename": str(pair.key)},
                }
            ],
        },
    }
    echo = {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}
    chain = {
        "transport_socket": {"name": "tls", "typed_config": context},
        "filters": [{"name": "echo", "typed_config": echo}],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 1}}
    listener = {"name": "one", "address": address, "filter_chains": [chain]}
    path.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    command = [envoy_binary(), "--mode", "validate", "--log-level", "off", "-c", path]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
