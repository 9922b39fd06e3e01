"""What people paste as certificates: what is taken, how the rest is refused, and what never shows."""

import base64
import ipaddress
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates.pem import (
    Field,
    Finding,
    Severity,
    Verdict,
    examine_ca,
    examine_server,
    is_trusted,
    private_keys_in,
    stored_facts,
    stored_findings,
    without_private_keys,
)
from tests import pki as make
from tests.conftest import Pki
from tests.pki import KEY_OPTIONS, KeyPair

NOW = datetime.now(UTC) + timedelta(minutes=1)  # after everything that the tests make begins to be valid
GUIDE_SERVER_WARNINGS = ["weak_signature", "san_missing", "version_1"]


def server(pair: KeyPair, content: str | None = None, private_key: str | None = None) -> Verdict:
    return examine_server(
        pair.certificate_pem if content is None else content,
        pair.key_pem if private_key is None else private_key,
        NOW,
    )


def codes(verdict: Verdict, severity: Severity | None = None) -> list[str]:
    return [one.code for one in verdict.findings if severity is None or one.severity is severity]


def refused(verdict: Verdict) -> list[str]:
    """The codes that refuse; a verdict has material exactly when there are none."""
    found = codes(verdict, Severity.REFUSE)
    assert (verdict.material is None) == bool(found)
    return found


def key_windows(pem: str) -> set[str]:
    """Every run of 16 characters of the secret part of a PKCS#8 key's body.

    What comes before it, the algorithm and RSA's modulus, is in the certificate too; so is what follows
    the 32 octets of an EC key.
    """
    body = "".join(line for line in pem.splitlines() if line and not line.startswith("-----"))
    secret = body[48:88] if len(body) < 300 else body[len(body) * 2 // 5 :]
    return {secret[place : place + 16] for place in range(len(secret) - 15)}


def shows_key(text: str, pem: str) -> bool:
    joined = "".join(text.split())
    return any(window in joined for window in key_windows(pem))


# What is taken


def test_guide_server_is_taken_as_it_is(pki: Pki) -> None:
    verdict = server(pki.guide.server)

    assert verdict.material is not None
    assert verdict.material.content == pki.guide.server.certificate_pem
    assert verdict.material.private_key == pki.guide.server.key_pem
    assert codes(verdict) == GUIDE_SERVER_WARNINGS
    assert verdict.material.findings == verdict.findings


def test_guide_ca_is_taken_as_it_is(pki: Pki) -> None:
    verdict = examine_ca(pki.guide.ca.certificate_pem, NOW)

    assert verdict.material is not None
    assert verdict.material.content == pki.guide.ca.certificate_pem
    assert verdict.material.private_key is None
    assert codes(verdict) == ["weak_signature"]


def test_modern_set_is_taken_without_a_word(pki: Pki) -> None:
    assert server(pki.modern.server).findings == ()
    assert examine_ca(pki.modern.ca.certificate_pem, NOW).findings == ()


def test_warnings_say_who_refuses_and_what_to_do(pki: Pki) -> None:
    on_server = {one.code: one.message for one in server(pki.guide.server).findings}
    (on_ca,) = examine_ca(pki.guide.ca.certificate_pem, NOW).findings

    assert "Browsers" in on_server["weak_signature"]
    assert "OpenSSL 3" in on_server["weak_signature"]
    assert "-sha256" in on_server["weak_signature"]
    assert "subjectAltName=DNS:" in on_server["san_missing"]
    assert 'error 58, "ca md too weak"' in on_ca.message
    assert "-sha256" in on_ca.message


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


SPELLINGS: dict[str, Callable[[str], str]] = {
    "no last newline": lambda pem: pem.rstrip("\n"),
    "blank lines around": lambda pem: f"\n\n{pem}\n\n",
    "CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "CR alone": lambda pem: pem.replace("\n", "\r"),
    "BOM": lambda pem: "\ufeff" + pem,
    "indented": lambda pem: "".join(f"    {line}\n" for line in pem.splitlines()),
    "tabs and trailing blanks": lambda pem: "".join(f"\t{line} \t\n" for line in pem.splitlines()),
    "no-break spaces": lambda pem: pem.replace("\n", "\u00a0\n"),
    "one long line": lambda pem: pem.replace("\n", " "),
    "text before": lambda pem: f"Certificate:\n    Data:\n        Version: 1 (0x0)\nBag Attributes: x\n{pem}",
    "text after": lambda pem: f"{pem}That was it.\n",
    "old label": lambda pem: pem.replace("CERTIFICATE", "X509 CERTIFICATE"),
}


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
    assert codes(verdict) == (["key_company"] if form == "with its certificate" else [])


# What is refused


def without_line(pem: str, number: int) -> str:
    lines = pem.splitlines(keepends=True)
    return "".join(lines[: number - 1] + lines[number:])


def with_character(pem: str, line: int, character: str) -> str:
    lines = pem.splitlines(keepends=True)
    lines[line - 1] = character + lines[line - 1][1:]
    return "".join(lines)


CONTENTS: dict[str, tuple[Callable[[str], str], str, str]] = {
    "empty": (lambda pem: "", "empty", "Paste the certificate"),
    "blanks": (lambda pem: " \r\n\t", "empty", "Paste the certificate"),
    "words": (lambda pem: "server.crt", "not_pem", "No certificate in PEM was found"),
    "binary": (lambda pem: "0\x82\x03\x01\x00\ufffd\ufffd", "not_pem", "openssl x509 -inform DER"),
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
        assert words in verdict.findings[0].message
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
        "pkcs7": make.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", certificate]),
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
        ("pkcs7", "not_a_certificate", "openssl pkcs7 -print_certs"),
        ("trusted", "not_a_certificate", "openssl x509 -in"),
        ("parameters", "not_a_certificate", "Line 1 begins key parameters"),
        ("private key", "private_key_here", "Line 1 begins a private key; expected is a certificate"),
        ("encrypted key", "private_key_here", "Line 1 begins a private key"),
        ("disguised key", "private_key_here", "Line 1 begins a private key"),
    ],
)
def test_other_things_in_the_content_are_named(
    kind: str, code: str, words: str, strangers_to_the_field: dict[str, str], pki: Pki
) -> None:
    content = strangers_to_the_field[kind]

    for verdict in (server(pki.modern.server, content), examine_ca(content, NOW)):
        assert refused(verdict) == [code]
        assert words in verdict.findings[0].message


