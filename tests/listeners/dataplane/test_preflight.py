"""What Envoy is asked before a listener is handed over, and how often."""

import stat
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from listeners.dataplane import preflight as preflight_module
from listeners.dataplane import vouching
from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.preflight import Preflight, Verdict
from listeners.dataplane.reasons import WITHHELD, explained, quotable
from listeners.rendering import envoy as rendering
from listeners.spec import ConfigurationSpec, HealthCheckSpec, ListenerSpec, ServerCertificateSpec
from listeners.tls_policies import TlsPolicy, TlsVersion
from tests.conftest import Pki
from tests.envoy_lab import configuration, group, https

# Writes down its arguments and the names of open files, then is Envoy.
RECORDER = """#!/bin/sh
echo "$*" >> {calls}
ls -l /proc/self/fd | sed 's/.*-> //' >> {files}
exec {envoy} "$@"
"""


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Preflight, Path, Path]:
    """A pre-flight, the file of its calls and the file of what was open in them."""
    calls, files, program = tmp_path / "calls", tmp_path / "files", tmp_path / "envoy"
    program.write_text(RECORDER.format(calls=calls, files=files, envoy=envoy_binary()))
    program.chmod(stat.S_IRWXU)
    return Preflight(program), calls, files


def refusals(
    preflight: Preflight, wanted: ConfigurationSpec, asked: Collection[int] | None = None
) -> dict[int, str]:
    rendered = {resource.key: resource for resource in rendering.resources(wanted)}
    return preflight.refusals(wanted, rendered, asked)


def test_contents_are_tried_once_and_together(recorded: tuple[Preflight, Path, Path], pki: Pki) -> None:
    preflight, calls, _ = recorded
    listeners = [https(number, 8000 + number, 80) for number in range(1, 6)]
    wanted = configuration(*listeners, server=pki.modern.server)
    assert refusals(preflight, wanted) == {}
    assert refusals(preflight, wanted) == {}
    changed = replace(wanted, listeners=(replace(listeners[0], port=9000), *listeners[1:]))

    assert refusals(preflight, changed) == {}

    assert len(calls.read_text().splitlines()) == 2


def test_listeners_that_were_not_read_are_not_tried(recorded: tuple[Preflight, Path, Path], pki: Pki) -> None:
    """Nor is their verdict forgotten; that of a listener which is gone is."""
    preflight, calls, _ = recorded
    one, other = https(1, 8001, 80), https(2, 8002, 80)
    refusals(preflight, configuration(one, other, server=pki.modern.server))
    refusals(preflight, configuration(other, server=pki.modern.server), asked={2})
    refusals(preflight, configuration(one, other, server=pki.modern.server))
    before = len(calls.read_text().splitlines())
    refusals(preflight, configuration(), asked={1})
    refusals(preflight, configuration(one, other, server=pki.modern.server))
    assert (before, len(calls.read_text().splitlines())) == (1, 2)


def test_culprit_is_found_in_a_batch(pki: Pki) -> None:
    bad = ServerCertificateSpec(2, pki.modern.server.certificate_pem, pki.guide.server.key_pem)
    listeners = [https(number, 8000 + number, 80) for number in range(1, 8)]
    listeners[4] = replace(listeners[4], tls=replace(listeners[4].tls, server_certificate=2))
    wanted = configuration(*listeners, server=pki.modern.server)
    wanted = replace(wanted, server_certificates={**wanted.server_certificates, 2: bad})

    found = refusals(Preflight(envoy_binary()), wanted)

    assert list(found) == [5]
    assert "private key" in found[5].lower() or "KEY_" in found[5]


def test_refusal_reads_the_same_each_time(pki: Pki) -> None:
    """Another reason counts as news: it would hold back the removals of the same look."""
    mixed = replace(pki.modern.server, key=pki.guide.server.key)
    wanted = configuration(https(1, 8000, 80), server=mixed)
    first, second = (refusals(Preflight(envoy_binary()), wanted) for _ in range(2))
    assert first == second
    assert first[1].startswith("error initializing configuration")


