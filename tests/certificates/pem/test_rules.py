"""What Envoy does not load, what keeps every client out, and what is risky."""

import base64
import ipaddress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certificates.pem import Severity, examine_ca, stored_facts, stored_findings
from tests import pki as make
from tests.certificates.pem.pasted import (
    ALONE,
    DAY,
    GUIDE_SERVER_WARNINGS,
    NAMED,
    NOW,
    codes,
    refused,
    san,
    server,
)
from tests.conftest import Pki
from tests.pki import KEY_OPTIONS, KeyPair


@pytest.mark.parametrize(
    ("kind", "for_server", "for_ca"),
    [
        ("RSA-1024", ["key_small"], []),
        ("RSA-2048", [], []),
        ("RSA-PSS", ["key_pss"], ["ca_key_kind"]),
        ("P-224", ["key_curve"], []),
        ("P-256", [], []),
        ("P-384", [], []),
        ("P-521", [], []),
        ("secp256k1", ["key_curve"], ["ca_key_kind"]),
        ("P-256 explicit", ["key_explicit_curve"], ["ca_key_kind"]),
        ("Ed25519", [], []),
        ("Ed448", ["key_kind"], ["ca_key_kind"]),
    ],
)
def test_kinds_of_key(kind: str, for_server: list[str], for_ca: list[str], tmp_path: Path) -> None:
    pair = make.issue(tmp_path, "pair", None, key=kind, digest="" if kind.startswith("Ed") else "sha256")

    assert refused(server(pair)) == for_server
    assert refused(examine_ca(pair.certificate_pem, NOW)) == for_ca


def test_every_kind_of_key_that_the_tests_can_make_is_judged() -> None:
    judged = {parameters[0] for parameters in test_kinds_of_key.pytestmark[0].args[1]}  # type: ignore[attr-defined]

    assert judged == set(KEY_OPTIONS)


def key_usage(*, signs: bool, signs_certificates: bool) -> tuple[x509.ExtensionType, bool]:
    usage = x509.KeyUsage(signs, False, not signs, False, False, signs_certificates, False, False, False)
    return usage, True


STAPLED = (x509.TLSFeature([x509.TLSFeatureType.status_request]), False)


@pytest.mark.parametrize(
    ("common_name", "extensions", "found"),
    [
        ("www.test.com", [NAMED], []),
        (None, [NAMED], []),
        (None, [san(x509.IPAddress(ipaddress.ip_address("::1")))], []),
        (None, [san(x509.UniformResourceIdentifier("https://www.test.com"))], ["san_missing"]),
        (None, [san(x509.RFC822Name("me@test.com"))], ["names_missing", "san_missing"]),
        (None, [san(x509.DirectoryName(x509.Name([])))], ["names_missing", "san_missing"]),
        (None, [], ["names_missing", "san_missing", "version_1"]),
        ("www.test.com", [NAMED, STAPLED], ["must_staple"]),
        ("www.test.com", [NAMED, key_usage(signs=False, signs_certificates=False)], ["key_usage"]),
        ("www.test.com", [NAMED, key_usage(signs=True, signs_certificates=False)], []),
        ("www.test.com", [NAMED, (x509.BasicConstraints(True, None), True)], []),
        (
            "www.test.com",
            [NAMED, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)],
            ["server_usage"],
        ),
        (
            "www.test.com",
            [NAMED, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)],
            [],
        ),
    ],
)
def test_server_certificate_rules(
    common_name: str | None,
    extensions: list[tuple[x509.ExtensionType, bool]],
    found: list[str],
    tmp_path: Path,
) -> None:
    pair = make.issue_between(
        tmp_path,
        "server",
        None,
        NOW - timedelta(1),
        NOW + timedelta(99),
        common_name=common_name,
        extensions=extensions,
    )

    # cryptography writes version 3 even without extensions
    assert codes(server(pair)) == [code for code in found if code != "version_1"]


def with_subject(tmp_path: Path, *attributes: x509.NameAttribute) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(attributes)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, NOW - timedelta(1), NOW + timedelta(99)
    )
    certificate = builder.add_extension(*NAMED).sign(key, hashes.SHA256())
    pair = KeyPair(tmp_path / "named.crt", tmp_path / "named.key")
    pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    make.write_private(pair.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pair


def test_empty_common_name_is_refused_beside_a_san(tmp_path: Path) -> None:
    pair = with_subject(tmp_path, x509.NameAttribute(NameOID.COMMON_NAME, "", _validate=False))

    assert refused(server(pair)) == ["common_name_empty"]


@pytest.mark.parametrize(
    "name",
    ["a\0b", "line\nbreak", "\u202egnol", "<b>&quot;'", "%s{0}", "ümlaut 漢字", "x" * 10_000],
    ids=["nul", "newline", "right to left", "markup", "format", "unicode", "long"],
)
def test_subject_is_kept_verbatim(name: str, tmp_path: Path) -> None:
    pair = with_subject(tmp_path, x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False))

    verdict = server(pair)

    assert verdict.material is not None
    expected = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False)]).rfc4514_string()
    assert verdict.material.certificates[0].subject == expected
    assert "\0" not in expected
    assert examine_ca(pair.certificate_pem, NOW).material is not None


def test_name_in_a_broken_encoding_is_refused(tmp_path: Path) -> None:
    pair = with_subject(tmp_path, x509.NameAttribute(NameOID.COMMON_NAME, "QQQQQQQQ"))
    der = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).public_bytes(Encoding.DER)
    broken = base64.encodebytes(der.replace(b"QQQQQQQQ", b"\xff\xfe\xff\xfeQQQQ")).decode()

    verdict = server(pair, f"-----BEGIN CERTIFICATE-----\n{broken}-----END CERTIFICATE-----\n")

    assert refused(verdict) == ["unreadable"]
    assert "an encoding that cannot be read" in verdict.findings[0].message


