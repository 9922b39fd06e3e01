"""The list of certificates: filters, orders, pages, and the address that holds all of it."""

from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from certificates.keyset import ROWS, Page
from certificates.listing import Listing
from certificates.models import Certificate
from certificates.search import COUNTED
from tests.conftest import Pki
from tests.factories import (
    ca_certificate,
    listener,
    listing_certificate,
    listing_certificates,
    server_certificate,
)

pytestmark = pytest.mark.django_db

ORDERS = ["name", "-name", "expires", "-expires", "created", "-created"]
HTMX = {"HX-Request": "true"}


def names(page: Page[Certificate]) -> list[str]:
    return [row.certificate.name for row in page.rows]


def at(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.removeprefix("?")))


def followed(
    parameters: dict[str, str], step: Callable[[Page[Certificate]], str], start: dict[str, str]
) -> list[list[str]]:
    """The names of page after page, each gone to by its link."""
    pages, position = [], start
    while True:
        page = Listing(parameters).page(position)
        pages.append(names(page))
        has_more = page.has_next if step is forth else page.has_previous
        if not has_more:
            return pages
        position = at(step(page))


def forth(page: Page[Certificate]) -> str:
    return page.next_url


def back(page: Page[Certificate]) -> str:
    return page.previous_url


def test_filters_choose_by_type_expiry_key_and_use(pki: Pki) -> None:
    now = timezone.now()
    day = timedelta(days=1)
    listing_certificate(name="expired", not_after=now - day)
    listing_certificate(name="soon", not_after=now + 29 * day, key="ECDSA P-256")
    listing_certificate(name="later", not_after=now + 31 * day, key="RSASSA-PSS 2048")
    listing_certificate(name="not-yet", not_before=now + day, key="Ed25519")
    content = pki.modern.ca.certificate_pem
    listing_certificate(name="ca", type=Certificate.Type.CA, key="Ed448", content=content)
    listener(
        server_certificate=Certificate.objects.get(name="soon"),
        ca_certificate=Certificate.objects.get(name="ca"),
    )

    for parameters, expected in (
        ({"type": "ca"}, {"ca"}),
        ({"type": "server"}, {"expired", "soon", "later", "not-yet"}),
        ({"expiry": "expired"}, {"expired"}),
        ({"expiry": "soon"}, {"soon"}),
        ({"expiry": "attention"}, {"expired", "soon"}),
        ({"expiry": "valid"}, {"soon", "later", "ca"}),
        ({"expiry": "not-yet"}, {"not-yet"}),
        ({"key": "RSA"}, {"expired", "later"}),
        ({"key": "ECDSA"}, {"soon"}),
        ({"key": "Ed"}, {"not-yet", "ca"}),
        ({"use": "used"}, {"soon", "ca"}),
        ({"use": "unused"}, {"expired", "later", "not-yet"}),
        ({"use": "used", "type": "ca", "key": "Ed", "expiry": "valid"}, {"ca"}),
        ({"use": "used", "type": "ca", "key": "RSA"}, set()),
    ):
        for order in ORDERS:
            page = Listing(parameters | {"sort": order}).page({})
            assert (set(names(page)), page.total) == (expected, len(expected)), (parameters, order)


def test_row_names_the_listeners_of_each_use_once(pki: Pki) -> None:
    server = server_certificate(pki.modern.server, "web")
    ca = ca_certificate(pki.modern.ca, "clients")
    row = listener(server_certificate=server, ca_certificate=ca)
    row.choose(sni_certificates=[server]).save()

    users = {one.certificate.name: one.listeners for one in Listing({}).page({}).rows}

    assert users == {"web": [row], "clients": [row]}


@pytest.mark.parametrize("order", ORDERS)
def test_pages_show_every_certificate_once_and_in_order(order: str) -> None:
    listing_certificates(2 * ROWS + 7)
    # The same end for many: the number decides where what is sorted by says nothing.
    Certificate.objects.filter(pk__lte=Certificate.objects.all()[40].pk).update(not_after=timezone.now())
    column = Listing({"sort": order}).order.column
    sign = "-" if order.startswith("-") else ""
    expected = list(
        Certificate.objects.order_by(f"{sign}{column}", f"{sign}pk").values_list("name", flat=True)
    )

    forwards = followed({"sort": order}, forth, {})
    backwards = followed({"sort": order}, back, {"last": "1"})

    assert list(chain.from_iterable(forwards)) == expected
    assert list(chain.from_iterable(reversed(backwards))) == expected
    assert [len(page) for page in forwards] == [ROWS, ROWS, 7]


@pytest.mark.parametrize("order", ORDERS)
def test_pages_skip_and_repeat_nothing_when_rows_come_and_go(order: str) -> None:
    listing_certificates(3 * ROWS)
    first = Listing({"sort": order}).page({})
    place = at(first.next_url)
    rest = names(Listing({"sort": order}).page(place))

    Certificate.objects.filter(pk__in=[row.certificate.pk for row in first.rows]).delete()
    earlier = {"name": "aaa", "not_after": timezone.now() - timedelta(days=900)}
    later = {"name": "zzz", "not_after": timezone.now() + timedelta(days=9000)}
    listing_certificate(**(later if order.startswith("-") else earlier))

    assert names(Listing({"sort": order}).page(place)) == rest


def test_page_that_has_emptied_shows_the_first() -> None:
    listing_certificates(3)

    page = Listing({}).page({"after": "9.zzz"})

    assert (names(page), page.has_previous, page.has_next) == (names(Listing({}).page({})), False, False)


