"""Editing, switching, copying and deleting listeners: what pages store, refuse and say."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from certificates.models import Certificate
from console.models import ConfigurationRevision
from listeners import snapshot
from listeners.drain import contents, drain
from listeners.models import BackendServerGroup, Listener, ListenerDraft, LoadBalancer
from listeners.rendering import envoy as rendering
from tests import factories
from tests.conftest import Pki
from tests.html_forms import html_forms
from tests.listeners.test_views import stamp_of, words
from tests.ports import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def rich(pki: Pki) -> Listener:
    """A listener that uses all that a listener can have."""
    server, ca = factories.server_certificate(pki.modern.server), factories.ca_certificate(pki.modern.ca)
    sni = factories.server_certificate(pki.guide.server, "sni")
    Certificate.objects.filter(pk=sni.pk).update(server_names="www.test.com,*.test.com")
    row = factories.listener(
        port=free_port(),
        server_certificate=server,
        ca_certificate=ca,
        name="rich",
        admission="listed",
        allowed_clients=[["dns", "client.example"], ["subject", "CN=a,O=b"]],
        sends_ca_names=False,
        sni_matching="longest-suffix",
        tls_policy="tls-1-2",
        http2=True,
        idle_timeout=0,
        request_timeout=7,
        response_timeout=300,
        description="as it is",
    )
    row.choose(sni_certificates=[Certificate.objects.get(pk=sni.pk)])
    row.full_clean()
    row.save()
    return Listener.objects.with_relations().get(pk=row.pk)


def rendered(listener: Listener) -> dict[str, str]:
    """What Envoy is given of a listener that is served, by type, as bytes in hexadecimal."""
    spec = next(one for one in snapshot.configuration().listeners if one.id == listener.pk)
    return {one.type_url: one.body.value.hex() for one in rendering.listener_resources(spec)}


@pytest.mark.parametrize("what", ["listener", "load_balancer"])
def test_disabled_and_enabled_again_renders_the_same(signed_in: Client, rich: Listener, what: str) -> None:
    row = rich if what == "listener" else rich.load_balancer
    before = rendered(rich)

    disabled = signed_in.post(reverse(f"{what}_disable", args=[row.pk]))
    between = snapshot.configuration().listeners
    enabled = signed_in.post(reverse(f"{what}_enable", args=[row.pk]))

    assert (disabled.status_code, words(enabled.content)) == (302, "")
    assert between == ()
    assert rendered(rich) == before


def test_looking_at_a_switch_switches_nothing(signed_in: Client) -> None:
    row = factories.listener()
    for name, pk in (("listener_disable", row.pk), ("load_balancer_disable", row.load_balancer_id)):
        assert signed_in.get(reverse(name, args=[pk])).status_code == 200
    assert (Listener.objects.get().is_enabled, LoadBalancer.objects.get().is_enabled) == (True, True)


def test_disabled_listener_keeps_its_port(signed_in: Client) -> None:
    row = factories.listener(port=9443, name="keeps")
    signed_in.post(reverse("listener_disable", args=[row.pk]))
    with pytest.raises(Exception, match="is taken by listener keeps"):
        factories.listener(row.load_balancer, 9443)


def test_copy_renders_the_same_but_for_id_port_and_group(signed_in: Client, rich: Listener) -> None:
    answer = signed_in.post(reverse("listener_copy", args=[rich.pk]))
    draft = ListenerDraft.objects.get()
    assert answer.headers["Location"] == reverse("listener_draft", args=[draft.pk, "configure"])
    page = signed_in.get(answer.headers["Location"])
    fields = next(form for form in html_forms(page.content.decode()) if "port" in form.fields).fields
    assert fields["name"] != "rich"
    kept = draft.fields("configure")
    kept.setlist("port", ["9555"])
    draft.remember("configure", kept)

    assert signed_in.post(reverse("listener_draft", args=[draft.pk, "confirm"])).status_code == 302

    copy = Listener.objects.exclude(pk=rich.pk).get()
    assert copy.backend_server_group_id != rich.backend_server_group_id
    assert copy.description == "as it is"
    specs = {one.id: one for one in snapshot.configuration().listeners}
    texts = [
        [str(rendering.plain(one.body)) for one in rendering.listener_resources(specs[row.pk])]
        for row in (rich, copy)
    ]
    for old, new in (
        (f"listener-{rich.pk}", f"listener-{copy.pk}"),
        (f"'port_value': {rich.port}", "'port_value': 9555"),
        (
            rendering.group_name(rich.backend_server_group_id),
            rendering.group_name(copy.backend_server_group_id),
        ),
    ):
        texts[0] = [re.sub(rf"{re.escape(old)}\b", new, text) for text in texts[0]]
    assert texts[0] == texts[1]


def test_copying_takes_a_post(signed_in: Client) -> None:
    url = reverse("listener_copy", args=[factories.listener().pk])
    assert (signed_in.get(url).status_code, ListenerDraft.objects.count()) == (405, 0)


def test_edit_with_nothing_changed_renders_the_same(signed_in: Client, rich: Listener) -> None:
    url = reverse("listener_edit", args=[rich.pk])
    before, revision = rendered(rich), ConfigurationRevision.objects.number()
    page = signed_in.get(url).content.decode()
    form = next(form for form in html_forms(page) if "stamp" in form.fields)

    answer = signed_in.post(url, form.filled({}))

    assert answer.status_code == 302
    assert rendered(rich) == before
    assert ConfigurationRevision.objects.number() > revision


def test_edit_moves_to_another_group_and_leaves_the_first(signed_in: Client) -> None:
    row, other = factories.listener(), factories.listener()
    first, second = row.backend_server_group, other.backend_server_group
    url = reverse("listener_edit", args=[row.pk])

    fields = {"name": row.name, "existing_group": second.pk, "stamp": stamp_of(signed_in, url)}
    answer = signed_in.post(url, fields)

    row.refresh_from_db()
    assert (answer.status_code, row.backend_server_group) == (302, second)
    assert BackendServerGroup.objects.filter(pk=first.pk).exists()


@pytest.mark.parametrize("group", ["", "4000000", "x", "\0"])
def test_edit_refuses_a_group_that_is_not_there(signed_in: Client, group: str) -> None:
    row = factories.listener()
    url = reverse("listener_edit", args=[row.pk])
    fields = {"name": "after", "existing_group": group, "stamp": stamp_of(signed_in, url)}
    answer = signed_in.post(url, fields)
    assert answer.status_code == 422
    assert set(answer.context["edit"].group.errors) == {"existing_group"}
    assert Listener.objects.get().name == row.name


def test_search_on_the_edit_page_keeps_what_was_typed_and_stores_nothing(
    signed_in: Client, rich: Listener
) -> None:
    url = reverse("listener_edit", args=[rich.pk])
    page = signed_in.get(url).content.decode()
    form = next(form for form in html_forms(page) if "stamp" in form.fields)
    typed = form.filled({"name": "typed", "search-server_certificate": "sni"})
    revision = ConfigurationRevision.objects.number()

    for action in ("search", "enter"):
        answer = signed_in.post(url, {**typed, "action": action})
        again = next(form for form in html_forms(answer.content.decode()) if "stamp" in form.fields)
        assert answer.status_code == 200
        assert again.fields["name"] == "typed"
        assert again.fields["stamp"] == form.fields["stamp"]

    assert ConfigurationRevision.objects.number() == revision
    saved = signed_in.post(url, {**again.filled({}), "action": "enter"})
    rich.refresh_from_db()
    assert (saved.status_code, rich.name) == (302, "typed")


def test_redirect_is_switched_off_by_choosing_a_group(signed_in: Client, pki: Pki) -> None:
    on = factories.load_balancer()
    target = factories.listener(on, 9443, server_certificate=factories.server_certificate(pki.modern.server))
    row = Listener(load_balancer=on, name="r", protocol="HTTP", port=9080, redirect_to=target)
    Listener.objects.open(row)
    url = reverse("listener_edit", args=[row.pk])
    stamp = stamp_of(signed_in, url)

    refused = signed_in.post(url, {"name": "r", "redirects": "", "existing_group": "", "stamp": stamp})
    group = target.backend_server_group_id
    saved = signed_in.post(url, {"name": "r", "redirects": "", "existing_group": group, "stamp": stamp})

    row.refresh_from_db()
    assert (refused.status_code, saved.status_code) == (422, 302)
    assert (row.redirect_to, row.backend_server_group_id) == (None, group)


def test_listener_that_others_redirect_to_is_kept(signed_in: Client, pki: Pki) -> None:
    on = factories.load_balancer()
    target = factories.listener(on, 9443, server_certificate=factories.server_certificate(pki.modern.server))
    row = Listener(load_balancer=on, name="redirecting", protocol="HTTP", port=9080, redirect_to=target)
    Listener.objects.open(row)
    url = reverse("listener_delete", args=[target.pk])

    shown, answer = signed_in.get(url), signed_in.post(url, {"confirmation": "DELETE"})

    assert (shown.status_code, answer.status_code, Listener.objects.count()) == (200, 422, 2)
    for page in (shown, answer, signed_in.get(reverse("listener_disable", args=[target.pk]))):
        assert f'href="{row.get_absolute_url()}"'.encode() in page.content


def test_delete_says_what_becomes_of_the_group(signed_in: Client) -> None:
    alone, one, other = (factories.listener(name=name) for name in ("alone", "one", "other"))
    other.backend_server_group = one.backend_server_group
    other.save()
    goes, stays = (
        words(signed_in.get(reverse("listener_delete", args=[row.pk])).content) for row in (alone, one)
    )
    assert f"{alone.backend_server_group} goes with it" in goes
    assert f"{one.backend_server_group} stays: other uses it, too." in stays


def test_page_of_a_shared_group_says_so(signed_in: Client) -> None:
    alone, one, other = (factories.listener(name=name) for name in ("alone", "one", "other"))
    other.backend_server_group = one.backend_server_group
    other.save()
    pages = [
        words(signed_in.get(reverse("listener_backends", args=[row.pk])).content) for row in (alone, one)
    ]
    assert ["is shared. What you change here changes for other" in page for page in pages] == [False, True]


def test_redirect_has_no_page_of_backend_servers(signed_in: Client, pki: Pki) -> None:
    on = factories.load_balancer()
    target = factories.listener(on, 9443, server_certificate=factories.server_certificate(pki.modern.server))
    row = Listener.objects.open(
        Listener(load_balancer=on, name="r", protocol="HTTP", port=9080, redirect_to=target)
    )
    assert signed_in.get(reverse("listener_backends", args=[row.pk])).status_code == 404


CHANGES = {
    "name": ({"name": "other"}, False),
    "description": ({"description": "other"}, False),
    "timeouts": ({"idle_timeout": 30}, True),
    "policy": ({"tls_policy": "tls-1-2-strict"}, True),
    "http2": ({"http2": False}, True),
    "admission": ({"allowed_clients": [["dns", "other.example"]]}, True),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_the_listener_itself_drains(rich: Listener, change: str) -> None:
    fields, drains = CHANGES[change]
    before = contents([rich])
    for name, value in fields.items():
        setattr(rich, name, value)
    assert drain(before, contents([rich])).listeners == (frozenset({rich.pk}) if drains else frozenset())


def test_another_server_certificate_leaves_connections_of_sni_names(rich: Listener, pki: Pki) -> None:
    """Chains that both versions have go on, so the number is said to be the most."""
    before = contents([rich])
    rich.server_certificate = factories.server_certificate(pki.modern.server, "third")
    some = drain(before, contents([rich]))
    rich.idle_timeout = 61
    every = drain(before, contents([rich]))
    assert (some.listeners, some.is_most) == (frozenset({rich.pk}), True)
    assert (every.listeners, every.is_most) == (frozenset({rich.pk}), False)


def test_listener_that_is_disabled_drains_nothing(rich: Listener) -> None:
    rich.is_enabled = False
    before = contents([rich])
    rich.idle_timeout = 61
    assert drain(before, contents([rich])).connections == 0
