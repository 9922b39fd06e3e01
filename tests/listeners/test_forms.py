"""What the forms accept, drop and refuse, and in which words."""

import socket

import pytest

from listeners.forms import (
    DeleteForm,
    ListenerEditForm,
    ListenerForm,
    LoadBalancerForm,
    RoutingForm,
    backend_servers,
)
from listeners.models import Listener, TlsSecurityPolicy
from tests import factories
from tests.conftest import Pki
from tests.listeners.posted_listeners import Fields, listener_fields, listener_form, posted
from tests.listeners.wizard import untouched

pytestmark = pytest.mark.django_db

BEGIN = "-----BEGIN CERTIFICATE-----"
STORED = {
    *("sends_ca_names", "admission", "sni_matching", "tls_policy", "custom_tls_policy", "http2"),
    *("idle_timeout", "request_timeout", "response_timeout", "description"),
}
SERVER = {"address": "192.0.2.10", "port": "8080", "weight": "1"}


def test_labels_are_the_words_of_the_original() -> None:
    assert {name: field.label for name, field in ListenerForm().fields.items()} == {
        "name": "Name",
        "protocol": "Frontend Protocol",
        "port": "Frontend Port",
        "redirects": "Redirect",
        "redirect_to": "Redirected to",
        "authentication": "SSL Authentication",
        "server_certificate": "Server Certificate",
        "ca_certificates": "CA Certificate",
        "sends_ca_names": "Send CA names to clients",
        "admission": "Who may enter",
        "allowed_clients": "Allowed clients",
        "tried_certificates": "Client certificates to test",
        "has_sni": "Enable SNI",
        "sni_certificates": "SNI Certificate",
        "sni_matching": "SNI Matching Algorithm",
        "security_policy": "Security Policy",
        "http2": "HTTP/2",
        "idle_timeout": "Idle Timeout (s)",
        "request_timeout": "Request Timeout (s)",
        "response_timeout": "Response Timeout (s)",
        "description": "Description",
    }
    assert [field.label for field in RoutingForm().fields.values()] == [
        "Backend Server Group",
        "Name",
        "Existing Group",
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


def test_listener_form_takes_every_field(pki: Pki) -> None:
    policy = TlsSecurityPolicy.objects.create(
        name="ours", versions=["TLSv1.2"], suites=["ECDHE-ECDSA-AES256-GCM-SHA384"]
    )
    fields = listener_fields(pki)
    shown = {
        "sends_ca_names": "",
        "admission": "listed",
        "allowed_clients": "client.example.com\n\nDNS:  Other.example.com \nclient.example.com",
        "has_sni": "on",
        "sni_certificates": ["", str(fields["server_certificate"])],
        "sni_matching": "longest-suffix",
        "security_policy": f"custom:{policy.pk}",
        "http2": ["", "on"],
        "idle_timeout": "0",
        "request_timeout": "300",
        "response_timeout": "1",
        "description": "all",
    }
    form = listener_form({**fields, **shown})

    assert form.is_valid(), form.errors
    listener = Listener.objects.open(form.instance, [factories.backend_server()], "group")
    listener = Listener.objects.get(pk=listener.pk)

    assert [one.pk for one in listener.ca_certificates.all()] == [int(fields["ca_certificates"][0])]
    assert [str(one.pk) for one in listener.sni_certificates.all()] == [fields["server_certificate"]]
    assert listener.allowed_clients == [["dns", "client.example.com"], ["dns", "other.example.com"]]
    stored = {name: getattr(listener, name) for name in STORED}
    assert stored == {
        "sends_ca_names": False,
        "admission": "listed",
        "sni_matching": "longest-suffix",
        "tls_policy": "",
        "custom_tls_policy": policy,
        "http2": True,
        "idle_timeout": 0,
        "request_timeout": 300,
        "response_timeout": 1,
        "description": "all",
    }


def test_listener_form_leaves_what_was_not_asked_as_it_is_proposed(pki: Pki) -> None:
    form = listener_form(listener_fields(pki))
    assert form.is_valid(), form.errors
    usual = Listener()
    assert {name: getattr(form.instance, name) for name in STORED - {"description"}} == {
        name: getattr(usual, name) for name in STORED - {"description"}
    }


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"name": ""}, {"name": ["Enter a name."]}),
        ({"name": "a\0b"}, {"name": ["Null characters are not allowed."]}),
        (
            {"protocol": "SMTP"},
            {"protocol": ["Choose HTTPS or HTTP."]},
        ),
        ({"port": ""}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "0"}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "-1"}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "65536"}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "9" * 5000}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"port": "http"}, {"port": ["Enter a port from 1 to 65535."]}),
        ({"authentication": ""}, {"authentication": ["Choose how clients are authenticated."]}),
        ({"authentication": []}, {"authentication": ["Choose how clients are authenticated."]}),
        (
            {"server_certificate": ""},
            {"server_certificate": ["Choose the server certificate that clients will see."]},
        ),
        ({"server_certificate": "9" * 40}, {"server_certificate": ["This certificate is no longer there."]}),
        (
            {"ca_certificates": [""]},
            {"ca_certificates": ["Choose the CA whose client certificates are let in."]},
        ),
        ({"ca_certificates": ["\0"]}, {"ca_certificates": ["This certificate is no longer there."]}),
        ({"idle_timeout": "4001"}, {"idle_timeout": ["Enter a number of seconds from 0 to 4000."]}),
        ({"request_timeout": "0"}, {"request_timeout": ["Enter a number of seconds from 1 to 300."]}),
        ({"response_timeout": ""}, {"response_timeout": ["Enter a number of seconds from 1 to 300."]}),
        (
            {"security_policy": "custom:7"},
            {"security_policy": ["This policy is no longer there. Choose another one."]},
        ),
        (
            {"has_sni": "on"},
            {"sni_certificates": ["Choose at least one SNI certificate, or switch SNI off."]},
        ),
        (
            {"admission": "listed", "allowed_clients": " \n "},
            {"allowed_clients": ["List at least one client; with an empty list nobody could enter."]},
        ),
    ],
)
def test_listener_form_refuses_at_the_field(pki: Pki, fields: Fields, errors: dict[str, list[str]]) -> None:
    form = listener_form(listener_fields(pki, **fields))
    found = form.errors
    assert {name: found.get(name) for name in errors} == errors


