"""The key of a CA: downloaded under a passphrase, removed from here, brought back; and seen nowhere else."""

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.views.debug import SafeExceptionReporterFilter

from certificates.alternative_names import entered
from certificates.issuing import KeyKind, Profile, Subject
from certificates.models import Certificate, CertificateAuthority, KeyDownload, KeyDraft
from tests.conftest import Pki
from tests.factories import authority, ca_certificate, server_certificate, user
from tests.live import PASSWORD

pytestmark = pytest.mark.django_db

PASSPHRASE = "a passphrase for päper"
RIGHT = {"passphrase": PASSPHRASE, "passphrase_again": PASSPHRASE, "account_password": PASSWORD}


@pytest.fixture
def made() -> CertificateAuthority:
    return authority("shop")


def download(made: CertificateAuthority) -> str:
    return reverse("authority_key_download", args=[made.pk])


def removal(made: CertificateAuthority) -> str:
    return reverse("authority_key_remove", args=[made.pk])


def taking_up(certificate: Certificate) -> str:
    return reverse("authority_take_up", args=[certificate.pk])


def opened(file: Path, passphrase: str) -> str:
    command = ["openssl", "pkey", "-in", file, "-passin", f"pass:{passphrase}"]
    return subprocess.run(command, capture_output=True, text=True).stdout


def key_lines(made: CertificateAuthority) -> list[str]:
    """Lines of its key's base64, none of which may be anywhere but in the seal and the asked-for file."""
    return made.private_key().splitlines()[1:-1]


def test_downloaded_key_is_read_by_openssl_under_its_passphrase_alone(
    browser: Client, made: CertificateAuthority, tmp_path: Path
) -> None:
    first, answer = (browser.post(download(made), RIGHT) for _ in range(2))  # as often as it is asked for

    file = tmp_path / "ca.key"
    file.write_bytes(answer.content)
    assert answer.content.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert answer.content != first.content  # salted
    assert answer.headers["Content-Disposition"] == f'attachment; filename="ca-{made.pk}-key.pem"'
    assert "no-store" in answer.headers["Cache-Control"]
    assert opened(file, PASSPHRASE) == made.private_key()
    assert opened(file, "something else") == ""
    parameters = subprocess.run(["openssl", "asn1parse", "-in", file], capture_output=True, text=True).stdout
    assert ":0927C0\n" in parameters  # 600,000 rounds
    assert ":aes-256-cbc" in parameters


def test_download_is_logged(browser: Client, made: CertificateAuthority, person: User) -> None:
    browser.post(download(made), RIGHT)

    row = KeyDownload.objects.get()
    assert (row.authority, row.user, row.username, row.form) == (
        made,
        person,
        "ada",
        "PKCS#8 PEM under a passphrase",
    )
    assert row.what == f"CN=shop CA ({made.certificate.fingerprint})"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"account_password": "wrong"}, "account_password"),
        ({"account_password": ""}, "account_password"),
        ({"account_password": "x\0"}, "account_password"),
        ({"passphrase": "short", "passphrase_again": "short"}, "passphrase"),
        ({"passphrase": "x" * 257, "passphrase_again": "x" * 257}, "passphrase"),
        ({"passphrase_again": PASSPHRASE.upper()}, "passphrase_again"),
        ({"passphrase_again": ""}, "passphrase_again"),
    ],
)
def test_refused_download_gives_nothing_and_logs_nothing(
    browser: Client, made: CertificateAuthority, change: dict[str, str], field: str
) -> None:
    answer = browser.post(download(made), RIGHT | change)

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])
    page = answer.content.decode()
    assert [word for word in (PASSPHRASE, PASSWORD, "BEGIN ENCRYPTED") if word in page] == []
    assert KeyDownload.objects.count() == 0


def test_key_removed_in_another_tab_is_not_downloaded(browser: Client, made: CertificateAuthority) -> None:
    made.remove_key()

    answer = browser.post(download(made), RIGHT)

    assert answer.status_code == 422
    assert "somebody has removed it meanwhile" in answer.content.decode()
    assert f'href="{taking_up(made.certificate)}"' in answer.content.decode()
    assert "bring it back" in browser.get(download(made)).content.decode()
    assert KeyDownload.objects.count() == 0


