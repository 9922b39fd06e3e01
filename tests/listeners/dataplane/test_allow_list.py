"""Who may enter, beyond which CA (B7): real certificates against real listeners, and against `admits`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from listeners.admission import admits, entry_from_line
from listeners.spec import AllowedClientSpec, ClientAuthenticationSpec, ListenerSpec
from tests.backend import Backend
from tests.conftest import Pki
from tests.envoy_lab import EnvoyLab, configuration, envoy_lab, https
from tests.pki import KeyPair, foreign_client, issue_between
from tests.ports import free_port
from tests.tls_client import REFUSED, Outcome, TlsClient

DNS, EMAIL, URI, ADDRESS = 0x82, 0x81, 0x86, 0x87
Names = Sequence[tuple[int, bytes]]

# The names that a certificate has beside its subject, CN=client,O=ELB; octets, for some are no text.
CERTIFICATES: dict[str, Names] = {
    "no name": (),
    "dns": ((DNS, b"client.test.com"),),
    "dns in capitals": ((DNS, b"CLIENT.Test.com"),),
    "dns with a final dot": ((DNS, b"client.test.com."),),
    "wildcard": ((DNS, b"*.test.com"),),
    "suffix": ((DNS, b"evil-client.test.com"),),
    "prefix": ((DNS, b"client.test.com.evil.example"),),
    "a dot that is none": ((DNS, b"clientXtest.com"),),
    "NUL": ((DNS, b"client.test.com\0.evil.example"),),
    "NUL at the end": ((DNS, b"client.test.com\0"),),
    "line break": ((DNS, b"client.test.com\nevil.example"),),
    "line break before": ((DNS, b"evil.example\nclient.test.com"),),
    "line break at the end": ((DNS, b"client.test.com\n"),),
    "over-long": ((DNS, b"client." * 2000 + b"test.com"),),
    "empty": ((DNS, b""),),
    "Kelvin sign": ((DNS, "\u212a.test.com".encode()),),
    "letter K": ((DNS, b"K.test.com"),),
    "not text, then dns": ((DNS, b"\xe9.test.com"), (DNS, b"client.test.com")),
    "several": ((EMAIL, b"x@test.com"), (DNS, b"other.test.com"), (DNS, b"client.test.com")),
    "e-mail that spells a dns name": ((EMAIL, b"client.test.com"),),
    "uri that spells a dns name": ((URI, b"client.test.com"),),
    "e-mail": ((EMAIL, b"Joe@TEST.com"),),
    "e-mail of a namesake": ((EMAIL, b"joe@test.com"),),
    "dns that spells an e-mail": ((DNS, b"Joe@test.com"),),
    "uri": ((URI, b"spiffe://test.com/a?b=(c)"),),
    "uri in another case": ((URI, b"spiffe://TEST.com/a?b=(c)"),),
    "uri that goes on": ((URI, b"spiffe://test.com/a?b=(c)/d"),),
    "address": ((ADDRESS, bytes([192, 0, 2, 1])),),
    "dns that spells an address": ((DNS, b"192.0.2.1"),),
    "address of IPv6": ((ADDRESS, bytes.fromhex("20010db8" + "0" * 23 + "1")),),
    "address in IPv6": ((ADDRESS, bytes.fromhex("0" * 20 + "ffffc0000201")),),
    "no address": ((ADDRESS, b"192.0.2.1"),),
}

# The subject of a certificate without further names; the first of each pair is the most general part.
CN, ORG, OU = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME
HOSTILE = ' #a,b+c"d\\e;f<g>h=i/*\n\0 '
SUBJECTS: dict[str, Sequence[x509.NameAttribute]] = {
    "subject": (x509.NameAttribute(ORG, "ELB"), x509.NameAttribute(CN, "client")),
    "parts the other way round": (x509.NameAttribute(CN, "client"), x509.NameAttribute(ORG, "ELB")),
    "one part that spells two": (x509.NameAttribute(CN, "client,O=ELB"),),
    "hostile": (x509.NameAttribute(CN, HOSTILE),),
    "UTF-8": (x509.NameAttribute(CN, "Zoë 客户 😀\u202e"),),
    "UTF-16": (x509.NameAttribute(CN, "Zoë 客户", _ASN1Type.BMPString),),
    "Latin-1": (x509.NameAttribute(CN, "Zoë", _ASN1Type.T61String),),
    "long": tuple(x509.NameAttribute(OU, "x" * 64) for _ in range(160)),
    "many attributes": (
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "5"),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "joe@test.com"),
        x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "test"),
        x509.NameAttribute(NameOID.USER_ID, "u1"),
        x509.NameAttribute(NameOID.STREET_ADDRESS, "Street 1"),
        x509.NameAttribute(NameOID.SURNAME, "Doe"),
    ),
    "unknown attribute": (x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, "x"),),
}

PLAIN = {*CERTIFICATES, "subject"}
# What a person writes, and whom it lets in.
ENTRIES: dict[str, set[str]] = {
    "dns: client.test.com": {"dns", "dns in capitals", "not text, then dns", "several"},
    "DNS:K.test.com.": {"letter K"},
    "email: Joe@Test.com": {"e-mail"},
    "uri: spiffe://test.com/a?b=(c)": {"uri"},
    "ip: 192.0.2.1": {"address"},
    "IP Address: 2001:DB8:0::1": {"address of IPv6"},
    "ip: ::ffff:192.0.2.1": {"address in IPv6"},
    "subject: CN=client,O=ELB": PLAIN,
    "subject=cn=client, o=ELB": PLAIN,
    r"subject: CN=client\,O=ELB": {"one part that spells two"},
    "subject: O=ELB,CN=client": {"parts the other way round"},
    "subject: CN=Zoë 客户": {"UTF-16"},
    r"subject: CN=Zo\C3\AB 客户 😀" + "\u202e": {"UTF-8"},
    # As octets of UTF-8 in a field of one octet a character are read.
    "subject: CN=Zo\u00c3\u00ab": {"Latin-1"},
    r"subject: CN=\ #a\,b\+c\"d\\e\;f\<g\>h=i/*\0A\00\ ": {"hostile"},
    "subject: sn=Doe, STREET=Street 1, UID=u1, DC=test, E=joe@test.com, 2.5.4.5=5, C=DE": {"many attributes"},
    "subject: OU=zz+CN=client": {"joined parts"},
    "SHA256 Fingerprint={fingerprint}": {"dns"},
}


EXPIRED = (datetime.now(UTC) - timedelta(days=2), datetime.now(UTC) - timedelta(days=1))


@dataclass(frozen=True)
class Doors:
    """A listener for each entry, and one for all of them."""

    lab: EnvoyLab
    by_line: dict[str, ListenerSpec]
    all: ListenerSpec


@pytest.fixture(scope="module")
def certificates(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyPair]:
    folder: Path = tmp_path_factory.mktemp("allowed")
    found = {}
    for number, (label, names) in enumerate(CERTIFICATES.items()):
        content = b"".join(tlv(tag, text) for tag, text in names)
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), tlv(0x30, content))
        found[label] = client(folder, f"names-{number}", pki, [extension] if names else [])
    for number, (label, attributes) in enumerate(SUBJECTS.items()):
        found[label] = client(folder, f"subject-{number}", pki, subject=x509.Name(attributes))
    joined = x509.RelativeDistinguishedName([x509.NameAttribute(OU, "zz"), x509.NameAttribute(CN, "client")])
    found["joined parts"] = client(folder, "joined", pki, subject=x509.Name([joined]))
    return found


@pytest.fixture(scope="module")
def doors(backend: Backend, pki: Pki, certificates: dict[str, KeyPair]) -> Iterator[Doors]:
    fingerprint = parsed(certificates["dns"]).fingerprint(hashes.SHA256()).hex(":").upper()
    entries = {line: (entry_from_line(line.format(fingerprint=fingerprint)),) for line in ENTRIES}
    with envoy_lab() as lab:
        listeners = {
            line: listed(number, backend, allowed)
            for number, (line, allowed) in enumerate([*entries.items(), ("", sum(entries.values(), ()))], 1)
        }
        lab.apply(configuration(*listeners.values(), server=pki.modern.server, cas={2: pki.modern.ca}))
        lab.wait_served(*listeners.values())
        yield Doors(lab, listeners, listeners.pop(""))


def listed(id: int, backend: Backend, allowed: tuple[AllowedClientSpec, ...]) -> ListenerSpec:
    listener = https(id, free_port(), backend.port, ca=2)
    assert listener.tls
    return replace(
        listener, tls=replace(listener.tls, client=ClientAuthenticationSpec((2,), allowed=allowed))
    )


def client(
    folder: Path,
    name: str,
    pki: Pki,
    extensions: Sequence[x509.ExtensionType] = (),
    subject: x509.Name | None = None,
) -> KeyPair:
    now = datetime.now(UTC)
    return issue_between(
        folder,
        name,
        pki.modern.ca,
        now - timedelta(days=1),
        now + timedelta(days=1),
        common_name="client",
        extensions=[(one, False) for one in extensions],
        subject=subject,
    )


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag]) + (bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2)) + content


def parsed(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


@cache
def presenting(pair: KeyPair) -> TlsClient:
    return TlsClient(client=pair)


def entered(listener: ListenerSpec, certificates: dict[str, KeyPair]) -> set[str]:
    success = Outcome("SUCCESS")
    return {label for label, one in certificates.items() if presenting(one).ask(listener.port) == success}


def said(listener: ListenerSpec, certificates: dict[str, KeyPair]) -> set[str]:
    assert listener.tls
    assert listener.tls.client
    allowed = listener.tls.client.allowed
    assert allowed
    return {label for label, pair in certificates.items() if admits(allowed, parsed(pair))}


@pytest.mark.parametrize("line", ENTRIES)
def test_entry_lets_in_those_that_the_console_says_and_no_others(
    doors: Doors, certificates: dict[str, KeyPair], line: str
) -> None:
    assert entered(doors.by_line[line], certificates) == ENTRIES[line]
    assert said(doors.by_line[line], certificates) == ENTRIES[line]


def test_list_lets_in_whom_any_of_its_entries_does(doors: Doors, certificates: dict[str, KeyPair]) -> None:
    expected = set.union(*ENTRIES.values())
    assert entered(doors.all, certificates) == said(doors.all, certificates) == expected
    assert certificates.keys() - expected == {"long", "unknown attribute"}


def test_list_lets_in_nobody_whose_certificate_does_not_verify(
    doors: Doors, pki: Pki, tmp_path: Path
) -> None:
    """Each has the subject that is listed."""
    listener = doors.by_line["subject: CN=client,O=ELB"]
    expired = issue_between(
        tmp_path, "expired", pki.modern.ca, *EXPIRED, subject=x509.Name(SUBJECTS["subject"])
    )
    strangers = {"good": pki.modern.client, "of another CA": foreign_client(tmp_path), "expired": expired}

    assert entered(listener, strangers) == {"good"}
    assert said(listener, strangers) == strangers.keys()
    assert TlsClient().ask(listener.port) == REFUSED
