"""Private keys never show: not in a repr, not in a finding, not in a form that comes back."""

from collections.abc import Callable

import pytest

from certificates.pem import examine_ca, private_keys_in, without_private_keys
from tests import pki as make
from tests.certificates.pem.pasted import KEYS, NOW, SPELLINGS, server, shows_key, without_line
from tests.conftest import Pki


def test_repr_hides_the_private_key(pki: Pki) -> None:
    verdict = server(pki.guide.server)

    assert verdict.material is not None
    assert not shows_key(repr(verdict), pki.guide.server.key_pem)
    assert not shows_key(repr(verdict.material), pki.guide.server.key_pem)


HIDING: dict[str, Callable[[Pki], str]] = {
    "alone": lambda pki: pki.guide.server.key_pem,
    "after the certificate": lambda pki: pki.guide.server.certificate_pem + pki.guide.server.key_pem,
    "between": lambda pki: (
        pki.guide.ca.certificate_pem + pki.guide.server.key_pem + pki.guide.server.certificate_pem
    ),
    "CRLF": lambda pki: pki.guide.server.key_pem.replace("\n", "\r\n"),
    "indented": lambda pki: pki.guide.server.key_pem.replace("\n", "\n   "),
    "one line": lambda pki: pki.guide.server.key_pem.replace("\n", " "),
    "cut off": lambda pki: pki.guide.server.key_pem[:900],
    "cut off before a certificate": lambda pki: (
        pki.guide.server.key_pem[:900] + pki.guide.server.certificate_pem
    ),
    "no BEGIN": lambda pki: without_line(pki.guide.server.key_pem, 1),
    "no markers": lambda pki: "\n".join(pki.guide.server.key_pem.splitlines()[1:-1]),
    "bent BEGIN": lambda pki: pki.guide.server.key_pem[2:],
    "lower case": lambda pki: pki.guide.server.key_pem.replace("BEGIN PRIVATE KEY", "begin private key"),
    "certificate's BEGIN": lambda pki: pki.guide.server.key_pem.replace(
        "BEGIN PRIVATE KEY", "BEGIN CERTIFICATE"
    ),
    "certificate's markers": lambda pki: pki.guide.server.key_pem.replace("PRIVATE KEY", "CERTIFICATE"),
    "with its numbers": lambda pki: make.run(["openssl", "pkey", "-in", str(pki.guide.server.key), "-text"]),
}


@pytest.mark.parametrize("case", HIDING)
def test_private_keys_are_cut_out_of_what_is_shown_again(case: str, pki: Pki) -> None:
    pasted = HIDING[case](pki)
    assert shows_key(pasted, pki.guide.server.key_pem)

    shown = without_private_keys(pasted)

    assert not shows_key(shown, pki.guide.server.key_pem)
    assert "PRIVATE" not in shown
    for certificate in (pki.guide.server.certificate_pem, pki.guide.ca.certificate_pem):
        assert (certificate in shown) == (certificate in pasted)


def test_the_octets_of_a_private_key_are_cut_out_too(pki: Pki) -> None:
    pasted = make.run(["openssl", "pkey", "-in", str(pki.guide.server.key), "-text", "-noout"])

    assert pasted.count(":") > 500
    assert without_private_keys(pasted).count(":") < 20


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_text_without_private_keys_stays_as_it_is(spelling: str, pki: Pki) -> None:
    text = SPELLINGS[spelling](pki.guide.server.certificate_pem)

    assert without_private_keys(text) == text.replace("\r\n", "\n").replace("\r", "\n")


def test_private_keys_in_finds_what_can_be_kept(pki: Pki) -> None:
    pair = pki.guide.server

    assert private_keys_in(pair.certificate_pem + pair.key_pem.strip()) == pair.key_pem
    assert private_keys_in(pair.certificate_pem) == ""
    assert private_keys_in(pair.key_pem[:900]) == ""
    encrypted = make.encrypted_key(pair)
    assert private_keys_in(pair.certificate_pem + encrypted) == encrypted
    assert private_keys_in("") == ""


@pytest.mark.parametrize("case", [*KEYS, *HIDING])
def test_no_finding_quotes_a_key(case: str, pki: Pki) -> None:
    pasted = (KEYS[case][0] if case in KEYS else HIDING[case])(pki)
    pair = pki.guide.server

    findings = [*server(pair, private_key=pasted).findings, *server(pair, pasted).findings]
    findings += examine_ca(pasted, NOW).findings

    assert findings
    for key in (pair.key_pem, pki.guide.client.key_pem, pki.modern.server.key_pem):
        assert not shows_key(repr(findings), key)


def test_short_last_line_of_an_unmarked_key_is_cut_out_too() -> None:
    pasted = "before\n" + "Ab3+" * 16 + "\nAb3+Ab3=\n\nand after"

    assert without_private_keys(pasted) == "before\n\n\nand after"