def test_key_that_does_not_unseal_says_so(browser: Client, made: CertificateAuthority) -> None:
    CertificateAuthority.objects.update(public_key_hash="0" * 64)

    answer = browser.post(download(made), RIGHT)

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["__all__"])
    assert KeyDownload.objects.count() == 0


def test_key_without_a_copy_goes_after_two_confirmations(browser: Client, made: CertificateAuthority) -> None:
    assert "Nobody has downloaded this key" in browser.get(removal(made)).content.decode()
    for fields, wrong in (
        ({}, ["typed_name", "without_copy"]),
        ({"typed_name": "shop"}, ["without_copy"]),
        ({"typed_name": "ship", "without_copy": "on"}, ["typed_name"]),
    ):
        answer = browser.post(removal(made), fields)
        assert (answer.status_code, list(answer.context["form"].errors)) == (422, wrong)
    assert CertificateAuthority.objects.get().has_key

    answer = browser.post(removal(made), {"typed_name": "shop", "without_copy": "on"})

    assert answer.headers["Location"] == made.get_absolute_url()
    assert not CertificateAuthority.objects.get().has_key
    again = browser.post(removal(made), {"typed_name": "shop", "without_copy": "on"})  # from another tab
    assert again.headers["Location"] == made.get_absolute_url()
    assert "nothing to remove" in browser.get(removal(made)).content.decode()


def test_key_with_a_copy_goes_by_its_name(browser: Client, made: CertificateAuthority) -> None:
    browser.post(download(made), RIGHT)

    assert "Nobody has downloaded" not in browser.get(removal(made)).content.decode()
    assert browser.post(removal(made), {"typed_name": "shop"}).status_code == 302


def test_root_without_its_key_leaves_the_intermediate_issuing(browser: Client) -> None:
    made = authority("shop", intermediate="Shop Issuing")
    assert made.parent
    page = browser.get(removal(made.parent)).content.decode()
    assert f'issued and renewed by <a class="as-typed" href="{made.get_absolute_url()}">shop</a>' in page

    browser.post(removal(made.parent), {"typed_name": "shop root", "without_copy": "on"})

    row = CertificateAuthority.objects.get(pk=made.pk)
    issued = row.issue(Profile.CLIENT, Subject("ada"), entered("ada.test.com"), KeyKind.P256, 1, user())
    assert issued.authority == made


def test_key_goes_and_comes_back_by_its_file(browser: Client, made: CertificateAuthority) -> None:
    before, file = made.private_key(), browser.post(download(made), RIGHT).content
    made.remove_key()
    path = taking_up(made.certificate)

    for password in ("", "wrong"):
        refused = browser.post(path, {"private_key": file.decode(), "password": password})
        assert (refused.status_code, list(refused.context["form"].errors)) == (422, ["password"])
        assert "it was not kept" in refused.content.decode()
        assert "BEGIN ENCRYPTED" not in refused.content.decode()
    answer = browser.post(path, {"private_key_file": SimpleUploadedFile("k", file), "password": PASSPHRASE})

    assert answer.headers["Location"] == made.get_absolute_url()
    assert CertificateAuthority.objects.get().private_key() == before
    assert KeyDraft.objects.count() == 0
    assert "is on this machine already" in browser.get(path).content.decode()


def test_stored_ca_issues_with_the_key_that_was_brought(browser: Client, pki: Pki, person: User) -> None:
    bundle = pki.guide.ca.certificate_pem + pki.modern.ca.certificate_pem
    certificate = ca_certificate(pki.guide.ca)
    Certificate.objects.filter(pk=certificate.pk).update(content=bundle)
    path = taking_up(certificate)
    assert "Bring the Key of a CA</h2>" in browser.get(path, headers={"HX-Request": "true"}).content.decode()

    answer = browser.post(path, {"private_key": pki.modern.ca.key_pem})

    row = CertificateAuthority.objects.get()
    assert answer.headers["Location"] == row.get_absolute_url()
    assert (row.content, row.created_by) == (pki.modern.ca.certificate_pem, person)
    issued = row.issue(Profile.CLIENT, Subject("ada"), entered("ada.test.com"), KeyKind.P256, 1, person)
    assert issued.authority == row
    # The other certificate's key has no business here any more.
    refused = browser.post(path, {"private_key": pki.guide.ca.key_pem})
    assert (refused.status_code, list(refused.context["form"].errors)) == (422, ["private_key"])


