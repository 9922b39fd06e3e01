"""Bundles for clients, read by the programs that they are for."""

import base64
import plistlib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, pkcs12

from certificates import issuing
from certificates.alternative_names import entered
from certificates.issuing import Authority, KeyKind, Profile, Subject, bundles
from certificates.issuing.bundles import BundleForm, Holding
from tests.pki import run

PASSWORD = "kind-moon-42-blue"
HOSTILE = [
    *('"; rm -rf /;"', "../../etc/passwd", "a\nb", "\u202egpj.exe", "<b>", "%s%n", "$(id)", "日本", "-rf"),
    *("", "x" * 200, "\x00", "\ud800"),
]
FORMS = [BundleForm.PKCS12, BundleForm.PKCS12_LEGACY]
KINDS = [KeyKind.P256, KeyKind.RSA_2048]


@dataclass(frozen=True)
class Made:
    """A client below an intermediate, and its bundles of every form."""

    holding: Holding
    files: dict[BundleForm, Path]

    @property
    def root(self) -> str:
        return self.holding.authorities[-1]

    @property
    def public_key(self) -> bytes:
        key = x509.load_pem_x509_certificate(self.holding.certificate.encode()).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[KeyKind, Made]:
    return {kind: _made(kind, tmp_path_factory.mktemp(kind.value)) for kind in KINDS}


def _made(kind: KeyKind, folder: Path) -> Made:
    now = datetime.now(UTC)
    root = issuing.new_root(Subject("Root", "ELB"), kind, 30, now, path_length=1)
    above = Authority(root.certificate, root.private_key)
    between = issuing.new_intermediate(above, Subject("Between", "ELB"), kind, 20, now)
    authority = Authority(between.certificate, between.private_key, (root.certificate,))
    names = entered("ada.test.com", wildcards=False)
    client = issuing.issue(Profile.CLIENT, authority, Subject("ada", "ELB"), names, kind, 10, now)
    chain = bundles.chain_of(client.certificate, [root.certificate + between.certificate])
    holding = Holding(client.certificate, client.private_key, chain, bundles.harmless("ada", 7), "client-7")
    files = {}
    for form in BundleForm:
        files[form] = folder / f"{form.value}.{form.suffix}"
        files[form].write_bytes(bundles.bundle(form, holding, PASSWORD))
    return Made(holding, files)


def openssl(file: Path, *options: str) -> str:
    command = ["openssl", "pkcs12", "-in", str(file), "-passin", f"pass:{PASSWORD}", *options]
    return run(command)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_openssl_reads_pkcs12_without_its_legacy_provider(
    made: dict[KeyKind, Made], kind: KeyKind, form: BundleForm
) -> None:
    client = made[kind]
    read = openssl(client.files[form], "-noenc")
    certificates = x509.load_pem_x509_certificates(read.encode())
    assert [_armored(one) for one in certificates] == [
        client.holding.certificate,
        *client.holding.authorities,
    ]
    key = load_pem_private_key(read[read.index("-----BEGIN PRIVATE KEY") :].encode(), None).public_key()
    assert key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == client.public_key
    assert set(re.findall(r"friendlyName: (.*)", read)) == {"ada-7"}


