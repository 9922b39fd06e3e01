"""Nobody without a good client certificate is ever answered: the ways in which Envoy would fail open."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from listeners.admission import entry_from_line
from listeners.dataplane.binary import envoy_binary
from listeners.rendering import envoy as rendering
from listeners.rendering.envoy import client_authentication, tls
from listeners.spec import (
    CaBundleSpec,
    ClientAuthenticationSpec,
    ClientDemand,
    ConfigurationSpec,
    ListenerSpec,
    SpecError,
)
from tests.backend import Backend
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab, configuration, envoy_lab, https
from tests.pki import (
    CLIENT_EXTENSIONS,
    KeyPair,
    expired_client,
    foreign_client,
    issue,
    server_usage_client,
    short_lived_client,
)
from tests.ports import free_port
from tests.s_client import s_client
from tests.tls_client import TlsClient
from tests.waiting import eventually

VERSIONS = ("tls1_2", "tls1_3")
LIFETIMES = (4, 8, 16, 32)  # seconds
# The package has a function of this name.
RESOURCES = import_module("listeners.rendering.envoy.resources")


def status(port: int, client: KeyPair | None = None, *options: str) -> int:
    certificate = ("--cert", client.certificate, "--key", client.key) if client else ()
    return curl("-k", *certificate, *options, f"https://127.0.0.1:{port}/").status


@pytest.mark.parametrize("version", VERSIONS)
def test_clients_of_a_mutual_listener(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path, version: str
) -> None:
    listener = https(1, free_port(), backend.port, ca=2)
    lab.apply(configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca}))
    lab.wait_served(listener)
    clients = {
        "good": pki.modern.client,
        "none": None,
        "of another CA with the same name": foreign_client(tmp_path),
        "expired": expired_client(tmp_path, pki.modern.ca),
        "for servers only": server_usage_client(tmp_path, pki.modern.ca),
    }

    statuses = {name: s_client(listener.port, version, client=one).status for name, one in clients.items()}

    assert statuses == {
        "good": 200,
        "none": 0,
        "of another CA with the same name": 0,
        "expired": 0,
        "for servers only": 0,
    }


def test_guide_certificates_of_version_1_and_sha1_are_served(
    lab: EnvoyLab, backend: Backend, pki: Pki
) -> None:
    listener = https(2, free_port(), backend.port, ca=2)
    lab.apply(configuration(listener, server=pki.guide.server, cas={2: pki.guide.ca}))
    lab.wait_served(listener)
    url = f"https://127.0.0.1:{listener.port}/"
    client = pki.guide.client

    answer = curl("-k", "--cert", client.certificate, "--key", client.key, url, sha1=True)

    assert (answer.status, curl("-k", url, sha1=True).status) == (200, 0)


@pytest.mark.parametrize(
    "content", ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_ca_bundle_without_a_certificate_cannot_be_expressed(content: str) -> None:
    with pytest.raises(SpecError):
        CaBundleSpec(1, content)


def asking(listener: ListenerSpec, demand: ClientDemand) -> ListenerSpec:
    assert listener.tls
    return replace(listener, tls=replace(listener.tls, client=ClientAuthenticationSpec((2,), demand)))


def listing(line: str) -> ClientAuthenticationSpec:
    return ClientAuthenticationSpec((2,), allowed=(entry_from_line(line),))


def told(listener: ListenerSpec, client: KeyPair | None) -> str:
    return TlsClient(client=client).ask(listener.port).verdict


WAYS = {
    **{demand.value: ClientAuthenticationSpec((2,), demand) for demand in ClientDemand},
    # Whom these name is the client that knocks.
    "listed by subject": listing("subject: CN=client,O=ELB"),
    "listed by DNS name": listing("dns: client.test.com"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trusted", ["nothing", "missing", "anything"])
def test_nobody_is_verified_when_envoy_has_no_ca(
    lab: EnvoyLab,
    backend: Backend,
    pki: Pki,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trusted: str,
    way: str,
) -> None:
    """Without the guard Envoy answers 200 on a mutual listener to a client with no certificate at all."""
    client = WAYS[way]
    listener = https(3, free_port(), backend.port)
    assert listener.tls
    listener = replace(listener, tls=replace(listener.tls, client=client))
    names = [*CLIENT_EXTENSIONS, "subjectAltName=DNS:client.test.com"]
    known = issue(tmp_path, "known", pki.modern.ca, subject="/O=ELB/CN=client", extensions=names)
    if trusted != "missing":

        def without_ca(client: ClientAuthenticationSpec, bundles: object) -> Secret:
            secret = Secret(name=client_authentication.trust_name(client))
            context = secret.validation_context
            context.SetInParent()
            if trusted == "anything":
                context.trusted_ca.inline_string = pki.guide.ca.certificate_pem
                context.trust_chain_verification = context.ACCEPT_UNTRUSTED
            return secret

        monkeypatch.setattr(RESOURCES, "trust_message", without_ca)
    else:

        def not_asking(context: DownstreamTlsContext, *arguments: Any) -> None:
            client_authentication.demand(context, *arguments)
            context.common_tls_context.ClearField("validation_context_sds_secret_config")

        monkeypatch.setattr(tls, "demand", not_asking)
    lab.apply(configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca}))
    eventually(lambda: lab.served().get("listener-3"), "the broken listener is served")

    verdicts = {told(listener, None), told(listener, known)}

    # Where a certificate is required, not even an error is answered.
    statuses = {status(listener.port), status(listener.port, known)}
    if client.demand == ClientDemand.REQUIRED:
        assert (verdicts, statuses) == ({""}, {0})
    assert "SUCCESS" not in verdicts
    lab.apply(ConfigurationSpec(0))
    lab.wait_gone(3)


@pytest.mark.parametrize("demand", ClientDemand)
@pytest.mark.parametrize("content", ["garbled", "truncated"])
def test_broken_ca_changes_nothing(
    lab: EnvoyLab,
    backend: Backend,
    pki: Pki,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    demand: ClientDemand,
) -> None:
    """Should one ever be rendered: it is refused before Envoy has it, and the CA before it still counts."""
    listener, foreign = asking(https(8, free_port(), backend.port), demand), foreign_client(tmp_path)
    good = configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca})
    lab.apply(good)
    lab.wait_served(listener)
    before = [told(listener, one) for one in (pki.modern.client, foreign, None)]
    whole = client_authentication.trust_message

    def broken(client: ClientAuthenticationSpec, bundles: Mapping[int, CaBundleSpec]) -> Secret:
        secret = whole(client, bundles)
        text = secret.validation_context.trusted_ca.inline_string
        changed = text[: len(text) // 2] if content == "truncated" else text.replace("MII", "AAAA", 1)
        secret.validation_context.trusted_ca.inline_string = changed
        return secret

    monkeypatch.setattr(RESOURCES, "trust_message", broken)
    lab.apply(replace(good, ca_bundles={2: CaBundleSpec(2, pki.guide.ca.certificate_pem)}))
    reason = eventually(lambda: lab.reported_refusal(8), "the broken CA is refused")

    assert "certificate" in reason
    assert [told(listener, one) for one in (pki.modern.client, foreign, None)] == before
    assert (
        before
        == {
            ClientDemand.REQUIRED: ["SUCCESS", "", ""],
            ClientDemand.OPTIONAL: ["SUCCESS", "", "NONE"],
            ClientDemand.UNVERIFIED: ["SUCCESS", "FAILED", "NONE"],
        }[demand]
    )
    monkeypatch.undo()
    lab.apply(ConfigurationSpec(0))
    lab.wait_gone(8)


@pytest.mark.parametrize("demand", ClientDemand)
def test_replaced_ca_counts_at_once(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path, demand: ClientDemand
) -> None:
    listener, foreign = asking(https(9, free_port(), backend.port), demand), foreign_client(tmp_path)
    other = KeyPair(tmp_path / "foreign" / "ca.crt", tmp_path / "foreign" / "ca.key")
    verdicts = []
    for ca in (pki.modern.ca, other):
        lab.apply(configuration(listener, server=pki.modern.server, cas={2: ca}))
        lab.wait_served(listener)
        verdicts.append([told(listener, one) for one in (pki.modern.client, foreign)])

    bad = "FAILED" if demand == ClientDemand.UNVERIFIED else ""
    assert verdicts == [["SUCCESS", bad], [bad, "SUCCESS"]]


def test_ways_to_check_that_differ_are_secrets_of_their_own() -> None:
    """Envoy has one answer for a secret's name, whatever listener asks; the allow-list is no part of it."""
    clients = [
        ClientAuthenticationSpec(ids, demand, sends_ca_names=sends)
        for ids, demand, sends in product([(1, 2), (12,)], ClientDemand, [True, False])
    ]
    same = {ClientDemand.REQUIRED: "checked", ClientDemand.OPTIONAL: "checked"}
    kinds = {(one.ca_bundles, same.get(one.demand, one.demand), one.sends_ca_names) for one in clients}

    assert len({client_authentication.trust_name(one) for one in clients}) == len(kinds)


