"""What Envoy is asked before a listener is handed over, and how often."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.preflight import Preflight
from listeners.dataplane.reasons import WITHHELD, explained, quotable
from listeners.spec import ServerCertificateSpec
from tests.conftest import Pki
from tests.envoy_lab import configuration, https

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


def test_contents_are_tried_once_and_together(recorded: tuple[Preflight, Path, Path], pki: Pki) -> None:
    preflight, calls, _ = recorded
    listeners = [https(number, 8000 + number, 80) for number in range(1, 6)]
    wanted = configuration(*listeners, server=pki.modern.server)
    assert preflight.refusals(wanted) == {}
    assert preflight.refusals(wanted) == {}
    changed = replace(wanted, listeners=(replace(listeners[0], port=9000), *listeners[1:]))

    assert preflight.refusals(changed) == {}

    assert len(calls.read_text().splitlines()) == 2


def test_culprit_is_found_in_a_batch(pki: Pki) -> None:
    bad = ServerCertificateSpec(2, pki.modern.server.certificate_pem, pki.guide.server.key_pem)
    listeners = [https(number, 8000 + number, 80) for number in range(1, 8)]
    listeners[4] = replace(listeners[4], tls=replace(listeners[4].tls, server_certificate=2))
    wanted = configuration(*listeners, server=pki.modern.server)
    wanted = replace(wanted, server_certificates={**wanted.server_certificates, 2: bad})

    refusals = Preflight(envoy_binary()).refusals(wanted)

    assert list(refusals) == [5]
    assert "private key" in refusals[5].lower() or "KEY_" in refusals[5]


def test_interrupted_trial_is_made_up_for(tmp_path: Path, pki: Pki) -> None:
    """A program that was killed has said nothing about the configuration."""
    program, killed = tmp_path / "envoy", tmp_path / "killed"
    program.write_text(
        f'#!/bin/sh\n[ -e {killed} ] || {{ touch {killed}; kill -9 $$; }}\nexec {envoy_binary()} "$@"\n'
    )
    program.chmod(stat.S_IRWXU)
    preflight, wanted = Preflight(program), configuration(https(1, 8001, 80), server=pki.modern.server)
    assert list(preflight.refusals(wanted)) == [1]
    assert preflight.refusals(wanted) == {}


def test_private_key_travels_in_memory_only(recorded: tuple[Preflight, Path, Path], pki: Pki) -> None:
    preflight, calls, files = recorded
    preflight.refusals(configuration(https(1, 8001, 80), server=pki.modern.server))
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
