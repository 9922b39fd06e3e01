"""Bundles, binary files and what a password protects: sorted out by what is in them."""

from hashlib import pbkdf2_hmac
from itertools import permutations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from certificates.pem import Field, Verdict, armored, examine_ca, examine_server, private_keys_in
from tests import pki as make
from tests.certificates.pem import containers
from tests.certificates.pem.containers import ENCRYPTED_KEY_FORMS, PKCS12_FORMS, der, pem
from tests.certificates.pem.pasted import NOW, codes, refused, shows_key
from tests.conftest import Pki
from tests.pki import PASSWORD, KeyPair


@pytest.fixture(scope="session")
def levels(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyPair, KeyPair, KeyPair]:
    """A server with RSA 2048, its intermediate, and their root."""
    folder = tmp_path_factory.mktemp("container-levels")
    root = make.authority(folder, "root", "/CN=root")
    middle = make.issue(folder, "middle", root, subject="/CN=middle", extensions=make.CA_EXTENSIONS)
    leaf = make.issue(folder, "leaf", middle, key="RSA-2048", extensions=make.SERVER_EXTENSIONS)
    return leaf, middle, root


def chain_of(*pairs: KeyPair) -> str:
    return "".join(pair.certificate_pem for pair in pairs)


def taken(verdict: Verdict, content: str, private_key: str | None) -> None:
    assert verdict.material is not None, verdict.findings
    assert verdict.material.content == content
    assert verdict.material.private_key == private_key


@pytest.mark.parametrize("form", PKCS12_FORMS)
def test_pkcs12_is_taken_apart(form: str, levels: tuple[KeyPair, ...], tmp_path: Path) -> None:
    file = containers.pkcs12(tmp_path, *levels, options=PKCS12_FORMS[form])

    verdict = examine_server(armored(file), "", NOW, PASSWORD)

    taken(verdict, chain_of(*levels), levels[0].key_pem)
    assert verdict.opened_key == levels[0].key_pem
    assert sorted(verdict.revealed.split("-----BEGIN")) == sorted(chain_of(*levels).split("-----BEGIN"))


@pytest.mark.parametrize("form", ENCRYPTED_KEY_FORMS)
@pytest.mark.parametrize("is_binary", [False, True])
def test_encrypted_key_is_opened(
    form: str, is_binary: bool, levels: tuple[KeyPair, ...], tmp_path: Path
) -> None:
    key = containers.encrypted_key(levels[0], form)
    if is_binary and "Proc-Type" not in key:
        key = armored(der(key))
    content = chain_of(*levels)

    taken(examine_server(content, key, NOW, PASSWORD), content, levels[0].key_pem)
    taken(examine_server(key + content, "", NOW, PASSWORD), content, levels[0].key_pem)
    assert refused(examine_server(content, key, NOW)) == ["password_missing"]
    (wrong,) = examine_server(content, key, NOW, "another").findings
    assert (wrong.code, wrong.field) == ("password_wrong", Field.PASSWORD)


@pytest.mark.parametrize(("password", "code"), [("", "password_missing"), ("another", "password_wrong")])
@pytest.mark.parametrize("form", [form for form in PKCS12_FORMS if form != "plain inside"])
def test_pkcs12_asks_for_its_password(
    form: str, password: str, code: str, levels: tuple[KeyPair, ...], tmp_path: Path
) -> None:
    file = armored(containers.pkcs12(tmp_path, *levels, options=PKCS12_FORMS[form]))

    for verdict in (
        examine_server(file, "", NOW, password),
        examine_server("", file, NOW, password),
        examine_ca(file, NOW, password),
    ):
        assert refused(verdict) == [code]
        assert verdict.findings[0].field is Field.PASSWORD
    assert private_keys_in(file).strip() == file.strip()


def test_pkcs12_in_private_key_gives_the_certificates_too(
    levels: tuple[KeyPair, ...], tmp_path: Path
) -> None:
    file = armored(containers.pkcs12(tmp_path, levels[0]))

    taken(examine_server("", file, NOW, PASSWORD), chain_of(levels[0]), levels[0].key_pem)
    taken(examine_server(chain_of(*levels[1:]), file, NOW, PASSWORD), chain_of(*levels), levels[0].key_pem)


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_pkcs7_is_taken_apart(form: str, levels: tuple[KeyPair, ...], tmp_path: Path) -> None:
    file = containers.pkcs7(tmp_path, *reversed(levels), form=form)
    text = armored(file) if form == "DER" else file.decode()

    verdict = examine_server(text, levels[0].key_pem, NOW)

    taken(verdict, chain_of(*levels), levels[0].key_pem)
    assert codes(verdict) == ["reordered"]
    taken(examine_ca(armored(containers.pkcs7(tmp_path, levels[2])), NOW), chain_of(levels[2]), None)


