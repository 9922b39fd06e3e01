"""Entries of an allow-list as people write them; what they let in is in dataplane/test_allow_list.py."""

from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from listeners.admission import LONGEST_ENTRY, AdmissionError, entry, entry_from_line, line
from listeners.spec import AllowedClientSpec, IdentityKind
from listeners.subjects import entered_subject, subject_text

DIGITS = "0123456789abcdef" * 4
CLIENT = "CN=client,O=ELB"


@pytest.mark.parametrize(
    ("written", "kind", "value"),
    [
        ("dns: client.test.com", IdentityKind.DNS, "client.test.com"),
        ("  DNS Name:CLIENT.test.com.  ", IdentityKind.DNS, "client.test.com"),
        ("client.test.com", IdentityKind.DNS, "client.test.com"),
        ("build_agent-7", IdentityKind.DNS, "build_agent-7"),
        ("xn--mller-kva.test", IdentityKind.DNS, "xn--mller-kva.test"),
        ("email: Joe.Doe@TEST.com", IdentityKind.EMAIL, "Joe.Doe@test.com"),
        ("joe@test.com", IdentityKind.EMAIL, "joe@test.com"),
        ("uri: spiffe://Test.com/Client", IdentityKind.URI, "spiffe://Test.com/Client"),
        ("spiffe://test.com/a=b@c", IdentityKind.URI, "spiffe://test.com/a=b@c"),
        ("urn:uuid:f81d4fae", IdentityKind.URI, "urn:uuid:f81d4fae"),
        ("ip: 192.0.2.1", IdentityKind.IP, "192.0.2.1"),
        ("2001:DB8:0:0::1", IdentityKind.IP, "2001:db8::1"),
        ("[2001:db8::1]", IdentityKind.IP, "2001:db8::1"),
        ("::ffff:c000:201", IdentityKind.IP, "::ffff:192.0.2.1"),
        ("subject: CN=client,O=ELB", IdentityKind.SUBJECT, CLIENT),
        ("subject=CN=client, O=ELB", IdentityKind.SUBJECT, CLIENT),
        ("cn=client,o=ELB", IdentityKind.SUBJECT, CLIENT),
        ("2.5.4.3=client,2.5.4.10=ELB", IdentityKind.SUBJECT, CLIENT),
        ("E=joe@test.com,CN=client", IdentityKind.SUBJECT, "emailAddress=joe@test.com,CN=client"),
        ("email=joe@test.com,CN=client", IdentityKind.SUBJECT, "emailAddress=joe@test.com,CN=client"),
        (r"CN=a\, b,O=Zoë", IdentityKind.SUBJECT, r"CN=a\, b,O=Zo\C3\AB"),
        ("CN=a  ,O=b", IdentityKind.SUBJECT, "CN=a,O=b"),
        ("CN=a\\ ", IdentityKind.SUBJECT, r"CN=a\ "),
        (r"CN=a\\", IdentityKind.SUBJECT, r"CN=a\\"),
        (f"fingerprint: {DIGITS}", IdentityKind.FINGERPRINT, DIGITS),
        (f"SHA256:{DIGITS.upper()}", IdentityKind.FINGERPRINT, DIGITS),
        (bytes.fromhex(DIGITS).hex(":"), IdentityKind.FINGERPRINT, DIGITS),
        (f"sha256 Fingerprint={bytes.fromhex(DIGITS).hex(':')}", IdentityKind.FINGERPRINT, DIGITS),
    ],
)
def test_entry_is_understood(written: str, kind: IdentityKind, value: str) -> None:
    found = entry_from_line(written)
    assert found == AllowedClientSpec(kind, value)
    assert entry_from_line(line(found)) == entry(kind, value) == found


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("dns:", "Write a value, or remove this entry."),
        ("dns: *.test.com", "*.test.com: a star stands for nothing here."),
        ("dns: 192.0.2.1", "192.0.2.1 is no DNS name. If it is an address, list it as an IP address."),
        ("dns: müller.test", "\u2068müller.test\u2069 has characters that no certificate has in a DNS name."),
        ("dns: a..test", "a..test is no DNS name."),
        ("dns: -a.test", "-a.test is no DNS name."),
        ("dns: a b", "a b is no DNS name."),
        ("dns: " + "a" * 64 + ".test", "aaaa"),
        ("dns: " + "a." * 126 + "test", "\u2068a.a."),
        ("dns: a.test\0.evil", "This entry has a control character, such as a tab or a line break."),
        ("dns: a.test\nb.test", "This entry has a control character, such as a tab or a line break."),
        ("email: joe", "joe is no e-mail address."),
        ("email: Joe Doe <joe@test.com>", "Joe Doe <joe@test.com> is no e-mail address."),
        ("email: a@b@test.com", "a@b@test.com is no e-mail address."),
        ("uri: client.test.com", "client.test.com is no URI."),
        ("uri: spiffe://test.com/a b", "spiffe://test.com/a b is no URI."),
        ("bogus: x", "bogus: x begins with none of the kinds: dns, email, uri, ip, subject, fingerprint."),
        ("ip: 192.0.2.0/24", "192.0.2.0/24 is no IP address."),
        ("ip: fe80::1%eth0", "fe80::1%eth0 is no IP address."),
        ("ip: 1", "1 is no IP address."),
        ("fingerprint: " + DIGITS[:40], "0123456789abcdef0123456789abcdef01234567 is no SHA-256 fingerprint"),
        ("fingerprint: " + "g" * 64, "gggg"),
        ("subject: /CN=client/O=ELB", "A subject does not begin with a slash."),
        ("subject: client", "client cannot be read as part of a subject."),
        ("subject: CN = client, O = ELB", "CN = client, O = ELB cannot be read as part of a subject."),
        ("subject: CN=client,", "Its end cannot be read as part of a subject."),
        ("subject: CN=a;O=b", "CN=a;O=b cannot be read as part of a subject."),
        ("subject: 2.5.4.97=x", "A subject with 2.5.4.97 cannot be listed"),
        ("subject: CN=#0C0161", "A value in hexadecimal cannot be listed."),
        (r"subject: CN=\FF", r"\FF has octets that are not UTF-8."),
        ("subject: CN=\ufdd0", "\u2068 \u2069 has what is no character."),
        ("subject: CN=" + "x" * LONGEST_ENTRY, "This entry is longer than 1,000 characters."),
    ],
)
def test_entry_that_cannot_be_listed_is_explained(written: str, sentence: str) -> None:
    with pytest.raises(AdmissionError) as caught:
        entry_from_line(written)
    assert str(caught.value)[: len(sentence)] == sentence


