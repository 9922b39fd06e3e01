"""Nobody without a good client certificate is ever answered: the ways in which Envoy would fail open."""

import json
import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from listeners.dataplane.binary import envoy_binary
from listeners.rendering import envoy as rendering
from listeners.rendering.envoy import messages
from listeners.spec import CaBundleSpec, ConfigurationSpec, SpecError
from tests.backend import Backend
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab, configuration, envoy_lab, https
from tests.pki import KeyPair, expired_client, foreign_client, server_usage_client, short_lived_client
from tests.ports import free_port
from tests.s_client import s_client
from tests.waiting import eventually

VERSIONS = ("tls1_2", "tls1_3")


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


@pytest.mark.parametrize("trusted", ["nothing", "missing"])
def test_guard_refuses_everyone_when_envoy_has_no_ca(
    lab: EnvoyLab, backend: Backend, pki: Pki, monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    """Without the guard Envoy answers 200 here to a client with no certificate at all."""
    listener = https(3, free_port(), backend.port, ca=2)
    wanted = configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca})
    if trusted == "nothing":
        empty = messages.Secret(name="ca-2")
        empty.validation_context.SetInParent()
        monkeypatch.setattr(messages, "ca_bundle_message", lambda spec: empty)
        monkeypatch.setattr(CaBundleSpec, "version", property(lambda self: "broken"))
    else:
        whole = messages.tls_context

        def without_ca(*arguments: object) -> DownstreamTlsContext:
            context = whole(*arguments)
            context.common_tls_context.ClearField("validation_context_sds_secret_config")
            return context

        monkeypatch.setattr(messages, "tls_context", without_ca)
    lab.apply(wanted)
    eventually(lambda: lab.served().get("listener-3"), "the broken listener is served")

    statuses = {status(listener.port), status(listener.port, pki.modern.client)}

    assert statuses == {0}
    lab.apply(ConfigurationSpec(0))
    lab.wait_gone(3)


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
def test_session_of_a_one_way_listener_opens_no_mutual_one(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path, version: str
) -> None:
    """Pitfall B1: on another listener, on the same one after its change, and after a restart of Envoy."""
    one_way = https(5, free_port(), backend.port)
    mutual = https(6, free_port(), backend.port, ca=2)
    cas = {2: pki.modern.ca}
    lab.apply(configuration(one_way, mutual, server=pki.modern.server, cas=cas))
    lab.wait_served(one_way, mutual)
    session = tmp_path / "session"
    assert s_client(one_way.port, version, save=session).status == 200
    assert s_client(one_way.port, version, resume=session).resumed  # or the test would show nothing

    refused = [s_client(mutual.port, version, resume=session)]
    changed = replace(one_way, tls=mutual.tls)
    lab.apply(configuration(changed, mutual, server=pki.modern.server, cas=cas))
    lab.wait_served(changed)
    refused.append(s_client(changed.port, version, resume=session))
    lab.envoy.stop()
    lab.envoy.ensure()
    lab.wait_served(changed)
    refused.append(s_client(changed.port, version, resume=session))

    assert [(one.status, one.resumed) for one in refused] == [(0, False)] * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_session_of_a_client_that_has_expired_or_lost_its_ca_opens_nothing(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path, version: str
) -> None:
    """Pitfall B2: there is nothing to resume, so every connection is verified anew."""
    listener = https(7, free_port(), backend.port, ca=2)
    lab.apply(configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca}))
    lab.wait_served(listener)
    short = short_lived_client(tmp_path, pki.modern.ca, timedelta(seconds=4))
    sessions = {"expired": tmp_path / "expired", "removed": tmp_path / "removed"}
    assert s_client(listener.port, version, client=short, save=sessions["expired"]).status == 200
    assert s_client(listener.port, version, client=pki.modern.client, save=sessions["removed"]).status == 200

    def reconnected(name: str, client: KeyPair) -> tuple[int, bool]:
        session = sessions[name] if sessions[name].exists() and sessions[name].stat().st_size else None
        connection = s_client(listener.port, version, client=client, resume=session)
        return connection.status, connection.resumed

    again = reconnected("removed", pki.modern.client)
    expired = eventually(
        lambda: (found := reconnected("expired", short))[0] == 0 and found, "the client certificate expires"
    )
    other_ca = {2: pki.guide.ca}
    lab.apply(configuration(listener, server=pki.modern.server, cas=other_ca))
    lab.wait_served(listener)

    assert again == (200, False)
    assert expired == (0, False)
    assert reconnected("removed", pki.modern.client) == (0, False)


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
