"""Which client certificates a real Envoy tells to have let in: each connection once, and nobody else's."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from listeners.dataplane.connection_log import MOST_TEXT, records
from listeners.dataplane.sightings import AT_ONCE, Sighting, Sightings
from listeners.spec import (
    AllowedClientSpec,
    ClientAuthenticationSpec,
    ClientDemand,
    IdentityKind,
    ListenerSpec,
)
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import EnvoyLab, configuration, https, running
from tests.hello import client_context, connected
from tests.pki import (
    CLIENT_EXTENSIONS,
    KeyPair,
    expired_client,
    foreign_client,
    issue,
    issue_between,
)
from tests.ports import free_port
from tests.waiting import eventually

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT_AUTH = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])


def fingerprint(pair: KeyPair) -> str:
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    return certificate.fingerprint(hashes.SHA256()).hex()


def ask(listener: ListenerSpec, client: KeyPair | None, times: int = 1) -> int:
    """So many requests on one connection; the status of the last, 0 when there was none."""
    context = client_context()
    if client:
        context.load_cert_chain(client.certificate, client.key)
    with closing(HTTPSConnection("127.0.0.1", listener.port, timeout=10, context=context)) as connection:
        try:
            for _ in range(times):
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
        except OSError:  # TLS's errors and lost connections among them
            return 0
    return answer.status


def counts(seen: Sequence[Sighting]) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for one in seen:
        found[one.listener, one.fingerprint] += one.count
    return found


def served(
    lab: EnvoyLab, pki: Pki, backend: Backend, *clients: ClientAuthenticationSpec
) -> list[ListenerSpec]:
    """Listeners that ask for certificates in these ways, 1 the first; what was seen before is forgotten."""
    listeners = []
    for number, client in enumerate(clients, 1):
        listener = https(number, free_port(), backend.port, ca=2)
        assert listener.tls
        listeners.append(replace(listener, tls=replace(listener.tls, client=client)))
    lab.apply(configuration(*listeners, server=pki.modern.server, cas={2: pki.modern.ca}))
    lab.wait_served(*listeners)
    lab.sightings.clear()
    return listeners


MUTUAL = ClientAuthenticationSpec((2,))
OPTIONAL = ClientAuthenticationSpec((2,), ClientDemand.OPTIONAL)
UNVERIFIED = ClientAuthenticationSpec((2,), ClientDemand.UNVERIFIED)


def test_connection_with_a_certificate_is_counted_once_at_its_listener(
    lab: EnvoyLab, backend: Backend, pki: Pki
) -> None:
    one, other = served(lab, pki, backend, MUTUAL, MUTUAL)
    client, before = pki.modern.client, datetime.now(UTC) - timedelta(seconds=1)

    statuses = ask(one, client, times=2), ask(one, client), ask(other, client)

    digest = fingerprint(client)
    wanted = {(one.id, digest): 2, (other.id, digest): 1}
    eventually(lambda: counts(lab.sightings) == wanted, f"{wanted} are counted")
    certificate = x509.load_pem_x509_certificate(client.certificate.read_bytes())
    assert statuses == (200, 200, 200)
    assert {(s.subject, s.issuer, s.serial_number) for s in lab.sightings} == {
        ("CN=client,O=ELB", "O=ELB", f"{certificate.serial_number:040x}")
    }
    assert all(before < s.first_seen <= s.last_seen < datetime.now(UTC) for s in lab.sightings)


def test_refused_client_is_not_counted(lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path) -> None:
    """The one that is let in comes last: Envoy's worker sends its records in their order."""
    good = pki.modern.client
    listed = replace(MUTUAL, allowed=(AllowedClientSpec(IdentityKind.FINGERPRINT, fingerprint(good)),))
    mutual, admission, optional, unverified = served(lab, pki, backend, MUTUAL, listed, OPTIONAL, UNVERIFIED)
    other = issue(tmp_path, "other", pki.modern.ca, extensions=CLIENT_EXTENSIONS)
    foreign, expired = foreign_client(tmp_path), expired_client(tmp_path, pki.modern.ca)

    refused = [ask(at, client) for at in (mutual, admission, optional) for client in (foreign, expired)]
    refused += [ask(mutual, None), ask(admission, None), ask(admission, other)]
    unknown = [ask(optional, None), ask(unverified, None), ask(unverified, foreign), ask(unverified, expired)]
    for listener in (mutual, admission, optional, unverified):
        present_without_key(listener, good)
        shake_hands(listener, other)
        assert ask(listener, good) == 200

    wanted = {(at.id, fingerprint(good)): 1 for at in (mutual, admission, optional, unverified)}
    eventually(lambda: len(counts(lab.sightings)) >= len(wanted), "the good client is counted")
    assert (counts(lab.sightings), set(refused), set(unknown)) == (wanted, {0}, {200})