def test_bundle_of_cas_under_a_password_is_taken(pki: Pki, tmp_path: Path) -> None:
    file = armored(containers.truststore(tmp_path, pki.modern.ca, pki.guide.ca))

    verdict = examine_ca(file, NOW, PASSWORD)

    assert verdict.material is not None
    assert {facts.pem for facts in verdict.material.certificates} == {
        pki.modern.ca.certificate_pem,
        pki.guide.ca.certificate_pem,
    }


def test_pkcs12_with_the_key_of_a_ca_is_refused(pki: Pki, tmp_path: Path) -> None:
    verdict = examine_ca(armored(containers.pkcs12(tmp_path, pki.modern.ca)), NOW, PASSWORD)

    assert refused(verdict) == ["private_key_here"]
    assert not shows_key(repr(verdict), pki.modern.ca.key_pem)


def test_everything_in_one_paste_in_any_order(levels: tuple[KeyPair, ...]) -> None:
    leaf, middle, root = levels
    parts = [leaf.certificate_pem, middle.certificate_pem, root.certificate_pem, leaf.key_pem]

    for order in permutations(parts):
        taken(examine_server("".join(order), "", NOW), chain_of(*levels), leaf.key_pem)
        taken(examine_server("", "".join(order), NOW), chain_of(*levels), leaf.key_pem)
        halves = "".join(order[:2]), "".join(order[2:])
        taken(examine_server(*halves, NOW), chain_of(*levels), leaf.key_pem)


def test_the_same_key_twice_is_one_and_another_is_one_too_many(levels: tuple[KeyPair, ...], pki: Pki) -> None:
    leaf, content = levels[0], chain_of(*levels)

    taken(examine_server(content + leaf.key_pem + leaf.key_pem, leaf.key_pem, NOW), content, leaf.key_pem)
    assert refused(examine_server(content + pki.guide.server.key_pem, leaf.key_pem, NOW)) == ["key_several"]


@pytest.mark.parametrize(
    ("command", "label"),
    [
        (("x509", "-in", "{certificate}"), "CERTIFICATE"),
        (("req", "-in", "{request}"), "CERTIFICATE REQUEST"),
        (("pkey", "-in", "{key}"), "PRIVATE KEY"),
        (("pkey", "-in", "{key}", "-traditional"), "PRIVATE KEY"),
        (("pkey", "-in", "{key}", "-pubout"), "PUBLIC KEY"),
        (("pkcs8", "-topk8", "-in", "{key}", "-passout", "pass:x"), "ENCRYPTED PRIVATE KEY"),
    ],
)
@pytest.mark.parametrize("set_name", ["guide", "modern"])
def test_binary_files_are_named_by_their_structure(
    command: tuple[str, ...], label: str, set_name: str, pki: Pki
) -> None:
    pair = getattr(pki, set_name).server
    paths = {
        "certificate": pair.certificate,
        "key": pair.key,
        "request": pair.certificate.with_suffix(".csr"),
    }
    text = make.run(["openssl", *(word.format(**paths) for word in command)])

    assert armored(der(text)).startswith(f"-----BEGIN {label}-----\n")


@pytest.mark.parametrize(
    "octets", [b"", b"0", b"0\x80", b"0\x03\x02\x01", b"\x30\x84\xff\xff\xff\xff", b"hello"]
)
def test_what_is_no_known_structure_is_not_made_pem(octets: bytes) -> None:
    assert armored(octets) == ""


def test_container_that_is_damaged_or_empty_is_refused(levels: tuple[KeyPair, ...], tmp_path: Path) -> None:
    file = containers.pkcs12(tmp_path, *levels)
    cut = containers.sequence(containers.integer(3), containers.sequence(containers.octets(b"x")))

    assert refused(examine_server(pem("PKCS12", file[:900]), "", NOW))[0] in {
        "damaged",
        "container_unreadable",
    }
    assert refused(examine_server(pem("PKCS12", cut), "", NOW)) == ["container_unreadable"]
    assert (
        refused(examine_server(pem("PKCS12", containers.pfx(containers.plain())), "", NOW))
        == [
            "container_empty",
            "key_missing",
        ][:1]
    )


