"""The pages about CAs: what there is, a new one, and that none goes by accident."""

import subprocess
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from certificates import issuing
from certificates.alternative_names import entered
from certificates.issuing import KeyKind, Profile, Subject
from certificates.models import (
    Certificate,
    CertificateAuthority,
    IssuedCertificate,
    KeyDownload,
    NewAuthority,
)
from tests.conftest import Pki
from tests.factories import authority, ca_certificate, listener, server_certificate, user
from tests.html_forms import html_forms

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
ADD = "/certificates/authorities/add/"


def proposed(browser: Client) -> dict[str, str]:
    page = browser.get(ADD).content.decode()
    return next(form.fields for form in html_forms(page) if "common_name" in form.fields)


def issued(by: CertificateAuthority, profile: Profile = Profile.CLIENT, name: str = "ada.test.com") -> None:
    person = user()
    by.issue(profile, Subject(name), entered(name), KeyKind.P256, 1, person, server_name="web")


def subject_and_constraints(certificate: Certificate, folder: Path) -> str:
    file = folder / "ca.pem"
    file.write_text(certificate.content)
    command = [
        "openssl",
        "x509",
        "-in",
        file,
        "-noout",
        "-subject",
        "-ext",
        "basicConstraints,nameConstraints",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_create_ca_as_proposed(browser: Client, person: User, tmp_path: Path) -> None:
    fields = proposed(browser)

    answer = browser.post(ADD, fields, follow=True)

    made = CertificateAuthority.objects.get()
    assert answer.redirect_chain == [(made.get_absolute_url(), 302)]
    assert ["is made. Next: issue" in str(message) for message in answer.context["messages"]] == [True]
    assert (made.certificate.name, made.certificate.key) == (fields["name"], "ECDSA P-256")
    assert (made.has_key, made.created_by, made.parent) == (True, person, None)
    assert round((made.not_after - made.not_before) / timedelta(days=1)) == 3650
    shown = subject_and_constraints(made.certificate, tmp_path)
    assert f"CN = {fields['name']}" in shown
    assert "CA:TRUE, pathlen:0" in shown
    assert "Name Constraints" not in shown


def test_create_root_with_intermediate_and_permitted_names(browser: Client, tmp_path: Path) -> None:
    fields = proposed(browser) | {
        "name": "shop",
        "common_name": "Shop",
        "organization": "ELB",
        "shape": "intermediate",
        "constraints": "test.com\n192.0.2.0/24",
        "kind": "ec-p384",
        "days": "30",
    }

    answer = browser.post(ADD, fields, headers=HTMX)

    made = CertificateAuthority.objects.exclude(parent=None).get()
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, made.get_absolute_url())
    assert [row.name for row in Certificate.objects.all()] == ["shop", "shop root"]
    assert made.parent
    shown = subject_and_constraints(made.certificate, tmp_path)
    above = subject_and_constraints(made.parent.certificate, tmp_path)
    assert "subject=O = ELB, CN = Shop Issuing" in shown
    assert "subject=O = ELB, CN = Shop\n" in above
    assert ("pathlen:0" in shown, "pathlen:1" in above) == (True, True)
    assert "DNS:test.com" in shown
    assert "IP:192.0.2.0/255.255.255.0" in above


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x\0"}, "name"),
        ({"name": "x" * 251}, "name"),
        ({"name": "x" * 100}, "common_name"),
        ({"common_name": "a\u202eb"}, "common_name"),
        ({"organization": "o" * 65}, "organization"),
        ({"shape": "forest"}, "shape"),
        (
            {"shape": "intermediate", "common_name": "One", "issuing_common_name": "One"},
            "issuing_common_name",
        ),
        ({"shape": "intermediate", "common_name": "x" * 60}, "issuing_common_name"),
        ({"kind": "dsa"}, "kind"),
        ({"days": ""}, "days"),
        ({"days": "36501"}, "days"),
        ({"days": "9" * 5000}, "days"),
        ({"constraints": "not a name"}, "constraints"),
        ({"constraints": "10.0.0.1/8"}, "constraints"),
    ],
)
def test_refused_ca_says_why_at_the_field_and_keeps_the_rest(
    browser: Client, change: dict[str, str], field: str
) -> None:
    answer = browser.post(ADD, proposed(browser) | {"days": "77", "organization": "ELB"} | change)

    form = answer.context["form"]
    assert (answer.status_code, list(form.errors)) == (422, [field])
    kept = next(one.fields for one in html_forms(answer.content.decode()) if "common_name" in one.fields)
    assert kept["days"] == change.get("days", "77")
    assert kept["organization"] == change.get("organization", "ELB")
    assert ('<details class="advanced" open>' in answer.content.decode()) == (field == "constraints")
    assert Certificate.objects.count() == 0


