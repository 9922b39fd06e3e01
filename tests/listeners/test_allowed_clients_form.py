"""The list of allowed clients as people write it, and the certificates that are tried against it."""

from pathlib import Path

import pytest

from tests import pki as make
from tests.conftest import Pki
from tests.listeners.posted_listeners import listener_fields, listener_form

pytestmark = pytest.mark.django_db

BEGIN = "-----BEGIN CERTIFICATE-----"


def test_listener_form_names_each_line_that_is_no_client(pki: Pki) -> None:
    lines = "dns: client.example.com\n*.example.com\n\nip: nowhere"
    form = listener_form(listener_fields(pki, admission="listed", allowed_clients=lines))
    assert [sentence.partition(":")[0] for sentence in form.errors["allowed_clients"]] == ["Line 2", "Line 4"]


def test_listener_form_counts_the_clients(pki: Pki) -> None:
    lines = "\n".join(f"client-{number}.example.com" for number in range(201))
    form = listener_form(listener_fields(pki, admission="listed", allowed_clients=lines))
    assert form.errors["allowed_clients"] == ["These are 201 clients; 200 are the most for a listener."]


def test_listener_form_says_at_most_a_few_things_about_a_list(pki: Pki) -> None:
    form = listener_form(listener_fields(pki, admission="listed", allowed_clients="*\n" * 9))
    assert len(form.errors["allowed_clients"]) == 6
    assert form.errors["allowed_clients"][-1] == "4 more lines are wrong."


def test_certificates_are_tried_against_the_list(pki: Pki, tmp_path: Path) -> None:
    # fmt: off
    named = make.issue(tmp_path, "named", pki.modern.ca, subject="/CN=named", extensions=(
        *make.CLIENT_EXTENSIONS, "subjectAltName=DNS:client.example.com",
    ))
    # fmt: on
    tried = named.certificate_pem + "words between" + pki.modern.client.certificate_pem
    form = listener_form(
        listener_fields(
            pki, admission="listed", allowed_clients="client.example.com", tried_certificates=tried
        )
    )
    assert form.is_valid(), form.errors
    faults, (first, second) = form.admission_findings
    assert faults == []
    assert (first.subject, first.enters, first.sentence) == (
        "CN=named",
        True,
        "enters, by the line dns: client.example.com.",
    )
    assert (second.enters, second.sentence) == (False, "is refused: no line is in it.")
    for line in second.could_be:
        again = listener_form(
            listener_fields(pki, admission="listed", allowed_clients=line, tried_certificates=tried)
        )
        assert [trial.enters for trial in again.admission_findings[1]] == [False, True]
    assert second.could_be


@pytest.mark.parametrize(
    "tried", ["words", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "\0"]
)
def test_what_is_no_certificate_cannot_be_tried(pki: Pki, tried: str) -> None:
    fields = {"admission": "listed", "allowed_clients": "a.example.com", "tried_certificates": tried}
    assert set(listener_form(listener_fields(pki, **fields)).errors) == {"tried_certificates"}
