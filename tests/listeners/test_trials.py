"""Client certificates that are tried against a list of clients and the CAs that are chosen."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from django.utils import timezone

from listeners.admission import entry_from_line
from listeners.forms.trials import NOT_VOUCHED_FOR, trials
from tests.pki import (
    CA_EXTENSIONS,
    CLIENT_EXTENSIONS,
    SERVER_EXTENSIONS,
    KeyPair,
    authority,
    issue,
    issue_between,
)

LINE = entry_from_line("dns: robot.test.com")
FOR_SERVERS = "is refused: its extendedKeyUsage has no clientAuth, so it is not for clients."
SAN = (x509.SubjectAlternativeName([x509.DNSName("robot.test.com")]), False)
NAMED = (*CLIENT_EXTENSIONS, "subjectAltName=DNS:robot.test.com")


def read(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, x509.Certificate]:
    """Of one CA and of another that has the same name."""
    folder: Path = tmp_path_factory.mktemp("trials")
    ca, foreign = authority(folder / "ca", "ca"), authority(folder / "foreign", "ca")
    middle = issue(folder, "middle", ca, subject="/CN=Middle", extensions=CA_EXTENSIONS)
    now = timezone.now()
    pairs = {
        "ca": ca,
        "foreign": foreign,
        "middle": middle,
        "good": issue(folder, "good", ca, extensions=NAMED),
        "below": issue(folder, "below", middle, extensions=NAMED),
        "other name": issue(folder, "other", ca, extensions=CLIENT_EXTENSIONS),
        "for servers": issue(
            folder, "server", ca, extensions=(*SERVER_EXTENSIONS[:3], "subjectAltName=DNS:robot.test.com")
        ),
        "early": issue_between(
            folder, "early", ca, now + timedelta(days=2), now + timedelta(days=3), extensions=[SAN]
        ),
    }
    return {name: read(pair) for name, pair in pairs.items()}


@pytest.mark.parametrize(
    ("tried", "authorities", "sentence"),
    [
        (["good"], ["ca"], "enters, by the line dns: robot.test.com."),
        (["good"], [], "enters, by the line dns: robot.test.com."),
        (["good"], ["foreign"], NOT_VOUCHED_FOR),
        (["good"], ["foreign", "ca"], "enters, by the line dns: robot.test.com."),
        (["below"], ["ca"], NOT_VOUCHED_FOR),
        (["below", "middle"], ["ca"], "enters, by the line dns: robot.test.com."),
        (["below", "middle"], ["foreign"], NOT_VOUCHED_FOR),
        (["middle"], ["ca"], "is refused: no line is in it."),
        (["other name"], ["ca"], "is refused: no line is in it."),
        (
            ["for servers"],
            ["ca"],
            "is refused: its extendedKeyUsage has no clientAuth, so it is not for clients.",
        ),
    ],
)
def test_trial_says_what_becomes_of_a_client(
    made: dict[str, x509.Certificate], tried: list[str], authorities: list[str], sentence: str
) -> None:
    found = trials([LINE], [made[name] for name in tried], [made[name] for name in authorities])
    assert [(one.enters, one.sentence) for one in found] == [(sentence.startswith("enters"), sentence)]


def test_client_that_is_not_valid_yet_is_refused(made: dict[str, x509.Certificate]) -> None:
    (trial,) = trials([LINE], [made["early"]], [made["ca"]])
    assert (trial.enters, trial.sentence[:34]) == (False, "is refused: it is not valid before")