def test_form_sent_twice_makes_one_ca(browser: Client) -> None:
    fields = proposed(browser) | {"shape": "intermediate"}

    answers = [browser.post(ADD, fields) for _ in range(2)]

    made = CertificateAuthority.objects.exclude(parent=None).get()
    assert [answer.headers["Location"] for answer in answers] == [made.get_absolute_url()] * 2


def test_second_ca_of_a_subject_is_refused(browser: Client) -> None:
    authority("shop")

    answer = browser.post(ADD, proposed(browser) | {"common_name": "shop CA"})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["common_name"])
    with pytest.raises(issuing.IssuingError, match="already"):  # by whom it was made while the key was made
        authority("shop")
    assert Certificate.objects.count() == 1


def test_list_without_any_says_what_a_ca_is_for(browser: Client) -> None:
    page = browser.get(reverse("authority_list")).content.decode()

    assert "No certificate authorities yet" in page
    assert page.count("Create CA</button>") == 1
    assert f'href="{reverse("guided_start")}"' in page
    assert 'aria-current="page"><svg' in page


def test_list_shows_keys_and_numbers_in_few_queries(
    browser: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("one", "two"):
        made = authority(name, intermediate=f"{name} Issuing")
        issued(made, name="ada.test.com")
        issued(made, name="eve.test.com")
        assert made.parent
        made.parent.remove_key()

    # Session, user, how many there are, and those of the page.
    with django_assert_num_queries(4) as captured:
        page = browser.get(reverse("authority_list"))

    rows = [
        (str(row), row.issued_count, row.is_key_here, str(row.parent))
        for row, _ in page.context["authorities"]
    ]
    assert rows == [
        ("one", 2, True, "one root"),
        ("one root", 0, False, "None"),
        ("two", 2, True, "two root"),
        ("two root", 0, False, "None"),
    ]
    assert page.content.decode().count("Private key not here") == 2
    assert "SELECT" in str(captured.captured_queries)


@pytest.mark.parametrize("page", ["2", "0", "-1", "x", "9" * 5000, ""])
def test_list_takes_any_page(browser: Client, page: str) -> None:
    authority()

    assert browser.get(reverse("authority_list"), {"page": page}).status_code == 200


def test_ca_with_issued_certificates_is_deleted_by_its_name_alone(browser: Client, person: User) -> None:
    made = authority("shop")
    issued(made)
    issued(made, Profile.SERVER, "www.test.com")
    KeyDownload.objects.note("shop CA", "PEM", person, authority=made)
    path = reverse("certificate_delete", args=[made.certificate_id])
    assert "2 certificates here, of which <b>2 are valid now</b>" in browser.get(path).content.decode()

    for typed in ({}, {"typed_name": "shop "[:3]}):
        answer = browser.post(path, typed)
        assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["typed_name"])
        assert IssuedCertificate.objects.count() == 2

    assert browser.post(path, {"typed_name": " shop"}).headers["Location"] == "/certificates/"
    assert (CertificateAuthority.objects.count(), IssuedCertificate.objects.count()) == (0, 0)
    assert Certificate.objects.get().type == Certificate.Type.SERVER
    assert KeyDownload.objects.values_list("what", "authority").get() == ("shop CA", None)


def test_ca_that_has_issued_nothing_is_deleted_as_usual(browser: Client) -> None:
    made = authority()
    path = reverse("certificate_delete", args=[made.certificate_id])

    assert "and its private key" in browser.get(path).content.decode()
    assert browser.post(path).status_code == 302
    assert CertificateAuthority.objects.count() == 0


def test_root_is_not_deleted_before_its_intermediate(browser: Client) -> None:
    made = authority("shop", intermediate="Shop Issuing")
    assert made.parent
    path = reverse("certificate_delete", args=[made.parent.certificate_id])

    answer = browser.post(path, {"typed_name": "shop root"})

    assert answer.status_code == 422
    assert (
        f'href="{reverse("certificate_delete", args=[made.certificate_id])}">shop</a>'
        in answer.content.decode()
    )
    assert Certificate.objects.count() == 2


