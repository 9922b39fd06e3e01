"""A client's private key leaves once, for the password of who asks, and is nowhere afterwards."""

import logging
import plistlib
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs12
from cryptography.x509.oid import NameOID
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.views.debug import SafeExceptionReporterFilter
from pytest_django import Settings

from certificates import issuing
from certificates.alternative_names import entered
from certificates.forms.downloads import DownloadForm
from certificates.issuing import KeyKind, Profile, Subject
from certificates.issuing.bundles import BundleForm
from certificates.issuing.targets import GUIDES, Target
from certificates.models import CertificateAuthority, IssuedCertificate, KeyDownload
from tests.certificates.issuing.test_bundles import has_key
from tests.certificates.test_keyring import master_key
from tests.factories import authority
from tests.html_forms import html_forms
from tests.live import PASSWORD

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
FILE_PASSWORD = "kind-moon-42-blue"


def issued(
    person: User, common_name: str = "ada", key: Any = KeyKind.P256, profile: Profile = Profile.CLIENT
) -> IssuedCertificate:
    names = entered("ada.test.com", wildcards=False)
    made = authority(intermediate="Between", by=person)
    return made.issue(profile, Subject(common_name), names, key, 10, person, server_name="shop")


def path(row: IssuedCertificate) -> str:
    return reverse("issued_download", args=[row.pk])


def fields(**changes: str) -> dict[str, str]:
    filled = {"target": "windows", "format": "", "file_password": FILE_PASSWORD, "account_password": PASSWORD}
    return filled | changes


def is_file(answer: HttpResponse) -> bool:
    return "Content-Disposition" in answer.headers


def test_page_proposes_another_password_each_time(browser: Client, person: User) -> None:
    row = issued(person)
    forms = [
        next(form for form in html_forms(browser.get(path(row)).content.decode()) if "target" in form.fields)
        for _ in range(2)
    ]
    first, second = (form.fields["file_password"] for form in forms)
    assert first != second
    answer = browser.post(path(row), {**forms[0].fields, "account_password": PASSWORD})
    assert pkcs12.load_pkcs12(answer.content, first.encode()).key


def test_dialog_sends_the_form_without_htmx(browser: Client, person: User) -> None:
    fragment = browser.get(path(issued(person)), headers=HTMX).content.decode()
    assert "<html" not in fragment
    assert "hx-post" not in fragment
    assert 'method="post"' in fragment


def test_targets_get_what_they_read() -> None:
    """docs/client-bundles.md says why."""
    assert {target.value: target.form.value for target in Target} == {
        "windows": "p12",
        "windows-old": "p12-legacy",
        "macos": "p12-legacy",
        "ios": "mobileconfig",
        "android": "p12-legacy",
        "firefox": "p12",
        "chrome-linux": "p12",
        "java": "p12",
        "curl": "pem",
    }


@pytest.mark.parametrize("target", Target)
def test_file_suits_its_target(browser: Client, person: User, target: Target) -> None:
    row = issued(person)
    answer = browser.post(path(row), fields(target=target.value))
    form = target.form
    assert (answer.status_code, answer.headers["Content-Type"], answer.headers["Content-Disposition"]) == (
        200,
        form.media_type,
        f'attachment; filename="client-{row.pk}.{form.suffix}"',
    )
    assert "no-store" in answer.headers["Cache-Control"]
    match form:
        case BundleForm.PROFILE:
            assert plistlib.loads(answer.content)["PayloadScope"] == "User"
        case BundleForm.PEM:
            key = answer.content[answer.content.index(b"-----BEGIN ENCRYPTED") :]
            assert load_pem_private_key(key, FILE_PASSWORD.encode())
        case _:
            bundle = pkcs12.load_pkcs12(answer.content, FILE_PASSWORD.encode())
            assert bundle.cert
            assert bundle.cert.friendly_name == f"ada-{row.pk}".encode()
            subjects = [one.certificate.subject.rfc4514_string() for one in bundle.additional_certs]
            assert subjects == ["CN=Between", "CN=shop CA"]
    download = KeyDownload.objects.get()
    assert (download.issued, download.user, download.username) == (row, person, "ada")
    assert download.form == f"{form.label}, for {target.label}"
    assert row.fingerprint in download.what


def test_names_of_forms_fit_into_the_log() -> None:
    longest = KeyDownload._meta.get_field("form").max_length
    assert longest
    names = [f"{form.label}, for {target.label}" for form in BundleForm for target in Target]
    assert [name for name in names if len(name) > longest] == []