def present_without_key(listener: ListenerSpec, client: KeyPair) -> None:
    """What anybody can do who has seen a certificate: show it, and leave before its key is asked for."""
    context = client_context(newest=ssl.TLSVersion.TLSv1_2)
    context.load_cert_chain(client.certificate, client.key)
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, sent)
    with socket.create_connection(("127.0.0.1", listener.port)) as connection:
        flights = 0
        while flights < 2:
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            if flight := sent.read():
                flights += 1
                # The second begins with the record of the certificate.
                end = 5 + int.from_bytes(flight[3:5], "big")
                connection.sendall(flight[:end])
            if flights < 2:
                received.write(connection.recv(65536))


def shake_hands(listener: ListenerSpec, client: KeyPair) -> None:
    """Without a byte afterwards, which the list of allowed clients is asked about."""
    context = client_context()
    context.load_cert_chain(client.certificate, client.key)
    connected(listener.port, None, context).close()


HOSTILE = {
    'a\0b\n"c",O=\\é': 'CN=a\\00b\\0A\\"c\\"\\,O=\\\\\\C3\\A9',
    "%START_TIME%": "CN=%START_TIME%",
    "-": "CN=-",
    "x" * 10_000: f"CN={'x' * 10_000}"[:MOST_TEXT],
}


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_hostile_subjects_arrive_harmless_and_bounded(
    lab: EnvoyLab, backend: Backend, pki: Pki, tmp_path: Path
) -> None:
    (listener,) = served(lab, pki, backend, MUTUAL)
    now, day = datetime.now(UTC), timedelta(days=1)
    for name in HOSTILE:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name, _validate=False)])
        client = issue_between(
            tmp_path,
            "hostile",
            pki.modern.ca,
            now - day,
            now + day,
            subject=subject,
            extensions=[(CLIENT_AUTH, False)],
        )
        assert ask(listener, client) == 200

    eventually(lambda: len(lab.sightings) == len(HOSTILE), "every client is counted")
    assert [(s.subject, s.count) for s in lab.sightings] == [(one, 1) for one in HOSTILE.values()]


def test_counting_goes_on_after_the_control_plane_was_away(lab: EnvoyLab, backend: Backend, pki: Pki) -> None:
    (listener,) = served(lab, pki, backend, MUTUAL)
    lab.stop_control_plane()
    away = [ask(listener, pki.modern.client) for _ in range(3)]
    lab.start_control_plane()
    eventually(lab.is_connected, "Envoy is connected again")

    asked = 0

    def is_counted() -> bool:
        nonlocal asked
        asked += ask(listener, pki.modern.client) == 200
        return bool(lab.sightings)

    eventually(is_counted, "a connection is counted")
    assert away == [200, 200, 200]
    assert sum(counts(lab.sightings).values()) <= asked + len(away)


def test_connection_is_counted_that_an_envoy_of_another_machine_let_in(backend: Backend, pki: Pki) -> None:
    """Over the same mutual TLS by which it is fed."""
    modern, away = pki.modern, EnvoyLab()
    away.move_away("edge", free_port(), modern.server, modern.client, modern.ca)
    listener = https(1, free_port(), backend.port, ca=2)
    with running(away):
        away.apply(configuration(listener, server=modern.server, cas={2: modern.ca}))
        eventually(away.served, "it serves")
        status = ask(listener, modern.client)
        eventually(lambda: away.sightings, "the client is counted")

    assert (status, counts(away.sightings)) == (200, {(1, fingerprint(modern.client)): 1})


