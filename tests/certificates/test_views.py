from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.views.debug import SafeExceptionReporterFilter
from pytest_django import DjangoAssertNumQueries

from certificates.models import Certificate, KeyDraft
from console.models import ConfigurationRevision
from tests.conftest import Pki
from tests.factories import ca_certificate, listener, load_balancer, server_certificate
from tests.html_forms import html_forms

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
HARMFUL_NAMES = [
    "<script>alert(1)</script>",
    "{{ 7*7 }}{% now 'Y' %}",
    "\u202ea<b>c",
    "two\nlines",
    '" onload="x',
]


def fields(**change: object) -> dict[str, object]:
    blank = {"name": "web", "type": "server", "content": "", "private_key": "", "description": ""}
    return blank | change


def key_lines(pki: Pki) -> Iterator[str]:
    """Lines of the private keys' base64, of which none may ever be in an answer."""
    for key_pem in (pki.guide.server.key_pem, pki.modern.server.key_pem, pki.modern.client.key_pem):
        yield from key_pem.splitlines()[1:-1]


def test_add_certificate_by_the_form_on_its_page(browser: Client, pki: Pki) -> None:
    path = reverse("certificate_add")
    page = browser.get(path)
    form = next(form for form in html_forms(page.content.decode()) if "content" in form.fields)
    assert form.fields["name"].startswith("cert-")
    assert len(form.fields["name"]) == len("cert-6f02")

    filled = form.fields | {
        "content": pki.guide.server.certificate_pem,
        "private_key": pki.guide.server.key_pem,
    }
    answer = browser.post(form.action, filled, follow=True)

    assert answer.redirect_chain == [("/certificates/", 302)]
    assert [str(message).count("<li>") for message in answer.context["messages"]] == [0, 4]
    assert Certificate.objects.get().name == form.fields["name"]


def test_add_certificate_in_the_dialog(browser: Client, pki: Pki) -> None:
    path = reverse("certificate_add")
    opened = browser.get(path, headers=HTMX)
    assert "<html" not in opened.content.decode()
    assert '<h2 id="dialog-heading">Add Certificate</h2>' in opened.content.decode()
    assert "HX-Request" in opened.headers["Vary"]

    data = fields(type="ca", content=pki.modern.ca.certificate_pem)
    answer = browser.post(path, data, headers=HTMX)

    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/certificates/")


def test_add_certificate_raises_the_revision(browser: Client, pki: Pki) -> None:
    before = ConfigurationRevision.objects.number()

    browser.post(reverse("certificate_add"), fields(content="junk"))
    assert ConfigurationRevision.objects.number() == before
    browser.post(reverse("certificate_add"), fields(type="ca", content=pki.modern.ca.certificate_pem))
    assert ConfigurationRevision.objects.number() > before


def test_uploaded_files_count_while_the_text_is_empty(browser: Client, pki: Pki) -> None:
    data = fields(
        content_file=SimpleUploadedFile("server.crt", pki.modern.server.certificate.read_bytes()),
        private_key_file=SimpleUploadedFile("server.key", pki.modern.server.key.read_bytes()),
    )

    assert browser.post(reverse("certificate_add"), data).status_code == 302


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "dialog"])
@pytest.mark.parametrize("place", ["private_key", "content", "both", "file", "content file"])
def test_refused_form_never_shows_a_private_key(
    browser: Client, pki: Pki, headers: dict[str, str], place: str
) -> None:
    key = pki.modern.client.key_pem
    content = pki.modern.server.certificate_pem
    data = {
        "private_key": fields(content=content, private_key=key),
        "content": fields(content=content + key),
        "both": fields(content=key.replace("-----END", "----END") + content, private_key=key),
        "file": fields(content=content, private_key_file=SimpleUploadedFile("k", key.encode())),
        "content file": fields(content_file=SimpleUploadedFile("c", (key + content).encode("utf-16"))),
    }[place]

    answer = browser.post(reverse("certificate_add"), data, headers=headers)

    page = answer.content.decode()
    assert answer.status_code == 422
    assert [line for line in key_lines(pki) if line in page] == []
    assert "-----BEGIN CERTIFICATE-----" in page
    draft = KeyDraft.objects.get()
    assert f'<input type="hidden" name="key_draft" value="{draft.pk}">' in page
    assert f"until {draft.expires_at:%H:%M} UTC" in page


def test_no_page_shows_a_private_key(browser: Client, pki: Pki) -> None:
    for pair in (pki.guide.server, pki.modern.server):
        server_certificate(pair)
    pages = [reverse("certificate_list")]
    for certificate in Certificate.objects.all():
        names = ("certificate_detail", "certificate_edit", "certificate_delete", "certificate_download")
        pages += [reverse(name, args=[certificate.pk]) for name in names]

    text = "".join(browser.get(page).content.decode() for page in pages)

    assert [line for line in key_lines(pki) if line in text] == []
    assert "PRIVATE KEY" not in text


