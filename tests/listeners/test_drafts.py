"""Adding a listener step by step: what is kept, what leads back, what a Submit leaves behind."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certificates.models import Certificate
from console.models import ConfigurationRevision
from listeners.models import BackendServerGroup, Listener, ListenerDraft, LoadBalancer
from tests import factories
from tests.conftest import Pki
from tests.console_client import words
from tests.html_forms import html_forms

pytestmark = pytest.mark.django_db

# What a step gives back letter for letter; a choice that is not there anymore is not shown as chosen.
TYPED = {
    "name",
    "port",
    "description",
    "allowed_clients",
    "idle_timeout",
    "request_timeout",
    "response_timeout",
}
# What a copy has of its own.
DIFFERS = {"id", "name", "port", "backend_server_group", "created_by", "created_at", "updated_at"}
LISTED: "Fields" = {"admission": "listed", "allowed_clients": "dns: a.example.com\ndns: b.example.com"}
ROWS = [{"address": "192.0.2.10", "port": "8080", "weight": "1"}]


@pytest.fixture
def load_balancer() -> LoadBalancer:
    return factories.load_balancer(address="127.0.0.1")


Fields = dict[str, str | list[str]]


@pytest.fixture
def configure(pki: Pki) -> Fields:
    """The first step of a mutual listener, as posted."""
    return {
        "name": "shop",
        "protocol": "HTTPS",
        "port": "8443",
        "authentication": "mutual",
        "server_certificate": str(factories.server_certificate(pki.modern.server).pk),
        "ca_certificates": [str(factories.ca_certificate(pki.modern.ca).pk)],
        "description": "For partners",
    }


def at(draft: ListenerDraft, step: str) -> str:
    return reverse("listener_draft", args=[draft.pk, step])


def posted(rows: list[dict[str, str]]) -> dict[str, str]:
    fields = {
        f"servers-{number}-{name}": text for number, row in enumerate(rows) for name, text in row.items()
    }
    return {**fields, "servers-TOTAL_FORMS": str(len(rows))}


def values_of(page: bytes) -> dict[str, list[str]]:
    """What the step's form would send if nobody touched it, without the token."""
    values = next(form.values for form in html_forms(page.decode()) if len(form.values) > 1)
    return {name: one for name, one in values.items() if name != "csrfmiddlewaretoken"}


def fields_of(page: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in values_of(page).items()}


def test_add_listener_begins_a_draft(client: Client, load_balancer: LoadBalancer) -> None:
    user = factories.user()
    client.force_login(user)

    answer = client.post(reverse("listener_add", args=[load_balancer.pk]))

    draft = ListenerDraft.objects.get()
    assert (draft.load_balancer, draft.created_by) == (load_balancer, user)
    assert answer.headers["Location"] == at(draft, "configure")


def test_add_listener_begins_nothing_when_it_is_only_looked_at(
    client: Client, load_balancer: LoadBalancer
) -> None:
    client.force_login(factories.user())
    answer = client.get(reverse("listener_add", args=[load_balancer.pk]))
    assert answer.headers["Location"] == load_balancer.get_absolute_url()
    assert not ListenerDraft.objects.exists()


def test_wizard_adds_a_listener(client: Client, load_balancer: LoadBalancer, configure: Fields) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    before = ConfigurationRevision.objects.number()

    steps = [
        client.post(at(draft, "configure"), configure),
        client.post(at(draft, "routing"), {"group": "new", "group_name": "shops"}),
        client.post(
            at(draft, "backends"), posted([*ROWS, {"address": "2001:db8::1", "port": "1", "weight": "0"}])
        ),
        client.post(at(draft, "confirm"), {"action": "submit"}),
    ]

    listener = Listener.objects.get()
    assert [answer.headers["Location"] for answer in steps] == [
        at(draft, "routing"),
        at(draft, "backends"),
        at(draft, "confirm"),
        listener.get_absolute_url(),
    ]
    assert (listener.name, listener.port, listener.is_mutual, listener.created_by) == (
        "shop",
        8443,
        True,
        user,
    )
    group = listener.backend_server_group
    assert group is not None
    assert group.name == "shops"
    assert listener.ca_certificates.count() == 1
    servers = group.servers.values_list("address", "port", "weight")
    assert list(servers) == [("192.0.2.10", 8080, 1), ("2001:db8::1", 1, 0)]
    assert not ListenerDraft.objects.exists()
    assert ConfigurationRevision.objects.number() > before


