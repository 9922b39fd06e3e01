"""Rows of backend servers as they are posted: what they accept, pass over and refuse."""

import pytest
from django.http import QueryDict

from listeners.forms import BLANK_ROW, MOST_SERVERS, backend_servers, posted_rows, rows_after

SERVER = {"address": "192.0.2.10", "port": "8080", "weight": "1"}


def test_backend_servers_pass_over_blank_rows() -> None:
    formset = backend_servers([BLANK_ROW, {**SERVER, "weight": "0"}, BLANK_ROW])
    assert formset.is_valid(), formset.errors
    assert [(server.address, server.port, server.weight) for server in formset.servers()] == [
        ("192.0.2.10", 8080, 0)
    ]


@pytest.mark.parametrize(
    ("rows", "errors"),
    [
        ([], [{"address": ["Add at least one backend server."]}]),
        ([BLANK_ROW, BLANK_ROW], [{"address": ["Add at least one backend server."]}, {}]),
        ([SERVER, SERVER], [{}, {"address": ["This address and port is listed twice."]}]),
        (
            [{"address": "localhost", "port": "0", "weight": "101"}],
            [
                {
                    "address": ["Enter a valid IPv4 or IPv6 address."],
                    "port": ["Enter a port from 1 to 65535."],
                    "weight": ["Enter a weight from 0 to 100."],
                }
            ],
        ),
        (
            [{"address": "", "port": "9" * 5000, "weight": "-1"}],
            [
                {
                    "address": ["Enter the server's IP address."],
                    "port": ["Enter a port from 1 to 65535."],
                    "weight": ["Enter a weight from 0 to 100."],
                }
            ],
        ),
    ],
)
def test_backend_servers_refuse_at_the_field(
    rows: list[dict[str, str]], errors: list[dict[str, list[str]]]
) -> None:
    formset = backend_servers(rows)
    assert not formset.is_valid()
    assert formset.errors == errors


def test_backend_servers_know_one_address_in_two_spellings() -> None:
    formset = backend_servers([{**SERVER, "address": "2001:db8::1"}, {**SERVER, "address": "2001:DB8:0::1"}])
    assert formset.errors == [{}, {"address": ["This address and port is listed twice."]}]


@pytest.mark.parametrize("total", ["", "-1", "x", "1e3", "²", "\0", "9" * 5000, "100000"])
def test_posted_rows_survive_any_count(total: str) -> None:
    assert posted_rows({"servers-TOTAL_FORMS": total}) == []


def test_posted_rows_are_as_many_as_are_allowed() -> None:
    assert len(posted_rows({"servers-TOTAL_FORMS": "9999"})) == MOST_SERVERS


def test_posted_rows_are_what_was_typed() -> None:
    posted = QueryDict("servers-TOTAL_FORMS=2&servers-0-address=a&servers-0-port=b&servers-1-weight=c")
    assert posted_rows(posted) == [
        {"address": "a", "port": "b", "weight": ""},
        {"address": "", "port": "", "weight": "c"},
    ]


@pytest.mark.parametrize(
    ("action", "after"),
    [
        ("add", [{"address": "a"}, {"address": "b"}, BLANK_ROW]),
        ("remove:0", [{"address": "b"}]),
        ("remove:7", [{"address": "a"}, {"address": "b"}]),
        ("remove:\0", [{"address": "a"}, {"address": "b"}]),
        ("next", None),
        ("", None),
    ],
)
def test_rows_after_a_button(action: str, after: list[dict[str, str]] | None) -> None:
    assert rows_after(action, [{"address": "a"}, {"address": "b"}]) == after


def test_rows_are_never_more_than_are_allowed() -> None:
    assert len(rows_after("add", [BLANK_ROW] * MOST_SERVERS) or []) == MOST_SERVERS


def test_the_last_row_leaves_a_blank_one() -> None:
    assert rows_after("remove:0", [{"address": "a"}]) == [BLANK_ROW]
