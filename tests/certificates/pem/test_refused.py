"""What is refused in the content field: named for what it is, with the line where it is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from certificates.pem import Field, Verdict, examine_ca
from tests import pki as make
from tests.certificates.pem.pasted import NOW, refused, server, with_character, without_line
from tests.conftest import Pki

CONTENTS: dict[str, tuple[Callable[[str], str], str, str]] = {
    "empty": (lambda pem: "", "empty", "Paste it"),
    "blanks": (lambda pem: " \r\n\t", "empty", "Paste it"),
    "words": (lambda pem: "server.crt", "not_pem", "No certificate was found"),
    "binary": (lambda pem: "0\x82\x03\x01\x00\ufffd\ufffd", "not_pem", "No certificate was found"),
    "no markers": (lambda pem: "".join(pem.splitlines(True)[1:-1]), "not_pem", "lines are missing"),
    "no BEGIN": (lambda pem: without_line(pem, 1), "damaged", "whose BEGIN line is missing"),
    "no END": (lambda pem: "".join(pem.splitlines(True)[:-1]), "damaged", "in line 1 has no END line"),
    "cut off": (lambda pem: "\n\n" + pem[:400], "damaged", "in line 3 has no END line"),
    "four hyphens": (lambda pem: pem[1:], "damaged", "The BEGIN line 1 does not have exactly five hyphens"),
    "word processor": (lambda pem: pem.replace("-----", "\u2014\u2013"), "damaged", "exactly five hyphens"),
    "line lost": (lambda pem: without_line(pem, 5), "damaged", "lines were lost"),
    "line doubled": (
        lambda pem: pem.replace(pem.splitlines(True)[4], pem.splitlines(True)[4] * 2),
        "damaged",
        "lost or",
    ),
    "letter": (lambda pem: with_character(pem, 4, "é"), "damaged", "Line 4 has a character"),
    "letter after text": (
        lambda pem: "Text\n" + with_character(pem, 4, "%"),
        "damaged",
        "Line 5 has a character",
    ),
    "character lost": (lambda pem: with_character(pem, 3, ""), "damaged", "is not whole"),
    "other end": (lambda pem: pem.replace("END CERT", "END X509 CERT"), "damaged", "ends, in line 17"),
    "no certificate inside": (
        lambda pem: pem[:28] + "MAMCAQU=\n" + pem[-26:],
        "unreadable",
        "in line 1 cannot be read",
    ),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_damaged_content_is_refused_with_its_place(case: str, pki: Pki) -> None:
    damage, code, words = CONTENTS[case]
    content = damage(pki.guide.server.certificate_pem)

    for verdict in (server(pki.guide.server, content), examine_ca(content, NOW)):
        assert refused(verdict) == [code]
        assert words in verdict.findings[0].sentence
        assert verdict.findings[0].field is Field.CONTENT


@pytest.fixture(scope="session")
def strangers_to_the_field(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """PEM of every kind that is not a certificate."""
    folder = tmp_path_factory.mktemp("kinds")
    pair = pki.modern.server
    certificate, key = str(pair.certificate), str(pair.key)
    database = folder / "index.txt"
    database.touch()
    configuration = folder / "ca.conf"
    configuration.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}\ndefault_md=sha256\n")
    authority = ("-cert", str(pki.modern.ca.certificate), "-keyfile", str(pki.modern.ca.key), "-crldays", "9")
    return {
        "request": pair.certificate.with_suffix(".csr").read_text(),
        "public key": make.run(["openssl", "pkey", "-in", key, "-pubout"]),
        "crl": make.run(["openssl", "ca", "-gencrl", "-config", str(configuration), *authority]),
        "trusted": make.run(["openssl", "x509", "-in", certificate, "-trustout"]),
        "parameters": make.run(["openssl", "ecparam", "-name", "prime256v1"]),
        "private key": pair.key_pem,
        "encrypted key": make.encrypted_key(pair),
        "disguised key": pair.key_pem.replace("PRIVATE KEY", "CERTIFICATE"),
    }


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("request", "not_a_certificate", "Line 1 begins a certificate signing request (CSR)"),
        ("public key", "not_a_certificate", "Line 1 begins a public key"),
        ("crl", "not_a_certificate", "Line 1 begins a certificate revocation list (CRL)"),
        ("trusted", "not_a_certificate", "openssl x509 -in"),
        ("parameters", "not_a_certificate", "Line 1 begins key parameters"),
    ],
)
def test_other_things_in_the_content_are_named(
    kind: str, code: str, words: str, strangers_to_the_field: dict[str, str], pki: Pki
) -> None:
    content = strangers_to_the_field[kind]

    for verdict in (server(pki.modern.server, content), examine_ca(content, NOW)):
        assert refused(verdict) == [code]
        assert words in verdict.findings[0].sentence


@pytest.mark.parametrize("kind", ["private key", "encrypted key", "disguised key"])
def test_private_key_where_the_certificate_belongs_is_named(
    kind: str, strangers_to_the_field: dict[str, str], pki: Pki
) -> None:
    content = strangers_to_the_field[kind]

    for_server, for_ca = server(pki.modern.server, content), examine_ca(content, NOW)

    assert "certificate_missing" in refused(for_server)
    assert refused(for_ca) == ["private_key_here"]
    for verdict in (for_server, for_ca):
        assert any("Line 1 begins a private key" in finding.message for finding in verdict.findings)


def test_bounds(pki: Pki) -> None:
    pair = pki.modern.server

    assert refused(server(pair, pair.certificate_pem + " " * 2**20)) == ["too_long"]
    assert refused(server(pair, private_key=pair.key_pem + "é" * 2**20)) == ["too_long"]
    assert refused(server(pair, pair.certificate_pem + " " * 2**19, pair.key_pem + " " * 2**19)) == [
        "too_long"
    ]
    assert refused(examine_ca(pair.certificate_pem + " " * 2**20, NOW)) == ["too_long"]


def test_chain_and_bundle_are_bounded(tmp_path: Path, pki: Pki) -> None:
    many = "".join(
        make.issue(tmp_path, f"ca{number}", None, key=pki.modern.ca, subject=f"/O={number}").certificate_pem
        for number in range(12)
    )

    assert refused(server(pki.modern.server, many)) == ["too_many"]
    assert refused(examine_ca(many, NOW)) == []
    assert examine_ca(many * 20, NOW).material == replace_findings(
        examine_ca(many, NOW), examine_ca(many * 20, NOW)
    )


def replace_findings(verdict: Verdict, other: Verdict) -> object:
    assert verdict.material is not None
    return replace(verdict.material, findings=other.findings)