VALUES = st.text(st.characters(exclude_categories=["Cs", "Cn"]), min_size=1, max_size=20)
OIDS = st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.SURNAME])
PARTS = st.lists(
    st.lists(st.tuples(OIDS, VALUES), min_size=1, max_size=3, unique_by=lambda one: one[0]),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)
@given(PARTS)
def test_subject_reads_the_same_from_a_certificate_and_from_what_people_write(
    parts: list[list[tuple[x509.ObjectIdentifier, str]]],
) -> None:
    sets = [x509.RelativeDistinguishedName([x509.NameAttribute(*one) for one in part]) for part in parts]
    octets = x509.Name(sets).public_bytes()
    text = subject_text(octets)
    as_shown = ",".join(
        "+".join(f"{one.oid.dotted_string}={written(str(one.value))}" for one in part)
        for part in reversed(sets)
    )

    assert text.isascii()
    assert entered_subject(text) == text
    assert entered_subject(as_shown) == text


def written(value: str) -> str:
    """Everything that may have a meaning behind a backslash."""
    return "".join(one if one.isalnum() else "".join(f"\\{n:02x}" for n in one.encode()) for one in value)


@pytest.mark.parametrize("octets", [b"", b"\x30", b"\x30\x03\x31\x01\x00", b"\x30\x00\x00", b"\x04\x00"])
def test_octets_that_are_no_name_have_no_text(octets: bytes) -> None:
    assert subject_text(octets) == ""


@settings(deadline=None)
@given(st.text(max_size=60))
def test_whatever_is_written_is_an_entry_or_explained(text: str) -> None:
    with suppress(AdmissionError):
        found = entry_from_line(text)
        assert entry_from_line(line(found)) == found