def ed25519_key(pki: Pki) -> str:
    command = ["openssl", "genpkey", "-algorithm", "ED25519"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("handed", "sentence"),
    [
        (lambda pki: "", "There is no private key."),
        (lambda pki: pki.modern.ca.certificate_pem, "begins a certificate; expected is a private key"),
        (lambda pki: pki.modern.ca.key_pem.replace("-----END", "----END"), "is damaged"),
        (lambda pki: pki.modern.ca.key_pem + pki.modern.server.key_pem, "There are 2 private keys"),
        (lambda pki: pki.modern.server.key_pem, "the key of the stored certificate web."),
        (lambda pki: pki.modern.client.key_pem, "does not belong to the CA certificate"),
        (ed25519_key, "with RSA and ECDSA alone"),
        (lambda pki: "x\0", "NUL"),
        (lambda pki: "x" * (1024 * 1024 + 1), "at most 1 MiB"),
    ],
)
def test_key_that_is_none_of_the_ca_is_refused_with_a_sentence(
    browser: Client, pki: Pki, handed: Callable[[Pki], str], sentence: str
) -> None:
    server_certificate(pki.modern.server)
    key = handed(pki)

    answer = browser.post(taking_up(ca_certificate(pki.modern.ca)), {"private_key": key})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["private_key"])
    assert sentence in answer.context["form"].errors["private_key"][0]
    assert [
        line for line in key.splitlines()[1:-1] if len(line) > 20 and line in answer.content.decode()
    ] == []
    assert CertificateAuthority.objects.count() == 0


def test_key_of_a_ca_is_here_once(browser: Client, pki: Pki, person: User) -> None:
    twins = [ca_certificate(pki.modern.ca, name=name) for name in ("first", "second")]
    browser.post(taking_up(twins[0]), {"private_key": pki.modern.ca.key_pem})

    refused = browser.post(taking_up(twins[1]), {"private_key": pki.modern.ca.key_pem})

    assert (
        "the key of the CA first, which is here already" in refused.context["form"].errors["private_key"][0]
    )
    assert CertificateAuthority.objects.get().certificate == twins[0]


def test_server_certificate_takes_up_no_key(browser: Client, pki: Pki) -> None:
    path = taking_up(server_certificate(pki.modern.server))

    assert [browser.get(path).status_code, browser.post(path, {}).status_code] == [404, 404]


def test_key_is_on_no_page_and_in_no_log(
    browser: Client, person: User, made: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lines = key_lines(made)
    answers = [
        browser.post(download(made), RIGHT),
        *(browser.get(path) for path in (download(made), removal(made), taking_up(made.certificate))),
        browser.get(reverse("authority_list")),
        browser.get(made.certificate.get_absolute_url()),
        browser.get(reverse("certificate_delete", args=[made.certificate_id])),
        browser.get(made.get_absolute_url()),
        browser.post(
            taking_up(made.certificate), {"private_key": made.private_key() + made.private_key()[:60]}
        ),
        browser.post(removal(made), {"typed_name": made.private_key()}),
        browser.post(
            reverse("authority_add"), {"name": made.private_key(), "constraints": made.private_key()}
        ),
    ]

    seen = "".join(answer.content.decode() for answer in answers) + caplog.text + repr(vars(made))
    assert [line for line in lines if line in seen] == []
    assert PASSPHRASE not in seen
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    "path",
    [download, lambda made: taking_up(made.certificate), lambda made: "/certificates/authorities/add/"],
)
def test_error_reports_leave_out_what_was_posted(
    browser: Client, made: CertificateAuthority, path: Callable[[CertificateAuthority], str]
) -> None:
    fields: dict[str, Any] = {"passphrase": "x", "private_key": "y", "name": "z"}

    request = browser.post(path(made), fields).wsgi_request

    shown = SafeExceptionReporterFilter().get_post_parameters(request)
    assert set(shown.values()) == {SafeExceptionReporterFilter.cleansed_substitute}
