"""Any input at all gives a verdict."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates.pem import (
    Finding,
    Severity,
    Verdict,
    armored,
    examine_ca,
    examine_server,
    private_keys_in,
    without_private_keys,
)
from tests.certificates.pem import containers
from tests.certificates.pem.containers import PKCS12_FORMS
from tests.certificates.pem.pasted import NOW, server, shows_key
from tests.certificates.pem.test_containers import BOMBS
from tests.conftest import Pki
from tests.pki import PASSWORD


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
        *(
            "-----BEGIN PKCS12-----\n",
            "-----END PKCS12-----\n",
            "-----BEGIN PKCS7-----\n",
            "-----END PKCS7-----",
        ),
        *("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "-----END ENCRYPTED PRIVATE KEY-----\n"),
        *("DEK-Info: AES-256-CBC,00000000000000000000000000000000\n\n", BOMBS["PBKDF2"], BOMBS["MAC"]),
        *(BOMBS["scrypt, memory"], BOMBS["many, each cheap"]),
    ]
)


TEXTS = st.lists(PIECES | st.text(max_size=20)).map("".join)


@settings(deadline=None)
@given(content=TEXTS, private_key=TEXTS, password=st.text(max_size=9))
def test_any_text_gives_a_verdict(content: str, private_key: str, password: str) -> None:
    assert_verdict(examine_server(content, private_key, NOW, password))
    assert_verdict(examine_ca(content, NOW, password))


@settings(deadline=None)
@given(TEXTS)
def test_any_text_is_shown_again_without_keys(text: str) -> None:
    shown = without_private_keys(text)
    assert "-----BEGIN PRIVATE KEY" not in shown
    assert "-----BEGIN PKCS12" not in shown
    assert isinstance(private_keys_in(text), str)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_octets_give_a_verdict(octets: bytes) -> None:
    body = base64.encodebytes(octets).decode()
    content = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    key = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"

    assert_verdict(examine_server(content, key, NOW))
    assert_verdict(examine_ca(content, NOW))
    assert_verdict(examine_server(octets.decode("latin-1"), octets.decode(errors="replace"), NOW))


@settings(deadline=None)
@given(octets=st.binary(max_size=200), label=st.sampled_from(["PKCS12", "PKCS7", "ENCRYPTED PRIVATE KEY"]))
def test_any_octets_in_a_container_give_a_verdict(octets: bytes, label: str) -> None:
    for body in (octets, containers.sequence(octets), containers.sequence(containers.integer(3), octets)):
        text = containers.pem(label, body)
        assert_verdict(examine_server(text, "", NOW, "password"))
        assert_verdict(examine_ca(text, NOW))
        assert isinstance(armored(body), str)


DAMAGE = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.fixture(scope="session")
def files(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Whole files, before they are damaged."""
    folder, pair = tmp_path_factory.mktemp("files"), pki.guide.server
    forms = [containers.pkcs12(folder, pair, options=options) for options in PKCS12_FORMS.values()]
    encrypted = [containers.encrypted_key(pair, form) for form in ("of today", "scrypt", "PKCS#12's 3DES")]
    return [*forms, *map(containers.der, encrypted), containers.pkcs7(folder, pair, pki.guide.ca)]


@settings(max_examples=300, deadline=None)
@given(number=st.integers(0, 10), damage=DAMAGE, cut=st.integers(0, 3000))
def test_any_damage_to_a_file_gives_a_verdict_that_shows_no_key(
    number: int, damage: list[tuple[int, int]], cut: int, files: list[bytes], pki: Pki
) -> None:
    octets = bytearray(files[number % len(files)])
    for place, octet in damage:
        octets[place % len(octets)] = octet
    file = armored(bytes(octets)) or containers.pem("PKCS12", bytes(octets[:cut]))

    for verdict in (
        examine_server(pki.guide.server.certificate_pem, file, NOW, PASSWORD),
        examine_server(file, "", NOW, PASSWORD),
        examine_ca(file, NOW, PASSWORD),
    ):
        assert_verdict(verdict)
        assert not shows_key(repr(verdict), pki.guide.server.key_pem)


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
