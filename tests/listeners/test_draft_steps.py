"""Each step of the wizard by itself: what it keeps, refuses, searches and takes over."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certificates.models import Certificate
from listeners.models import BackendServerGroup, Listener, ListenerDraft, LoadBalancer
from tests import factories
from tests.conftest import Pki
from tests.console_client import words
from tests.listeners.wizard import LISTED, ROWS, TYPED, Fields, at, fields_of, posted, values_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"port": "99999"}, {"port"}),
        ({"port": "9" * 5000}, {"port"}),
        ({"name": "\0"}, {"name"}),
        ({"name": "x" * 256, "description": "x" * 256}, {"name", "description"}),
        ({"protocol": "\udc80"}, {"protocol"}),
        ({"authentication": "none"}, {"authentication"}),
        ({"server_certificate": "999999999999999999999999"}, {"server_certificate"}),
        ({"ca_certificates": ["x"]}, {"ca_certificates"}),
        ({"ca_certificates": ["9" * 40, "1"]}, {"ca_certificates"}),
        ({"ca_certificates": ["\0"]}, {"ca_certificates"}),
        ({"has_sni": "on", "sni_certificates": ["99", "x"]}, {"sni_certificates"}),
        ({"has_sni": "on", "sni_certificates": []}, {"sni_certificates"}),
        ({"protocol": "HTTP", "redirects": "on", "redirect_to": "7" * 30}, {"redirect_to"}),
        ({"protocol": "HTTP", "redirects": "on"}, {"redirect_to"}),
        ({"security_policy": "custom:999"}, {"security_policy"}),
        ({"security_policy": "tls-0-1"}, {"security_policy"}),
        ({"admission": "some"}, {"admission"}),
        ({"admission": ""}, {"admission"}),
        ({"admission": "listed", "allowed_clients": ""}, {"allowed_clients"}),
        ({"admission": "listed", "allowed_clients": "\0"}, {"allowed_clients"}),
        ({"idle_timeout": "4001"}, {"idle_timeout"}),
        ({"idle_timeout": ""}, {"idle_timeout"}),
        ({"request_timeout": "0", "response_timeout": "9" * 5000}, {"request_timeout", "response_timeout"}),
    ],
)
def test_configure_keeps_what_it_refuses(
    client: Client,
    load_balancer: LoadBalancer,
    configure: Fields,
    fields: Fields,
    errors: set[str],
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    if fields.get("protocol") == "\udc80":
        fields = {"protocol": "?"}

    answer = client.post(at(draft, "configure"), {**configure, **fields})

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == errors
    again = fields_of(client.get(at(draft, "configure")).content)
    kept = {name: value for name, value in {**configure, **fields}.items() if name in TYPED}
    assert {name: again[name] for name in kept} == {
        name: str(value).replace("\0", "")[:255]
        if name.startswith("search-")
        else str(value).replace("\0", "")
        for name, value in kept.items()
    }


def test_configure_keeps_the_certificates_that_http_hides(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure)

    client.post(at(draft, "configure"), {"name": "shop", "protocol": "HTTP", "port": "80", "description": ""})

    draft.refresh_from_db()
    assert draft.fields("configure").getlist("ca_certificates") == configure["ca_certificates"]


@pytest.mark.parametrize(
    ("field", "type"),
    [("server_certificate", "server"), ("ca_certificates", "ca"), ("sni_certificates", "server")],
)
def test_certificate_that_was_added_meanwhile_is_selected(
    client: Client, load_balancer: LoadBalancer, configure: Fields, pki: Pki, field: str, type: str
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure)
    pair = pki.guide.server if type == "server" else pki.guide.ca
    key = {"private_key": pair.key_pem} if type == "server" else {}

    leaving = client.post(
        at(draft, "configure"),
        {**configure, "name": "kept", "port": "", "action": f"add-certificate:{field}"},
    )
    page = client.get(leaving.headers["Location"]).content.decode()
    added = client.post(
        leaving.headers["Location"], {"name": "new", "type": type, "content": pair.certificate_pem, **key}
    )

    assert leaving.headers["Location"].partition("?")[0] == reverse("certificate_add")
    assert fields_of(page.encode())["type"] == type
    assert added.headers["Location"] == at(draft, "configure")
    values = values_of(client.get(added.headers["Location"]).content)
    number = str(Certificate.objects.get(name="new").pk)
    before = configure.get(field, []) if field == "ca_certificates" else []
    assert set(values[field]) == {"", number, *before}
    assert values["name"] == ["kept"]


def test_certificate_of_another_user_is_not_selected(
    client: Client, load_balancer: LoadBalancer, pki: Pki
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    client.post(at(draft, "configure"), {"action": "add-certificate:ca_certificates"})
    factories.ca_certificate(pki.modern.ca, created_by=factories.user())
    assert values_of(client.get(at(draft, "configure")).content)["ca_certificates"] == [""]


def test_certificate_that_is_added_elsewhere_later_is_not_selected(
    client: Client, load_balancer: LoadBalancer, pki: Pki
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    client.post(at(draft, "configure"), {"action": "add-certificate:ca_certificates"})
    client.get(at(draft, "configure"))  # adding was canceled, say
    factories.ca_certificate(pki.modern.ca, created_by=user)
    assert values_of(client.get(at(draft, "configure")).content)["ca_certificates"] == [""]


def test_page_says_which_certificates_are_missing(client: Client, load_balancer: LoadBalancer) -> None:
    user = factories.user()
    client.force_login(user)
    page = client.get(at(factories.listener_draft(load_balancer, user), "configure")).content.decode()
    assert "No server certificate is stored yet" in page
    assert "No CA certificate is stored yet" in page


def test_search_shows_what_is_found_and_keeps_what_was_chosen(
    client: Client, load_balancer: LoadBalancer
) -> None:
    user = factories.user()
    client.force_login(user)
    chosen = factories.listing_certificate(name="chosen", server_names="chosen.example.com")
    found = factories.listing_certificate(name="found", server_names="shop.example.org")
    other = factories.listing_certificate(name="other", server_names="other.example.com")
    posted = {"name": "", "port": "x", "server_certificate": str(chosen.pk)}

    for action in ("search", "enter"):  # the button, and Enter in the box
        draft = factories.listener_draft(load_balancer, user)
        searched = {**posted, "search-server_certificate": "shop.example.org", "action": action}
        answer = client.post(at(draft, "configure"), searched)
        options = [option.row for option in answer.context["form"].pickers["server_certificate"].options]
        assert answer.status_code == 200
        assert options == [chosen, found]
        assert other not in options
        assert fields_of(answer.content)["server_certificate"] == str(chosen.pk)
        assert fields_of(answer.content)["port"] == "x"


@pytest.mark.parametrize("text", ["\0" * 300, "x" * 5000, "' OR 1=1", '"', "%", "a", "🔒", "* AND ("])
@pytest.mark.parametrize("step", ["configure", "routing"])
def test_search_takes_any_text(client: Client, load_balancer: LoadBalancer, text: str, step: str) -> None:
    user = factories.user()
    client.force_login(user)
    factories.listing_certificates(3)
    draft = factories.listener_draft(load_balancer, user)
    fields = ("server_certificate", "ca_certificates", "sni_certificates", "redirect_to", "existing_group")
    searched = {f"search-{name}": text for name in fields}
    assert client.post(at(draft, step), {**searched, "action": "search"}).status_code == 200
    assert client.get(at(draft, step)).status_code == 200


def test_configure_costs_as_much_with_many_certificates_as_with_few(
    client: Client, load_balancer: LoadBalancer
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)

    def cost() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            page = client.get(at(draft, "configure")).content
        # Three lists of certificates and one of listeners, each cut off by the database.
        assert sum("LIMIT 51" in query["sql"] for query in queries) == 4
        return len(queries), page.count(b'class="picker-option"')

    factories.listing_certificates(60, "few")
    queries, _ = cost()
    factories.listing_certificates(600, "many")
    assert cost() == (queries, 50 + 50 + 50)


def test_rows_are_added_and_removed_without_being_checked(
    client: Client, load_balancer: LoadBalancer
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    junk = {"address": "first", "port": "x", "weight": ""}

    added = client.post(at(draft, "backends"), {**posted([junk]), "action": "add"})
    removed = client.post(at(draft, "backends"), {**posted([junk, *ROWS]), "action": "remove:0"})

    assert (added.status_code, removed.status_code) == (200, 200)
    blank = {"address": "", "port": "", "weight": "1"}
    assert fields_of(added.content) == posted([junk, blank])
    assert fields_of(removed.content) == posted(ROWS)
    assert fields_of(client.get(at(draft, "backends")).content) == posted(ROWS)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"servers-TOTAL_FORMS": "-5"},
        {"servers-TOTAL_FORMS": "1000000000"},
        {"servers-TOTAL_FORMS": "\0", "servers-INITIAL_FORMS": "x"},
        {"servers-TOTAL_FORMS": "1", "servers-0-port": "9" * 5000},
        {
            "servers-TOTAL_FORMS": "1",
            "servers-0-address": "\0",
            "servers-0-port": "\0",
            "servers-0-weight": "\0",
        },
        {"servers-TOTAL_FORMS": "1", "servers-0-address": "fe80::1%eth0"},
    ],
)
def test_backends_refuse_junk(client: Client, load_balancer: LoadBalancer, fields: dict[str, str]) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    answer = client.post(at(draft, "backends"), fields)
    assert answer.status_code == 422
    assert b"Backend server 1" in answer.content


def test_redirect_asks_for_no_servers(client: Client, load_balancer: LoadBalancer, configure: Fields) -> None:
    user = factories.user()
    client.force_login(user)
    server = Certificate.objects.get(pk=str(configure["server_certificate"]))
    shop = factories.listener(load_balancer, 9443, server_certificate=server)
    draft = factories.listener_draft(load_balancer, user)
    fields = {
        "name": "plain",
        "protocol": "HTTP",
        "port": "8081",
        "redirects": "on",
        "redirect_to": str(shop.pk),
    }

    configured = client.post(at(draft, "configure"), fields)
    between = [client.get(at(draft, step)).content.decode() for step in ("routing", "backends")]
    back = client.post(at(draft, "confirm"), {"action": "previous"})
    client.post(at(draft, "confirm"))

    listener = Listener.objects.get(name="plain")
    assert configured.headers["Location"] == at(draft, "confirm")
    assert ["redirects every request" in page for page in between] == [True, True]
    assert back.headers["Location"] == at(draft, "configure")
    assert (listener.redirect_to, listener.backend_server_group) == (shop, None)


def test_listener_can_use_the_group_of_another(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    other = factories.listener(servers=[factories.backend_server("192.0.2.77")], name="first of all")
    group = other.backend_server_group
    assert group is not None
    draft = factories.listener_draft(load_balancer, user, configure)

    routed = client.post(at(draft, "routing"), {"group": "existing", "existing_group": str(group.pk)})
    servers = client.get(at(draft, "backends")).content.decode()
    on = client.post(at(draft, "backends"), {"action": "next"})
    confirm = words(client.get(at(draft, "confirm")).content.decode())
    client.post(at(draft, "confirm"))

    assert (routed.headers["Location"], on.headers["Location"]) == (
        at(draft, "backends"),
        at(draft, "confirm"),
    )
    assert "192.0.2.77" in servers
    assert "first of all" in servers
    assert f"Existing group {group} . It is used by first of all ." in confirm
    assert Listener.objects.get(name="shop").backend_server_group == group
    assert BackendServerGroup.objects.count() == 1


def test_group_that_went_meanwhile_leads_back_to_its_step(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    other = factories.listener()
    chosen = {"group": "existing", "existing_group": str(other.backend_server_group_id)}
    draft = factories.listener_draft(load_balancer, user, configure, routing=chosen)
    other.delete()

    answer = client.post(at(draft, "confirm"))

    assert (answer.status_code, answer.context["step"]) == (422, "routing")
    assert answer.context["form"].errors == {"existing_group": ["This group is no longer there."]}


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"group": "new", "group_name": ""}, {"group_name"}),
        ({"group": "new", "group_name": "x" * 256}, {"group_name"}),
        ({"group": "new", "group_name": "\0"}, {"group_name"}),
        ({"group": "existing", "existing_group": ""}, {"existing_group"}),
        ({"group": "existing", "existing_group": "9" * 40}, {"existing_group"}),
        ({"group": "existing", "existing_group": "\0"}, {"existing_group"}),
        ({"group": "other"}, {"group"}),
    ],
)
def test_routing_refuses_at_the_field(
    client: Client, load_balancer: LoadBalancer, fields: dict[str, str], errors: set[str]
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    answer = client.post(at(draft, "routing"), fields)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == errors
    assert client.post(at(draft, "routing"), {**fields, "action": "previous"}).status_code == 302


def test_search_by_htmx_stores_nothing(client: Client, load_balancer: LoadBalancer) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    htmx = {"HX-Request": "true"}
    answers = [
        client.post(at(draft, step), {"name": "late", "group_name": "late", "action": "search"}, headers=htmx)
        for step in ("configure", "routing")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [b'value="late"' in answer.content for answer in answers] == [True, True]
    kept = ListenerDraft.objects.get(pk=draft.pk)
    assert kept.steps == draft.steps


def test_private_key_beside_a_certificate_to_test_is_not_kept(
    client: Client, load_balancer: LoadBalancer, configure: Fields, pki: Pki
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    pasted = pki.modern.client.certificate_pem + pki.modern.client.key_pem

    client.post(at(draft, "configure"), {**configure, **LISTED, "tried_certificates": pasted})

    draft.refresh_from_db()
    kept = draft.fields("configure")["tried_certificates"]
    assert kept.strip() == pki.modern.client.certificate_pem.strip()