@pytest.mark.parametrize(
    "position",
    [
        {"after": "junk"},
        {"after": "1"},
        {"before": "."},
        {"after": f"{10**30}.x"},
        {"after": "-1.x"},
        {"after": "1.a\0b"},
        {"after": "1." + "x" * 10_000},
        {"after": "1.x", "before": "1.x", "last": "1"},
        {"last": ""},
        {"page": "7"},
    ],
)
@pytest.mark.parametrize("order", ["name", "expires"])
def test_position_that_makes_no_sense_is_passed_over(
    browser: Client, position: dict[str, str], order: str
) -> None:
    listing_certificates(2)

    answer = browser.get(reverse("certificate_list"), position | {"sort": order})

    assert answer.status_code == 200
    assert len(answer.context["page"].rows) == 2


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01", "x"]
)
def test_position_in_time_that_makes_no_sense_is_passed_over(browser: Client, moment: str) -> None:
    listing_certificates(2)

    answer = browser.get(reverse("certificate_list"), {"sort": "expires", "after": f"1.{moment}"})

    assert len(answer.context["page"].rows) == 2


@pytest.mark.parametrize("field", ["type", "expiry", "key", "use", "sort"])
def test_choice_that_is_none_is_refused(browser: Client, field: str) -> None:
    answer = browser.get(reverse("certificate_list"), {field: "nonsense"})

    assert answer.status_code == 422
    assert "nonsense is not one of the available choices" in answer.content.decode()


def test_address_holds_the_whole_state(browser: Client) -> None:
    listing_certificates(700)
    asked = {
        "q": "row",
        "type": "server",
        "expiry": "valid",
        "key": "RSA",
        "use": "unused",
        "sort": "-expires",
    }

    answer = browser.get(reverse("certificate_list"), asked)

    page = answer.context["page"]
    assert at(page.first_url) == asked
    assert at(page.last_url) == asked | {"last": "1"}
    assert at(page.next_url) == asked | {"after": Listing(asked).place_of(page.found[-1])}
    assert at(page.headings["name"].url) == {name: value for name, value in asked.items() if name != "sort"}
    text = answer.content.decode()
    assert 'value="row"' in text
    for value in ("server", "valid", "RSA", "unused", "-expires"):
        assert f'<option value="{value}" selected>' in text


@pytest.mark.parametrize(
    ("order", "sorted", "next"),
    [("", "ascending", "-name"), ("name", "ascending", "-name"), ("-name", "descending", "name")],
)
def test_heading_says_how_the_list_is_sorted(browser: Client, order: str, sorted: str, next: str) -> None:
    listing_certificates(2)

    page = browser.get(reverse("certificate_list"), {"sort": order}).context["page"]

    headings = page.headings
    assert [headings[name].sorted for name in ("name", "expires", "created")] == [sorted, "none", "none"]
    assert at(headings["name"].url).get("sort", "name") == next


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (1, "1 certificate"),
        (ROWS + 1, f"{ROWS + 1} certificates"),
        (COUNTED, "1,000 certificates"),
        (COUNTED + 5, "More than 1,000 certificates"),
    ],
)
def test_count_is_exact_as_far_as_it_is_cheap(rows: int, words: str) -> None:
    listing_certificates(rows)

    assert Listing({}).page({}).count == words


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"last": "1"},
        {"q": "host-00000"},
        {"q": "host"},
        {"q": "ab"},
        {"expiry": "soon", "type": "server", "key": "RSA", "use": "unused", "sort": "expires"},
    ],
)
def test_queries_are_as_many_for_a_thousand_as_for_ten(
    browser: Client, django_assert_max_num_queries: DjangoAssertNumQueries, asked: dict[str, str]
) -> None:
    # Session and person; search; rows, three ways to use them, their number; of the overview four and two.
    for more in (10, 1_000):
        listing_certificates(more, prefix=f"some-{more}")
        used = listing_certificate(not_after=timezone.now())
        for _ in range(7):
            listener(server_certificate=used)
        with django_assert_max_num_queries(15):
            assert browser.get(reverse("certificate_list"), asked).status_code == 200


def test_results_alone_answer_a_search_while_typing(browser: Client) -> None:
    listing_certificates(3)

    answer = browser.get(reverse("certificate_list"), {"q": "row", "type": "", "sort": "name"}, headers=HTMX)

    assert answer.headers["HX-Replace-Url"] == f"{reverse('certificate_list')}?q=row"
    assert "HX-Request" in answer.headers["Vary"]


def test_empty_list_says_what_to_do(browser: Client) -> None:
    url = reverse("certificate_list")
    assert "Choose <b>Add Certificate</b>" in browser.get(url).content.decode()

    listing_certificates(1)
    for asked in ({"q": "nowhere"}, {"type": "ca"}):
        text = browser.get(url, asked).content.decode()
        assert "No certificate matches" in text
        assert f'<a href="{url}">Show every certificate</a>' in text


@pytest.mark.parametrize("harmful", ["<script>alert(1)</script>", "{{ 7*7 }}", '" onload="x', "{number}{0}"])
def test_row_escapes_what_people_typed(browser: Client, harmful: str) -> None:
    fields: dict[str, Any] = dict.fromkeys(("name", "subject", "domain_names", "server_names"), harmful)
    certificate = listing_certificate(**fields)
    listener(server_certificate=certificate, name=harmful)
    Certificate.objects.update(key=harmful)  # no listener takes a key of a kind that nobody knows

    text = browser.get(reverse("certificate_list")).content.decode()

    shown = harmful.translate({60: "&lt;", 62: "&gt;", 34: "&quot;", 39: "&#x27;"})
    assert text.count(shown) >= 5
    assert shown == harmful or harmful not in text
