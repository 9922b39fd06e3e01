"""For each field of a listener's specs, a listener that sets it and traffic that tells if it is obeyed."""

import re
import socket
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from listeners.spec import (
    AllowedClientSpec,
    BackendServerGroupSpec,
    BackendServerSpec,
    CaBundleSpec,
    ClientAuthenticationSpec,
    ClientDemand,
    ConfigurationSpec,
    IdentityKind,
    ListenerSpec,
    RedirectSpec,
    ServerCertificateSpec,
    SniAlgorithm,
    SniCertificateSpec,
    TimeoutsSpec,
    TlsSpec,
)
from listeners.tls_policies import DEFAULT, KeyType, TlsVersion
from tests.backend import Backend
from tests.curl import curl
from tests.hello import client_context, connected, shown_certificate
from tests.pki import KeyPair
from tests.ports import free_port
from tests.slow_backend import SlowBackend
from tests.waiting import LIMIT

OWN, OTHER, ED25519, RSA = 1, 2, 3, 6
CA, OTHER_CA = 4, 5
PATIENCE = 5
NAME = "client.test.com"  # the DNS name of the client of CA


@dataclass(frozen=True)
class World:
    """What the listeners of all checks share. `away` is a backend server on `AWAY`."""

    backends: tuple[Backend, Backend]
    slow: SlowBackend
    away: SlowBackend
    certificates: dict[int, KeyPair]
    cas: dict[int, KeyPair]
    clients: dict[int, KeyPair]  # by their CA

    def configuration(self, *listeners: ListenerSpec) -> ConfigurationSpec:
        servers = {
            id: ServerCertificateSpec(id, one.certificate_pem, one.key_pem)
            for id, one in self.certificates.items()
        }
        cas = {id: CaBundleSpec(id, one.certificate_pem) for id, one in self.cas.items()}
        return ConfigurationSpec(0, listeners, servers, cas)


AWAY = "127.0.0.2"

Plan = Callable[[World, ListenerSpec], ListenerSpec]


@dataclass(frozen=True)
class Check:
    """`wanted` sets the field of a plain listener; `ignored` is the value that it has where nobody reads it.

    `is_obeyed` asks the listener as `wanted` has it, whatever was rendered.
    """

    wanted: Plan
    path: str
    ignored: Any
    is_obeyed: Callable[[World, ListenerSpec], bool]

    def ignoring(self, wanted: ListenerSpec) -> ListenerSpec:
        """What a renderer makes of the listener that overlooks the field."""
        return with_value(wanted, self.path.split("."), self.ignored)


def with_value(spec: Any, path: list[str], value: Any) -> Any:
    """`spec` with `value` at the end of the path, whose parts are fields, or places in a tuple."""
    if not path:
        return value(spec) if callable(value) else value
    part, *rest = path
    if part.isdigit():
        place = int(part)
        return (*spec[:place], with_value(spec[place], rest, value), *spec[place + 1 :])
    return replace(spec, **{part: with_value(getattr(spec, part), rest, value)})


def tls(**changes: Any) -> Plan:
    """A listener that says this of TLS."""
    return lambda world, plain: replace(plain, tls=replace(plain.tls or TlsSpec(OWN), **changes))


def asking(**changes: Any) -> Plan:
    """A listener that asks clients of CA for certificates."""
    return tls(client=replace(ClientAuthenticationSpec((CA,)), **changes))


def slow(**changes: int) -> Plan:
    """An HTTP listener with these timeouts and the slow backend."""

    def plan(world: World, plain: ListenerSpec) -> ListenerSpec:
        group = BackendServerGroupSpec(plain.id, (BackendServerSpec("127.0.0.1", world.slow.port),))
        return replace(plain, tls=None, action=group, timeouts=replace(TimeoutsSpec(), **changes))

    return plan


def servers(*chosen: Callable[[World], BackendServerSpec]) -> Plan:
    return lambda world, plain: replace(
        plain, action=BackendServerGroupSpec(plain.id, tuple(one(world) for one in chosen))
    )


def redirect(world: World, plain: ListenerSpec) -> ListenerSpec:
    return replace(plain, tls=None, action=RedirectSpec(8443))


def status(listener: ListenerSpec, client: KeyPair | None = None, scheme: str = "https") -> int:
    certificate = ("--cert", client.certificate, "--key", client.key) if client else ()
    return curl("-k", *certificate, f"{scheme}://{listener.address}:{listener.port}/").status