def test_key_in_the_content_is_told_once_when_its_own_field_is_empty(pki: Pki) -> None:
    pair = pki.modern.server

    verdict = server(pair, pair.certificate_pem + pair.key_pem, "")

    assert refused(verdict) == ["private_key_here"]


def test_bounds(pki: Pki) -> None:
    pair = pki.modern.server

    assert refused(server(pair, pair.certificate_pem + " " * 2**20)) == ["too_long"]
    assert refused(server(pair, private_key=pair.key_pem + "é" * 2**20)) == ["key_too_long"]
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


# The private key


KEYS: dict[str, tuple[Callable[[Pki], str], str, str]] = {
    "empty": (lambda pki: "", "key_missing", "Paste the private key"),
    "words": (lambda pki: "server.key", "key_not_found", "No private key in PEM"),
    "no markers": (
        lambda pki: "".join(pki.guide.server.key_pem.splitlines(True)[1:-1]),
        "key_not_found",
        "BEGIN and END lines are missing",
    ),
    "a certificate": (
        lambda pki: pki.guide.server.certificate_pem,
        "key_not_found",
        "Line 1 begins a certificate;",
    ),
    "two": (lambda pki: pki.guide.server.key_pem + pki.guide.client.key_pem, "key_several", "(lines 1, 29)"),
    "encrypted": (lambda pki: make.encrypted_key(pki.guide.server), "key_encrypted", "openssl pkey -in"),
    "encrypted, old form": (
        lambda pki: make.encrypted_key(pki.guide.server, traditional=True),
        "key_encrypted",
        "openssl pkey -in",
    ),
    "cut off": (lambda pki: pki.guide.server.key_pem[:600], "key_damaged", "in line 1 has no END line"),
    "line lost": (lambda pki: without_line(pki.guide.server.key_pem, 7), "key_damaged", "lines were lost"),
    "character": (lambda pki: with_character(pki.guide.server.key_pem, 7, "%"), "key_damaged", "Line 7 has"),
    "another of its kind": (lambda pki: pki.guide.client.key_pem, "key_mismatch", "both are RSA 2048"),
    "another kind": (lambda pki: pki.modern.server.key_pem, "key_mismatch", "it is ECDSA P-256, and the"),
    "OpenSSH": (
        lambda pki: pki.guide.server.key_pem.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY"),
        "key_openssh",
        "ssh-keygen -p",
    ),
}


