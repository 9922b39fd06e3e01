"""Issuing to servers and clients through the pages, what comes out being read by openssl."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from certificates.forms.issuing import ServerForm
from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from tests.certificates.issuing_pages import (
    authority,
    ended_authority,
    fields_of,
    opened,
    read_by_openssl,
    request,
    verified_by_openssl,
)
from tests.certificates.test_keyring import master_key
from tests.pki import run

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def page(name: str, ca: CertificateAuthority) -> str:
    return reverse(name, args=[ca.pk])


def errors(answer: object) -> dict[str, list[str]]:
    return dict(answer.context["form"].errors)  # type: ignore[attr-defined]


def test_server_certificate_of_a_form_as_it_is_opened(
    browser: Client, ca: CertificateAuthority, tmp_path: Path
) -> None:
    fields = opened(browser, "server_issue", ca)
    assert (fields["names"], fields["organization"], fields["days"]) == ("testserver", "ELB", "397")

    answer = browser.post(page("server_issue", ca), fields)

    row = IssuedCertificate.objects.get()
    stored = Certificate.objects.get(type="server")
    assert (answer.status_code, answer.headers["Location"]) == (302, stored.get_absolute_url())
    assert (row.stored, stored.name, stored.domain_names) == (stored, "testserver", "testserver")
    assert row.sealed_private_key == ""
    assert verified_by_openssl(tmp_path, ca.content, stored.content, "sslserver") == "leaf.pem: OK"
    assert read_by_openssl(stored.content, "-subject") == "subject=O = ELB, CN = testserver"


def test_names_of_an_address_are_offered_and_others_passed_over(
    browser: Client, ca: CertificateAuthority
) -> None:
    query = "?names=www.test.com,*.test.com,<script>,a b,x%00y,ada@test.com,192.0.2.1,www.test.com"
    fields = opened(browser, "server_issue", ca, query)
    assert (fields["names"], fields["name"]) == ("www.test.com\n*.test.com\n192.0.2.1", "www.test.com")


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        ("192.0.2.1\nwww.test.com", "subject=O = ELB, CN = www.test.com"),
        ("192.0.2.1\n2001:db8::1", "subject=O = ELB, CN = 192.0.2.1"),
        (f"{'a' * 60}.test.com", "subject=O = ELB"),
    ],
)
def test_common_name_of_a_server_is_its_first_name_that_fits(
    browser: Client, ca: CertificateAuthority, names: str, subject: str
) -> None:
    fields = opened(browser, "server_issue", ca) | {"names": names}
    browser.post(page("server_issue", ca), fields)
    assert read_by_openssl(IssuedCertificate.objects.get().content, "-subject") == subject


@pytest.mark.parametrize(
    ("there", "back"), [("/listeners/1/edit/", "/listeners/1/edit/"), ("//evil.test/", None)]
)
def test_server_certificate_leads_back_to_the_page_that_asked(
    browser: Client, ca: CertificateAuthority, there: str, back: str | None
) -> None:
    answer = browser.post(f"{page('server_issue', ca)}?next={there}", opened(browser, "server_issue", ca))
    assert answer.headers["Location"] == (back or Certificate.objects.get(type="server").get_absolute_url())


def test_client_certificate_with_a_key_made_here(
    browser: Client, ca: CertificateAuthority, person: User, tmp_path: Path
) -> None:
    fields = opened(browser, "client_issue", ca) | {"common_name": "ada@test.com"}
    assert (fields["kind"], fields["days"], fields["organization"]) == ("ec-p256", "397", "ELB")

    answer = browser.post(page("client_issue", ca), fields, headers=HTMX)

    row = IssuedCertificate.objects.get()
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, row.get_absolute_url())
    assert (row.created_by, row.is_key_here, row.alternative_names) == (person, True, "email: ada@test.com")
    assert verified_by_openssl(tmp_path, ca.content, row.content, "sslclient") == "leaf.pem: OK"
    assert read_by_openssl(row.content, "-subject") == "subject=O = ELB, CN = ada@test.com"
    assert Certificate.objects.filter(type="server").count() == 0
    lines = row.private_key().splitlines()[1:-1]
    pages = [page("client_issue", ca), reverse("issued_renew", args=[row.pk])]
    text = "".join(browser.get(one).content.decode() for one in pages)
    text += browser.post(page("client_issue", ca), fields | {"days": "0"}).content.decode()
    assert [line for line in lines if line in text + str(answer.headers)] == []


def test_form_that_is_sent_again_issues_once(browser: Client, ca: CertificateAuthority) -> None:
    fields = opened(browser, "client_issue", ca) | {"common_name": "ada.test.com"}
    answers = [browser.post(page("client_issue", ca), fields) for _ in range(2)]
    row = IssuedCertificate.objects.get()
    assert [answer.headers["Location"] for answer in answers] == [row.get_absolute_url()] * 2
    told = browser.get(row.get_absolute_url()).content.decode()
    assert "was issued by this form already, and not a second time" in told

    other = fields | {"common_name": "bob.test.com", "names": ""}
    refused = browser.post(page("client_issue", ca), other)
    assert (refused.status_code, IssuedCertificate.objects.count()) == (422, 1)
    browser.post(page("client_issue", ca), fields_of(refused))
    assert IssuedCertificate.objects.count() == 2


def test_form_that_is_sent_twice_at_once_issues_once(
    browser: Client, ca: CertificateAuthority, person: User
) -> None:
    fields = opened(browser, "server_issue", ca)
    forms = [ServerForm(fields, authority=ca, user=person) for _ in range(2)]
    assert [form.is_valid() for form in forms] == [True, True]
    rows = [form.save() for form in forms]
    assert rows == [IssuedCertificate.objects.get()] * 2
    assert Certificate.objects.filter(type="server").count() == 1


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"common_name": "", "names": "dns: a.test.com"}, {"common_name"}),
        ({"common_name": "", "names": ""}, {"common_name"}),
        ({"common_name": "Ada Lovelace", "names": ""}, {"names"}),
        ({"names": "*.test.com"}, {"names"}),
        ({"names": "dns: a\tb"}, {"names"}),
        ({"names": "x" * 1_000_000}, {"names"}),
        ({"names": "\0"}, {"names"}),
        ({"names": "a.test.com\n" * 101}, {"names"}),
        ({"common_name": "a" * 65, "names": "dns: a"}, {"common_name"}),
        ({"common_name": "\u202eada", "names": "dns: a"}, {"common_name"}),
        ({"common_name": "\0", "names": "dns: a"}, {"common_name"}),
        ({"organization": "-----BEGIN PRIVATE KEY-----"}, {"organization"}),
        ({"organization": "b" * 1_000_000}, {"organization"}),
        ({"days": "0"}, {"days"}),
        ({"days": "1001"}, {"days"}),
        ({"days": "9" * 5000}, {"days"}),
        ({"days": "\ufffd"}, {"days"}),
        ({"days": ""}, {"days"}),
        ({"kind": "dsa"}, {"kind"}),
        ({"source": "elsewhere"}, {"source"}),
        ({"source": "request"}, {"request"}),
        ({"source": "request", "common_name": "", "names": ""}, {"request"}),
        ({"source": "request", "request": "\0"}, {"request"}),
        ({"source": "request", "request": "A" * 1_000_000}, {"request"}),
        ({"source": "request", "request": SimpleUploadedFile("x.csr", b"\x80\xff" * 9)}, {"request"}),
        ({"source": "request", "request_file": SimpleUploadedFile("x.csr", b"\x80\xff" * 9)}, {"request"}),
        (
            {"source": "request", "request_file": SimpleUploadedFile("x.csr", b"0\x03\x02\x01\x01")},
            {"request"},
        ),
    ],
)
def test_what_cannot_be_issued_is_said_at_its_field(
    browser: Client, ca: CertificateAuthority, changes: dict[str, str], wrong: set[str]
) -> None:
    fields = opened(browser, "client_issue", ca) | {"common_name": "a.test.com"} | changes
    answer = browser.post(page("client_issue", ca), fields)
    assert (answer.status_code, errors(answer).keys()) == (422, wrong)
    assert IssuedCertificate.objects.count() == 0


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"names": ""}, {"names"}),
        ({"names": "ada@test.com"}, {"names"}),
        ({"names": f"{'a' * 60}.test.com", "organization": ""}, {"organization"}),
        ({"days": "826"}, {"days"}),
        ({"name": "n" * 256}, {"name"}),
    ],
)
def test_what_cannot_be_issued_to_a_server_is_said_at_its_field(
    browser: Client, ca: CertificateAuthority, changes: dict[str, str], wrong: set[str]
) -> None:
    answer = browser.post(page("server_issue", ca), opened(browser, "server_issue", ca) | changes)
    assert (answer.status_code, errors(answer).keys()) == (422, wrong)
    assert IssuedCertificate.objects.count() == 0


def test_days_are_not_more_than_the_ca_has(browser: Client, person: User) -> None:
    ca = authority(person, days=100)
    fields = opened(browser, "client_issue", ca) | {"common_name": "a.test.com"}
    # 99, or one less where the CA has been made a second ago.
    assert 98 <= int(fields["days"]) <= 99
    refused = browser.post(page("client_issue", ca), fields | {"days": "101"})
    assert "This CA itself ends at" in errors(refused)["days"][0]
    assert browser.post(page("client_issue", ca), fields).status_code == 302


@pytest.mark.parametrize("as_file", [False, True], ids=["pasted", "chosen"])
def test_request_is_shown_before_it_is_issued_for(
    browser: Client, ca: CertificateAuthority, tmp_path: Path, as_file: bool
) -> None:
    usage = "extendedKeyUsage=serverAuth"
    names = "subjectAltName=DNS:ada.test.com,DNS:*.test.com,URI:https://test.com/a"
    csr = request(tmp_path, "/C=DE/O=Lovelace/CN=Ada L", usage, names)
    fields = opened(browser, "client_issue", ca) | {"source": "request"}
    if as_file:
        fields["request_file"] = SimpleUploadedFile("a.csr", csr.read_bytes())
    else:
        fields["request"] = csr.read_text()
    first = browser.post(page("client_issue", ca), fields)

    assert (first.status_code, errors(first), IssuedCertificate.objects.count()) == (200, {}, 0)
    text = first.content.decode()
    assert "Of its subject, C is left out." in text
    assert "Its extendedKeyUsage is replaced by what the profile sets." in text
    assert "*.test.com: a client&#x27;s name has no star." in text
    filled = fields_of(first)
    assert [filled[name] for name in ("common_name", "organization", "names")] == [
        *("Ada L", "Lovelace", "dns: ada.test.com\nuri: https://test.com/a"),
    ]

    corrected = {"common_name": "Ada Lovelace", "organization": "", "names": "dns: ada.test.com"}
    second = browser.post(page("client_issue", ca), filled | corrected)

    row = IssuedCertificate.objects.get()
    assert (second.status_code, second.headers["Location"]) == (302, row.get_absolute_url())
    assert (row.key_origin, row.sealed_private_key, row.organization) == ("request", "", "")
    public = read_by_openssl(row.content, "-pubkey")
    assert public in request_key(csr)
    assert verified_by_openssl(tmp_path, ca.content, row.content, "sslclient") == "leaf.pem: OK"
    assert "TLS Web Server" not in read_by_openssl(row.content, "-ext", "extendedKeyUsage")


def request_key(csr: Path) -> str:
    return run(["openssl", "req", "-noout", "-pubkey", "-in", str(csr)])


def test_name_of_a_request_with_a_comma_is_left_out(browser: Client, ca: CertificateAuthority) -> None:
    """It would be read as two names, the second of which nobody has asked for."""
    names = [x509.UniformResourceIdentifier(uri) for uri in ("https://test.com/?a,admin.test.com", "urn:b")]
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    csr = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    pasted = {"source": "request", "request": csr.public_bytes(Encoding.PEM).decode(), "common_name": "b"}
    answer = browser.post(page("client_issue", ca), opened(browser, "client_issue", ca) | pasted)
    assert fields_of(answer)["names"] == "uri: urn:b"
    assert "has a comma, which separates names here" in answer.content.decode()


def test_another_request_than_the_shown_one_is_shown_first(
    browser: Client, ca: CertificateAuthority, tmp_path: Path
) -> None:
    fields = opened(browser, "client_issue", ca) | {"source": "request"}
    csr = request(tmp_path, "/CN=ada.test.com").read_text()
    first = browser.post(page("client_issue", ca), fields | {"request": csr})
    other = request(tmp_path, "/CN=ada.test.com").read_text()
    second = browser.post(page("client_issue", ca), fields_of(first) | {"request": other})
    assert (second.status_code, IssuedCertificate.objects.count()) == (200, 0)


def test_same_key_as_before_is_said(browser: Client, ca: CertificateAuthority, tmp_path: Path) -> None:
    csr = request(tmp_path, "/CN=ada.test.com").read_text()
    for count in (0, 1):
        fields = opened(browser, "client_issue", ca) | {"source": "request", "request": csr}
        first = browser.post(page("client_issue", ca), fields)
        assert first.content.decode().count("with this same key is here already") == count
        browser.post(page("client_issue", ca), fields_of(first))
        assert IssuedCertificate.objects.count() == count + 1


def test_server_of_a_request_is_not_stored(browser: Client, ca: CertificateAuthority, tmp_path: Path) -> None:
    csr = request(tmp_path, "/CN=ignored", "subjectAltName=DNS:www.test.com,email:ada@test.com").read_text()
    fields = opened(browser, "server_issue", ca) | {"source": "request", "request": csr}
    first = browser.post(page("server_issue", ca), fields)
    assert fields_of(first)["names"] == "dns: www.test.com"
    assert "The server's key is elsewhere" in first.content.decode()
    browser.post(page("server_issue", ca), fields_of(first))
    row = IssuedCertificate.objects.get()
    assert (row.profile, row.common_name, row.stored) == ("server", "www.test.com", None)
    assert Certificate.objects.filter(type="server").count() == 0


@pytest.mark.parametrize("what", ["damaged", "weak", "CA", "hostile", "key beside it"])
def test_request_that_must_not_be_signed_is_refused(
    browser: Client, ca: CertificateAuthority, tmp_path: Path, what: str
) -> None:
    weak = ("-newkey", "rsa:1024")
    extensions = ["basicConstraints=CA:TRUE"] if what == "CA" else []
    subject = "/CN=a\u202eb" if what == "hostile" else "/CN=a.test.com"
    path = request(tmp_path, subject, *extensions, key=weak if what == "weak" else ("ec:P-256",))
    text = path.read_text()
    if what == "damaged":
        lines = text.splitlines()
        lines[-2] = lines[-2][::-1]
        text = "\n".join(lines)
    key = (tmp_path / "client.key").read_text()
    fields = opened(browser, "client_issue", ca) | {"source": "request", "common_name": "a.test.com"}
    fields["request"] = text + (key if what == "key beside it" else "")
    answer = browser.post(page("client_issue", ca), fields)
    assert (answer.status_code, errors(answer).keys()) == (422, {"request"})
    assert [line for line in key.splitlines()[1:-1] if line in answer.content.decode()] == []


@pytest.mark.parametrize("name", ["server_issue", "client_issue"])
@pytest.mark.parametrize("what", ["removed", "sealed otherwise"])
def test_ca_without_its_key_says_what_to_do(
    browser: Client, ca: CertificateAuthority, settings: Settings, name: str, what: str
) -> None:
    fields = opened(browser, name, ca) | {"common_name": "Ada", "names": "a.test.com"}
    if what == "removed":
        ca.remove_key()
    else:
        settings.ELB_MASTER_KEY = master_key()
    there = reverse("authority_take_up", args=[ca.certificate_id])
    answers = [browser.get(page(name, ca)), browser.post(page(name, ca), fields)]
    assert [answer.status_code for answer in answers] == [200, 422]
    assert [f'href="{there}"' in answer.content.decode() for answer in answers] == [True, True]
    assert fields_of(answers[1])["names"] == "a.test.com"
    assert IssuedCertificate.objects.count() == 0


def test_ca_that_has_ended_says_what_to_do(browser: Client, person: User) -> None:
    answer = browser.get(page("client_issue", ended_authority(person)))
    assert f'href="{reverse("authority_add")}"' in answer.content.decode()
    assert "This CA has expired" in answer.content.decode()


def test_pages_need_a_login_and_a_ca(browser: Client, ca: CertificateAuthority) -> None:
    for name in ("server_issue", "client_issue"):
        assert Client().post(page(name, ca)).headers["Location"].startswith("/login/")
        assert browser.get(reverse(name, args=[10**30])).status_code == 404