def test_new_secret_is_tried_with_each_kind_of_listener_that_uses_it(pki: Pki) -> None:
    """Three are alike; the other has a policy of its own."""
    alike = [https(number, 8000 + number, 80) for number in range(1, 4)]
    other = https(4, 8004, 80)
    policy = TlsPolicy("", (TlsVersion.TLS_1_2,), ("ECDHE-RSA-AES256-GCM-SHA384",), "")
    other = replace(other, tls=replace(other.tls, policy=policy))
    counted = Counted(envoy_binary())
    assert refusals(counted, configuration(*alike, other, server=pki.guide.server)) == {}
    tried = len(counted.tried)

    found = refusals(counted, configuration(*alike, other, server=pki.modern.server))

    assert (tried, counted.tried[tried:]) == (1, [[1, 4]])
    assert found == {}


def test_secret_that_is_refused_is_tried_with_every_listener_that_uses_it(pki: Pki) -> None:
    wanted = configuration(*(https(n, 8000 + n, 80) for n in range(1, 4)), server=pki.modern.server)
    counted = Counted(envoy_binary())
    refusals(counted, wanted)
    bad = ServerCertificateSpec(1, pki.guide.server.certificate_pem, pki.modern.server.key_pem)

    found = refusals(counted, replace(wanted, server_certificates={1: bad}))

    assert list(found) == [1, 2, 3]
    assert counted.tried == [[1, 2, 3], [1], [2, 3], [2], [3]]


def test_refused_listener_does_not_pass_with_a_new_secret(pki: Pki) -> None:
    good, bad = https(1, 8001, 80), https(2, 8002, 80)
    bad = replace(bad, action=replace(group(2, 80), health_check=HealthCheckSpec(interval=0)))
    preflight = Preflight(envoy_binary())
    before = refusals(preflight, configuration(good, bad, server=pki.guide.server))
    after = refusals(preflight, configuration(good, bad, server=pki.modern.server))
    assert (list(before), list(after)) == ([2], [2])


def vouched_for(preflight: Preflight, wanted: ConfigurationSpec) -> Preflight:
    """A pre-flight that another, of the same program, has told what passed of the first listener."""
    voucher = Preflight(preflight.binary).voucher(wanted.listeners[0], wanted)
    heard = vouching.read(voucher.message)
    assert heard == voucher
    preflight.take(heard)
    return preflight


def test_content_that_is_vouched_for_is_not_tried_again(pki: Pki) -> None:
    """One listener's, with its key, CA and backend servers; the other is tried."""
    one, other = https(1, 8001, 80, ca=2), https(2, 8002, 80)
    wanted = configuration(one, other, server=pki.modern.server, cas={2: pki.modern.ca})
    counted = Counted(envoy_binary())
    assert refusals(vouched_for(counted, wanted), wanted) == {}
    assert refusals(counted, wanted) == {}
    assert counted.tried == [[2]]


def test_voucher_is_spent_with_the_next_look(pki: Pki) -> None:
    """Also when that found something else."""
    one = configuration(https(1, 8001, 80), server=pki.modern.server)
    other = configuration(https(1, 8002, 80), server=pki.modern.server)
    counted = vouched_for(Counted(envoy_binary()), one)
    assert [refusals(counted, wanted) for wanted in (other, one)] == [{}, {}]
    assert counted.tried == [[1], [1]]


@pytest.mark.parametrize("part", ["listener", "key", "CA", "backend server", "health check"])
def test_voucher_for_other_content_counts_for_nothing(pki: Pki, part: str) -> None:
    """Only what it speaks of was tried; the rest is the same to the last byte."""
    spec = https(1, 8001, 80, ca=2)
    wanted = configuration(spec, server=pki.modern.server, cas={2: pki.modern.ca})
    other_key = ServerCertificateSpec(1, pki.modern.server.certificate_pem, pki.guide.server.key_pem)
    changed = {
        "listener": replace(wanted, listeners=(replace(spec, port=8002),)),
        "key": replace(wanted, server_certificates={1: other_key}),
        "CA": configuration(spec, server=pki.modern.server, cas={2: pki.guide.ca}),
        "backend server": replace(wanted, listeners=(replace(spec, action=group(1, 81)),)),
        "health check": replace(
            wanted,
            listeners=(
                replace(spec, action=replace(group(1, 80), health_check=HealthCheckSpec(interval=0))),
            ),
        ),
    }[part]
    counted = Counted(envoy_binary())
    found = refusals(vouched_for(counted, wanted), changed)
    assert counted.tried == [[1]]
    assert set(found) == ({1} if part in ("key", "health check") else set())