def shows(certificate: int, name: str | None = None, ciphers: str = "") -> Callable[..., bool]:
    """Whether a client that asks for `name` and has these ciphers of TLS 1.2 sees the certificate."""

    def check(world: World, listener: ListenerSpec) -> bool:
        context = client_context()
        if ciphers:
            context = client_context(newest=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(ciphers)
        try:
            shown = shown_certificate(listener.port, name, context)
        except ssl.SSLError:
            return False
        return shown.strip() == world.certificates[certificate].certificate_pem.strip()

    return check


def lets_in(ca: int | None) -> Callable[..., bool]:
    """Whether the client of this CA is answered; None: a client without a certificate."""
    return lambda world, listener: status(listener, world.clients[ca] if ca else None) == 200


def keeps_out(ca: int | None) -> Callable[..., bool]:
    return lambda world, listener: status(listener, world.clients[ca] if ca else None) == 0


def refuses_version(version: ssl.TLSVersion) -> Callable[..., bool]:
    def check(world: World, listener: ListenerSpec) -> bool:
        context = client_context()
        context.minimum_version = version
        try:
            with connected(listener.port, None, context):
                return False
        except (ssl.SSLError, ConnectionError):
            return True

    return check


def answers(sent: str, pattern: str) -> Callable[..., bool]:
    """Whether the listener's answer to this text, or its end "$", comes within some seconds."""

    def check(world: World, listener: ListenerSpec) -> bool:
        received = ""
        with socket.create_connection((listener.address, listener.port), timeout=PATIENCE) as connection:
            connection.sendall(sent.encode())
            try:
                while more := connection.recv(65536):
                    received += more.decode()
                    if re.search(pattern, received):
                        return True
                return re.search(pattern, received + "<closed>") is not None
            except TimeoutError:
                return False

    return check


def names_no_ca(world: World, listener: ListenerSpec) -> bool:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.port}"]
    run = subprocess.run(command, input=b"", capture_output=True, timeout=LIMIT)
    assert b"BEGIN CERTIFICATE" in run.stdout
    return b"Acceptable client certificate CA names" not in run.stdout


def only_first_backend(world: World, listener: ListenerSpec) -> bool:
    for backend in world.backends:
        backend.forget()
    assert {status(listener) for _ in range(6)} == {200}
    return [len(backend.requests) for backend in world.backends] == [6, 0]


def redirects_to(port: int) -> Callable[..., bool]:
    def check(world: World, listener: ListenerSpec) -> bool:
        answer = curl("-H", "Host: www.test.com", f"http://127.0.0.1:{listener.port}/x")
        return ("location", f"https://www.test.com:{port}/x") in answer.headers

    return check


def agrees_on_h2(world: World, listener: ListenerSpec) -> bool:
    with connected(listener.port, None, client_context(alpn=["h2", "http/1.1"])) as connection:
        return connection.selected_alpn_protocol() == "h2"


def is_answered(world: World, listener: ListenerSpec) -> bool:
    return status(listener) == 200


FIRST = BackendServerSpec("127.0.0.1", 1)
DEEP = (SniCertificateSpec(OTHER, ("*.test.com",), KeyType.ECDSA),)
ONE_NAME = (SniCertificateSpec(OTHER, ("a.test.com",), KeyType.ECDSA),)
ED25519_AND_RSA = (
    SniCertificateSpec(ED25519, ("a.test.com",), KeyType.ED25519),
    SniCertificateSpec(RSA, ("a.test.com",), KeyType.RSA),
)
RSA_SUITE = "ECDHE-RSA-AES128-GCM-SHA256"
SUITE = "ECDHE-ECDSA-CHACHA20-POLY1305"
TLS_1_2 = (TlsVersion.TLS_1_2,)
REQUEST = "GET /{} HTTP/1.1\r\nHost: x\r\n\r\n"
LISTED = asking(allowed=(AllowedClientSpec(IdentityKind.DNS, NAME),))


def first(world: World) -> BackendServerSpec:
    return replace(FIRST, port=world.backends[0].port)


def second(world: World) -> BackendServerSpec:
    return replace(FIRST, port=world.backends[1].port, weight=0)


def away(world: World) -> BackendServerSpec:
    return BackendServerSpec(AWAY, world.away.port)


def own(world: World, plain: ListenerSpec) -> ListenerSpec:
    return plain


def elsewhere(world: World, plain: ListenerSpec) -> ListenerSpec:
    return replace(plain, address=AWAY)