def test_format_can_be_another_than_the_targets(browser: Client, person: User) -> None:
    row = issued(person)
    chosen = fields(target="windows", format="pem-plain", file_password="")
    answer = browser.post(path(row), chosen)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="client-{row.pk}.pem"'
    assert load_pem_private_key(answer.content[answer.content.index(b"-----BEGIN PRIVATE") :], None)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"account_password": "wrong"}, "account_password"),
        ({"account_password": ""}, "account_password"),
        ({"account_password": "a\x00b"}, "account_password"),
        ({"file_password": "short"}, "file_password"),
        ({"file_password": ""}, "file_password"),
        ({"file_password": "with blanks in it"}, "file_password"),
        ({"file_password": "grüne-wiese-42"}, "file_password"),
        ({"file_password": "a\x00bcdefghijklm"}, "file_password"),
        ({"file_password": "kind-moon-42\n"}, "file_password"),
        ({"file_password": "x" * 65}, "file_password"),
        ({"target": "toaster"}, "target"),
        ({"target": ""}, "target"),
        ({"format": "exe"}, "format"),
    ],
)
def test_refused_form_gives_nothing_away(
    browser: Client, person: User, given: dict[str, str], field: str
) -> None:
    row = issued(person)
    answer = browser.post(path(row), fields(**given))
    assert (answer.status_code, is_file(answer), list(answer.context["form"].errors)) == (422, False, [field])
    row.refresh_from_db()
    assert (row.is_key_here, KeyDownload.objects.count()) == (True, 0)
    assert is_file(browser.post(path(row), fields()))


def test_wrong_account_password_is_logged_and_not_shown_again(
    browser: Client, person: User, caplog: pytest.LogCaptureFixture
) -> None:
    answer = browser.post(path(issued(person)), fields(account_password="wrong-42-words"))
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING][:1] == [
        "ada gave a wrong password for the download of a key"
    ]
    page = answer.content.decode()
    assert "wrong-42-words" not in page + caplog.text
    assert FILE_PASSWORD in page  # what was typed for the file is kept
    assert FILE_PASSWORD not in caplog.text


def test_second_download_says_when_and_by_whom_and_gives_no_file(browser: Client, person: User) -> None:
    row = issued(person)
    assert is_file(browser.post(path(row), fields()))
    answers = {
        "post": browser.post(path(row), fields()),
        "post, wrong password": browser.post(path(row), fields(account_password="x")),
        "page": browser.get(path(row)),
        "dialog": browser.get(path(row), headers=HTMX),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "post": 410,
        "post, wrong password": 410,
        "page": 200,
        "dialog": 200,
    }
    download = KeyDownload.objects.get()
    for answer in answers.values():
        page = answer.content.decode()
        assert not is_file(answer)
        assert f"{download.at:%Y-%m-%d %H:%M:%S} UTC" in page
        assert '<b class="as-typed">ada</b> downloaded it at' in page
        assert f'href="{reverse("issued_renew", args=[row.pk])}"' in page
        assert "file_password" not in page
        assert re.findall(r'<details class="advanced" open>\s*<summary>(.*?)</summary>', page) == [
            Target.WINDOWS.label
        ]


def test_key_that_nobody_took_in_time_is_gone(browser: Client, person: User) -> None:
    row = issued(person)
    past = row.created_at - IssuedCertificate.key_lifetime()
    IssuedCertificate.objects.filter(pk=row.pk).update(created_at=past)
    answer = browser.post(path(row), fields())
    assert (answer.status_code, is_file(answer), KeyDownload.objects.count()) == (410, False, 0)
    assert "nobody downloaded it until" in answer.content.decode()


def test_renewed_certificate_leads_to_its_renewal(browser: Client, person: User) -> None:
    row = issued(person)
    browser.post(path(row), fields())
    renewal = row.authority.issue(
        Profile.CLIENT, Subject("ada"), row.names, KeyKind.P256, 10, person, renewal_of=row
    )
    page = browser.get(path(row)).content.decode()
    assert f'href="{renewal.get_absolute_url()}"' in page
    assert reverse("issued_renew", args=[row.pk]) not in page


def request_for(common_name: str) -> issuing.Request:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    made = x509.CertificateSigningRequestBuilder(name).sign(key, hashes.SHA256())
    return issuing.read_request(made.public_bytes(Encoding.PEM).decode())


def test_certificate_of_a_request_has_no_key_here(browser: Client, person: User) -> None:
    row = issued(person, key=request_for("ada").public_key)
    answers = [browser.get(path(row)), browser.post(path(row), fields())]
    assert [(answer.status_code, is_file(answer)) for answer in answers] == [(200, False), (410, False)]
    for answer in answers:
        page = answer.content.decode()
        assert "was never here" in page
        assert f'href="{reverse("issued_pem", args=[row.pk])}"' in page
        assert "account_password" not in page


def test_key_of_a_server_stays_with_its_stored_certificate(browser: Client, person: User) -> None:
    row = issued(person, profile=Profile.SERVER)
    answers = [browser.get(path(row)), browser.post(path(row), fields())]
    assert [(answer.status_code, is_file(answer)) for answer in answers] == [(200, False), (410, False)]
    assert row.stored
    assert f'href="{row.stored.get_absolute_url()}"' in answers[0].content.decode()
    assert row.stored.private_key()


