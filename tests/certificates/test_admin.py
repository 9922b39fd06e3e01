from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from certificates.models import Certificate, KeyDraft
from tests.conftest import Pki
from tests.factories import ca_certificate, listener, listing_certificate, server_certificate, user

pytestmark = pytest.mark.django_db

LIST = "/admin/certificates/certificate/"


@pytest.fixture
def certificate(pki: Pki) -> Certificate:
    ca_certificate(pki.modern.ca)
    return server_certificate(pki.guide.server, created_by=user("ada"))


@pytest.fixture
def administrator() -> Client:
    client = Client()
    client.force_login(user("root", is_staff=True, is_superuser=True))
    return client


def pages(certificate: Certificate) -> Iterator[str]:
    yield LIST
    yield f"{LIST}{certificate.pk}/change/"
    yield f"{LIST}{certificate.pk}/history/"


def test_list_shows_what_an_administrator_reviews(administrator: Client, certificate: Certificate) -> None:
    page = administrator.get(
        LIST, {"expiry": "valid", "type": "server", "q": "www.test.com"}
    ).content.decode()

    for fact in (
        "CN=www.test.com,O=ELB",
        f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}",
        "RSA 2048",
        certificate.fingerprint[:16],
        f"{certificate.created_at:%Y-%m-%d %H:%M} UTC by ada",
    ):
        assert fact in page
    assert "1 certificate" in page


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"expiry": "expired"}, 0),
        ({"expiry": "soon"}, 0),
        ({"expiry": "valid"}, 2),
        ({"expiry": "junk"}, 2),
        ({"key": "RSA"}, 1),
        ({"key": "junk"}, 2),
        ({"use": "used"}, 1),
        ({"use": "unused"}, 1),
        ({"use": "junk"}, 2),
        ({"q": "www.test.com"}, 1),
        ({"q": "O=ELB www.test"}, 1),
        ({"q": '" OR "'}, 0),
        ({"q": "ww"}, 0),
        ({"q": "\0"}, 2),
        ({"q": "x" * 10_000}, 0),
    ],
)
def test_list_filters_and_searches(
    administrator: Client, certificate: Certificate, asked: dict[str, str], count: int
) -> None:
    listener(server_certificate=certificate)

    assert administrator.get(LIST, asked).context["cl"].result_count == count


def test_pages_show_findings_and_what_uses_it(administrator: Client, certificate: Certificate) -> None:
    row = listener(server_certificate=certificate)
    link = f'<a href="{row.get_absolute_url()}">{row.name}</a> (HTTPS/{row.port}) of {row.load_balancer.name}'

    assert link in administrator.get(LIST).content.decode()
    page = administrator.get(f"{LIST}{certificate.pk}/change/").content.decode()
    assert link in page
    assert "signed with SHA-1" in page


def test_list_has_as_many_queries_for_many(
    administrator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(2):
        for _ in range(5):
            listener(server_certificate=listing_certificate())
        with django_assert_max_num_queries(12):
            administrator.get(LIST)


def test_no_page_shows_key_material(administrator: Client, certificate: Certificate, pki: Pki) -> None:
    text = "".join(administrator.get(page).content.decode() for page in pages(certificate))

    assert certificate.fingerprint in text
    assert certificate.sealed_private_key not in text
    assert "sealed" not in text.lower()
    assert [line for line in pki.guide.server.key_pem.splitlines() if line in text] == []


def test_nothing_can_be_written(administrator: Client, certificate: Certificate) -> None:
    row = f"{LIST}{certificate.pk}/"

    assert administrator.get(f"{LIST}add/").status_code == 403
    assert administrator.post(f"{row}delete/", {"post": "yes"}).status_code == 403
    assert administrator.post(f"{row}change/", {"name": "changed"}).status_code == 403
    administrator.post(LIST, {"action": "delete_selected", "_selected_action": certificate.pk, "post": "yes"})
    certificate.refresh_from_db()
    assert certificate.name == "web"


def test_key_drafts_have_no_pages(administrator: Client, certificate: Certificate) -> None:
    KeyDraft.objects.keep("secret", user())

    assert administrator.get("/admin/certificates/keydraft/").status_code == 404
    assert "draft" not in administrator.get("/admin/").content.decode().lower()


@pytest.mark.parametrize(("permissions", "status"), [([], 403), (["view_certificate"], 200)])
def test_staff_needs_the_permission_to_view(
    client: Client, certificate: Certificate, permissions: list[str], status: int
) -> None:
    staff = user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(staff)

    assert [client.get(page).status_code for page in pages(certificate)] == [status] * 3


def test_people_without_staff_are_sent_to_sign_in(client: Client, certificate: Certificate) -> None:
    client.force_login(user())

    answer = client.get(LIST)

    assert answer.headers["Location"] == f"{reverse('admin:login')}?next={LIST}"


def test_times_carry_their_zone(administrator: Client, pki: Pki) -> None:
    certificate = server_certificate(pki.modern.server)
    page = administrator.get(f"/admin/certificates/certificate/{certificate.pk}/change/").content.decode()
    moments = (certificate.not_before, certificate.not_after)
    assert [f"{moment:%Y-%m-%d %H:%M} UTC" in page for moment in moments] == [True, True]
    assert page.count("UTC by an account since deleted") == 2