def test_voucher_of_another_program_counts_for_nothing(tmp_path: Path, pki: Pki) -> None:
    """Such as the Envoy before it was replaced at the same place."""
    wanted = configuration(https(1, 8001, 80), server=pki.modern.server)
    program = tmp_path / "envoy"
    program.write_text(f'#!/bin/sh\nexec {envoy_binary()} "$@"\n')
    program.chmod(stat.S_IRWXU)
    counted = vouched_for(Counted(program), wanted)
    program.write_text('#!/bin/sh\necho "not this one" >&2\nexit 1\n')
    assert refusals(counted, wanted) == {1: "not this one"}


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"!",
        b"passed 1 " + b"0" * 63,
        b"passed 1 " + b"G" * 64,
        b"passed -1 " + b"0" * 64,
        b"passed 1 " + b"0" * 64 + b"\n",
        b"passed " + b"1" * 19 + b" " + b"0" * 64,
        b"\xff" * 8,
    ],
)
def test_message_that_is_no_voucher_is_none(message: bytes) -> None:
    assert vouching.read(message) is None


def test_only_so_many_vouchers_wait(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_module, "MOST_VOUCHERS", 2)
    wanted = configuration(*(https(n, 8000 + n, 80) for n in (1, 2, 3)), server=pki.modern.server)
    counted = Counted(envoy_binary())
    for spec in wanted.listeners:
        counted.take(Preflight(counted.binary).voucher(spec, wanted))
    assert refusals(counted, wanted) == {}
    assert counted.tried == [[1]]


class Counted(Preflight):
    """The real one, which also writes down whom it has Envoy validate together."""

    def __init__(self, binary: Path) -> None:
        super().__init__(binary)
        self.tried: list[list[int]] = []

    def _validate(self, listeners: Sequence[ListenerSpec], configuration: ConfigurationSpec) -> Verdict:
        self.tried.append([spec.id for spec in listeners])
        return super()._validate(listeners, configuration)


def test_interrupted_trial_is_made_up_for(tmp_path: Path, pki: Pki) -> None:
    """A program that was killed has said nothing about the configuration."""
    program, killed = tmp_path / "envoy", tmp_path / "killed"
    program.write_text(
        f'#!/bin/sh\n[ -e {killed} ] || {{ touch {killed}; kill -9 $$; }}\nexec {envoy_binary()} "$@"\n'
    )
    program.chmod(stat.S_IRWXU)
    preflight, wanted = Preflight(program), configuration(https(1, 8001, 80), server=pki.modern.server)
    assert list(refusals(preflight, wanted)) == [1]
    assert refusals(preflight, wanted) == {}


def test_private_key_travels_in_memory_only(recorded: tuple[Preflight, Path, Path], pki: Pki) -> None:
    preflight, calls, files = recorded
    refusals(preflight, configuration(https(1, 8001, 80), server=pki.modern.server))
    assert "PRIVATE KEY" not in calls.read_text()
    assert "/memfd:preflight (deleted)" in files.read_text().splitlines()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot bind '0.0.0.0:80': Permission denied", "cannot bind '0.0.0.0:80': Permission denied"),
        ("bad: -----BEGIN PRIVATE KEY-----\nMIGH", WITHHELD),
        ('Unable to parse JSON: {"private_key":{"inline_string":"MIGH"}}', WITHHELD),
        ("x" * 3000, "x" * 2000),
    ],
)
def test_text_that_quotes_configuration_is_not_shown(text: str, shown: str) -> None:
    assert quotable(text) == shown


@pytest.mark.parametrize(
    ("reason", "beginning", "remedy"),
    [
        (
            "cannot bind '0.0.0.0:443': Permission denied",
            "Envoy may not open 0.0.0.0:443:",
            "sudo setcap cap_net_bind_service=+ep /opt/envoy",
        ),
        (
            "cannot bind '[::1]:8443': Address already in use",
            "Another program on this machine already uses [::1]:8443.",
            "",
        ),
        (
            "cannot bind '192.0.2.7:80': Cannot assign requested address",
            "192.0.2.7:80 is not an address of this machine.",
            "",
        ),
        ("something new", "Envoy refuses this listener; its own words are below.", ""),
    ],
)
def test_reasons_are_explained(reason: str, beginning: str, remedy: str) -> None:
    explanation = explained(reason, "/opt/envoy")
    assert (explanation.sentence[: len(beginning)], explanation.remedy) == (beginning, remedy)
