"""What the forms accept, drop and refuse, and in which words."""

import pytest
from django.http import QueryDict

from listeners.forms import (
    BLANK_ROW,
    MOST_SERVERS,
    CertificateField,
    DeleteForm,
    ListenerEditForm,
    ListenerForm,
    LoadBalancerForm,
    backend_servers,
    posted_rows,
    rows_after,
)
from listeners.models import Listener, LoadBalancer
from tests import factories
from tests.conftest import Pki

pytestmark = pytest.mark.django_db

SERVER = {"address": "192.0.2.10", "port": "8080", "weight": "1"}


def listener_fields(pki: Pki, **fields: str) -> dict[str, str]:
    """A mutual HTTPS listener as posted; `fields` override."""
    server = factories.server_certificate(pki.modern.server)
    ca = factories.ca_certificate(pki.modern.ca)
    return {
        "name": "listener-1",
        "protocol": "HTTPS",
        "port": "8443",
        "authentication": "mutual",
        "server_certificate": str(server.pk),
        "ca_certificate": str(ca.pk),
        "description": "",
        **fields,
    }


def listener_form(fields: dict[str, str], on: LoadBalancer | None = None) -> ListenerForm:
    return ListenerForm(fields, instance=Listener(load_balancer=on or factories.load_balancer()))


def test_labels_are_the_words_of_the_guide() -> None:
    labels = [field.label for field in ListenerForm().fields.values()]
    assert labels == [
        "Name",
        "Frontend Protocol",
        "Frontend Port",
        "SSL Authentication",
        "Server Certificate",
        "CA Certificate",
        "Description",
    ]
    assert [field.label for field in LoadBalancerForm().fields.values()] == [
        "Name",
        "Listening Address",
        "Description",
    ]
    row = backend_servers([SERVER]).forms[0]
    assert [field.label for field in row.fields.values()] == ["Address", "Backend Port", "Weight"]


def test_listener_form_takes_a_mutual_listener(pki: Pki) -> None:
    form = listener_form(listener_fields(pki))
    assert form.is_valid(), form.errors
    assert form.instance.is_mutual


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"name": ""}, {"name": ["Enter a name."]}),
        ({"name": "a\0b"}, {"name": ["Null characters are not allowed."]}),
        (
            {"protocol": "SMTP"},
            {"protocol": ["Select a valid choice. SMTP is not one of the available choices."]},
        ),
        ({"port": ""}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "0"}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "-1"}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "65536"}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "9" * 5000}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "http"}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"authentication": ""}, {"authentication": ["Choose how clients are authenticated."]}),
        (
            {"server_certificate": ""},
            {"server_certificate": ["Choose the server certificate that clients will see."]},
        ),
        (
            {"server_certificate": "9" * 40},
            {
                "server_certificate": [
                    "This certificate is no longer there.",
                    "Choose the server certificate that clients will see.",
                ]
            },
        ),
        ({"ca_certificate": ""}, {"ca_certificate": ["Choose the CA whose client certificates are let in."]}),
        (
            {"ca_certificate": "\0"},
            {
                "ca_certificate": [
                    "Null characters are not allowed.",
                    "Choose the CA whose client certificates are let in.",
                ]
            },
        ),
    ],
)
def test_listener_form_refuses_at_the_field(
    pki: Pki, fields: dict[str, str], errors: dict[str, list[str]]
) -> None:
    form = listener_form(listener_fields(pki, **fields))
    found = form.errors
    assert {name: found.get(name) for name in errors} == errors


def test_listener_form_refuses_a_certificate_of_the_other_type(pki: Pki) -> None:
    fields = listener_fields(pki)
    swapped = {
        **fields,
        "server_certificate": fields["ca_certificate"],
        "ca_certificate": fields["server_certificate"],
    }
    assert set(listener_form(swapped).errors) >= {"server_certificate", "ca_certificate"}


def test_listener_form_drops_what_http_does_not_use(pki: Pki) -> None:
    form = listener_form(listener_fields(pki, protocol="HTTP", authentication=""))
    assert form.is_valid(), form.errors
    listener = form.instance
    assert (listener.authentication, listener.server_certificate, listener.ca_certificate) == (
        "one-way",
        None,
        None,
    )


def test_listener_form_names_the_listener_that_has_the_port(pki: Pki) -> None:
    taken = factories.listener(factories.load_balancer(address="0.0.0.0"), 8443, name="shop")
    form = listener_form(listener_fields(pki), factories.load_balancer(address="127.0.0.1"))
    assert taken.name in form.errors["port"][0]


@pytest.mark.parametrize(
    ("is_https", "names"),
    [
        (True, ["name", "authentication", "server_certificate", "ca_certificate", "description"]),
        (False, ["name", "description"]),
    ],
)
def test_listener_edit_form_offers_what_can_change(pki: Pki, is_https: bool, names: list[str]) -> None:
    certificate = factories.server_certificate(pki.modern.server) if is_https else None
    row = factories.listener(server_certificate=certificate)
    assert list(ListenerEditForm(instance=row).fields) == names


def test_certificate_is_told_apart_by_name_domain_and_expiry(pki: Pki) -> None:
    modern = factories.server_certificate(pki.modern.server, "web")
    guide = factories.server_certificate(pki.guide.server, "guide")
    field = CertificateField(queryset=None)
    assert field.label_from_instance(modern) == (
        f"web · www.test.com and 2 more · expires {modern.not_after:%Y-%m-%d}"
    )
    assert field.label_from_instance(guide) == f"guide · {guide.subject} · expires {guide.not_after:%Y-%m-%d}"


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


@pytest.mark.parametrize(
    ("word", "is_valid"), [("DELETE", True), (" DELETE ", True), ("delete", False), ("", False)]
)
def test_delete_form_wants_the_word(word: str, is_valid: bool) -> None:
    assert DeleteForm({"confirmation": word}).is_valid() is is_valid


def test_delete_form_is_refused_by_an_obstacle() -> None:
    form = DeleteForm({"confirmation": "DELETE"}, obstacle="It still has 1 listener.")
    assert form.errors == {"__all__": ["It still has 1 listener."]}
