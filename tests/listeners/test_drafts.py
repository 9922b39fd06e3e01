"""Adding a listener step by step: what is kept, what leads back, what a Submit leaves behind."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from certificates.models import Certificate
from console.models import ConfigurationRevision
from listeners.models import BackendServerGroup, Listener, ListenerDraft, LoadBalancer
from tests import factories
from tests.conftest import Pki
from tests.console_client import words
from tests.listeners.wizard import DIFFERS, LISTED, ROWS, Fields, at, fields_of, posted, values_of

pytestmark = pytest.mark.django_db


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
