"""What certificates say of themselves: periods, serial numbers, names and their limits."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from certificates.alternative_names import AlternativeName, NameKind
from certificates.issuing import (
    Authority,
    IssuingError,
    KeyKind,
    Profile,
    Subject,
    check_authority,
    issue,
    most_days,
    new_intermediate,
)
from certificates.issuing.names import LONGEST_NAMES
from tests import pki
from tests.certificates.issuing.made import authority, elsewhere, leaf, stored
from tests.pki import KeyPair, issue_between, run

NOW = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
START = NOW.replace(microsecond=0) - timedelta(minutes=5)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture(scope="module")
def ca() -> Authority:
    return authority(now=NOW, days=3650)


def read(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def period(text: str) -> tuple[datetime, datetime]:
    certificate = read(text)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def test_days_count_from_the_first_second_to_the_last(ca: Authority) -> None:
    """825 days and a second are 826 to Apple (RFC 5280, 4.1.2.5: both ends belong to the period)."""
    made = leaf(Profile.SERVER, ca, end=825, now=NOW)
    assert period(made.certificate) == (START, START + 825 * DAY - SECOND)


def test_period_lies_within_that_of_the_ca() -> None:
    ca = authority(now=NOW, days=10, intermediate=True)
    assert period(ca.certificate) == period(ca.above[0]) == (START, START + 10 * DAY - SECOND)
    a_minute_on = NOW + timedelta(minutes=1)
    assert period(leaf(Profile.CLIENT, ca, end=9, now=a_minute_on).certificate)[0] == START + timedelta(
        minutes=1
    )
    assert most_days(ca.certificate, a_minute_on) == 9
    assert period(leaf(Profile.CLIENT, ca, end=10, now=NOW).certificate) == period(ca.certificate)


def test_something_issued_at_once_does_not_begin_before_its_ca(tmp_path: Path) -> None:
    constraints = (x509.BasicConstraints(ca=True, path_length=None), True)
    young = issue_between(tmp_path, "ca", None, NOW, NOW + 9 * DAY, extensions=[constraints])
    by = Authority(young.certificate_pem, young.key_pem)
    made = leaf(Profile.CLIENT, by, end=8, now=NOW + timedelta(seconds=30))
    assert period(made.certificate)[0] == NOW.replace(microsecond=0)
    assert most_days(by.certificate, NOW + timedelta(seconds=30)) == 9


@pytest.mark.parametrize(
    ("end", "now", "said", "field"),
    [
        (0, NOW, "from 1 to 36,500", "days"),
        (-5, NOW, "from 1 to 36,500", "days"),
        (36_501, NOW, "from 1 to 36,500", "days"),
        (10**30, NOW, "from 1 to 36,500", "days"),
        (NOW, NOW, "from 1 to 36,500", "days"),
        (NOW + 40_000 * DAY, NOW, "from 1 to 36,500", "days"),
        (4000, NOW, "Choose at most 3,650 days.", "days"),
        (NOW + 4000 * DAY, NOW, "Choose at most 3,650 days.", "days"),
        (2, NOW + 3648 * DAY + timedelta(hours=5), "Choose at most 1 day.", "days"),
        (1, NOW + 3649 * DAY + timedelta(hours=5), "Make a new CA.", "days"),
        (1, NOW + 3650 * DAY, "This CA has expired (2036-02-27 11:54 UTC). Make a new one.", ""),
        (1, NOW - DAY, "This CA is not valid before 2026-03-01 11:55 UTC.", ""),
    ],
)
def test_period_that_cannot_be_is_refused(
    ca: Authority, end: datetime | int, now: datetime, said: str, field: str
) -> None:
    with pytest.raises(IssuingError) as refused:
        leaf(Profile.CLIENT, ca, end=end, now=now)
    assert said in str(refused.value)
    assert refused.value.field == field


def test_server_is_valid_for_no_longer_than_apple_takes(ca: Authority) -> None:
    with pytest.raises(IssuingError, match="from 1 to 825"):
        leaf(Profile.SERVER, ca, end=826, now=NOW)
    with pytest.raises(IssuingError, match="from 1 to 825"):
        leaf(Profile.SERVER, ca, end=NOW + 825 * DAY, now=NOW)


def test_serial_numbers_are_unpredictable_and_fit_twenty_octets(ca: Authority) -> None:
    """CA/Browser Forum, 7.1: 64 bits at least; RFC 5280, 4.1.2.2: positive, at most 20 octets."""
    numbers = [read(leaf(Profile.CLIENT, ca, now=NOW).certificate).serial_number for _ in range(64)]
    assert len(set(numbers)) == 64
    assert all(0 < number < 2**159 for number in numbers)
    # Each of the upper 128 bits is set in some and not in others: 2 to the power of -63 says otherwise.
    for bit in range(30, 158):
        assert 0 < sum(number >> bit & 1 for number in numbers) < 64


@pytest.mark.parametrize(
    ("profile", "kind", "usages", "purpose"),
    [
        (Profile.SERVER, KeyKind.P256, {"digital_signature"}, "serverAuth"),
        (Profile.SERVER, KeyKind.RSA_2048, {"digital_signature", "key_encipherment"}, "serverAuth"),
        (Profile.CLIENT, KeyKind.P256, {"digital_signature"}, "clientAuth"),
        (Profile.CLIENT, KeyKind.RSA_2048, {"digital_signature"}, "clientAuth"),
    ],
)
def test_extensions_are_those_of_the_profile_and_no_others(
    ca: Authority, profile: Profile, kind: KeyKind, usages: set[str], purpose: str
) -> None:
    certificate = read(leaf(profile, ca, kind, now=NOW).certificate)
    assert certificate.version is x509.Version.v3
    assert {one.oid._name: one.critical for one in certificate.extensions} == {
        "basicConstraints": True,
        "keyUsage": True,
        "extendedKeyUsage": False,
        "subjectAltName": False,
        "subjectKeyIdentifier": False,
        "authorityKeyIdentifier": False,
    }
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert {name.removeprefix("_") for name, is_set in vars(usage).items() if is_set} == usages
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [one._name for one in purposes] == [purpose]


def test_authorities_say_how_many_may_be_below_them() -> None:
    below = authority(intermediate=True)
    lengths = [
        read(one).extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        for one in (*below.chain, authority().certificate)
    ]
    assert lengths == [0, 1, 0]
    with pytest.raises(IssuingError, match="may not have others below it"):
        new_intermediate(below, Subject("Third"), KeyKind.P256, 30, datetime.now(UTC))


def test_authority_has_no_limits_of_names_unless_they_are_asked_for() -> None:
    for one in authority(intermediate=True).chain:
        assert [extension.oid._name for extension in read(one).extensions if extension.critical] == [
            *("basicConstraints", "keyUsage"),
        ]


def test_intermediate_is_called_otherwise_than_its_root() -> None:
    root = authority(intermediate=True)
    above = Authority(root.above[0], "")
    with pytest.raises(IssuingError, match="another than that of the CA above it"):
        new_intermediate(above, Subject("Test CA", "ELB"), KeyKind.P256, 30, datetime.now(UTC))


@pytest.mark.parametrize(
    ("profile", "names", "said"),
    [
        (Profile.SERVER, [], "Write at least one name that clients use for the server."),
        (Profile.CLIENT, [], "Write at least one name of the client."),
        (Profile.SERVER, [(NameKind.EMAIL, "a@test.com")], "a@test.com is no name of a server."),
        (Profile.SERVER, [(NameKind.URI, "spiffe://a/b")], "spiffe://a/b is no name of a server."),
        (Profile.CLIENT, [(NameKind.DNS, "*.test.com")], "a client's name has no star."),
        (Profile.CLIENT, [(NameKind.DNS, f"a{n}.b") for n in range(101)], "There are 101 names; at most 100"),
        (
            Profile.CLIENT,
            [(NameKind.URI, f"urn:{n}:{'a' * 990}") for n in range(11)],
            f"at most {LONGEST_NAMES:,} are taken",
        ),
    ],
)
def test_names_that_a_profile_does_not_have_are_refused(
    ca: Authority, profile: Profile, names: list[tuple[NameKind, str]], said: str
) -> None:
    chosen = [AlternativeName(kind, value) for kind, value in names]
    with pytest.raises(IssuingError) as refused:
        issue(profile, ca, Subject("one"), chosen, KeyKind.P256, 30, NOW)
    assert said in str(refused.value)
    assert refused.value.field == "names"


@pytest.mark.parametrize(
    ("common_name", "organization", "said", "field"),
    [
        ("", "", "Write who the certificate is for.", "common_name"),
        ("a" * 65, "", "has 65 bytes; a certificate has room for 64", "common_name"),
        ("\u00e9" * 33, "", "has 66 bytes; a certificate has room for 64", "common_name"),
        ("client", "ü" * 65, "has 130 bytes", "organization"),
        (" client", "", "Leave out the blanks", "common_name"),
        ("cli\0ent", "", "cannot be seen", "common_name"),
        ("client\u202e", "", "cannot be seen", "common_name"),
        ("client", "E\ud800LB", "cannot be seen", "organization"),
        ("client\n", "", "Leave out the blanks", "common_name"),
    ],
)
def test_subject_that_no_certificate_has_is_refused(
    common_name: str, organization: str, said: str, field: str
) -> None:
    with pytest.raises(IssuingError) as refused:
        Subject(common_name, organization)
    assert said in str(refused.value)
    assert refused.value.field == field


def test_subject_is_read_by_openssl_as_it_was_written(ca: Authority, tmp_path: Path) -> None:
    made = leaf(Profile.CLIENT, ca, subject=Subject('Ännchen, 日本 + "x"', "Größe=1"), now=NOW)
    file = tmp_path / "one.pem"
    file.write_text(made.certificate)
    told = run(
        [
            "openssl",
            "x509",
            "-in",
            str(file),
            "-noout",
            "-subject",
            "-nameopt",
            "utf8,show_type,sname,sep_comma_plus",
        ]
    )
    assert told.strip() == 'subject=O=UTF8STRING:Größe=1,CN=UTF8STRING:Ännchen, 日本 + "x"'


@pytest.mark.parametrize("key", ["P-384", "P-521", "RSA-2048"])
@pytest.mark.parametrize(
    "subject", ["/O=ELB/CN=Plain", "/O=ELB/OU=b+OU=a+CN=Größe", "/C=DE/emailAddress=a@test.com"]
)
def test_ca_from_elsewhere_issues_what_openssl_verifies(key: str, subject: str, tmp_path: Path) -> None:
    """The issuer's name is written as the CA's own, type of string and order included."""
    by = elsewhere(tmp_path, ["basicConstraints=critical,CA:TRUE"], subject=subject, key=key)
    check_authority(by.certificate, by.private_key)
    pair = stored(tmp_path, "client", leaf(Profile.CLIENT, by).certificate, "")
    ca = stored(tmp_path, "root", by.certificate, "")
    told = run(
        ["openssl", "verify", "-purpose", "sslclient", "-CAfile", str(ca.certificate), str(pair.certificate)]
    )
    assert told.strip() == f"{pair.certificate}: OK"


def test_purposes_that_a_ca_leaves_out_are_not_issued(tmp_path: Path) -> None:
    by = elsewhere(tmp_path, [*pki.CA_EXTENSIONS, "extendedKeyUsage=clientAuth"])
    assert leaf(Profile.CLIENT, by)
    with pytest.raises(IssuingError, match="This CA is not for servers"):
        leaf(Profile.SERVER, by)


def test_key_of_another_certificate_is_not_taken_for_a_cas(tmp_path: Path) -> None:
    ca, other = authority(), authority()
    check_authority(ca.certificate, ca.private_key)
    with pytest.raises(IssuingError, match="key of another certificate"):
        check_authority(ca.certificate, other.private_key)
    with pytest.raises(IssuingError, match="cannot be read"):
        check_authority(ca.certificate, "no key")
    for key, said in {"RSA-1024": "RSA 1024", "P-224": "P-224", "Ed25519": "Ed25519"}.items():
        made: KeyPair = pki.authority(tmp_path / key, "ca", "/CN=CA", key=key)
        with pytest.raises(IssuingError, match=f"The key is .*{said}"):
            check_authority(made.certificate_pem, made.key_pem)


def test_keys_are_in_no_repr(ca: Authority) -> None:
    made = leaf(Profile.CLIENT, ca, now=NOW)
    for secret, shown in ((made.private_key, repr(made)), (ca.private_key, repr(ca))):
        assert "PRIVATE" in secret
        assert "PRIVATE" not in shown
        assert secret.splitlines()[1] not in shown
