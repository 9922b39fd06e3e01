"""What is taken as it comes, and written out again in one form."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certificates.pem import examine_ca, stored_facts
from tests import pki as make
from tests.certificates.pem.pasted import ALONE, GUIDE_SERVER_WARNINGS, NOW, SPELLINGS, codes, server
from tests.conftest import Pki


def test_guide_server_is_taken_as_it_is(pki: Pki) -> None:
    verdict = server(pki.guide.server)

    assert verdict.material is not None
    assert verdict.material.content == pki.guide.server.certificate_pem
    assert verdict.material.private_key == pki.guide.server.key_pem
    assert codes(verdict) == GUIDE_SERVER_WARNINGS + ALONE
    assert verdict.material.findings == verdict.findings


def test_guide_ca_is_taken_as_it_is(pki: Pki) -> None:
    verdict = examine_ca(pki.guide.ca.certificate_pem, NOW)

    assert verdict.material is not None
    assert verdict.material.content == pki.guide.ca.certificate_pem
    assert verdict.material.private_key is None
    assert codes(verdict) == ["weak_signature"]


def test_modern_set_is_taken_without_a_word(pki: Pki) -> None:
    whole = pki.modern.server.certificate_pem + pki.modern.ca.certificate_pem
    assert server(pki.modern.server, whole).findings == ()
    assert codes(server(pki.modern.server)) == ALONE
    assert examine_ca(pki.modern.ca.certificate_pem, NOW).findings == ()


def test_warnings_say_who_refuses_and_what_to_do(pki: Pki) -> None:
    on_server = {one.code: one.sentence for one in server(pki.guide.server).findings}
    (on_ca,) = examine_ca(pki.guide.ca.certificate_pem, NOW).findings

    assert "Browsers" in on_server["weak_signature"]
    assert "OpenSSL 3" in on_server["weak_signature"]
    assert "-sha256" in on_server["weak_signature"]
    assert "subjectAltName=DNS:" in on_server["san_missing"]
    assert 'error 58, "ca md too weak"' in on_ca.sentence
    assert "-sha256" in on_ca.sentence


def test_facts_of_the_guide_server(pki: Pki) -> None:
    certificate = x509.load_pem_x509_certificate(pki.guide.server.certificate.read_bytes())

    (facts,) = stored_facts(pki.guide.server.certificate_pem)

    assert facts == replace(
        facts,
        subject="CN=www.test.com,O=ELB",
        issuer="O=ELB",
        names=(),
        serial_number=f"{certificate.serial_number:x}",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        key="RSA 2048",
        signature_algorithm="SHA-1 with RSA",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        version=1,
        is_self_signed=False,
    )
    assert stored_facts(pki.guide.ca.certificate_pem)[0].is_self_signed


def test_facts_of_the_modern_server(pki: Pki) -> None:
    (facts,) = stored_facts(pki.modern.server.certificate_pem)

    assert facts.names == ("www.test.com", "127.0.0.1", "::1")
    assert (facts.key, facts.signature_algorithm, facts.version) == ("ECDSA P-256", "SHA-256 with ECDSA", 3)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spelling_does_not_matter_and_is_not_kept(spelling: str, pki: Pki) -> None:
    pair = pki.guide.server
    spell = SPELLINGS[spelling]
    key = pair.key_pem if spelling == "old label" else spell(pair.key_pem)

    verdict = server(pair, spell(pair.certificate_pem), key)

    assert verdict.material is not None
    assert verdict.material.content == pair.certificate_pem
    assert verdict.material.private_key == pair.key_pem


def test_openssl_text_output_is_taken(pki: Pki) -> None:
    pair = pki.guide.server
    certificate = make.run(["openssl", "x509", "-in", str(pair.certificate), "-text"])
    key = make.run(["openssl", "pkey", "-in", str(pair.key), "-text"])

    verdict = server(pair, certificate, key)

    assert verdict.material is not None
    assert verdict.material.content == pair.certificate_pem


@pytest.mark.parametrize("form", ["traditional", "with EC PARAMETERS", "with its certificate"])
def test_key_forms_are_taken_and_written_as_pkcs8(form: str, pki: Pki) -> None:
    pair = pki.modern.server
    traditional = make.run(["openssl", "pkey", "-in", str(pair.key), "-traditional"])
    key = {
        "traditional": traditional,
        "with EC PARAMETERS": make.run(["openssl", "ecparam", "-name", "prime256v1"]) + traditional,
        "with its certificate": pair.key_pem + pair.certificate_pem,
    }[form]

    verdict = server(pair, private_key=key)

    assert verdict.material is not None
    assert verdict.material.private_key == pair.key_pem
    assert codes(verdict) == (["key_company"] if form == "with its certificate" else []) + ALONE