@pytest.mark.parametrize("case", KEYS)
def test_wrong_private_key_is_refused_at_its_field(case: str, pki: Pki) -> None:
    key, code, words = KEYS[case]

    verdict = server(pki.guide.server, private_key=key(pki))

    assert refused(verdict) == [code]
    finding = verdict.findings[0]
    assert finding.field is Field.PRIVATE_KEY
    assert words in finding.message


def test_key_of_the_ca_in_the_chain_is_named(pki: Pki) -> None:
    guide = pki.guide

    verdict = server(guide.server, guide.server.certificate_pem + guide.ca.certificate_pem, guide.ca.key_pem)

    assert refused(verdict) == ["key_mismatch"]
    assert "is that of the CA certificate" in verdict.findings[0].message


def pkcs1(*numbers: int) -> str:
    """An RSA key as RFC 8017 writes it: version, n, e, d, p, q, dmp1, dmq1, iqmp."""

    def element(tag: bytes, octets: bytes) -> bytes:
        length = len(octets)
        if length < 128:
            return tag + bytes([length]) + octets
        size = (length.bit_length() + 7) // 8
        return tag + bytes([128 | size]) + length.to_bytes(size) + octets

    integers = (element(b"\x02", number.to_bytes(number.bit_length() // 8 + 1)) for number in numbers)
    body = base64.encodebytes(element(b"\x30", b"\x02\x01\x00" + b"".join(integers))).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\n"


def rsa_numbers(pair: KeyPair) -> dict[str, int]:
    key = load_pem_private_key(pair.key.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    private = key.private_numbers()
    public = private.public_numbers
    names = ("d", "p", "q", "dmp1", "dmq1", "iqmp")
    return {"n": public.n, "e": public.e} | {name: getattr(private, name) for name in names}


def test_rsa_key_put_together_from_its_numbers_is_taken(pki: Pki) -> None:
    key = pkcs1(*rsa_numbers(pki.guide.server).values())

    assert refused(server(pki.guide.server, private_key=key)) == []


@pytest.mark.parametrize("number", ["d", "p", "q", "dmp1", "dmq1", "iqmp"])
@pytest.mark.parametrize("wrong", ["two more", "another key's", "one", "zero"])
def test_rsa_key_with_a_private_number_that_does_not_fit_is_refused(
    number: str, wrong: str, pki: Pki
) -> None:
    numbers, foreign = rsa_numbers(pki.guide.server), rsa_numbers(pki.guide.client)
    replaced = {"two more": numbers[number] + 2, "another key's": foreign[number], "one": 1, "zero": 0}[wrong]

    verdict = server(pki.guide.server, private_key=pkcs1(*(numbers | {number: replaced}).values()))

    assert refused(verdict)[0] in {"key_inconsistent", "key_unreadable"}


def test_huge_rsa_key_is_refused_before_any_arithmetic(pki: Pki) -> None:
    huge = 2**16384 - 1

    assert refused(server(pki.guide.server, private_key=pkcs1(huge, 65537, huge, huge, 3, 5, 7, 9))) == [
        "key_too_large"
    ]


def test_ec_key_whose_scalar_does_not_fit_its_point_is_refused(pki: Pki) -> None:
    traditional = make.run(["openssl", "pkey", "-in", str(pki.modern.server.key), "-traditional"])
    der = bytearray(base64.b64decode("".join(traditional.splitlines()[1:-1])))
    der[10] ^= 1  # SEQUENCE { INTEGER 1, OCTET STRING of 32 from place 7

    body = base64.encodebytes(bytes(der)).decode()
    key = f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"

    assert refused(server(pki.modern.server, private_key=key))[0] in {"key_inconsistent", "key_unreadable"}


# What Envoy does not load, and what keeps every client out


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


def san(*names: x509.GeneralName) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectAlternativeName(names), False


def key_usage(*, signs: bool, signs_certificates: bool) -> tuple[x509.ExtensionType, bool]:
    usage = x509.KeyUsage(signs, False, not signs, False, False, signs_certificates, False, False, False)
    return usage, True


NAMED = san(x509.DNSName("www.test.com"))
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

    assert codes(server(leaf)) == ["weak_signature"]
    assert codes(examine_ca(ca.certificate_pem, NOW)) == ["weak_signature"]
    # the root's own signature in a server's chain is checked by nobody
    assert codes(server(leaf, leaf.certificate_pem + ca.certificate_pem)) == ["weak_signature"]


DAY = timedelta(days=1)


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
            assert words in finding.message
            assert effect in finding.message


def test_stored_findings_need_no_key_and_know_today(pki: Pki) -> None:
    modern, years = pki.modern, timedelta(days=3650)

    def stored(kind: str, content: str, now: datetime) -> list[tuple[str, Severity]]:
        return [(one.code, one.severity) for one in stored_findings(kind, content, now)]

    assert stored("server", modern.server.certificate_pem, NOW) == []
    assert stored("server", modern.server.certificate_pem, NOW + years) == [("expired", Severity.WARN)]
    assert stored("ca", modern.ca.certificate_pem, NOW + years) == [("expired", Severity.WARN)]
    assert [
        code for code, _ in stored("server", pki.guide.server.certificate_pem, NOW)
    ] == GUIDE_SERVER_WARNINGS


# The chain


@pytest.fixture(scope="session")
def three_levels(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyPair, KeyPair, KeyPair]:
    folder = tmp_path_factory.mktemp("levels")
    root = make.authority(folder, "root", "/CN=root")
    middle = make.issue(folder, "middle", root, subject="/CN=middle", extensions=make.CA_EXTENSIONS)
    return make.issue(folder, "leaf", middle, extensions=make.SERVER_EXTENSIONS), middle, root


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_chain_is_put_in_order(
    order: tuple[int, ...], three_levels: tuple[KeyPair, KeyPair, KeyPair]
) -> None:
    right = "".join(pair.certificate_pem for pair in three_levels)

    verdict = server(three_levels[0], "".join(three_levels[place].certificate_pem for place in order))

    assert verdict.material is not None
    assert verdict.material.content == right
    assert codes(verdict) == ([] if order == (0, 1, 2) else ["reordered"])


def test_duplicates_are_dropped_and_lost_newlines_do_not_matter(
    three_levels: tuple[KeyPair, KeyPair, KeyPair],
) -> None:
    leaf, middle, _ = (pair.certificate_pem.strip() for pair in three_levels)

    verdict = server(three_levels[0], leaf + middle + leaf + middle)

    assert verdict.material is not None
    assert verdict.material.content == f"{leaf}\n{middle}\n"
    assert codes(verdict) == ["duplicates"]


def test_root_without_its_intermediate_is_a_stranger(three_levels: tuple[KeyPair, KeyPair, KeyPair]) -> None:
    leaf, _, root = three_levels

    verdict = server(leaf, leaf.certificate_pem + root.certificate_pem)

    assert refused(verdict) == ["stranger"]
    assert "Certificate 2 of 2 (CN=root) did not issue" in verdict.findings[0].message


def test_ca_of_the_same_name_and_another_key_is_a_stranger(pki: Pki) -> None:
    pair = pki.modern.server

    verdict = server(pair, pair.certificate_pem + pki.guide.ca.certificate_pem)

    assert refused(verdict) == ["stranger"]


def test_of_two_servers_the_one_with_the_key_is_the_leaf(pki: Pki) -> None:
    modern = pki.modern

    verdict = server(modern.server, modern.client.certificate_pem + modern.server.certificate_pem)

    assert refused(verdict) == ["stranger"]
    assert "Certificate 1 of 2 (CN=client,O=ELB)" in verdict.findings[0].message


def test_trust_follows_signatures_not_names(pki: Pki, three_levels: tuple[KeyPair, KeyPair, KeyPair]) -> None:
    leaf, middle, root = (pair.certificate_pem for pair in three_levels)
    guide, modern = pki.guide, pki.modern

    assert is_trusted(guide.server.certificate_pem, guide.ca.certificate_pem, NOW)
    assert is_trusted(modern.server.certificate_pem, modern.ca.certificate_pem, NOW)
    assert is_trusted(modern.server.certificate_pem, root + modern.ca.certificate_pem, NOW)
    assert not is_trusted(modern.server.certificate_pem, guide.ca.certificate_pem, NOW)
    assert is_trusted(leaf + middle, root, NOW)
    assert is_trusted(leaf, root + middle, NOW)
    assert not is_trusted(leaf, root, NOW)
    assert not is_trusted(leaf, middle, NOW)
    assert not is_trusted(leaf + middle, root, NOW + timedelta(days=3650))


# Secrets


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
    assert private_keys_in(make.encrypted_key(pair)) == ""
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


# Anything at all


def assert_verdict(verdict: Verdict) -> None:
    assert (verdict.material is None) == any(one.severity is Severity.REFUSE for one in verdict.findings)
    assert all(isinstance(one, Finding) and one.message for one in verdict.findings)


PIECES = st.sampled_from(
    [
        *(
            "-----BEGIN CERTIFICATE-----",
            "-----END CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----",
            "-----",
            "\n",
        ),
        *(
            "-----END PRIVATE KEY-----",
            "-----BEGIN ",
            "END X509 CRL",
            "MIIC",
            "MAMCAQA=",
            "\ufeff",
            "\r",
            "=",
            "—",
        ),
        *("Proc-Type: 4,ENCRYPTED", "\ud800", "\0"),
    ]
)


@given(st.lists(PIECES | st.text(max_size=20)).map("".join))
def test_any_text_gives_a_verdict(text: str) -> None:
    assert_verdict(examine_server(text, text, NOW))
    assert_verdict(examine_ca(text, NOW))
    assert "-----BEGIN PRIVATE KEY" not in without_private_keys(text)
    assert isinstance(private_keys_in(text), str)


@given(st.binary(max_size=400))
def test_any_octets_give_a_verdict(octets: bytes) -> None:
    body = base64.encodebytes(octets).decode()
    content = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    key = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"

    assert_verdict(examine_server(content, key, NOW))
    assert_verdict(examine_ca(content, NOW))
    assert_verdict(examine_server(octets.decode("latin-1"), octets.decode(errors="replace"), NOW))


DAMAGE = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4)


def damaged(pem: str, damage: list[tuple[int, int]]) -> str:
    begin, *lines, end = pem.splitlines()
    octets = bytearray(base64.b64decode("".join(lines)))
    for place, octet in damage:
        octets[4 + place % (len(octets) - 4)] = octet
    return f"{begin}\n{base64.encodebytes(octets).decode()}{end}\n"


@settings(max_examples=300, deadline=None)
@given(in_certificate=DAMAGE, in_key=DAMAGE, is_guide=st.booleans())
def test_any_damage_inside_gives_a_verdict_that_shows_no_key(
    in_certificate: list[tuple[int, int]], in_key: list[tuple[int, int]], is_guide: bool, pki: Pki
) -> None:
    pair = pki.guide.server if is_guide else pki.modern.server
    content, key = damaged(pair.certificate_pem, in_certificate), damaged(pair.key_pem, in_key)

    for verdict in (server(pair, content), server(pair, private_key=key), examine_ca(content, NOW)):
        assert_verdict(verdict)
        assert not shows_key(repr(verdict), key)
