"""Searching: what finds a certificate, what keeps the search table in step, and what asks no table whole."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from certificates.listing import Listing
from certificates.models import Certificate
from certificates.search import COUNTED, FEW
from tests.factories import listener, listing_certificate, listing_certificates

pytestmark = pytest.mark.django_db

HOSTILE = [
    '"',
    '""""',
    "'; DROP TABLE certificates_certificate; --",
    'web" OR "a',
    "web* NEAR(a b, 3)",
    "text : web",
    "^web + a - b",
    "AND",
    "%%%",
    "___",
    "\\\\\\",
    "{{ 7*7 }}",
    "<script>alert(1)</script>",
    "\u202eabc",
    "💥💥💥",
    "a" * 255,
    " ".join(["abc"] * 60),
    "\ud800".encode("utf-8", "replace").decode(),
]


def found(**parameters: str) -> list[str]:
    return [row.certificate.name for row in Listing(parameters).page({}).rows]


def sought() -> Certificate:
    """The one among others."""
    listing_certificates(30)
    return listing_certificate(
        name="Payments, EU",
        domain_names="pay.example.net,*.pay.example.net",
        server_names="pay.example.net",
        subject="CN=pay.example.net,O=Zürich Müller AG",
        serial_number="4f5e6d7c8b9a",
        fingerprint="abcdef0123456789" * 4,
    )


@pytest.mark.parametrize(
    "text",
    [
        "Payments, EU",
        "payments",
        "ENTS",
        "pay.example.net",
        "*.pay",
        "müller",
        "o=zürich",
        "5e6d7c",
        "4F:5E:6D:7C:8B:9A",
        "00:4f:5e:6d",
        "0x4f5e6d",
        "abcdef0123456789" * 4,
        ":".join(["AB", "CD", "EF", "01", "23", "45", "67", "89"] * 4),
        "9abcdef0",
        "EU payments",
        "eu   5e6d7c   müller",
        "Pa",
        "pa",
        "4f",
        "A",
    ],
)
def test_search_finds_by_name_domain_subject_serial_number_and_fingerprint(text: str) -> None:
    assert sought().name in found(q=text)


@pytest.mark.parametrize(
    "text", ["payments nowhere", "pay.example.org", "ab cd", "abcdef0123456789" * 5, "zz"]
)
def test_search_leaves_out_what_has_not_every_word(text: str) -> None:
    sought()

    assert found(q=text) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_search_is_only_text(browser: Client, text: str) -> None:
    certificate = listing_certificate(name=text)
    listing_certificate(name="other")

    answer = browser.get(reverse("certificate_list"), {"q": text})

    assert answer.status_code == 200
    if any(len(word) > 2 for word in text.split()):
        assert [row.certificate for row in answer.context["page"].rows] == [certificate]


@pytest.mark.parametrize("text", ["a\0b", "a" * 10_000])
def test_search_that_no_certificate_can_match_is_refused(browser: Client, text: str) -> None:
    answer = browser.get(reverse("certificate_list"), {"q": text})

    assert answer.status_code == 422
    assert "Show every certificate" in answer.content.decode()


@pytest.mark.parametrize("count", [FEW + 10, COUNTED + 10])
@pytest.mark.parametrize("clustered", [False, True])
def test_broad_search_finds_the_same_as_a_filter_would(count: int, clustered: bool) -> None:
    others = 400 if clustered else 0
    listing_certificates(others, prefix="aaa")
    listing_certificates(count, prefix="web")

    page = Listing({"q": "WEB-"}).page({})
    last = Listing({"q": "WEB-"}).page({"last": "1"})

    assert [row.certificate.name for row in page.rows] == [f"web-{number:06d}" for number in range(1, 26)]
    assert last.rows[-1].certificate.name == f"web-{count:06d}"
    assert page.total == min(count, COUNTED + 1)


def _update(certificate: Certificate) -> None:
    Certificate.objects.filter(pk=certificate.pk).update(name="renamed")


def _save(certificate: Certificate) -> None:
    certificate.name = "renamed"
    certificate.save()


def _bulk_update(certificate: Certificate) -> None:
    certificate.name = "renamed"
    Certificate.objects.bulk_update([certificate], ["name"])


@pytest.mark.parametrize("write", [_save, _update, _bulk_update])
def test_every_writer_keeps_the_search_in_step(write: Callable[[Certificate], None]) -> None:
    certificate = listing_certificate(name="original")
    assert found(q="original") == ["original"]

    write(certificate)

    assert found(q="original") == []
    assert found(q="renamed") == ["renamed"]


@pytest.mark.parametrize("bulk", [False, True])
def test_deleted_certificates_leave_the_search(bulk: bool) -> None:
    certificate = listing_certificate(name="original")

    if bulk:
        Certificate.objects.all().delete()
    else:
        certificate.delete()

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM certificates_search")
        assert cursor.fetchone()[0] == 0


WAYS = [
    {},
    {"after": True},
    {"before": True},
    {"last": "1"},
    *({"sort": sort} for sort in ("-name", "expires", "-expires", "created", "-created")),
    {"sort": "expires", "after": True},
    {"sort": "-created", "before": True},
    *({"type": "ca", "sort": sort} for sort in ("name", "expires", "created")),
    *({"expiry": expiry} for expiry in ("attention", "expired", "soon", "valid", "not-yet")),
    {"expiry": "soon", "sort": "expires"},
    {"key": "ECDSA"},
    {"use": "used"},
    {"use": "unused"},
    {"q": "host-00001"},
    {"q": "host"},
    {"q": "host", "type": "ca", "sort": "expires"},
    {"q": "ab"},
    {"q": "ab" * 32},
]


@pytest.mark.parametrize("way", WAYS, ids=json.dumps)
def test_no_query_of_the_list_scans_the_table(browser: Client, way: dict[str, object]) -> None:
    assert connection.vendor == "sqlite", "This test reads SQLite's plans."
    listing_certificates(600, prefix="host")
    listener(server_certificate=Certificate.objects.filter(type="server").first())
    parameters = {name: str(value) for name, value in way.items() if name not in {"after", "before"}}
    listing = Listing(parameters)
    middle = listing.place_of(Certificate.objects.order_by(listing.order.column)[300])
    parameters |= {name: middle for name in way if name in {"after", "before"}}

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert browser.get(reverse("certificate_list"), parameters).status_code == 200

    for sql in (query["sql"] for query in queries.captured_queries if "certificates_" in query["sql"]):
        for step in plan(sql):
            # Walking an index in the order of the list, until the page is full, is what is meant to be.
            walks = "INDEX certificate_by_" in step
            assert walks or not step.startswith("SCAN certificates_certificate"), sql


def plan(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}".replace("%", "%%"), ())
        return [row[3] for row in cursor.fetchall()]


def test_expired_years_ago_is_no_trouble() -> None:
    listing_certificate(name="old", not_after=timezone.now() - timedelta(days=30_000))

    assert found(expiry="expired") == ["old"]