def test_pem_has_certificate_and_chain_without_root_and_key(browser: Client, person: User) -> None:
    row = issued(person)
    browser.post(path(row), fields())
    answer = browser.get(reverse("issued_pem", args=[row.pk]))
    subjects = [one.subject.rfc4514_string() for one in x509.load_pem_x509_certificates(answer.content)]
    assert subjects == ["CN=ada", "CN=Between"]
    assert b"PRIVATE" not in answer.content
    assert answer.headers["Content-Disposition"] == f'attachment; filename="client-{row.pk}-certificate.pem"'


def test_key_that_cannot_be_opened_is_kept(browser: Client, person: User, settings: Settings) -> None:
    row = issued(person)
    right, settings.ELB_MASTER_KEY = settings.ELB_MASTER_KEY, master_key()
    answer = browser.post(path(row), fields())
    assert (answer.status_code, is_file(answer), KeyDownload.objects.count()) == (422, False, 0)
    assert answer.context["form"].non_field_errors()
    settings.ELB_MASTER_KEY = right
    assert is_file(browser.post(path(row), fields()))


def test_key_is_kept_when_the_file_cannot_be_made(person: User) -> None:
    row = issued(person)
    CertificateAuthority.objects.filter(pk=row.authority_id).update(content="damaged")
    form = DownloadForm(fields(), user=person, issued=IssuedCertificate.objects.get())
    assert form.is_valid()
    with pytest.raises(ValueError, match="PEM"):
        form.take()
    row.refresh_from_db()
    assert (row.is_key_here, KeyDownload.objects.count()) == (True, 0)


def test_passwords_are_hidden_from_error_reports(browser: Client, person: User) -> None:
    request = browser.post(path(issued(person)), fields(account_password="wrong")).wsgi_request
    shown = SafeExceptionReporterFilter().get_post_parameters(request)
    assert {shown[name] for name in ("account_password", "file_password")} == {
        SafeExceptionReporterFilter.cleansed_substitute
    }


@pytest.mark.parametrize(
    "name", ['"; rm -rf /; "', "../../etc/passwd", "<b>x</b>", "%s %n", "{{ 7*7 }}", "日本", "😀", "a,CN=b"]
)
def test_hostile_names_reach_neither_file_names_nor_bundles(browser: Client, person: User, name: str) -> None:
    row = issued(person, common_name=name)
    page = browser.get(path(row)).content.decode()
    assert "<b>x</b>" not in page
    assert "49" not in page.partition("<h1>")[2].partition("</h1>")[0]
    answer = browser.post(path(row), fields())
    assert answer.headers["Content-Disposition"] == f'attachment; filename="client-{row.pk}.p12"'
    bundle = pkcs12.load_pkcs12(answer.content, FILE_PASSWORD.encode())
    assert bundle.cert
    assert bundle.cert.friendly_name
    assert bundle.cert.friendly_name.decode("ascii").replace("-", "").isalnum()


def test_private_key_is_nowhere_but_in_its_file(
    browser: Client, person: User, caplog: pytest.LogCaptureFixture
) -> None:
    """The canary: its octets, in hexadecimal and in base64, in what is stored, shown and logged."""
    caplog.set_level(logging.DEBUG)
    row = issued(person)
    key = row.private_key()
    pages = [browser.get(path(row)), browser.post(path(row), fields(account_password="wrong"))]
    dumps = [dump()]

    file = browser.post(path(row), fields(format="pem-plain"))

    dumps.append(dump())
    addresses = [path(row), reverse("issued_pem", args=[row.pk]), reverse("certificate_list")]
    pages += [browser.get(address) for address in addresses]
    pages.append(browser.post(path(row), fields()))
    assert has_key(file.content, key)
    assert not any(has_key(page.content, key) for page in pages)
    assert not any(has_key(one, key) for one in dumps)
    assert not has_key(caplog.text.encode(), key)
    sealed = IssuedCertificate.objects.values_list("sealed_private_key", flat=True)
    assert list(sealed) == [""]
    secrets = (FILE_PASSWORD, PASSWORD)
    assert not any(secret in dumps[1].decode() + caplog.text for secret in secrets)


def dump() -> bytes:
    """Every row of every table, as the database holds it."""
    parts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            parts.append(repr(cursor.fetchall()))
    return "\n".join(parts).encode()


def test_guides_say_what_suits_and_how_to_import(browser: Client, person: User) -> None:
    row = issued(person)
    page = browser.get(path(row)).content.decode()
    for target, guide in GUIDES.items():
        assert f'data-show-when="target={target.value}"' in page
        assert guide.label in page
    assert "{file}" not in page
    assert f"client-{row.pk}.mobileconfig" in page
    sources = re.findall("These steps follow (.*?);", unescape(page))
    assert sources == [guide.source for guide in GUIDES.values() if guide.source]
    assert page.count("by the console's own tests") == len(GUIDES) - len(sources)
    assert timedelta() < row.key_kept_until - row.created_at