@pytest.mark.parametrize(
    ("form", "mac", "encryption"),
    [
        (BundleForm.PKCS12, "sha256", "PBES2, PBKDF2, AES-256-CBC"),
        (BundleForm.PKCS12_LEGACY, "sha1", "pbeWithSHA1And3-KeyTripleDES-CBC"),
    ],
)
def test_encryption_of_certificates_key_and_mac_is_of_one_age(
    made: dict[KeyKind, Made], form: BundleForm, mac: str, encryption: str
) -> None:
    command = ["openssl", "pkcs12", "-in", str(made[KeyKind.P256].files[form]), "-info", "-noout"]
    told = subprocess.run(
        [*command, "-passin", f"pass:{PASSWORD}"], capture_output=True, text=True, timeout=20, check=True
    ).stderr
    assert re.findall(r"^(?:MAC: (\w+)|.*(?:data|Keybag): (.*), Iteration)", told, re.MULTILINE) == [
        (mac, ""),
        ("", encryption),
        ("", encryption),
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_nss_imports_key_and_cas_and_trusts_none(
    made: dict[KeyKind, Made], tmp_path: Path, kind: KeyKind, form: BundleForm
) -> None:
    store = f"sql:{tmp_path}"
    file = str(made[kind].files[form])
    assert "ada-7" in run(["pk12util", "-d", store, "-l", file, "-W", PASSWORD])
    run(["certutil", "-N", "-d", store, "--empty-password"])
    run(["pk12util", "-d", store, "-i", file, "-W", PASSWORD])
    rows = re.findall(r"^(\S.*?) +(\w*,\w*,\w*) *$", run(["certutil", "-L", "-d", store]), re.MULTILINE)
    assert rows == [("ada-7", "u,u,u"), ("Between - ELB", ",,"), ("Root - ELB", ",,")]


def test_java_lists_one_key_with_its_chain(made: dict[KeyKind, Made]) -> None:
    """A start of Java takes most of a second, so the two run side by side."""
    found = {}
    keytools = {form: keytool(made[KeyKind.P256].files[form], PASSWORD) for form in FORMS}
    for form, keytool_run in keytools.items():
        told, _ = keytool_run.communicate(timeout=60)
        found[form] = re.findall(r"Alias name: (.*)|Entry type: (.*)|chain length: (\d+)", told)
    expected = [("ada-7", "", ""), ("", "PrivateKeyEntry", ""), ("", "", "3")]
    assert found == dict.fromkeys(FORMS, expected)


def keytool(file: Path, password: str) -> "subprocess.Popen[str]":
    # It runs in as little time as Java can: no compiling, one collector.
    quick = ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Duser.language=en"]
    command = ["keytool", *quick, "-list", "-v", "-storetype", "PKCS12", "-keystore", str(file)]
    return subprocess.Popen(
        [*command, "-storepass", password], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize("form", FORMS)
def test_wrong_password_opens_nothing(made: dict[KeyKind, Made], form: BundleForm) -> None:
    file = made[KeyKind.P256].files[form]
    command = ["openssl", "pkcs12", "-in", str(file), "-noenc", "-passin", "pass:another-moon-42"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "invalid password" in outcome.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_pem_has_certificate_chain_and_key_in_this_order(made: dict[KeyKind, Made], kind: KeyKind) -> None:
    client = made[kind]
    texts = {form: client.files[form].read_text() for form in (BundleForm.PEM, BundleForm.PEM_PLAIN)}
    labels = {form: re.findall(r"-----BEGIN (.*)-----", text) for form, text in texts.items()}
    assert labels == {
        BundleForm.PEM: ["CERTIFICATE", "CERTIFICATE", "ENCRYPTED PRIVATE KEY"],
        BundleForm.PEM_PLAIN: ["CERTIFICATE", "CERTIFICATE", "PRIVATE KEY"],
    }
    for form, text in texts.items():
        assert text.startswith(client.holding.certificate + client.holding.authorities[0])
        asked = ["-passin", f"pass:{PASSWORD}"] if form.has_password else []
        public = run(
            ["openssl", "pkey", "-in", str(client.files[form]), "-pubout", "-outform", "PEM", *asked]
        )
        key = x509.load_pem_x509_certificate(client.holding.certificate.encode()).public_key()
        assert public == key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_key_in_pem_is_encrypted_with_pbes2(made: dict[KeyKind, Made], tmp_path: Path) -> None:
    text = made[KeyKind.P256].files[BundleForm.PEM].read_text()
    key = tmp_path / "key.pem"
    key.write_text(text[text.index("-----BEGIN ENCRYPTED") :])
    named = re.findall(r"OBJECT +:(.*)", run(["openssl", "asn1parse", "-in", str(key)]))
    assert named == ["PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc"]


def test_profile_has_identity_and_cas_and_no_password(made: dict[KeyKind, Made], tmp_path: Path) -> None:
    client = made[KeyKind.P256]
    octets = client.files[BundleForm.PROFILE].read_bytes()
    profile = plistlib.loads(octets)
    payloads = profile["PayloadContent"]
    assert (profile["PayloadType"], [one["PayloadType"] for one in payloads]) == (
        "Configuration",
        ["com.apple.security.pkcs12", "com.apple.security.pkcs1", "com.apple.security.root"],
    )
    assert [_armored(x509.load_der_x509_certificate(one["PayloadContent"])) for one in payloads[1:]] == [
        *client.holding.authorities
    ]
    assert PASSWORD.encode() not in octets
    assert "Password" not in payloads[0]

    identity = tmp_path / "identity.p12"
    identity.write_bytes(payloads[0]["PayloadContent"])
    assert client.holding.certificate in openssl(identity, "-nokeys", "-clcerts").replace("\r", "")
    told = pkcs12.load_pkcs12(identity.read_bytes(), PASSWORD.encode())
    assert told.key
    public = told.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public == client.public_key


def test_profile_names_itself_the_same_again_and_each_part_apart(made: dict[KeyKind, Made]) -> None:
    def names(holding: Holding) -> list[tuple[str, str]]:
        profile = plistlib.loads(bundles.bundle(BundleForm.PROFILE, holding, PASSWORD))
        return [
            (one["PayloadIdentifier"], one["PayloadUUID"]) for one in (profile, *profile["PayloadContent"])
        ]

    first, second = (names(made[kind].holding) for kind in KINDS)
    assert names(made[KeyKind.P256].holding) == first
    assert len({*first, *second}) == len(first) + len(second)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_become_harmless(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-7", bundles.harmless(name, 7))
    assert len(bundles.harmless(name, 7)) <= bundles.LONGEST_NAME + 2


def test_names_stay_readable_and_apart() -> None:
    names = [bundles.harmless("Ada Lövelace", 1), bundles.harmless("ada@test.com", 2)]
    assert names == ["ada-lovelace-1", "ada-test-com-2"]
    assert bundles.harmless("日本", 3) == "client-3"


def test_chain_goes_up_by_signatures_whatever_else_is_known(made: dict[KeyKind, Made]) -> None:
    """A CA of the same name with another key is passed over, as is the certificate itself."""
    holding, other = made[KeyKind.P256].holding, made[KeyKind.RSA_2048].holding
    known = [other.authorities[1], other.authorities[0], holding.certificate, holding.authorities[1]]
    assert bundles.chain_of(holding.certificate, [*known, holding.authorities[0]]) == holding.authorities
    assert bundles.chain_of(holding.certificate, known) == ()


def test_generated_passwords_are_accepted_and_differ() -> None:
    passwords = [bundles.new_password() for _ in range(50)]
    assert [one for one in passwords if not bundles.PASSWORD.fullmatch(one)] == []
    assert len(set(passwords)) == 50


def test_key_is_not_in_a_repr(made: dict[KeyKind, Made]) -> None:
    holding = made[KeyKind.P256].holding
    assert has_key(holding.private_key.encode(), holding.private_key)
    assert not has_key(repr(holding).encode(), holding.private_key)


def test_bundles_hold_the_key_in_clear_only_where_it_was_asked_for(made: dict[KeyKind, Made]) -> None:
    """The negative of the canary: the same search does find it in the file that is not encrypted."""
    client = made[KeyKind.P256]
    assert [
        form for form, file in client.files.items() if has_key(file.read_bytes(), client.holding.private_key)
    ] == [BundleForm.PEM_PLAIN]


def has_key(octets: bytes, private_key: str, pieces: Sequence[int] = (0, 1, 2)) -> bool:
    """Whether the private number stands there: as octets, as a number, or in base64 at any offset."""
    key = load_pem_private_key(private_key.encode(), None)
    number = key.private_numbers()  # type: ignore[union-attr]
    secret = getattr(number, "private_value", 0) or number.d
    raw = secret.to_bytes((secret.bit_length() + 7) // 8)
    encoded = [base64.b64encode(raw[offset : offset + 24]) for offset in pieces]
    squeezed = re.sub(rb"\\n|\s", b"", octets)
    texts = [raw.hex(), raw.hex().upper(), str(secret)]
    return raw in octets or any(one in squeezed for one in [*encoded, *(text.encode() for text in texts)])


def _armored(certificate: x509.Certificate) -> str:
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    return certificate.public_bytes(Encoding.PEM).decode()
