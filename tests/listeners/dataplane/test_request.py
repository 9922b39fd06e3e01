"""One request to a listener, told apart by what comes back (pitfall A5)."""

import ssl
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from listeners.dataplane.request import Answer, Identity, Outcome, ask
from listeners.spec import ListenerSpec
from listeners.tls_policies import BY_NAME, DEFAULT
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import EnvoyLab, configuration, http, https
from tests.listeners.test_served import fingerprint, tls_server
from tests.pki import CertificateSet, KeyPair, expired_client, foreign_client
from tests.ports import free_port

VERSIONS = pytest.mark.parametrize(
    ("policy", "version"), [(BY_NAME["tls-1-2-fs"], "TLSv1.2"), (DEFAULT, "TLSv1.3")], ids=["1.2", "1.3"]
)


def identity(pair: KeyPair) -> Identity:
    return Identity(pair.certificate_pem, pair.key_pem)


def serve(lab: EnvoyLab, spec: ListenerSpec, made: CertificateSet) -> None:
    lab.apply(configuration(spec, server=made.server, cas={2: made.ca}))
    lab.wait_served(spec)


@VERSIONS
@pytest.mark.parametrize("name", ["guide", "modern"])
def test_client_is_admitted_with_its_certificate_alone(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path, name: str, policy: object, version: str
) -> None:
    made: CertificateSet = getattr(pki, name)
    spec = https(1, free_port(), backend.port, ca=2)
    spec = replace(spec, tls=replace(spec.tls, policy=policy))
    serve(lab, spec, made)
    backend.forget()

    admitted = ask("127.0.0.1", spec.port, "localhost", identity(made.client), [fingerprint(made.server)])
    others = {
        "nothing": ask("127.0.0.1", spec.port, "localhost"),
        "foreign": ask("127.0.0.1", spec.port, "localhost", identity(foreign_client(tmp_path))),
        "expired": ask("127.0.0.1", spec.port, "localhost", identity(expired_client(tmp_path, made.ca))),
    }

    assert (admitted.outcome, admitted.status_line, admitted.tls_version, admitted.is_of_envoy) == (
        Outcome.ANSWERED,
        "HTTP/1.1 200 OK",
        version,
        False,
    )
    assert ("content-type", "application/json") in admitted.headers
    assert [(one.method, one.headers["HOST"]) for one in backend.requests] == [
        ("GET", f"localhost:{spec.port}")
    ]
    assert {who: one.outcome for who, one in others.items()} == dict.fromkeys(others, Outcome.REFUSED)
    assert [who for who, one in others.items() if not one.reason or one.status] == []


def test_envoy_answers_itself_where_no_backend_server_does(lab: EnvoyLab, pki: Pki) -> None:
    spec = https(1, free_port(), free_port(), ca=2, address="0.0.0.0")
    serve(lab, spec, pki.modern)

    answer = ask("0.0.0.0", spec.port, "localhost", identity(pki.modern.client))

    assert (answer.outcome, answer.status, answer.is_of_envoy) == (Outcome.ANSWERED, 503, True)


def test_without_a_certificate_a_one_way_listener_admits(lab: EnvoyLab, backend: Backend, pki: Pki) -> None:
    spec = https(1, free_port(), backend.port)
    serve(lab, spec, pki.modern)

    assert ask("127.0.0.1", spec.port, "localhost").status == 200


def test_nothing_listens() -> None:
    assert ask("127.0.0.1", free_port(), "localhost") == Answer(Outcome.FAILED, "Nothing listens there.")


def test_plain_http_listens(lab: EnvoyLab, backend: Backend) -> None:
    spec = http(1, free_port(), backend.port)
    lab.apply(configuration(spec))
    lab.wait_served(spec)

    answer = ask("127.0.0.1", spec.port, "localhost")

    assert (answer.outcome, "TLS handshake" in answer.reason) == (Outcome.FAILED, True), answer


def test_another_server_is_asked_nothing(pki: Pki) -> None:
    heard: list[bytes] = []
    with tls_server(pki.guide.server, ssl.TLSVersion.TLSv1_3, heard) as port:
        answer = ask(
            "127.0.0.1", port, "localhost", identity(pki.modern.client), [fingerprint(pki.modern.server)]
        )
    assert (answer.outcome, heard) == (Outcome.FAILED, [b""])
    assert "another certificate" in answer.reason


def test_what_answers_speaks_no_http(pki: Pki) -> None:
    """It reads the request and goes away: nobody is told to have been admitted."""
    heard: list[bytes] = []
    with tls_server(pki.guide.server, ssl.TLSVersion.TLSv1_3, heard) as port:
        answer = ask("127.0.0.1", port, "localhost")
    assert (answer.outcome, heard[0][:16]) == (Outcome.REFUSED, b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("address", ["192.0.2.1", "169.254.169.254", "2001:db8::1"])
def test_request_never_leaves_this_machine(address: str) -> None:
    """Pitfall K7."""
    answer = ask(address, 443, "localhost")
    assert (answer.outcome, "does not have the address" in answer.reason) == (Outcome.FAILED, True)


def test_key_is_in_no_repr_and_in_no_file_with_a_name(pki: Pki) -> None:
    """All that is opened meanwhile is a number: a file in memory."""
    opened: list[object] = []
    is_watching = True

    def watch(event: str, details: tuple[object, ...]) -> None:
        if event == "open" and is_watching:
            opened.append(details[0])

    sys.addaudithook(watch)
    client = identity(pki.modern.client)
    with tls_server(pki.modern.server, ssl.TLSVersion.TLSv1_3, []) as port:
        opened.clear()
        answer = ask("127.0.0.1", port, "localhost", client)
        found = list(opened)
    is_watching = False
    assert [type(one) for one in found] == [int]
    assert pki.modern.client.key_pem not in f"{client!r} {answer!r}"