def test_confirmation_says_who_is_let_in(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    shop = factories.listener(
        load_balancer,
        9443,
        server_certificate=Certificate.objects.get(pk=str(configure["server_certificate"])),
    )
    ways: dict[str, Fields] = {
        "Only clients with a certificate that clients vouches for": {},
        "Only clients that are listed (2 entries) and show a certificate that clients vouches for": LISTED,
        "and shows no certificate is served": {"authentication": "optional"},
        "is served, over HTTPS, with any certificate or none": {"authentication": "unverified"},
        "clients need no certificate": {"authentication": "one-way"},
        "unencrypted and without authentication": {"protocol": "HTTP"},
        "is redirected (301) to the same host and path on HTTPS port 9443": {
            "protocol": "HTTP",
            "redirects": "on",
            "redirect_to": str(shop.pk),
        },
    }
    for sentence, fields in ways.items():
        draft = factories.listener_draft(load_balancer, user, {**configure, **fields}, ROWS)
        page = words(client.get(at(draft, "confirm")).content.decode())
        assert [other for other in ways if other in page] == [sentence]


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


def test_previous_keeps_what_was_entered(client: Client, load_balancer: LoadBalancer) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    typed = [{"address": "not yet", "port": "", "weight": "1"}]

    back = client.post(at(draft, "backends"), {**posted(typed), "action": "previous"})

    assert back.headers["Location"] == at(draft, "routing")
    assert fields_of(client.get(at(draft, "backends")).content) == posted(typed)
    assert client.post(at(draft, "confirm"), {"action": "previous"}).headers["Location"] == at(
        draft, "backends"
    )


def test_cancel_discards_the_draft(client: Client, load_balancer: LoadBalancer) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    answer = client.post(at(draft, "configure"), {"action": "cancel", "name": "x"})
    assert answer.headers["Location"] == load_balancer.get_absolute_url()
    assert not ListenerDraft.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_confirm_leads_back_to_the_step_that_is_wrong(
    client: Client, load_balancer: LoadBalancer, configure: Fields, method: str
) -> None:
    user = factories.user()
    client.force_login(user)
    wrong = factories.listener_draft(load_balancer, user, {**configure, "port": "0"}, ROWS)
    no_servers = factories.listener_draft(load_balancer, user, configure)
    revision = ConfigurationRevision.objects.number()

    answers = [getattr(client, method)(at(draft, "confirm")) for draft in (wrong, no_servers)]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert [answer.context["step"] for answer in answers] == ["configure", "backends"]
    assert not Listener.objects.exists()
    assert ConfigurationRevision.objects.number() == revision


def test_submit_finds_a_port_that_was_taken_meanwhile(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure, ROWS)
    factories.listener(load_balancer, 8443, name="faster")

    answer = client.post(at(draft, "confirm"))

    assert answer.status_code == 422
    assert "faster" in answer.context["form"].errors["port"][0]
    assert Listener.objects.count() == BackendServerGroup.objects.count() == 1
    assert ListenerDraft.objects.filter(pk=draft.pk).exists()


def test_submit_finds_a_certificate_that_was_deleted_meanwhile(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure, ROWS)
    Certificate.objects.get(pk=configure["ca_certificates"][0]).delete()

    answer = client.post(at(draft, "confirm"))

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"ca_certificates"}
    assert not Listener.objects.exists()