@pytest.mark.parametrize("authentication", ["mutual", "optional", "unverified"])
def test_listener_form_asks_for_a_ca_in_every_mode_that_has_one(pki: Pki, authentication: str) -> None:
    form = listener_form(listener_fields(pki, authentication=authentication, ca_certificates=[]))
    assert set(form.errors) == {"ca_certificates"}


def test_listener_form_refuses_a_certificate_of_the_other_type(pki: Pki) -> None:
    fields = listener_fields(pki)
    swapped: Fields = {
        **fields,
        "server_certificate": fields["ca_certificates"][0],
        "ca_certificates": [str(fields["server_certificate"])],
    }
    assert set(listener_form(swapped).errors) == {"server_certificate", "ca_certificates"}


def test_listener_form_drops_what_http_does_not_use(pki: Pki) -> None:
    form = listener_form(listener_fields(pki, protocol="HTTP", authentication=""))
    assert form.is_valid(), form.errors
    listener = form.instance
    assert (listener.authentication, listener.server_certificate) == ("one-way", None)
    assert listener.chosen("ca_certificates") == []


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "HTTP", "server_certificate": "999", "ca_certificates": ["x"], "has_sni": "on"},
        {"protocol": "HTTP", "admission": "?", "security_policy": "?", "sni_matching": "?"},
        {"authentication": "one-way", "ca_certificates": ["999"], "admission": "?"},
        {"authentication": "optional", "admission": "listed", "allowed_clients": "*"},
        {"redirects": "on", "redirect_to": "999"},
        {"has_sni": "", "sni_certificates": ["999"], "sni_matching": "?"},
        {"admission": "any", "allowed_clients": "*", "tried_certificates": "words"},
    ],
)
def test_what_another_choice_hides_is_not_checked(pki: Pki, fields: Fields) -> None:
    form = listener_form(listener_fields(pki, **fields))
    assert form.is_valid(), form.errors