def test_nul_in_a_dns_name_is_written_as_an_escape(tmp_path: Path) -> None:
    pair = make.issue_between(
        tmp_path,
        "nul",
        None,
        NOW - timedelta(1),
        NOW + timedelta(99),
        extensions=[san(x509.DNSName("good.test\0.evil.test"))],
    )

    assert stored_facts(pair.certificate_pem)[0].names == ("good.test\\00.evil.test",)


@pytest.mark.parametrize(
    ("extensions", "found"),
    [
        (["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"], []),
        (["basicConstraints=CA:TRUE"], []),
        (["keyUsage=keyCertSign"], []),
        (["basicConstraints=CA:FALSE"], ["ca_false"]),
        (["basicConstraints=CA:FALSE", "keyUsage=digitalSignature"], ["ca_false", "ca_key_usage"]),
        (["basicConstraints=CA:TRUE", "keyUsage=cRLSign"], ["ca_key_usage"]),
        (["subjectKeyIdentifier=hash"], ["ca_unmarked"]),
        (["basicConstraints=CA:TRUE", "extendedKeyUsage=serverAuth"], ["ca_usage"]),
        (["basicConstraints=CA:TRUE", "extendedKeyUsage=clientAuth"], []),
        (["basicConstraints=CA:TRUE", "nameConstraints=permitted;DNS:test.com"], ["ca_name_constraints"]),
    ],
)
def test_ca_certificate_rules(extensions: list[str], found: list[str], tmp_path: Path) -> None:
    pair = make.authority(tmp_path, "ca", extensions=extensions)

    assert codes(examine_ca(pair.certificate_pem, NOW)) == found


def test_dsa_is_refused_on_both_sides(tmp_path: Path) -> None:
    parameters = tmp_path / "dsa.pem"
    make.run(["openssl", "dsaparam", "-out", str(parameters), "1024"])
    key = tmp_path / "dsa.key"
    make.run(["openssl", "gendsa", "-out", str(key), str(parameters)])
    pair = make.issue(tmp_path, "dsa", None, key=KeyPair(tmp_path / "dsa.crt", key))

    assert refused(server(pair)) == ["key_kind", "key_kind"]
    assert refused(examine_ca(pair.certificate_pem, NOW)) == ["ca_key_kind"]


def test_version_1_certificate_that_is_not_self_signed_is_stored_as_ca_with_a_warning(pki: Pki) -> None:
    verdict = examine_ca(pki.guide.server.certificate_pem, NOW)

    assert verdict.material is not None
    assert codes(verdict) == ["ca_version_1", "weak_signature", "partial_chain"]
    assert "nginx and HAProxy do not" in verdict.findings[0].message


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_weak_digests_are_stored_with_a_warning(digest: str, pki: Pki, tmp_path: Path) -> None:
    ca = make.authority(tmp_path, "ca", key="RSA-2048", digest=digest)
    leaf = make.issue(tmp_path, "leaf", ca, key="RSA-2048", digest=digest, extensions=make.SERVER_EXTENSIONS)

    assert codes(server(leaf)) == ["weak_signature", *ALONE]
    assert codes(examine_ca(ca.certificate_pem, NOW)) == ["weak_signature"]
    # the root's own signature in a server's chain is checked by nobody
    assert codes(server(leaf, leaf.certificate_pem + ca.certificate_pem)) == ["weak_signature"]


@pytest.mark.parametrize(
    ("begins", "ends", "found", "words"),
    [
        (-9 * DAY, -1 * DAY, ["expired"], "expired on"),
        (1 * DAY, 90 * DAY, ["not_yet_valid"], "is not valid before"),
        (-9 * DAY, 29 * DAY, ["expires_soon"], "expires on"),
        (-9 * DAY, 31 * DAY, [], ""),
    ],
)
def test_period_is_judged(
    begins: timedelta, ends: timedelta, found: list[str], words: str, tmp_path: Path
) -> None:
    ca = (x509.BasicConstraints(True, None), True)
    pair = make.issue_between(tmp_path, "pair", None, NOW + begins, NOW + ends, extensions=[NAMED, ca])

    for verdict, effect in (
        (server(pair), "clients refuse it"),
        (examine_ca(pair.certificate_pem, NOW), "admits nobody"),
    ):
        assert verdict.material is not None
        assert codes(verdict) == found
        for finding in verdict.findings:
            assert words in finding.sentence
            assert effect in finding.sentence


def test_stored_findings_need_no_key_and_know_today(pki: Pki) -> None:
    modern, years = pki.modern, timedelta(days=3650)

    def stored(kind: str, content: str, now: datetime) -> list[tuple[str, Severity]]:
        return [(one.code, one.severity) for one in stored_findings(kind, content, now)]

    alone = (ALONE[0], Severity.NOTE)
    assert stored("server", modern.server.certificate_pem, NOW) == [alone]
    assert stored("server", modern.server.certificate_pem, NOW + years) == [("expired", Severity.WARN), alone]
    assert stored("ca", modern.ca.certificate_pem, NOW + years) == [("expired", Severity.WARN)]
    assert [
        code for code, _ in stored("server", pki.guide.server.certificate_pem, NOW)
    ] == GUIDE_SERVER_WARNINGS + ALONE
