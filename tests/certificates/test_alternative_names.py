"""Names of a subjectAltName as people write them; whom they let in is for listeners/test_admission.py."""

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates.alternative_names import (
    LONGEST_NAME,
    MOST_NAMES,
    AlternativeName,
    NameFaultError,
    NameKind,
    entered,
    of_extension,
)

TEXT = st.text(max_size=80) | st.text("ab.-_*@:/%[]+ ü\0\n0123456789", max_size=40)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("www.Test.com", ["dns: www.test.com"]),
        ("a.test.com, b.test.com\n\n a.test.com ,", ["dns: a.test.com", "dns: b.test.com"]),
        ("*.test.com", ["dns: *.test.com"]),
        ("dns:*.test.com", ["dns: *.test.com"]),
        ("localhost", ["dns: localhost"]),
        ("127.0.0.1\n[::1]", ["ip: 127.0.0.1", "ip: ::1"]),
        ("ip: ::ffff:192.0.2.1", ["ip: ::ffff:192.0.2.1"]),
        ("spiffe://test.com/a, Ann@Test.com", ["uri: spiffe://test.com/a", "email: Ann@test.com"]),
        ("", []),
        (" \n, ,", []),
    ],
)
def test_names_are_told_apart_by_their_form(written: str, expected: list[str]) -> None:
    assert list(map(str, entered(written, wildcards=True))) == expected


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("dns:", "There is no name behind dns:"),
        ("www.*.test.com", "a star stands for nothing here"),
        ("*", "a star stands for nothing here"),
        ("*.*.test.com", "a star stands for nothing here"),
        ("*.127.0.0.1", "is no DNS name. If it is an address"),
        ("dns: 127.0.0.1", "is no DNS name. If it is an address"),
        ("münchen.test", "in the form that begins with xn--"),
        ("a" * 64 + ".test", "is no DNS name"),
        ("www..test.com", "is no DNS name"),
        ("https://www.test.com/ shop", "is no URI"),
        ("ann@", "is no e-mail address"),
        ("ann bob@test.com", "is no e-mail address"),
        ("192.0.2.0/24", "is no DNS name"),
        ("ip: 192.0.2.0/24", "A certificate names single addresses"),
        ("fe80::1%eth0", "is no IP address"),
        ("a\tb", "has a control character"),
        ("a\0b", "has a control character"),
        ("\ud800.test", "in the form that begins with xn--"),
        ("a" * (LONGEST_NAME + 1), "is longer than 1,000 characters"),
        (",".join(f"a{number}" for number in range(MOST_NAMES + 1)), "There are 101 names here"),
    ],
)
def test_name_that_cannot_be_is_refused_with_a_sentence(written: str, said: str) -> None:
    with pytest.raises(NameFaultError) as refused:
        entered(written, wildcards=True)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


def test_star_is_for_servers_alone() -> None:
    with pytest.raises(NameFaultError, match="a star stands for nothing here"):
        entered("*.test.com")


@settings(deadline=None)
@given(TEXT)
def test_whatever_is_written_is_refused_or_can_be_issued_and_read_back(text: str) -> None:
    try:
        names = entered(text, wildcards=True)
    except NameFaultError:
        return
    extension = x509.SubjectAlternativeName([name.general for name in names])
    assert of_extension(extension) == (names, ())
    assert entered("\n".join(map(str, names)), wildcards=True) == names


@settings(deadline=None)
@given(st.sampled_from(NameKind), TEXT)
def test_whatever_is_written_behind_its_kind_is_refused_or_can_be_issued(kind: NameKind, text: str) -> None:
    try:
        names = entered(f"{kind}: {text}", wildcards=True)
    except NameFaultError:
        return
    assert x509.SubjectAlternativeName([name.general for name in names]).public_bytes()


@pytest.mark.parametrize("local", ["a..b", ".a", "a.", "a" * 64, "!#$%&'*+-/=?^_`{|}~"])
def test_every_local_part_that_is_taken_can_be_issued(local: str) -> None:
    (name,) = entered(f"email: {local}@test.com")
    assert name == AlternativeName(NameKind.EMAIL, f"{local}@test.com")
    assert name.general == x509.RFC822Name(f"{local}@test.com")