def test_listener_form_names_the_listener_that_has_the_port(pki: Pki) -> None:
    taken = factories.listener(factories.load_balancer(address="0.0.0.0"), 8443, name="shop")
    form = listener_form(listener_fields(pki), factories.load_balancer(address="127.0.0.1"))
    assert taken.name in form.errors["port"][0]


def test_listener_form_names_the_program_that_has_the_port(pki: Pki) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        form = listener_form(listener_fields(pki, port=str(port)), factories.load_balancer())
        assert "port" in form.errors
        assert str(port) in form.errors["port"][0]


def test_listener_form_redirects_to_https_listeners_of_its_own_load_balancer(pki: Pki) -> None:
    server = factories.server_certificate(pki.modern.server)
    own = factories.load_balancer()
    target = factories.listener(own, server_certificate=server)
    elsewhere = factories.listener(factories.load_balancer(address="127.0.0.9"), server_certificate=server)
    plain = factories.listener(own)

    def form(to: Listener) -> ListenerForm:
        return listener_form(
            {"name": "r", "protocol": "HTTP", "port": "8080", "redirects": "on", "redirect_to": str(to.pk)},
            own,
        )

    assert form(target).is_valid()
    assert [set(form(one).errors) for one in (elsewhere, plain)] == [{"redirect_to"}, {"redirect_to"}]
    assert [option.row for option in form(target).pickers["redirect_to"].options] == [target]


@pytest.mark.parametrize(
    ("is_https", "names"),
    [
        (
            True,
            [
                *("name", "authentication", "sends_ca_names", "admission", "sni_matching", "http2"),
                *("idle_timeout", "request_timeout", "response_timeout", "description"),
                *("server_certificate", "ca_certificates", "allowed_clients", "tried_certificates"),
                *("has_sni", "sni_certificates", "security_policy"),
            ],
        ),
        (
            False,
            [
                *("name", "idle_timeout", "request_timeout", "response_timeout", "description"),
                *("redirects", "redirect_to"),
            ],
        ),
    ],
)
def test_listener_edit_form_offers_what_can_change(pki: Pki, is_https: bool, names: list[str]) -> None:
    certificate = factories.server_certificate(pki.modern.server) if is_https else None
    row = factories.listener(server_certificate=certificate)
    assert set(ListenerEditForm(instance=row).fields) == set(names)


def test_listener_edit_form_saves_what_it_was_given_back(pki: Pki) -> None:
    row = factories.listener(
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=factories.ca_certificate(pki.modern.ca),
    )
    other = factories.ca_certificate(pki.guide.ca)
    form = ListenerEditForm(
        posted(
            {"name": "renamed", "authentication": "mutual", "ca_certificates": [str(other.pk)]}
            | {"server_certificate": str(row.server_certificate_id)}
        ),
        instance=row,
    )
    assert form.is_valid(), form.errors
    form.save()
    row = Listener.objects.get(pk=row.pk)
    assert (row.name, list(row.ca_certificates.all())) == ("renamed", [other])


@pytest.mark.parametrize(
    ("fields", "is_open"),
    [
        ({}, False),
        ({"authentication": "optional"}, True),
        ({"http2": "on"}, True),
        ({"idle_timeout": "61"}, True),
        ({"security_policy": "tls-1-2"}, True),
        ({"sends_ca_names": ""}, True),
        ({"description": "x"}, True),
        ({"idle_timeout": "60", "http2": "", "sends_ca_names": "on", "description": ""}, False),
    ],
)
def test_advanced_settings_are_open_when_something_in_them_is_unusual(
    pki: Pki, fields: dict[str, str], is_open: bool
) -> None:
    usual = {"name": "n", "protocol": "HTTPS", "port": "1", "authentication": "mutual"}
    form = untouched({**usual, **fields})
    assert form.opens_advanced is is_open


@pytest.mark.parametrize(
    ("word", "is_valid"), [("DELETE", True), (" DELETE ", True), ("delete", False), ("", False)]
)
def test_delete_form_wants_the_word(word: str, is_valid: bool) -> None:
    assert DeleteForm({"confirmation": word}).is_valid() is is_valid


def test_delete_form_is_refused_by_an_obstacle() -> None:
    form = DeleteForm({"confirmation": "DELETE"}, obstacle="It still has 1 listener.")
    assert form.errors == {"__all__": ["It still has 1 listener."]}