CHECKS: dict[str, Check] = {
    "ListenerSpec.address": Check(elsewhere, "address", "127.0.0.1", is_answered),
    "ListenerSpec.port": Check(own, "port", lambda port: free_port(), is_answered),
    "ListenerSpec.action": Check(own, "action.servers", (), is_answered),
    "ListenerSpec.tls": Check(own, "tls", None, is_answered),
    "ListenerSpec.http2": Check(
        lambda world, plain: replace(plain, http2=True), "http2", False, agrees_on_h2
    ),
    "TlsSpec.server_certificate": Check(
        tls(server_certificate=OTHER), "tls.server_certificate", OWN, shows(OTHER)
    ),
    "TlsSpec.client": Check(asking(), "tls.client", None, keeps_out(None)),
    "TlsSpec.policy": Check(
        tls(policy=replace(DEFAULT, versions=TLS_1_2)),
        "tls.policy",
        DEFAULT,
        refuses_version(ssl.TLSVersion.TLSv1_3),
    ),
    "TlsSpec.sni": Check(tls(sni=ONE_NAME), "tls.sni", (), shows(OTHER, "a.test.com")),
    "TlsSpec.sni_algorithm": Check(
        tls(sni=DEEP, sni_algorithm=SniAlgorithm.LONGEST_SUFFIX),
        "tls.sni_algorithm",
        SniAlgorithm.WILDCARD,
        shows(OTHER, "a.b.test.com"),
    ),
    "SniCertificateSpec.certificate": Check(
        tls(sni=ONE_NAME), "tls.sni.0.certificate", OWN, shows(OTHER, "a.test.com")
    ),
    "SniCertificateSpec.names": Check(
        tls(sni=ONE_NAME), "tls.sni.0.names", ("ignored.test.com",), shows(OTHER, "a.test.com")
    ),
    "SniCertificateSpec.key_type": Check(
        tls(sni=ED25519_AND_RSA), "tls.sni.0.key_type", KeyType.ECDSA, shows(RSA, "a.test.com", RSA_SUITE)
    ),
    "TlsPolicy.versions": Check(
        tls(policy=replace(DEFAULT, versions=TLS_1_2)),
        "tls.policy.versions",
        DEFAULT.versions,
        refuses_version(ssl.TLSVersion.TLSv1_3),
    ),
    "TlsPolicy.suites": Check(
        tls(policy=replace(DEFAULT, suites=(SUITE,))),
        "tls.policy.suites",
        DEFAULT.suites,
        shows(OWN, None, SUITE),
    ),
    "ClientAuthenticationSpec.ca_bundles": Check(
        asking(ca_bundles=(CA, OTHER_CA)), "tls.client.ca_bundles", (CA,), lets_in(OTHER_CA)
    ),
    "ClientAuthenticationSpec.demand": Check(
        asking(demand=ClientDemand.OPTIONAL), "tls.client.demand", ClientDemand.REQUIRED, lets_in(None)
    ),
    "ClientAuthenticationSpec.sends_ca_names": Check(
        asking(sends_ca_names=False), "tls.client.sends_ca_names", True, names_no_ca
    ),
    "ClientAuthenticationSpec.allowed": Check(
        asking(allowed=(AllowedClientSpec(IdentityKind.DNS, "another.test.com"),)),
        "tls.client.allowed",
        None,
        keeps_out(CA),
    ),
    "AllowedClientSpec.kind": Check(LISTED, "tls.client.allowed.0.kind", IdentityKind.URI, lets_in(CA)),
    "AllowedClientSpec.value": Check(LISTED, "tls.client.allowed.0.value", "ignored.test.com", lets_in(CA)),
    "TimeoutsSpec.idle": Check(
        slow(idle=1), "timeouts.idle", TimeoutsSpec.idle, answers(REQUEST.format(""), "<closed>")
    ),
    "TimeoutsSpec.request": Check(
        slow(request=1), "timeouts.request", TimeoutsSpec.request, answers("GET /", "^HTTP/1.1 408 ")
    ),
    "TimeoutsSpec.response": Check(
        slow(response=1),
        "timeouts.response",
        TimeoutsSpec.response,
        answers(REQUEST.format("silent"), "^HTTP/1.1 504 "),
    ),
    "RedirectSpec.port": Check(redirect, "action.port", 443, redirects_to(8443)),
    "BackendServerGroupSpec.servers": Check(servers(first), "action.servers", (), is_answered),
    "BackendServerSpec.address": Check(servers(away), "action.servers.0.address", "127.0.0.1", is_answered),
    "BackendServerSpec.port": Check(servers(first), "action.servers.0.port", 1, is_answered),
    "BackendServerSpec.weight": Check(
        servers(first, second), "action.servers.1.weight", 1, only_first_backend
    ),
}

# Fields without traffic of their own, and why.
NAMES = "an id, from which Envoy's resources get their names"
CHOSEN_LATER = "no row sets it yet, so every listener has the default"
NO_TRAFFIC = {
    "ListenerSpec.id": NAMES,
    "ListenerSpec.timeouts": "its own fields are checked",
    "BackendServerGroupSpec.id": NAMES,
    "BackendServerGroupSpec.health_check": CHOSEN_LATER,
    "HealthCheckSpec.interval": CHOSEN_LATER,
    "HealthCheckSpec.timeout": CHOSEN_LATER,
    "HealthCheckSpec.healthy_threshold": CHOSEN_LATER,
    "HealthCheckSpec.unhealthy_threshold": CHOSEN_LATER,
    "ServerCertificateSpec.id": NAMES,
    "ServerCertificateSpec.chain": "TlsSpec.server_certificate tells the contents of two ids apart",
    "ServerCertificateSpec.private_key": "without it there is no handshake",
    "CaBundleSpec.id": NAMES,
    "CaBundleSpec.certificates": "ClientAuthenticationSpec.ca_bundles tells the contents of two ids apart",
    "TlsPolicy.name": "for people",
    "TlsPolicy.description": "for people",
}