def test_misspelt_field_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="require_client_certifcate"):
        DownstreamTlsContext(require_client_certifcate=True)


def test_preflight_refuses_an_unknown_field() -> None:
    """Should a field ever come from elsewhere: unlike a running Envoy, the pre-flight is strict."""
    bootstrap = {"static_resources": {"listeners": [{"name": "x", "require_client_certifcate": True}]}}
    outcome = subprocess.run(
        [envoy_binary(), "--mode", "validate", "--config-yaml", json.dumps(bootstrap)], capture_output=True
    )
    assert outcome.returncode != 0


def test_rendered_configuration_has_no_key_twice_and_shares_no_ticket_keys(pki: Pki) -> None:
    listener = https(4, 8443, 80, ca=2)
    wanted = configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca})
    text = json.dumps(rendering.plain(rendering.bootstrap_for_validation((listener,), wanted)))
    names: list[str] = []

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        assert len(found) == len(dict(found))
        names.extend(name for name, _ in found)
        return dict(found)

    json.loads(text, object_pairs_hook=pairs)

    assert "require_client_certificate" in names
    assert not [name for name in names if name.startswith("session_ticket_keys")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("demand", ClientDemand)
def test_session_of_a_one_way_listener_is_resumed_by_none_that_asks(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path, demand: ClientDemand, version: str
) -> None:
    """Pitfall B1: on another listener, on the same one after its change, and after a restart of Envoy."""
    one_way = https(5, free_port(), backend.port)
    other = asking(https(6, free_port(), backend.port), demand)
    cas = {2: pki.modern.ca}
    lab.apply(configuration(one_way, other, server=pki.modern.server, cas=cas))
    lab.wait_served(one_way, other)
    session = tmp_path / "session"
    assert s_client(one_way.port, version, save=session).status == 200
    assert s_client(one_way.port, version, resume=session).resumed  # or the test would show nothing

    found = [s_client(other.port, version, resume=session)]
    changed = replace(one_way, tls=other.tls)
    lab.apply(configuration(changed, other, server=pki.modern.server, cas=cas))
    lab.wait_served(changed)
    found.append(s_client(changed.port, version, resume=session))
    lab.envoy.stop()
    lab.envoy.ensure()
    lab.wait_served(changed)
    found.append(s_client(changed.port, version, resume=session))

    status = 0 if demand == ClientDemand.REQUIRED else 200
    assert [(one.status, one.resumed) for one in found] == [(status, False)] * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_session_of_a_client_that_has_expired_or_lost_its_ca_opens_nothing(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path, version: str
) -> None:
    """Pitfall B2: there is nothing to resume, so every connection is verified anew."""
    listener = https(7, free_port(), backend.port, ca=2)
    lab.apply(configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca}))
    lab.wait_served(listener)
    sessions = {"expired": tmp_path / "expired", "removed": tmp_path / "removed"}
    short = client_for_a_moment(listener, version, pki.modern.ca, sessions["expired"])
    assert s_client(listener.port, version, client=pki.modern.client, save=sessions["removed"]).status == 200

    def reconnected(name: str, client: KeyPair) -> tuple[int, bool]:
        session = sessions[name] if sessions[name].exists() and sessions[name].stat().st_size else None
        connection = s_client(listener.port, version, client=client, resume=session)
        return connection.status, connection.resumed

    again = reconnected("removed", pki.modern.client)
    expired = eventually(
        lambda: (found := reconnected("expired", short))[0] == 0 and found,
        "the client certificate expires",
        LIFETIMES[-1] + 15,
    )
    other_ca = {2: pki.guide.ca}
    lab.apply(configuration(listener, server=pki.modern.server, cas=other_ca))
    lab.wait_served(listener)

    assert again == (200, False)
    assert expired == (0, False)
    assert reconnected("removed", pki.modern.client) == (0, False)


def client_for_a_moment(listener: ListenerSpec, version: str, ca: KeyPair, session: Path) -> KeyPair:
    """A client that was let in, with a session, and soon expires: later where the machine is slow."""
    for seconds in LIFETIMES:
        client = short_lived_client(session.parent, ca, timedelta(seconds=seconds), f"short-{seconds}")
        if s_client(listener.port, version, client=client, save=session).status == 200:
            return client
    raise AssertionError("No client got in before its certificate expired.")


def test_public_ca_opens_no_private_listener(pki: Pki, backend: Backend, tmp_path: Path) -> None:
    """Pitfall F1: a CA that the system trusts is not trusted by a listener that names another."""
    public = foreign_client(tmp_path, subject="/O=Public CA")
    public_ca = tmp_path / "foreign" / "ca.crt"
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(public_ca)
    try:
        with envoy_lab() as lab:
            listener = https(1, free_port(), backend.port, ca=2)
            lab.apply(configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca}))
            lab.wait_served(listener)

            assert (status(listener.port, public), status(listener.port, pki.modern.client)) == (0, 200)
    finally:
        os.environ.pop("SSL_CERT_FILE")
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before
