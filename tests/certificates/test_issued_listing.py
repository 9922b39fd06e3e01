"""The list of what was issued here: filters, orders, pages, and what finds a certificate."""

from datetime import timedelta
from itertools import chain
from urllib.parse import parse_qsl

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from certificates.issued_listing import IssuedListing, IssuedOrder
from certificates.keyset import ROWS, Page
from certificates.models import CertificateAuthority, IssuedCertificate
from certificates.search import COUNTED
from tests import issued_rows

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def authority() -> CertificateAuthority:
    return issued_rows.authority()


def holders(page: Page[IssuedCertificate]) -> list[str]:
    return [row.issued.common_name for row in page.rows]


def found(authority: CertificateAuthority | None = None, **asked: str) -> list[str]:
    return holders(IssuedListing(asked, authority=authority).page({}))


def test_filters_choose_by_state_and_purpose(authority: CertificateAuthority) -> None:
    now = timezone.now()
    ends = {"expired": -DAY, "soon": 29 * DAY, "replaced": 28 * DAY, "later": 31 * DAY}
    rows = {name: issued_rows.client(authority, name, not_after=now + left) for name, left in ends.items()}
    issued_rows.client(authority, "not-yet", not_before=now + DAY)
    issued_rows.client(authority, "renewal", renewal_of=rows["replaced"])
    issued_rows.server(authority, "www.test.com")
    IssuedCertificate.objects.filter(common_name__in=["later", "renewal", "not-yet"]).update(
        sealed_private_key=""
    )
    IssuedCertificate.objects.filter(common_name="expired").update(created_at=now - 31 * DAY)

    for asked, expected in (
        ({"profile": "server"}, {"www.test.com"}),
        ({"profile": "client"}, {*ends, "not-yet", "renewal"}),
        ({"state": "expired"}, {"expired"}),
        ({"state": "soon"}, {"soon"}),
        ({"state": "valid"}, {"soon", "replaced", "later", "renewal", "www.test.com"}),
        ({"state": "not-yet"}, {"not-yet"}),
        ({"state": "replaced"}, {"replaced"}),
        ({"state": "waiting"}, {"soon", "replaced"}),
        ({"state": "valid", "profile": "server"}, {"www.test.com"}),
        ({"state": "expired", "profile": "server"}, set()),
    ):
        for order in IssuedOrder.values:
            page = IssuedListing(asked | {"sort": order}, authority=authority).page({})
            assert (set(holders(page)), page.total) == (expected, len(expected)), (asked, order)


def test_row_says_its_state_and_what_it_waits_for(authority: CertificateAuthority) -> None:
    first = issued_rows.client(authority, "first", not_after=timezone.now() + 10.5 * DAY)
    renewed = issued_rows.client(authority, "second", renewal_of=first)
    gone = issued_rows.client(authority, "gone", not_after=timezone.now() - DAY, sealed_private_key="")

    rows = {row.issued.pk: row for row in IssuedListing({}).page({}).rows}

    assert rows[first.pk].state == ("Replaced by a renewal", "secondary")
    assert rows[gone.pk].state == ("Expired", "danger")
    assert rows[renewed.pk].state == ("89 days left", "success")
    waits = {pk: row.waits_until for pk, row in rows.items()}
    assert waits == {first.pk: first.key_kept_until, renewed.pk: renewed.key_kept_until, gone.pk: None}


@pytest.mark.parametrize("order", IssuedOrder.values)
def test_pages_of_a_ca_show_each_certificate_once_and_in_order(
    authority: CertificateAuthority, order: str
) -> None:
    issued_rows.many(issued_rows.authority("Others"), 5)
    issued_rows.many(authority, 2 * ROWS + 7)
    same = IssuedCertificate.objects.filter(authority=authority).values_list("pk", flat=True)[:40]
    IssuedCertificate.objects.filter(pk__in=list(same)).update(not_after=timezone.now())
    sign, column = ("-" if order.startswith("-") else ""), IssuedOrder(order).column
    rows = IssuedCertificate.objects.filter(authority=authority).order_by(f"{sign}{column}", f"{sign}pk")
    listing = IssuedListing({"sort": order}, authority=authority)

    pages, position = [], {}
    while True:
        page = listing.page(position)
        pages.append(holders(page))
        if not page.has_next:
            break
        position = dict(parse_qsl(page.next_url[1:]))
    back = listing.page(dict(parse_qsl(page.previous_url[1:])))

    assert list(chain.from_iterable(pages)) == list(rows.values_list("common_name", flat=True))
    assert [len(one) for one in pages] == [ROWS, ROWS, 7]
    assert holders(back) == pages[1]