def batch(**said: str) -> bytes:
    request = ExportLogsServiceRequest()
    entry = request.resource_logs.add().instrumentation_library_logs.add().logs.add()
    entry.time_unix_nano = int(NOW.timestamp() * 1e9) - 2_000_000_000
    for key, text in said.items():
        attribute = entry.attributes.add()
        attribute.key, attribute.value.string_value = key, text
    return request.SerializeToString()


ADMITTED = {"listener": "listener-7", "fingerprint": "0" * 64, "verified": "allowed", "duration": "500"}


def test_times_are_those_of_the_connection_and_never_in_the_future() -> None:
    (record,) = records(batch(**ADMITTED), NOW)
    assert (record.began, record.ended) == (NOW - timedelta(seconds=2), NOW - timedelta(seconds=1.5))
    (early,) = records(batch(**ADMITTED), NOW - timedelta(days=1))
    assert (early.began, early.ended) == (NOW - timedelta(days=1), NOW - timedelta(days=1))
    (endless,) = records(batch(**ADMITTED | {"duration": "9" * 18}), NOW)
    assert endless.ended == NOW


@pytest.mark.parametrize(
    "listener",
    [
        "",
        "-",
        "7",
        "listener-",
        "listener--1",
        "listener-1.0",
        "listener-٧",
        f"listener-{'9' * 19}",
        "listener-7\n",
    ],
)
def test_record_of_no_listener_is_passed_over(listener: str) -> None:
    assert list(records(batch(**ADMITTED | {"listener": listener}), NOW)) == []


@pytest.mark.parametrize("content", [b"\xff", b"junk", b""])
def test_batch_that_is_none_is_passed_over(content: bytes) -> None:
    assert list(records(content, NOW)) == []


@pytest.mark.parametrize(
    "other",
    [
        {"verified": "denied"},
        {"verified": "-"},
        {"fingerprint": "-"},
        {"fingerprint": "zz"},
        {"termination": "rbac_access_denied_matched_policy[none]"},
    ],
)
def test_record_without_every_sign_of_admission_is_not_counted(other: dict[str, str]) -> None:
    assert [r.is_admitted for r in records(batch(**ADMITTED), NOW)] == [True]
    assert [r.is_admitted for r in records(batch(**ADMITTED | other), NOW)] == [False]


def test_control_characters_are_replaced() -> None:
    (record,) = records(batch(**ADMITTED, name="a\0b\nc\x9f"), NOW)
    assert record.server_name == "a\ufffdb\ufffdc\ufffd"


def admit(sightings: Sightings, *digits: str) -> None:
    for digit in digits:
        for record in records(batch(**ADMITTED | {"fingerprint": digit * 64}), NOW):
            sightings.take(record)


def has_written(sightings: Sightings) -> bool:
    """In a thread of its own: a browser that another test has open runs a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(sightings.write())).result()


def test_more_different_certificates_than_the_bound_are_missed_and_counted() -> None:
    written: list[Sighting] = []
    sightings = Sightings(written.extend, most=2)
    admit(sightings, *"12", *"332")

    assert has_written(sightings)

    assert [(one.fingerprint[0], one.count) for one in written] == [("1", 1), ("2", 2)]
    assert sightings.missed == 2


def test_many_are_written_in_several_turns_and_each_once() -> None:
    sizes: list[int] = []
    sightings = Sightings(lambda batch: sizes.append(len(batch)))
    for number in range(2 * AT_ONCE + 1):
        for record in records(batch(**ADMITTED | {"fingerprint": f"{number:064x}"}), NOW):
            sightings.take(record)

    assert has_written(sightings)

    assert sizes == [AT_ONCE, AT_ONCE, 1]


def test_failed_writing_loses_nothing_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    written: list[Sighting] = []
    is_away = [True]

    def write(batch: Sequence[Sighting]) -> None:
        if is_away[0]:
            raise OSError("away")
        written.extend(batch)

    sightings = Sightings(write)
    admit(sightings, *"112")
    outcomes = [has_written(sightings)]
    admit(sightings, "1")
    outcomes.append(has_written(sightings))
    is_away[0] = False
    outcomes += [has_written(sightings), has_written(sightings)]

    assert outcomes == [False, False, True, True]
    assert sorted((one.fingerprint[0], one.count) for one in written) == [("1", 3), ("2", 1)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