def test_submit_twice_adds_one_listener(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure, ROWS)
    answers = [client.post(at(draft, "confirm")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 404]
    assert Listener.objects.count() == 1


def test_two_drafts_of_one_user_stay_apart(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    one = factories.listener_draft(load_balancer, user, configure, ROWS)
    other = factories.listener_draft(
        load_balancer, user, {**configure, "name": "other", "port": "8444"}, ROWS
    )
    for draft in (one, other):
        client.post(at(draft, "confirm"))
    assert set(Listener.objects.values_list("name", "port")) == {("shop", 8443), ("other", 8444)}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("step", ["configure", "routing", "backends", "confirm", "nowhere"])
def test_draft_of_another_is_not_found(
    client: Client, load_balancer: LoadBalancer, configure: Fields, method: str, step: str
) -> None:
    draft = factories.listener_draft(load_balancer, factories.user(), configure, ROWS)
    client.force_login(factories.user())
    assert getattr(client, method)(at(draft, step), {"action": "cancel"}).status_code == 404
    assert ListenerDraft.objects.filter(pk=draft.pk).exists()
    assert not Listener.objects.exists()


def test_unknown_draft_and_step_are_not_found(client: Client, load_balancer: LoadBalancer) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    paths = [
        at(draft, "nowhere"),
        reverse("listener_draft", args=[uuid4(), "configure"]),
        "/listeners/drafts/not-a-uuid/configure/",
    ]
    assert [client.get(path).status_code for path in paths] == [404, 404, 404]


@pytest.mark.parametrize(
    "steps",
    [
        5,
        [],
        "x",
        {"configure": [1], "backends": [None, {"port": 1}, {}]},
        {"configure": {"name": [1, None], "port": {"a": 1}}, "routing": {"group": ["x"]}, "adding": "y"},
        {"configure": {"name": "text", "ca_certificate": "1", "server_certificate": "x"}},
    ],
)
@pytest.mark.parametrize("step", ["configure", "backends", "confirm"])
def test_damaged_draft_begins_anew(
    client: Client, load_balancer: LoadBalancer, steps: object, step: str
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    draft.steps = steps
    draft.save()
    assert client.get(at(draft, step)).status_code in {200, 422}
    assert client.post(at(draft, step)).status_code == 422


def test_load_balancer_page_leads_back_to_ones_own_drafts(
    client: Client, load_balancer: LoadBalancer
) -> None:
    user = factories.user()
    client.force_login(user)
    own = factories.listener_draft(load_balancer, user, {"name": "begun"})
    foreign = factories.listener_draft(load_balancer, factories.user(), {"name": "of another"})
    page = client.get(load_balancer.get_absolute_url()).content.decode()
    assert [at(draft, "configure") in page for draft in (own, foreign)] == [True, False]
    assert "of another" not in page


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


def test_copy_begins_with_all_that_the_listener_has(client: Client, pki: Pki) -> None:
    user = factories.user()
    client.force_login(user)
    server = factories.server_certificate(pki.modern.server)
    cas = [factories.ca_certificate(pki.modern.ca), factories.ca_certificate(pki.guide.ca)]
    listener = factories.listener(
        None,
        0,
        [factories.backend_server("192.0.2.10", 81, 3)],
        server_certificate=server,
        ca_certificate=cas[0],
        http2=True,
        idle_timeout=0,
        tls_policy="tls-1-2",
        description="the first",
        sends_ca_names=False,
        admission="listed",
        allowed_clients=[["dns", "client.example.com"]],
    )
    listener.choose(ca_certificates=cas, sni_certificates=[server])
    listener.full_clean()
    listener.save()

    draft = ListenerDraft.objects.begin_copy(listener, user)
    values = values_of(client.get(at(draft, "configure")).content)
    client.post(at(draft, "configure"), {**values, "name": "copy", "port": "12345"})
    client.post(at(draft, "confirm"))

    copy = Listener.objects.get(name="copy")
    shared = [field.name for field in Listener._meta.fields if field.name not in DIFFERS]
    assert {name: getattr(copy, name) for name in shared} == {
        name: getattr(listener, name) for name in shared
    }
    assert list(copy.ca_certificates.all()) == list(listener.ca_certificates.all())
    assert list(copy.sni_certificates.all()) == [server]
    assert copy.backend_server_group != listener.backend_server_group
    assert copy.backend_server_group is not None
    servers = copy.backend_server_group.servers.values_list("address", "port", "weight")
    assert list(servers) == [("192.0.2.10", 81, 3)]


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


@pytest.mark.parametrize("is_shared", [False, True])
def test_listener_that_would_forward_to_itself_leads_back_to_its_servers(
    client: Client, load_balancer: LoadBalancer, configure: Fields, is_shared: bool
) -> None:
    user = factories.user()
    client.force_login(user)
    itself = {"address": load_balancer.address, "port": "8443", "weight": "1"}
    other = factories.listener(
        factories.load_balancer(address="127.0.0.7"),
        9,
        [factories.backend_server(load_balancer.address, 8443)],
    )
    shared = {"group": "existing", "existing_group": str(other.backend_server_group_id)}
    draft = factories.listener_draft(
        load_balancer, user, configure, [*ROWS, itself], shared if is_shared else None
    )
    answers = [client.get(at(draft, "confirm")), client.post(at(draft, "confirm"))]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert {answer.context["step"] for answer in answers} == {"routing" if is_shared else "backends"}
    assert b"is the listener itself" in answers[1].content
    assert Listener.objects.count() == 1


def test_ca_that_is_damaged_in_store_leads_back_to_its_field(
    client: Client, load_balancer: LoadBalancer, configure: Fields
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure, ROWS)
    ca = Certificate.objects.get(pk=configure["ca_certificates"][0])
    Certificate.objects.filter(pk=ca.pk).update(
        content="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    )
    revision = ConfigurationRevision.objects.number()

    answer = client.post(at(draft, "confirm"))

    assert (answer.status_code, answer.context["step"]) == (422, "configure")
    assert set(answer.context["form"].errors) == {"ca_certificates"}
    assert client.get(at(draft, "configure")).status_code == 200
    assert not Listener.objects.exists()
    assert ConfigurationRevision.objects.number() == revision


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
