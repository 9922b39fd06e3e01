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
from tests.html_forms import html_forms

pytestmark = pytest.mark.django_db

ROWS = [{"address": "192.0.2.10", "port": "8080", "weight": "1"}]


@pytest.fixture
def load_balancer() -> LoadBalancer:
    return factories.load_balancer(address="127.0.0.1")


@pytest.fixture
def configure(pki: Pki) -> dict[str, str]:
    """The first step of a mutual listener, as posted."""
    return {
        "name": "shop",
        "protocol": "HTTPS",
        "port": "8443",
        "authentication": "mutual",
        "server_certificate": str(factories.server_certificate(pki.modern.server).pk),
        "ca_certificate": str(factories.ca_certificate(pki.modern.ca).pk),
        "description": "For partners",
    }


def at(draft: ListenerDraft, step: str) -> str:
    return reverse("listener_draft", args=[draft.pk, step])


def posted(rows: list[dict[str, str]]) -> dict[str, str]:
    fields = {
        f"servers-{number}-{name}": text for number, row in enumerate(rows) for name, text in row.items()
    }
    return {**fields, "servers-TOTAL_FORMS": str(len(rows))}


def fields_of(page: bytes) -> dict[str, str]:
    """The fields of the step's form as the page shows them, without the token."""
    fields = next(form.fields for form in html_forms(page.decode()) if len(form.fields) > 1)
    return {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"}


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


def test_wizard_adds_a_listener(
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str]
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    before = ConfigurationRevision.objects.number()

    steps = [
        client.post(at(draft, "configure"), configure),
        client.post(
            at(draft, "backends"), posted([*ROWS, {"address": "2001:db8::1", "port": "1", "weight": "0"}])
        ),
        client.post(at(draft, "confirm"), {"action": "submit"}),
    ]

    listener = Listener.objects.get()
    assert [answer.headers["Location"] for answer in steps] == [
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
    servers = listener.backend_server_group.servers.values_list("address", "port", "weight")
    assert list(servers) == [("192.0.2.10", 8080, 1), ("2001:db8::1", 1, 0)]
    assert not ListenerDraft.objects.exists()
    assert ConfigurationRevision.objects.number() > before


def test_confirmation_says_who_is_let_in(
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str]
) -> None:
    user = factories.user()
    client.force_login(user)
    ways = {
        'Only clients with a certificate signed by <span class="as-typed">clients</span>': {},
        "clients need no certificate": {"authentication": "one-way"},
        "unencrypted and without authentication": {"protocol": "HTTP"},
    }
    for words, fields in ways.items():
        draft = factories.listener_draft(load_balancer, user, {**configure, **fields}, ROWS)
        page = client.get(at(draft, "confirm")).content.decode()
        assert [other for other in ways if other in page] == [words]


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
        ({"ca_certificate": "x"}, {"ca_certificate"}),
    ],
)
def test_configure_keeps_what_it_refuses(
    client: Client,
    load_balancer: LoadBalancer,
    configure: dict[str, str],
    fields: dict[str, str],
    errors: set[str],
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    fields = {name: value.encode(errors="replace").decode() for name, value in fields.items()}

    answer = client.post(at(draft, "configure"), {**configure, **fields})

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == errors
    again = fields_of(client.get(at(draft, "configure")).content)
    choices = {"protocol", "authentication", "server_certificate", "ca_certificate"}
    typed = {name: value.replace("\0", "") for name, value in {**configure, **fields}.items()}
    kept = {name: value for name, value in typed.items() if name not in choices or name not in fields}
    assert {name: again[name] for name in kept} == kept


def test_configure_keeps_the_certificates_that_http_hides(
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str]
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure)

    client.post(at(draft, "configure"), {"name": "shop", "protocol": "HTTP", "port": "80", "description": ""})

    draft.refresh_from_db()
    assert draft.fields("configure")["ca_certificate"] == configure["ca_certificate"]


def test_configure_leads_to_adding_a_certificate_and_back(
    client: Client, load_balancer: LoadBalancer, pki: Pki
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user)
    page = client.get(at(draft, "configure")).content.decode()
    assert "No server certificate is stored yet" in page

    answer = client.post(at(draft, "configure"), {"name": "kept", "port": "", "action": "add-certificate"})

    added = client.post(
        answer.headers["Location"], {"name": "ca", "type": "ca", "content": pki.modern.ca.certificate_pem}
    )
    assert answer.headers["Location"].partition("?")[0] == reverse("certificate_add")
    assert added.headers["Location"] == at(draft, "configure")
    draft.refresh_from_db()
    assert draft.fields("configure")["name"] == "kept"


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

    assert back.headers["Location"] == at(draft, "configure")
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
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str], method: str
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
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str]
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
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str]
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure, ROWS)
    Certificate.objects.get(pk=configure["ca_certificate"]).delete()

    answer = client.post(at(draft, "confirm"))

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"ca_certificate"}
    assert not Listener.objects.exists()


def test_submit_twice_adds_one_listener(
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str]
) -> None:
    user = factories.user()
    client.force_login(user)
    draft = factories.listener_draft(load_balancer, user, configure, ROWS)
    answers = [client.post(at(draft, "confirm")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 404]
    assert Listener.objects.count() == 1


def test_two_drafts_of_one_user_stay_apart(
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str]
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
@pytest.mark.parametrize("step", ["configure", "backends", "confirm", "nowhere"])
def test_draft_of_another_is_not_found(
    client: Client, load_balancer: LoadBalancer, configure: dict[str, str], method: str, step: str
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


@pytest.mark.parametrize("steps", [5, [], "x", {"configure": [1], "backends": [None, {"port": 1}, {}]}])
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