def test_list_of_all_has_what_every_ca_has_issued(authority: CertificateAuthority) -> None:
    issued_rows.client(authority, "one")
    issued_rows.client(issued_rows.authority("Others"), "two")

    assert (found(), found(authority)) == (["two", "one"], ["one"])


@pytest.mark.parametrize(
    "text",
    [
        *("müller", "MÜLLER", "Zoë Mü", "cn=zoë", "sought.test", "4F:5E:6D:7C:8B", "0x4f5e6d7c8b", "7c8b9a"),
        *("abcdef01" * 8, ":".join(["AB", "CD", "EF", "01"] * 8), "1abcdef01", "Zo"),
    ],
)
def test_search_finds_holder_names_serial_number_and_fingerprint(
    authority: CertificateAuthority, text: str
) -> None:
    issued_rows.many(authority, 30)
    issued_rows.client(
        authority,
        "Zoë Müller",
        names="dns: sought.test.com",
        serial_number="4f5e6d7c8b9a",
        fingerprint="abcdef01" * 8,
    )

    assert found(authority, q=text) == ["Zoë Müller"]
    assert found(issued_rows.authority("Others"), q=text) == []


@pytest.mark.parametrize(
    "text", ['"', "'; DROP TABLE x; --", "a* NEAR(b)", "%%%", "\\\\\\", "\u202eabc", "💥💥💥"]
)
def test_search_takes_what_is_typed_for_text(authority: CertificateAuthority, text: str) -> None:
    issued_rows.many(authority, 3)

    assert found(authority, q=text) == []


def test_search_that_finds_much_keeps_to_its_ca(authority: CertificateAuthority) -> None:
    others = issued_rows.authority("Others")
    issued_rows.many(others, COUNTED + 5)
    issued_rows.many(authority, 30)

    page = IssuedListing({"q": "holder"}, authority=authority).page({})
    every = IssuedListing({"q": "holder"}).page({})

    assert {row.issued.authority_id for row in page.rows} == {authority.pk}
    assert (len(page.rows), page.has_next, page.count) == (ROWS, True, "More than one page of certificates")
    assert every.count == f"More than {COUNTED:,} certificates"


def test_search_stays_in_step_with_every_writer(authority: CertificateAuthority) -> None:
    row = issued_rows.client(authority, "before")
    IssuedCertificate.objects.filter(pk=row.pk).update(common_name="behind", subject="CN=behind")
    assert (found(q="behind"), found(q="befo")) == (["behind"], [])

    row.delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM certificates_issued_search")
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    "asked", [{}, {"sort": "expires"}, {"state": "soon", "sort": "expires"}, {"q": "holder-00001"}]
)
@pytest.mark.parametrize("position", [{}, {"last": "1"}])
def test_no_query_of_a_page_sorts_or_reads_the_whole_table(
    authority: CertificateAuthority, asked: dict[str, str], position: dict[str, str]
) -> None:
    assert connection.vendor == "sqlite", "This test reads SQLite's plans."
    issued_rows.many(authority, 60)
    with CaptureQueriesContext(connection) as queries:
        IssuedListing(asked, authority=authority).page(position)
    plans = []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            cursor.execute("EXPLAIN QUERY PLAN " + query["sql"])
            plans += [row[3] for row in cursor.fetchall()]

    assert [plan for plan in plans if plan.startswith("SCAN certificates_issuedcertificate")] == []
    if "q" not in asked:
        assert [plan for plan in plans if "TEMP B-TREE FOR ORDER BY" in plan] == []


@pytest.mark.parametrize("place", ["1", "9.x", f"{10**17}.9", f"{10**30}.1", "1.a\0b"])
@pytest.mark.parametrize("sort", ["issued", "expires"])
def test_position_that_makes_no_sense_shows_the_first_page(
    authority: CertificateAuthority, place: str, sort: str
) -> None:
    issued_rows.client(authority, "one")

    assert holders(IssuedListing({"sort": sort}).page({"after": place})) == ["one"]
