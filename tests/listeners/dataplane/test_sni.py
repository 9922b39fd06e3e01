"""Clients see the certificate of the name that they ask for, however their hello arrives (B4)."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from listeners.spec import (
    ConfigurationSpec,
    ListenerSpec,
    ServerCertificateSpec,
    SniAlgorithm,
    SniCertificateSpec,
)
from listeners.tls_policies import KeyType
from tests.backend import running_backend
from tests.envoy_lab import EnvoyLab, envoy_lab, https
from tests.hello import Hello, client_context, connected, shown_certificate
from tests.pki import KeyPair, issue
from tests.ports import free_port

DEFAULT, EXACT, STAR, DEEP_STAR, ECDSA, RSA = range(1, 7)
# Longer than the patterns that Envoy takes without being told to.
LONG = f"*.{'a' * 63}.{'b' * 63}.test.com"
SNI = (
    SniCertificateSpec(EXACT, ("a.test.com", LONG), KeyType.ECDSA),
    SniCertificateSpec(STAR, ("*.test.com",), KeyType.ECDSA),
    SniCertificateSpec(DEEP_STAR, ("*.b.test.com",), KeyType.ECDSA),
    SniCertificateSpec(ECDSA, ("both.test.com",), KeyType.ECDSA),
    SniCertificateSpec(RSA, ("both.test.com",), KeyType.RSA),
    # The listener's own certificate as an SNI certificate: an exception from the star above.
    SniCertificateSpec(DEFAULT, ("own.test.com",), KeyType.ECDSA),
)
WILDCARD, LONGEST_SUFFIX = SniAlgorithm


@dataclass(frozen=True)
class Site:
    """A listener of each algorithm, with the same certificates, by their ids."""

    lab: EnvoyLab
    pairs: dict[int, KeyPair]
    listeners: dict[SniAlgorithm, ListenerSpec]

    def configuration(self, *listeners: ListenerSpec) -> ConfigurationSpec:
        certificates = {
            id: ServerCertificateSpec(id, one.certificate_pem, one.key_pem) for id, one in self.pairs.items()
        }
        return ConfigurationSpec(0, listeners, certificates)

    def shown(self, algorithm: SniAlgorithm, name: str | None, context: ssl.SSLContext | None = None) -> int:
        """The id of the certificate that the client sees."""
        return self.id_of(shown_certificate(self.listeners[algorithm].port, name, context))

    def id_of(self, pem: str) -> int:
        ids = {one.certificate_pem.strip(): id for id, one in self.pairs.items()}
        return ids.get(pem.strip(), 0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("sni")
    pairs = {
        id: issue(folder, str(id), None, key="RSA-2048" if id == RSA else "P-256")
        for id in range(DEFAULT, RSA + 1)
    }
    with running_backend() as backend, envoy_lab() as lab:
        listeners = {}
        for number, algorithm in enumerate(SniAlgorithm, 1):
            plain = https(number, free_port(), backend.port)
            tls = replace(plain.tls, sni=SNI, sni_algorithm=algorithm)
            listeners[algorithm] = replace(plain, tls=tls)
        site = Site(lab, pairs, listeners)
        lab.apply(site.configuration(*listeners.values()))
        lab.wait_served(*listeners.values())
        yield site


@pytest.mark.parametrize(
    ("name", "wildcard", "longest_suffix"),
    [
        ("a.test.com", EXACT, EXACT),
        ("A.Test.COM", EXACT, EXACT),
        ("c.test.com", STAR, STAR),
        ("x.a.test.com", DEFAULT, STAR),
        ("b.test.com", STAR, STAR),
        ("x.b.test.com", DEEP_STAR, DEEP_STAR),
        ("x.y.b.test.com", DEFAULT, DEEP_STAR),
        ("own.test.com", DEFAULT, DEFAULT),
        (LONG.replace("*", "x"), EXACT, EXACT),
        ("test.com", DEFAULT, DEFAULT),
        ("atest.com", DEFAULT, DEFAULT),
        ("a.test.com.example", DEFAULT, DEFAULT),
        (None, DEFAULT, DEFAULT),
    ],
)
def test_certificate_of_a_name(site: Site, name: str | None, wildcard: int, longest_suffix: int) -> None:
    assert {one: site.shown(one, name) for one in SniAlgorithm} == {
        WILDCARD: wildcard,
        LONGEST_SUFFIX: longest_suffix,
    }


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_ecdsa_is_shown_to_who_can_use_it_and_rsa_to_the_others(site: Site, newest: ssl.TLSVersion) -> None:
    rsa_only = client_context(newest=ssl.TLSVersion.TLSv1_2)
    rsa_only.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")

    shown = [
        site.shown(WILDCARD, "both.test.com", context)
        for context in (client_context(newest=newest), rsa_only)
    ]

    assert shown == [ECDSA, RSA]


def test_hello_split_at_every_byte_leads_to_the_same_certificate(site: Site) -> None:
    port = site.listeners[WILDCARD].port
    length = len(Hello("a.test.com").record)
    shown = set()
    for offset in range(1, length):
        hello = Hello("a.test.com")
        shown.add(site.id_of(hello.shown_certificate(port, hello.in_segments(offset))))
    for offset in range(1, length - 5):
        hello = Hello("a.test.com")
        shown.add(site.id_of(hello.shown_certificate(port, hello.in_records(offset))))
    assert shown == {EXACT}


@pytest.mark.parametrize("size", [1_800, 6_000, 14_000])
def test_hello_of_many_packets_leads_to_the_same_certificate(site: Site, size: int) -> None:
    """A key share of post-quantum cryptography adds 1,200 bytes; here it is names of protocols."""
    hello = Hello("a.test.com", client_context(alpn=["http/1.1", *["x" * 200] * (size // 200)]))
    assert len(hello.record) > size

    shown = hello.shown_certificate(
        site.listeners[WILDCARD].port,
        [hello.record[at : at + 1_200] for at in range(0, len(hello.record), 1_200)],
    )

    assert site.id_of(shown) == EXACT


def test_hello_that_is_too_long_is_refused(site: Site) -> None:
    hello = Hello("a.test.com", client_context(alpn=["http/1.1", *["x" * 250] * 260]))
    assert hello.shown_certificate(site.listeners[WILDCARD].port, [hello.record]) == ""


def test_change_of_one_name_leaves_connections_of_other_chains_alone(site: Site) -> None:
    """Envoy updates the listener in place: only the chains that changed are drained."""
    listener = site.listeners[WILDCARD]
    kept = connected(listener.port, "both.test.com")
    assert b" 200 " in answered(kept, "both.test.com")
    fewer = tuple(one for one in SNI if one.certificate != DEEP_STAR)
    changed = replace(listener, tls=replace(listener.tls, sni=fewer))

    site.lab.apply(site.configuration(changed, site.listeners[LONGEST_SUFFIX]))
    site.lab.wait_served(changed)

    assert site.shown(WILDCARD, "x.b.test.com") == DEFAULT
    answer = answered(kept, "both.test.com")
    assert (b" 200 " in answer, b"connection: close" in answer.lower()) == (True, False)
    kept.close()
    site.lab.apply(site.configuration(*site.listeners.values()))
    site.lab.wait_served(listener)
    assert site.shown(WILDCARD, "x.b.test.com") == DEEP_STAR


def answered(connection: ssl.SSLSocket, host: str) -> bytes:
    connection.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return connection.recv(65536)
