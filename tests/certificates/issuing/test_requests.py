"""Requests: what is taken, what is left out with a sentence, and what is refused with one."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates.alternative_names import AlternativeName, NameKind
from certificates.issuing import IssuingError, KeyKind, Profile, Subject, issue, read_request
from certificates.issuing.keys import PublicKey
from certificates.issuing.names import check_names
from certificates.pem import armored
from tests.certificates.issuing import hostile
from tests.certificates.issuing.hostile import built, pem, raw, subject
from tests.certificates.issuing.made import authority, request, requested
from tests.pki import private_key

CN, ORGANIZATION = x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nnever shown\n-----END PRIVATE KEY-----\n"
PLAIN = raw()


def asks_to(**usage: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    others = ("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**dict.fromkeys([*names, *others], False) | usage)


def named(*names: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(names)


def unrecognized(oid: str, octets: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), octets)


@pytest.fixture(autouse=True)
def _quiet_library() -> None:
    # cryptography warns of attributes of unusual lengths, which is what these requests have.
    warnings.filterwarnings("ignore", "Attribute's length must be")


CANNOT_BE_READ = "cannot be read"
REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    # Names
    "NUL in the name": (lambda: raw(subject(b"www.test.com\0.test.net")), "cannot be seen"),
    "direction mark": (lambda: raw(subject("ann\u202etxt".encode())), "cannot be seen"),
    "line break": (lambda: raw(subject(b"ann\nbob")), "cannot be seen"),
    "blanks around it": (lambda: raw(subject(b" ann ")), "blanks around it"),
    "ten kilobytes of name": (lambda: raw(subject(b"a" * 10_240)), "longer than 64"),
    "lone surrogate": (lambda: raw(subject(b"\xd8\0\0a", hostile.BMP_STRING)), CANNOT_BE_READ),
    "half a letter": (lambda: raw(subject(b"\0a\0", hostile.BMP_STRING)), CANNOT_BE_READ),
    "surrogate in UTF-8": (lambda: raw(subject(b"\xed\xa0\x80")), CANNOT_BE_READ),
    "Latin 1 as T61": (lambda: raw(subject(b"caf\xe9", hostile.T61_STRING)), CANNOT_BE_READ),
    "bits as a name": (lambda: raw(subject(b"\0ab", hostile.BIT_STRING)), CANNOT_BE_READ),
    "sixty parts": (lambda: built(attributes=[(CN, "a")] * 60), "more than 50 parts"),
    "10,000 names": (lambda: built(named(*many_names(10_000))), "longer than a request"),
    "2,000 names": (lambda: built(named(*many_names(2_000))), "asks for 2,000 names; at most 100"),
    # Extensions
    "CA": (lambda: built(x509.BasicConstraints(ca=True, path_length=None)), "asks for a CA certificate"),
    "signs certificates": (lambda: built(asks_to(key_cert_sign=True)), "asks to sign certificates or CRLs"),
    "signs CRLs": (lambda: built(asks_to(crl_sign=True)), "asks to sign certificates or CRLs"),
    "name constraints": (
        lambda: built(x509.NameConstraints([x509.DNSName("test.com")], None), critical=True),
        "asks for nameConstraints",
    ),
    "extension twice": (lambda: raw(extensions=[hostile.NAMES] * 2), CANNOT_BE_READ),
    "damaged extension": (lambda: built(unrecognized("2.5.29.17", b"\x30\x05ab")), CANNOT_BE_READ),
    "damaged constraints": (lambda: built(unrecognized("2.5.29.19", b"\x30\x01")), CANNOT_BE_READ),
    # Keys
    "point off the curve": (
        lambda: raw(public_key=hostile.on_p256(b"\4" + hostile.POINT[:-1] + b"\0")),
        "key is damaged",
    ),
    "point at infinity": (lambda: raw(public_key=hostile.on_p256(b"\0")), "key is damaged"),
    "even modulus": (lambda: hostile.rsa_request(hostile.MODULUS - 1, 65537), "small factor"),
    "modulus with a small factor": (
        lambda: hostile.rsa_request(hostile.MODULUS * 751, 65537),
        "small factor",
    ),
    "exponent 1": (lambda: hostile.rsa_request(hostile.MODULUS, 1), "key is damaged"),
    "exponent 3": (lambda: hostile.rsa_request(hostile.MODULUS, 3), "unusual public exponent"),
    "even exponent": (lambda: hostile.rsa_request(hostile.MODULUS, 65538), "key is damaged"),
    "huge exponent": (lambda: hostile.rsa_request(hostile.MODULUS, 2**2000 + 1), "unusual public exponent"),
    "negative exponent": (lambda: hostile.rsa_request(hostile.MODULUS, -3), "key is damaged"),
    "no modulus": (lambda: hostile.rsa_request(0, 65537), "key is damaged"),
    "huge modulus": (lambda: hostile.rsa_request(2**200_000 + 1, 65537), "RSA 200001, which is larger"),
    # Signatures
    "changed": (lambda: pem(hostile.octets_of().replace(b"client", b"clienu")), "signature is wrong"),
    "of another key": (lambda: raw(signature=bytes.fromhex("3006020101020101")), "signature is wrong"),
    "no signature": (lambda: raw(signature=b"abc"), "signature is wrong"),
    "other algorithm": (lambda: raw(algorithm=hostile.RSA_SHA256), "signature is wrong"),
    "unknown algorithm": (lambda: raw(algorithm=hostile.UNKNOWN_ALGORITHM), "signed in a way"),
    # What was pasted
    "nothing": (lambda: "", "This is no request"),
    "words": (lambda: "hello", "This is no request"),
    "a certificate": (lambda: authority().certificate, "This is a certificate, not a request"),
    "a private key": (lambda: PRIVATE_KEY, "There is a private key in this"),
    "a private key beside it": (lambda: PLAIN + PRIVATE_KEY, "There is a private key in this"),
    "two requests": (lambda: PLAIN + raw(subject(b"other")), "There are 2 requests in this"),
    "cut off": (lambda: PLAIN[:-60], "no END line"),
    "lost line": (lambda: "\n".join(PLAIN.splitlines()[:2] + PLAIN.splitlines()[3:]), "request is damaged"),
    "only BEGIN lines": (lambda: "-----BEGIN CERTIFICATE REQUEST-----\n" * 1800, "no END line"),
    "no DER": (lambda: pem(hostile.sequence(b"\0" * 100)), CANNOT_BE_READ),
}


def many_names(count: int) -> list[x509.DNSName]:
    return [x509.DNSName(f"h{number}.test.com") for number in range(count)]


@pytest.mark.parametrize("what", REFUSED)
def test_request_is_refused_with_a_sentence(what: str) -> None:
    text, said = REFUSED[what]
    with pytest.raises(IssuingError) as refused:
        read_request(text())
    sentence = str(refused.value)
    assert said in sentence
    assert (refused.value.field, len(sentence) < 400, "never shown" in sentence) == ("request", True, False)
    assert sentence.replace("\u2068", "").replace("\u2069", "").isprintable()


REFUSED_KEYS = {
    "RSA-1024": "RSA 1024, which is too short",
    "P-224": "ECDSA P-224, which Envoy does not take",
    "P-521": "ECDSA P-521, which Envoy does not take",
    "secp256k1": "which Envoy does not take",
    "P-256 explicit": "spells out its curve",
    "Ed25519": "Ed25519, which Envoy does not take",
    "Ed448": "Ed448, which Envoy does not take",
    "RSA-PSS": "is bound to RSASSA-PSS, which Envoy does not take",
}


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_key_that_tls_is_not_done_with_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(IssuingError, match=REFUSED_KEYS[key]):
        read_request(request(private_key(tmp_path / "key", key)))


@pytest.mark.parametrize("digest", ["-md5", "-sha1"])
def test_weak_signature_is_refused(digest: str, tmp_path: Path) -> None:
    with pytest.raises(IssuingError, match="signed with MD5 or SHA-1"):
        read_request(request(private_key(tmp_path / "key", "RSA-2048"), options=[digest]))


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"\ufeffHere it is:\r\n{PLAIN}".replace("\n", "\r\n   "),
        PLAIN.replace("CERTIFICATE", "NEW CERTIFICATE"),
        PLAIN * 2,
        "\0\ud800" + PLAIN,
        raw(subject("client".encode("utf-16-be"), hostile.BMP_STRING)),
        raw(public_key=hostile.on_p256(hostile.COMPRESSED)),
        armored(hostile.octets_of()),
    ],
    ids=["plain", "bent", "new", "twice", "noise", "BMPString", "compressed point", "DER file"],
)
def test_request_is_understood_however_it_comes(text: str) -> None:
    found = read_request(text)
    assert (found.common_name, found.key, found.left_out) == ("client", "ECDSA P-256", ())
    assert found.public_key_hash == read_request(PLAIN).public_key_hash
    assert found.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:] == hostile.POINT
    assert hostile.POINT in found.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


LEFT_OUT = {
    "parts of the subject": (
        lambda: built(
            attributes=[(CN, "client"), (x509.NameOID.COUNTRY_NAME, "DE"), (x509.NameOID.TITLE, "x")]
        ),
        ["Of its subject, 2.5.4.12, C is left out."],
    ),
    "several common names": (
        lambda: built(attributes=[(CN, "admin"), (CN, "client")]),
        ["It has more than one common name; the last is taken, and admin left out."],
    ),
    "usages": (
        lambda: built(
            asks_to(digital_signature=True),
            x509.BasicConstraints(ca=False, path_length=None),
            x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]),
        ),
        [
            "Its keyUsage is replaced by what the profile sets.",
            "Its basicConstraints is replaced by what the profile sets.",
            "Its extendedKeyUsage is replaced by what the profile sets.",
        ],
    ),
    "must-staple": (
        lambda: built(x509.TLSFeature([x509.TLSFeatureType.status_request])),
        ["Its extension TLSFeature is left out."],
    ),
    "critical extension that nobody knows": (
        lambda: built(unrecognized("1.2.3.4", b"\5\0"), critical=True),
        ["Its extension 1.2.3.4 is left out."],
    ),
    "kinds of names": (
        lambda: built(
            named(
                x509.DNSName("a\0b.test.com"),
                x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
                x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\5\0"),
            )
        ),
        [
            "\u2068a b.test.com\u2069 has a control character, such as a tab. Remove it.",
            "A name of the kind RegisteredID is not issued here.",
            "A name of the kind OtherName is not issued here.",
        ],
    ),
    "more than is shown": (
        lambda: built(*(unrecognized(f"1.2.3.{number}", b"\5\0") for number in range(60))),
        [*(f"Its extension 1.2.3.{number} is left out." for number in range(20)), "40 more are left out."],
    ),
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_is_not_taken_is_said(what: str) -> None:
    text, sentences = LEFT_OUT[what]
    found = read_request(text())
    assert (found.common_name, list(found.left_out)) == ("client", sentences)


def test_nothing_but_key_and_names_of_a_request_is_in_the_certificate() -> None:
    asked = read_request(
        built(
            named(
                x509.DNSName("Laptop.test.com."), x509.RFC822Name("Ann@Test.com"), x509.DNSName("*.test.com")
            ),
            asks_to(digital_signature=True, data_encipherment=True),
            x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]),
            unrecognized("1.2.3.4", b"\5\0"),
            attributes=[(CN, "client"), (ORGANIZATION, "ELB"), (x509.NameOID.EMAIL_ADDRESS, "ann@test.com")],
        )
    )
    assert list(map(str, asked.names)) == ["dns: laptop.test.com", "email: Ann@test.com", "dns: *.test.com"]
    with pytest.raises(IssuingError, match="a client's name has no star"):
        check_names(Profile.CLIENT, asked.names)
    asked = replace(asked, names=asked.names[:2])

    certificate = issued(asked.common_name, asked.organization, asked.names, asked.public_key)

    assert certificate.subject.rfc4514_string() == "CN=client,O=ELB"
    assert [one.oid._name for one in certificate.extensions] == [
        *("subjectKeyIdentifier", "basicConstraints", "keyUsage", "extendedKeyUsage", "subjectAltName"),
        "authorityKeyIdentifier",
    ]
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert (usage, list(purposes)) == (
        asks_to(digital_signature=True),
        [x509.ExtendedKeyUsageOID.CLIENT_AUTH],
    )
    assert certificate.public_key() == hostile.KEY.public_key()


def issued(
    common_name: str, organization: str, names: tuple[AlternativeName, ...], key: PublicKey
) -> x509.Certificate:
    made = issue(
        Profile.CLIENT, authority(), Subject(common_name, organization), names, key, 30, datetime.now(UTC)
    )
    assert made.private_key == ""
    return x509.load_pem_x509_certificate(made.certificate.encode())


def test_every_kind_of_key_that_is_made_here_is_taken_from_requests(tmp_path: Path) -> None:
    for kind in (KeyKind.P256, KeyKind.P384, KeyKind.RSA_2048):
        key, _ = requested(tmp_path, kind)
        assert issued("client", "", (AlternativeName(NameKind.DNS, "a.test.com"),), key).public_key() == key


SEEDS = [
    hostile.octets_of(extensions=[hostile.NAMES]),
    hostile.octets_of(public_key=hostile.of_rsa(hostile.MODULUS, 65537), algorithm=hostile.RSA_SHA256),
]


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.one_of(st.just(0), st.integers(0, 300)),
    is_signed=st.booleans(),
)
def test_mutated_request_is_read_or_refused_and_nothing_else(
    seed: bytes, changes: list[tuple[int, int]], cut: int, is_signed: bool
) -> None:
    octets = bytearray(seed)
    for place, value in changes:
        octets[place % len(octets)] = value
    text = pem(resigned(bytes(octets)) if is_signed else bytes(octets[cut:]))
    try:
        names = read_request(text).names
    except IssuingError:
        return
    assert all(name.general for name in names)


def resigned(octets: bytes) -> bytes:
    """With a good signature of what it says now, so that what is behind that check is reached as well."""
    start = 4 if octets[1] == 0x82 else 3
    size = {0x82: 4, 0x81: 3}.get(octets[start + 1], 2)
    length = int.from_bytes(octets[start + 2 : start + size]) if size > 2 else octets[start + 1]
    signed = octets[start : start + size + length]
    signature = hostile.KEY.sign(signed, ec.ECDSA(hashes.SHA256()))
    bits = hostile.der(hostile.BIT_STRING, b"\0" + signature)
    return hostile.sequence(signed, hostile.ECDSA_SHA256, bits)