def test_refused_form_keeps_what_was_typed(browser: Client, pki: Pki) -> None:
    path = reverse("certificate_add")
    data = fields(name="my web", description="of the shop", content_file=SimpleUploadedFile("c", b"hello"))
    page = browser.post(path, data | {"private_key": pki.modern.server.key_pem})
    form = next(form for form in html_forms(page.content.decode()) if "content" in form.fields)
    assert (form.fields["name"], form.fields["description"]) == ("my web", "of the shop")
    assert form.fields["content"] == "hello"

    answer = browser.post(path, form.fields | {"content": pki.modern.server.certificate_pem})

    assert answer.status_code == 302
    assert KeyDraft.objects.count() == 0


def test_list_says_what_to_do_next_when_empty(browser: Client) -> None:
    page = browser.get(reverse("certificate_list")).content.decode()

    assert "No certificates yet" in page
    assert page.count("Add Certificate</button>") == 1


@pytest.mark.parametrize(("listeners", "links"), [(0, []), (5, [0, 1, 2, 3, 4]), (6, [])])
def test_list_names_up_to_five_listeners(browser: Client, pki: Pki, listeners: int, links: list[int]) -> None:
    certificate = server_certificate(pki.modern.server)
    rows = [listener(server_certificate=certificate, name=f"listener-{i}") for i in range(listeners)]

    page = browser.get(reverse("certificate_list")).content.decode()

    named = [i for i, row in enumerate(rows) if f">{row.name}</a> (HTTPS/{row.port})" in page]
    assert named == links
    assert ("View All (6)" in page) == (listeners > 5)