def test_ca_that_a_listener_uses_is_not_deleted_with_its_name_either(browser: Client, pki: Pki) -> None:
    made = authority()
    issued(made)
    row = listener(server_certificate=server_certificate(pki.modern.server), ca_certificate=made.certificate)

    answer = browser.post(reverse("certificate_delete", args=[made.certificate_id]), {"typed_name": "shop"})

    page = answer.content.decode()
    assert (answer.status_code, IssuedCertificate.objects.count()) == (422, 1)
    assert f">{row.name}</a> (HTTPS/{row.port})" in page
    assert "1 certificate here, of which 1 is valid now" in page
    assert "Delete</button>" not in page


def test_batch_leaves_cas_that_have_issued(browser: Client, pki: Pki) -> None:
    made, below = authority("shop"), authority("fleet", intermediate="Fleet Issuing")
    issued(made)
    free = ca_certificate(pki.modern.ca, name="free")
    assert below.parent
    kept = [made.certificate_id, below.parent.certificate_id]
    path = reverse("certificate_batch_delete")

    asked = browser.get(path, {"certificate": [*kept, free.pk]})
    deleted = browser.post(path, {"certificate": [*kept, free.pk]})

    assert {one.pk for one in asked.context["issuers"]} == set(kept)
    assert [one.pk for one in asked.context["free"]] == [free.pk]
    assert [(one.number, one.is_deleted) for one in deleted.context["removals"]] == [
        *((number, False) for number in kept),
        (free.pk, True),
    ]
    assert deleted.content.decode().count("deleted by itself") == 2


def test_server_certificate_issued_here_is_deleted_as_usual(browser: Client) -> None:
    issued(authority(), Profile.SERVER, "www.test.com")
    certificate = Certificate.objects.get(type="server")

    assert browser.post(reverse("certificate_delete", args=[certificate.pk])).status_code == 302
    assert IssuedCertificate.objects.get().stored is None


def test_detail_leads_from_certificates_to_issuing(browser: Client, pki: Pki) -> None:
    made, stranger = authority(), ca_certificate(pki.modern.ca)
    issued(made, Profile.SERVER, "www.test.com")
    row = IssuedCertificate.objects.get()
    assert row.stored
    bought = server_certificate(pki.modern.server)

    def page(certificate: Certificate) -> str:
        return browser.get(certificate.get_absolute_url()).content.decode()

    renewing = f'hx-get="{reverse("issued_renew", args=[row.pk])}"'
    assert f'href="{made.get_absolute_url()}"' in page(made.certificate)
    assert f'href="{reverse("authority_take_up", args=[stranger.pk])}"' in page(stranger)
    assert f'href="{row.get_absolute_url()}"' in page(row.stored)
    assert renewing in page(row.stored)
    assert "Issued here" not in page(bought)
    Certificate.objects.filter(pk=row.stored.pk).update(fingerprint="0" * 64)  # replaced by another since
    assert renewing not in page(row.stored)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "{{ 7*7 }}", "\u202ea<b>c", "two\nlines"])
def test_names_are_shown_harmlessly_and_can_be_typed(browser: Client, name: str) -> None:
    wanted = NewAuthority(name, Subject("Shop CA"), KeyKind.P256, 30)
    made = CertificateAuthority.objects.create_root(wanted, user())
    issued(made)
    paths = [
        reverse("authority_list"),
        *(reverse(view, args=[made.pk]) for view in ("authority_key_download", "authority_key_remove")),
        reverse("certificate_delete", args=[made.certificate_id]),
    ]

    for path in paths:
        page = browser.get(path).content.decode()
        assert name.translate({60: "&lt;", 62: "&gt;"}) in page
        assert "<script>alert" not in page
    assert browser.post(paths[-1], {"typed_name": name.replace("\n", " ")}).status_code == 302


VIEWS = [
    "authority_list",
    "authority_add",
    "authority_key_download",
    "authority_key_remove",
    "authority_take_up",
]


@pytest.mark.parametrize("view", VIEWS)
def test_pages_need_an_account_and_answer_head(client: Client, browser: Client, view: str) -> None:
    made = authority()
    number = made.certificate_id if view == "authority_take_up" else made.pk
    path = reverse(view, args=[] if view in VIEWS[:2] else [number])

    for answer in (client.get(path), client.post(path, {})):
        assert answer.headers["Location"] == f"/login/?next={quote(path)}"
    assert browser.head(path).status_code == 200
    assert browser.put(path).status_code == 405


@pytest.mark.parametrize("view", VIEWS[2:])
@pytest.mark.parametrize("pk", [1, 10**30])
def test_missing_ca_is_not_found(browser: Client, view: str, pk: int) -> None:
    path = reverse(view, args=[pk])

    assert [browser.get(path).status_code, browser.post(path, {}).status_code] == [404, 404]
