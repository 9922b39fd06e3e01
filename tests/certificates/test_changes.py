"""Replacing and deleting certificates: what is asked first, what a second person is told, what stays."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from certificates.models import Certificate, CertificateAuthority, KeyDraft
from certificates.replacement import lost_names
from tests.conftest import Pki
from tests.factories import ca_certificate, listener, server_certificate
from tests.html_forms import html_forms
from tests.pki import SERVER_EXTENSIONS, KeyPair, authority, issue

pytestmark = pytest.mark.django_db

NOT_SAVED = "Somebody else has changed this since you opened the page"
OTHER_NAMES = (*SERVER_EXTENSIONS[:3], "subjectAltName=DNS:api.test.com,IP:127.0.0.1")


def edit_form(browser: Client, certificate: Certificate) -> dict[str, str]:
    page = browser.get(reverse("certificate_edit", args=[certificate.pk])).content.decode()
    return next(form.fields for form in html_forms(page) if "content" in form.fields)


def fields_of(page: bytes) -> dict[str, str]:
    return next(form.fields for form in html_forms(page.decode()) if "content" in form.fields)


def replacement(pair: KeyPair) -> dict[str, str]:
    return {"content": pair.certificate_pem, "private_key": pair.key_pem}


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "dialog"])
def test_second_editor_is_told_and_loses_nothing(browser: Client, pki: Pki, headers: dict[str, str]) -> None:
    certificate = server_certificate(pki.modern.server, name="web", description="first")
    path = reverse("certificate_edit", args=[certificate.pk])
    mine, theirs = edit_form(browser, certificate), edit_form(browser, certificate)
    assert browser.post(path, theirs | {"description": "theirs"}).status_code == 302

    refused = browser.post(path, mine | replacement(pki.guide.server) | {"name": "mine"}, headers=headers)

    assert (refused.status_code, NOT_SAVED in refused.content.decode()) == (422, True)
    certificate.refresh_from_db()
    assert (certificate.name, certificate.description) == ("web", "theirs")
    assert certificate.content == pki.modern.server.certificate_pem
    again = fields_of(refused.content)
    assert (again["name"], again["content"].strip()) == ("mine", pki.guide.server.certificate_pem.strip())
    assert (again["private_key"], KeyDraft.objects.count()) == ("", 1)
    # Having looked, the second one saves with what was entered, the key included.
    assert browser.post(path, again).status_code == 302
    certificate.refresh_from_db()
    assert (certificate.name, certificate.private_key()) == ("mine", pki.guide.server.key_pem)
    assert KeyDraft.objects.count() == 0


def test_change_without_a_stamp_is_refused(browser: Client, pki: Pki) -> None:
    certificate = ca_certificate(pki.modern.ca)
    form = edit_form(browser, certificate) | {"name": "renamed", "stamp": ""}
    answer = browser.post(reverse("certificate_edit", args=[certificate.pk]), form)
    assert (answer.status_code, NOT_SAVED in answer.content.decode()) == (422, True)


def test_certificate_deleted_meanwhile_does_not_come_back(browser: Client, pki: Pki) -> None:
    certificate = ca_certificate(pki.modern.ca)
    form = edit_form(browser, certificate)
    Certificate.objects.remove([certificate.pk])
    answer = browser.post(reverse("certificate_edit", args=[certificate.pk]), form | {"name": "renamed"})
    assert (answer.status_code, Certificate.objects.count()) == (404, 0)


def test_replacement_without_the_names_is_saved_only_when_confirmed(
    browser: Client, pki: Pki, tmp_path: Path
) -> None:
    certificate = server_certificate(pki.modern.server)
    row = listener(server_certificate=certificate)
    path = reverse("certificate_edit", args=[certificate.pk])
    narrower = issue(tmp_path, "api", pki.modern.ca, extensions=OTHER_NAMES)

    refused = browser.post(path, edit_form(browser, certificate) | replacement(narrower))

    page = refused.content.decode()
    assert (refused.status_code, row.name in page) == (422, True)
    assert [name for name in ("www.test.com", "::1") if f'<li class="as-typed">{name}</li>' in page] == [
        "www.test.com",
        "::1",
    ]
    assert '<li class="as-typed">127.0.0.1</li>' not in page
    certificate.refresh_from_db()
    assert certificate.content == pki.modern.server.certificate_pem
    # Ticking the box is all that is left to do: content and key are kept.
    token = page.partition('name="accepted_losses" value="')[2].partition('"')[0]
    assert browser.post(path, fields_of(refused.content)).status_code == 422
    assert browser.post(path, fields_of(refused.content) | {"accepted_losses": token}).status_code == 302
    certificate.refresh_from_db()
    assert certificate.names == ["api.test.com", "127.0.0.1"]


def test_confirmation_is_for_these_losses_only(browser: Client, pki: Pki, tmp_path: Path) -> None:
    certificate = server_certificate(pki.modern.server)
    listener(server_certificate=certificate)
    path = reverse("certificate_edit", args=[certificate.pk])
    narrower = issue(tmp_path, "api", pki.modern.ca, extensions=OTHER_NAMES)
    page = browser.post(path, edit_form(browser, certificate) | replacement(narrower)).content.decode()
    token = page.partition('name="accepted_losses" value="')[2].partition('"')[0]

    without_any = replacement(pki.guide.server) | {"accepted_losses": token}
    assert browser.post(path, edit_form(browser, certificate) | without_any).status_code == 422


def test_replacement_of_what_nobody_uses_asks_nothing(browser: Client, pki: Pki) -> None:
    certificate = server_certificate(pki.modern.server)
    path = reverse("certificate_edit", args=[certificate.pk])
    assert (
        browser.post(path, edit_form(browser, certificate) | replacement(pki.guide.server)).status_code == 302
    )


def test_renewal_for_the_same_names_asks_nothing(browser: Client, pki: Pki, tmp_path: Path) -> None:
    for pair, extensions in ((pki.guide.server, ()), (pki.modern.server, SERVER_EXTENSIONS)):
        certificate = server_certificate(pair)
        listener(server_certificate=certificate)
        path = reverse("certificate_edit", args=[certificate.pk])
        renewed = issue(tmp_path, f"renewed-{certificate.pk}", pki.modern.ca, extensions=extensions)
        answer = browser.post(path, edit_form(browser, certificate) | replacement(renewed))
        assert answer.status_code == 302


def test_ca_that_is_left_out_is_named_before_it_goes(browser: Client, pki: Pki, tmp_path: Path) -> None:
    server, ca = server_certificate(pki.modern.server), ca_certificate(pki.modern.ca)
    listener(server_certificate=server, ca_certificate=ca)
    path = reverse("certificate_edit", args=[ca.pk])
    other = authority(tmp_path, "other", "/O=ELB/CN=other").certificate_pem

    added = browser.post(path, edit_form(browser, ca) | {"content": pki.modern.ca.certificate_pem + other})
    left_out = browser.post(path, edit_form(browser, ca) | {"content": other})

    assert (added.status_code, left_out.status_code) == (302, 422)
    assert '<li class="as-typed">O=ELB</li>' in left_out.content.decode()


@pytest.mark.parametrize(
    ("stored", "new", "lost"),
    [
        (["a.test.com"], ["a.test.com", "b.test.com"], []),
        (["a.test.com"], ["*.test.com"], []),
        (["A.test.com"], ["a.TEST.com"], []),
        (["a.b.test.com"], ["*.test.com"], ["a.b.test.com"]),
        (["test.com"], ["*.test.com"], ["test.com"]),
        (["*.test.com"], ["a.test.com"], ["*.test.com"]),
        (["*.test.com"], ["*.test.com"], []),
        (["192.0.2.1", "::1"], ["*.0.2.1"], ["192.0.2.1", "::1"]),
        (["a.test.com", "b.test.com"], [], ["a.test.com", "b.test.com"]),
        ([], ["a.test.com"], []),
    ],
)
def test_lost_names(stored: list[str], new: list[str], lost: list[str]) -> None:
    assert lost_names(stored, new) == lost


def test_batch_delete_asks_then_says_what_became_of_each(browser: Client, pki: Pki) -> None:
    free, used = (
        server_certificate(pki.modern.server, name="free"),
        ca_certificate(pki.modern.ca, name="used"),
    )
    row = listener(server_certificate=server_certificate(pki.guide.server), ca_certificate=used)
    gone = ca_certificate(pki.guide.ca)
    Certificate.objects.remove([gone_pk := gone.pk])
    path = reverse("certificate_batch_delete")

    asked = browser.get(path, {"certificate": [free.pk, used.pk, gone_pk, "x", "1" * 40]}).content.decode()
    assert Certificate.objects.filter(pk__in=[free.pk, used.pk]).count() == 2
    assert [f'name="certificate" value="{pk}"' in asked for pk in (free.pk, used.pk)] == [True, False]
    assert (f'href="{row.get_absolute_url()}"' in asked, "1 of those selected is no longer" in asked) == (
        True,
        True,
    )
    told = browser.post(path, {"certificate": [free.pk, used.pk, gone_pk]})

    assert (told.status_code, Certificate.objects.filter(pk=free.pk).exists()) == (200, False)
    assert Certificate.objects.filter(pk=used.pk).exists()
    words = [word for word in ("Deleted", "Not deleted", "Not found") if word in told.content.decode()]
    assert words == ["Deleted", "Not deleted", "Not found"]
    assert f'<a class="as-typed" href="{row.get_absolute_url()}">{row.name}</a>' in told.content.decode()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("data", [{}, {"certificate": "x"}, {"certificate": "\0"}])
def test_batch_delete_of_nothing_leads_back_to_the_list(
    browser: Client, method: str, data: dict[str, str]
) -> None:
    answer = getattr(browser, method)(reverse("certificate_batch_delete"), data, follow=True)
    assert answer.redirect_chain == [("/certificates/", 302)]
    assert "No certificate was selected" in answer.content.decode()


def test_list_has_a_box_for_each_certificate(browser: Client, pki: Pki) -> None:
    certificate = ca_certificate(pki.modern.ca)
    page = browser.get(reverse("certificate_list")).content.decode()
    assert f'form="batch" name="certificate" value="{certificate.pk}"' in page
    assert f'<form id="batch" method="get" action="{reverse("certificate_batch_delete")}">' in page


@pytest.mark.parametrize("is_used", [False, True])
def test_ca_that_issues_here_keeps_its_own_certificate(
    browser: Client, ca: CertificateAuthority, pki: Pki, is_used: bool
) -> None:
    """Or listeners would refuse what it issues; others may stand beside it."""
    stored, other = ca.certificate, pki.modern.ca.certificate_pem
    if is_used:
        listener(server_certificate=server_certificate(pki.modern.server), ca_certificate=stored)
    path = reverse("certificate_edit", args=[stored.pk])

    refused = browser.post(path, edit_form(browser, stored) | {"content": other})

    form = refused.context["form"]
    assert (refused.status_code, list(form.errors)) == (422, ["content"])
    assert "its own certificate, CN=Clients CA,O=ELB, is missing" in form.errors["content"][0]
    again = fields_of(refused.content) | {"content": other + ca.content}
    assert browser.post(path, again).status_code == 302
    stored.refresh_from_db()
    assert (ca.content in stored.content, other in stored.content) == (True, True)