BOMB = 50_000_000
BOMBS = {
    "PBKDF2": pem("ENCRYPTED PRIVATE KEY", containers.shrouded(containers.pbes2(BOMB))),
    "PKCS#12's own": pem("ENCRYPTED PRIVATE KEY", containers.shrouded(containers.pkcs12_pbe(BOMB))),
    "RC2": pem("ENCRYPTED PRIVATE KEY", containers.shrouded(containers.pkcs12_pbe(BOMB, kind=6))),
    "scrypt, work": pem("ENCRYPTED PRIVATE KEY", containers.shrouded(containers.scrypt(2**14, 8, 2**10))),
    "scrypt, memory": pem("ENCRYPTED PRIVATE KEY", containers.shrouded(containers.scrypt(2**30, 8, 1))),
    "largest number": pem("ENCRYPTED PRIVATE KEY", containers.shrouded(containers.pbes2(2**63))),
    "MAC": pem("PKCS12", containers.pfx(containers.plain(), mac_rounds=BOMB)),
    "certificates": pem("PKCS12", containers.pfx(containers.sealed(containers.pbes2(BOMB)))),
    "key in a file": pem(
        "PKCS12",
        containers.pfx(containers.plain(containers.bag(2, containers.shrouded(containers.pbes2(BOMB))))),
    ),
    "many, each cheap": pem(
        "PKCS12",
        containers.pfx(
            *(
                containers.plain(containers.bag(2, containers.shrouded(containers.pbes2(2**16))))
                for _ in range(100)
            )
        ),
    ),
}


@pytest.mark.parametrize("password", ["", PASSWORD])
@pytest.mark.parametrize("case", BOMBS)
def test_costly_derivation_is_refused_before_it_begins(case: str, password: str, pki: Pki) -> None:
    """Each would go round for minutes; what finishes has not begun."""
    bomb = BOMBS[case]

    for verdict in (
        examine_server(pki.guide.server.certificate_pem, bomb, NOW, password),
        examine_server(pki.guide.server.certificate_pem + bomb, "", NOW, password),
    ):
        assert refused(verdict) == ["protection_costly"]
        assert "rounds of key derivation" in verdict.findings[0].message


def test_costly_derivation_inside_of_what_is_encrypted_is_refused(pki: Pki) -> None:
    inside = containers.sequence(containers.bag(2, containers.shrouded(containers.pbes2(BOMB))))
    padded = inside + bytes([16 - len(inside) % 16]) * (16 - len(inside) % 16)
    key = pbkdf2_hmac("sha256", PASSWORD.encode(), b"salt", 2, 32)
    encryptor = Cipher(AES(key), modes.CBC(bytes(16))).encryptor()
    file = containers.pfx(containers.sealed(containers.pbes2(2), encryptor.update(padded)))

    verdict = examine_server(pki.guide.server.certificate_pem, pem("PKCS12", file), NOW, PASSWORD)

    assert refused(verdict) == ["protection_costly"]


def test_many_encrypted_keys_share_one_allowance(pki: Pki) -> None:
    keys = "".join(
        pem("ENCRYPTED PRIVATE KEY", containers.shrouded(containers.pbes2(1_400_000, bytes([number]))))
        for number in range(20)
    )

    found = refused(examine_server(pki.guide.server.certificate_pem, keys, NOW, PASSWORD))

    assert found == ["key_several"]


@pytest.mark.parametrize("depth", [5, 200, 5000])
def test_deep_nesting_is_refused(depth: int, pki: Pki) -> None:
    bags = containers.plain()
    value = containers.sequence()
    for _ in range(depth):
        value = containers.sequence(containers.bag(6, value))
    file = containers.pfx(
        containers.sequence(
            containers.oid("1.2.840.113549.1.7.1"), containers.tlv(0xA0, containers.octets(value))
        ),
        bags,
    )
    indefinite = b"\x30\x80" * depth + b"\0\0" * depth

    assert refused(examine_server(pem("PKCS12", file), "", NOW)) == ["container_unreadable"]
    assert armored(indefinite) == ""


def test_keys_are_bounded_in_size_when_they_come_encrypted(pki: Pki) -> None:
    huge = containers.shrouded(containers.pbes2(2), bytes(16 * 1024))

    assert refused(
        examine_server(pki.guide.server.certificate_pem, pem("ENCRYPTED PRIVATE KEY", huge), NOW, PASSWORD)
    ) == ["key_too_large"]
