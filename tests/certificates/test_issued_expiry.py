"""What was issued here and ends soon: in the overview of the list, and from the command for cron."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from certificates.models import CertificateAuthority, IssuedCertificate
from tests import issued_rows
from tests.certificates.test_expiry import overview, printed

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def authority() -> CertificateAuthority:
    return issued_rows.authority()


def ending(authority: CertificateAuthority, days: float, holder: str = "laptop") -> IssuedCertificate:
    return issued_rows.client(authority, holder, not_after=timezone.now() + days * DAY)


def test_overview_counts_clients_that_end_soon_and_leads_to_them(
    browser: Client, authority: CertificateAuthority
) -> None:
    soon, renewed = ending(authority, 10, "soon"), ending(authority, 9, "renewed")
    issued_rows.client(authority, "renewal", renewal_of=renewed)
    ending(authority, 31, "later")
    ending(authority, -1, "expired")
    server = issued_rows.server(authority)
    IssuedCertificate.objects.filter(pk=server.pk).update(not_after=timezone.now() + DAY)

    text = overview(browser)

    link = f"{reverse('issued_list')}?state=soon&amp;profile=client&amp;sort=expires"
    assert f'<a href="{link}"><b>1</b> issued to clients here, within 30 days</a>' in text
    page = browser.get(link.replace("&amp;", "&")).context["page"]
    assert [row.issued for row in page.rows] == [soon]


def test_overview_is_quiet_about_clients_that_have_time(
    browser: Client, authority: CertificateAuthority
) -> None:
    ending(authority, 31)

    assert "Nothing has expired or will within 30 days" in overview(browser)


def test_command_prints_what_was_issued_in_its_place(authority: CertificateAuthority) -> None:
    later, sooner = ending(authority, 10.5), ending(authority, -3.5)
    IssuedCertificate.objects.filter(pk=later.pk).update(common_name="desktop\x1b[2J")
    renewed = ending(authority, 5, "renewed")
    issued_rows.client(authority, "renewal", renewal_of=renewed)
    ending(authority, -31, "long ago")
    server = issued_rows.server(authority)
    stored = server.stored
    assert stored
    for row in (server, stored):
        type(row).objects.filter(pk=row.pk).update(not_after=timezone.now() + 4.5 * DAY)
        row.refresh_from_db()

    text, code = printed()

    assert text.splitlines() == [
        f"{sooner.not_after:%Y-%m-%d %H:%M} UTC  expired 3 days ago  laptop (issued ID {sooner.pk})"
        "  client certificate of Clients",
        f"{stored.not_after:%Y-%m-%d %H:%M} UTC  4 days left  www.test.com (ID {stored.pk})  not used",
        f"{later.not_after:%Y-%m-%d %H:%M} UTC  10 days left  desktop\\x1b[2J (issued ID {later.pk})"
        "  client certificate of Clients",
    ]
    assert code == 1


def test_command_prints_a_server_whose_key_is_elsewhere(authority: CertificateAuthority) -> None:
    server = issued_rows.server(authority, not_after=timezone.now() + DAY)
    server.stored.delete()
    assert printed() == ("No certificate has expired or will within 30 days.\n", 0)

    IssuedCertificate.objects.update(key_origin=IssuedCertificate.KeyOrigin.REQUEST)

    assert "server certificate of Clients" in printed()[0]