def test_list_has_a_constant_number_of_queries(
    browser: Client, pki: Pki, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    balancer = load_balancer()
    for _ in range(3):
        server, ca = server_certificate(pki.modern.server), ca_certificate(pki.modern.ca)
        for _ in range(2):
            listener(balancer, server_certificate=server, ca_certificate=ca)

    # Session, user, certificates, their listeners by each of the three uses, and of the overview what has
    # expired, what will, and which clients' certificates will.
    with django_assert_num_queries(9) as captured:
        browser.get(reverse("certificate_list"))
    assert "sealed_private_key" not in str(captured.captured_queries)


@pytest.mark.parametrize("view", ["add", "edit"])
def test_error_reports_leave_out_what_was_posted(browser: Client, pki: Pki, view: str) -> None:
    certificate = ca_certificate(pki.modern.ca)
    path = reverse(f"certificate_{view}", args=[] if view == "add" else [certificate.pk])

    request = browser.post(path, fields()).wsgi_request

    shown = SafeExceptionReporterFilter().get_post_parameters(request)
    assert set(shown.values()) == {SafeExceptionReporterFilter.cleansed_substitute}


@pytest.mark.parametrize("name", HARMFUL_NAMES)
def test_names_are_shown_harmlessly(browser: Client, pki: Pki, name: str) -> None:
    browser.post(
        reverse("certificate_add"), fields(name=name, type="ca", content=pki.modern.ca.certificate_pem)
    )
    certificate = Certificate.objects.get()
    assert certificate.name == name

    for view, arguments in (
        ("certificate_list", []),
        ("certificate_detail", [certificate.pk]),
        ("certificate_edit", [certificate.pk]),
        ("certificate_delete", [certificate.pk]),
    ):
        page = browser.get(reverse(view, args=arguments)).content.decode()
        assert name.translate({60: "&lt;", 62: "&gt;", 34: "&quot;", 39: "&#x27;"}) in page
        assert "<script>alert" not in page
        assert "<b>c" not in page
        assert ' onload="x' not in page


def test_detail_shows_facts_warnings_and_listeners(browser: Client, pki: Pki) -> None:
    certificate = server_certificate(pki.guide.server, description="of the guide")
    used_by = listener(server_certificate=certificate)

    page = browser.get(certificate.get_absolute_url()).content.decode()

    for fact in (
        certificate.fingerprint,
        certificate.serial_number,
        "CN=www.test.com,O=ELB",
        "RSA 2048",
        "SHA-1 with RSA",
        "X.509 version 1",
        "of the guide",
        "signed with SHA-1",
        used_by.name,
        used_by.load_balancer.name,
    ):
        assert fact in page


def test_download_is_the_certificate_alone(browser: Client, pki: Pki) -> None:
    certificate = server_certificate(pki.modern.server, name="../../x\r\nSet-Cookie: a")

    answer = browser.get(reverse("certificate_download", args=[certificate.pk]))

    assert answer.content.decode() == pki.modern.server.certificate_pem
    disposition = f'attachment; filename="certificate-{certificate.pk}.pem"'
    assert answer.headers["Content-Disposition"] == disposition


def test_edit_returns_to_the_detail_page(browser: Client, person: User, pki: Pki) -> None:
    certificate = server_certificate(pki.modern.server)
    path = reverse("certificate_edit", args=[certificate.pk])
    form = next(form for form in html_forms(browser.get(path).content.decode()) if "content" in form.fields)

    answer = browser.post(path, form.fields | {"name": "renamed"})

    assert answer.headers["Location"] == certificate.get_absolute_url()
    certificate.refresh_from_db()
    assert (certificate.name, certificate.updated_by) == ("renamed", person)


def test_second_editor_brings_no_removed_ca_back(browser: Client, pki: Pki) -> None:
    certificate = ca_certificate(pki.guide.ca)
    path = reverse("certificate_edit", args=[certificate.pk])
    page = browser.get(path).content.decode()
    stale = next(form.fields for form in html_forms(page) if "content" in form.fields)
    browser.post(path, stale | {"content": pki.modern.ca.certificate_pem})

    refused = browser.post(path, stale | {"description": "mine"})
    shown = next(form.fields for form in html_forms(refused.content.decode()) if "content" in form.fields)

    assert (refused.status_code, list(refused.context["stamp"].errors)) == (422, ["stamp"])
    assert "Somebody else has changed this" in refused.content.decode()
    certificate.refresh_from_db()
    assert (certificate.content, certificate.description) == (pki.modern.ca.certificate_pem, "")
    assert (shown["content"], shown["description"]) == (pki.guide.ca.certificate_pem, "mine")
    assert browser.post(path, shown).status_code == 302


def test_delete_unused_certificate(browser: Client, pki: Pki) -> None:
    certificate = server_certificate(pki.modern.server)
    path = reverse("certificate_delete", args=[certificate.pk])

    assert browser.get(path).status_code == 200
    assert Certificate.objects.count() == 1
    assert browser.post(path).headers["Location"] == "/certificates/"
    assert Certificate.objects.count() == 0


@pytest.mark.parametrize("role", ["server", "ca"])
def test_delete_used_certificate_is_refused_with_its_listeners(browser: Client, pki: Pki, role: str) -> None:
    server, ca = server_certificate(pki.modern.server), ca_certificate(pki.modern.ca)
    row = listener(server_certificate=server, ca_certificate=ca)
    path = reverse("certificate_delete", args=[{"server": server.pk, "ca": ca.pk}[role]])

    answer = browser.post(path)

    assert answer.status_code == 422
    assert f">{row.name}</a> (HTTPS/{row.port})" in answer.content.decode()
    assert Certificate.objects.count() == 2


@pytest.mark.parametrize("view", ["detail", "edit", "delete", "download"])
@pytest.mark.parametrize("pk", [1, 10**30])
def test_missing_certificate_is_not_found(browser: Client, view: str, pk: int) -> None:
    assert browser.get(reverse(f"certificate_{view}", args=[pk])).status_code == 404


@pytest.mark.parametrize("view", ["list", "add", "detail", "edit", "delete", "download"])
def test_pages_need_an_account(client: Client, view: str) -> None:
    path = reverse(f"certificate_{view}", args=[] if view in {"list", "add"} else [1])

    for answer in (client.get(path), client.post(path, {})):
        assert answer.headers["Location"] == f"/login/?next={quote(path)}"


@pytest.mark.parametrize("view", ["list", "detail", "download"])
def test_reading_pages_take_no_post(browser: Client, view: str) -> None:
    path = reverse(f"certificate_{view}", args=[] if view == "list" else [1])

    assert browser.post(path).status_code == 405


@pytest.mark.parametrize("view", ["list", "add", "detail", "edit", "delete", "download"])
def test_pages_answer_head(browser: Client, pki: Pki, view: str) -> None:
    certificate = ca_certificate(pki.modern.ca)
    path = reverse(f"certificate_{view}", args=[] if view in {"list", "add"} else [certificate.pk])

    assert browser.head(path).status_code == 200


@pytest.mark.parametrize("as_file", [False, True], ids=["text", "file"])
def test_request_over_the_limit_is_answered_with_a_page(browser: Client, as_file: bool) -> None:
    octets = b"x" * (3 * 1024 * 1024 + 1)
    data = {"content_file": SimpleUploadedFile("c", octets)} if as_file else {"content": octets.decode()}

    answer = browser.post(reverse("certificate_add"), fields() | data)

    assert answer.status_code == 413
    assert "This is too large" in answer.content.decode()


@pytest.mark.parametrize("as_file", [False, True], ids=["text", "file"])
def test_paste_over_one_mebibyte_is_refused_at_its_field(browser: Client, as_file: bool) -> None:
    octets = b"x" * (1024 * 1024 + 1)
    data = {"content_file": SimpleUploadedFile("c", octets)} if as_file else {"content": octets.decode()}

    answer = browser.post(reverse("certificate_add"), fields() | data)

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["content"]
    assert len(answer.content) < 20_000


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"name=%00&content=%ff%fe&type=%00&key_draft=%00", "application/x-www-form-urlencoded", 422),
        (b"\x00" * 100, "multipart/form-data", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 422),
        (b"{}", "application/json", 422),
        (b"name=1", "application/x-www-form-urlencoded; charset=utf-7", 400),
        ("&".join(f"a{i}=1" for i in range(1100)).encode(), "application/x-www-form-urlencoded", 400),
    ],
)
def test_junk_is_refused(browser: Client, body: bytes, content_type: str, status: int) -> None:
    browser.raise_request_exception = True

    answer = browser.post(reverse("certificate_add"), body, content_type=content_type)

    assert answer.status_code == status
