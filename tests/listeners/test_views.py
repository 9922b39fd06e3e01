"""Pages about load balancers and listeners: what they show, write, refuse and hide."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from console.models import ConfigurationRevision
from listeners.models import BackendServerGroup, Listener, LoadBalancer
from tests import factories
from tests.conftest import Pki
from tests.html_forms import html_forms

pytestmark = pytest.mark.django_db

LOAD_BALANCER_PAGES = (
    "load_balancer_detail",
    "load_balancer_summary",
    "load_balancer_listeners",
    "load_balancer_edit",
    "load_balancer_delete",
    "load_balancer_disable",
    "load_balancer_enable",
)
LISTENER_PAGES = (
    "listener_detail",
    "listener_status",
    "listener_edit",
    "listener_backends",
    "listener_delete",
    "listener_disable",
    "listener_enable",
)
HTMX = {"HX-Request": "true"}


def stamp_of(client: Client, url: str) -> str:
    """The stamp that the page at `url` carries."""
    forms = html_forms(client.get(url).content.decode())
    return next(form.fields["stamp"] for form in forms if "stamp" in form.fields)


def words(content: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", content.decode()).split())


@pytest.mark.parametrize(
    "name", ["load_balancer_list", "load_balancer_add", *LOAD_BALANCER_PAGES, *LISTENER_PAGES]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_page_is_for_those_who_signed_in(client: Client, name: str, method: str) -> None:
    row = factories.listener()
    owner = row.pk if name in LISTENER_PAGES else row.load_balancer_id
    url = reverse(name, args=[] if name in {"load_balancer_list", "load_balancer_add"} else [owner])
    answer = getattr(client, method)(url)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{reverse('login')}?next={url}")


@pytest.mark.parametrize("name", [*LOAD_BALANCER_PAGES, *LISTENER_PAGES, "listener_add"])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("number", [4_000_000, 10**30])
def test_unknown_number_is_not_found(signed_in: Client, name: str, method: str, number: int) -> None:
    answer = getattr(signed_in, method)(reverse(name, args=[number]))
    read_only = name in {
        "load_balancer_detail",
        "load_balancer_summary",
        "load_balancer_listeners",
        "listener_detail",
        "listener_status",
    }
    assert answer.status_code == (405 if method == "post" and read_only else 404)


def test_first_page_is_the_load_balancers(signed_in: Client) -> None:
    assert signed_in.get("/").headers["Location"] == reverse("load_balancer_list")


def test_list_without_load_balancers_says_what_to_do(signed_in: Client) -> None:
    assert "Choose Add Load Balancer above" in words(signed_in.get(reverse("load_balancer_list")).content)


def test_list_shows_load_balancers_with_their_listeners(signed_in: Client) -> None:
    first = factories.load_balancer("first", "127.0.0.1", description="In the cellar")
    listener = factories.listener(first, 8080, name="plain")
    factories.load_balancer("second", "127.0.0.2")
    page = signed_in.get(reverse("load_balancer_list"))
    text = words(page.content)
    assert f"first ID {first.pk} 127.0.0.1 plain (HTTP/8080) In the cellar Edit Delete second" in text
    assert f'href="{listener.get_absolute_url()}"'.encode() in page.content


@pytest.mark.parametrize("name", ["load_balancer_list", "load_balancer_detail", "load_balancer_listeners"])
def test_number_of_queries_does_not_grow(
    signed_in: Client, pki: Pki, django_assert_num_queries: DjangoAssertNumQueries, name: str
) -> None:
    server = factories.server_certificate(pki.modern.server)
    ca = factories.ca_certificate(pki.modern.ca)
    on = factories.load_balancer()
    url = reverse(name, args=[] if name == "load_balancer_list" else [on.pk])
    counts = []
    for _ in range(2):
        for _ in range(3):
            factories.listener(on, server_certificate=server, ca_certificate=ca)
            factories.load_balancer()
        with django_assert_num_queries(12, exact=False) as captured:
            signed_in.get(url)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_load_balancer_without_listeners_says_what_to_do(signed_in: Client) -> None:
    page = signed_in.get(factories.load_balancer(address="127.0.0.1").get_absolute_url())
    assert "No listeners yet" in words(page.content)


def test_load_balancer_says_in_the_table_why_a_listener_does_not_run(signed_in: Client) -> None:
    row = factories.listener()
    text = words(signed_in.get(row.load_balancer.get_absolute_url()).content)
    assert "-- Not answering Envoy does not answer the console, so what it serves is not known." in text


def test_load_balancer_shows_its_listeners_and_no_others(signed_in: Client) -> None:
    shown = factories.listener(name="shown", port=8080, servers=[factories.backend_server("2001:db8::1", 81)])
    factories.listener(name="of another load balancer")
    text = words(signed_in.get(shown.load_balancer.get_absolute_url()).content)
    assert f"shown ID {shown.pk} HTTP/8080 -- Not answering" in text
    assert "[2001:db8::1]:81" in text
    assert "of another load balancer" not in text


@pytest.mark.parametrize("name", ["load_balancer_listeners", "listener_status"])
def test_fragment_is_sent_only_when_it_changes(signed_in: Client, name: str) -> None:
    row = factories.listener()
    url = reverse(name, args=[row.pk if name == "listener_status" else row.load_balancer_id])
    first = signed_in.get(url, {"shown": "something else"})
    shown = re.search(r"shown=(\w+)", first.content.decode())
    assert shown

    unchanged = signed_in.get(url, {"shown": shown[1]})
    row.backend_server_group.hold([factories.backend_server(port=9999)])
    row.save()
    changed = signed_in.get(url, {"shown": shown[1]})

    assert (unchanged.status_code, unchanged.content) == (204, b"")
    assert changed.status_code == 200
    assert b"9999" in changed.content


def test_listener_page_shows_what_it_is(signed_in: Client, pki: Pki) -> None:
    server = factories.server_certificate(pki.modern.server, "web")
    ca = factories.ca_certificate(pki.modern.ca, "partners")
    user = factories.user("creator")
    on = factories.load_balancer("edge", "127.0.0.1")
    row = factories.listener(on, 8443, server_certificate=server, ca_certificate=ca, created_by=user)

    page = signed_in.get(row.get_absolute_url())

    text = words(page.content)
    for part in (
        "Only clients with a certificate that partners vouches for are served on port 8443 of 127.0.0.1",
        "Frontend Protocol/Port HTTPS/8443",
        "SSL Authentication Mutual authentication",
        "UTC by creator",
        "192.0.2.10:8080 1 Unknown",
        "Not answering",
        "Test this listener",
        "Rendered configuration",
    ):
        assert part in text
    for certificate in (server, ca):
        assert f'href="{certificate.get_absolute_url()}"'.encode() in page.content
    assert b"PRIVATE KEY" not in page.content


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "../../etc/passwd", "x" * 255, "{{ 7|add:7 }}", "'\"`$(id)"]
)
def test_names_are_shown_as_they_are(signed_in: Client, name: str) -> None:
    row = factories.listener(factories.load_balancer(name), name=name, description=name)
    pages = [reverse(page, args=[row.load_balancer_id]) for page in LOAD_BALANCER_PAGES]
    pages += [reverse(page, args=[row.pk]) for page in LISTENER_PAGES]
    for url in [reverse("load_balancer_list"), *pages]:
        page = signed_in.get(url)
        assert page.status_code == 200
        assert b"<script>alert" not in page.content
    assert page.context["listener"].name == name


def test_listener_page_reads_no_sealed_key(
    signed_in: Client, pki: Pki, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    row = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    with django_assert_max_num_queries(20) as captured:
        signed_in.get(row.get_absolute_url())
    assert "sealed_private_key" not in str(captured.captured_queries)


def test_name_that_turns_text_around_stands_alone(signed_in: Client, pki: Pki) -> None:
    ca = factories.ca_certificate(pki.modern.ca, name="\u202eca")
    server = factories.server_certificate(pki.modern.server)
    row = factories.listener(name="\u202elistener", server_certificate=server, ca_certificate=ca)

    page = signed_in.get(row.get_absolute_url()).content.decode()
    url = reverse("listener_delete", args=[row.pk])
    answer = signed_in.post(url, {"confirmation": "DELETE"}, follow=True)

    assert '<span class="as-typed">\u202eca</span>' in page
    assert 'Listener <b class="as-typed">\u202elistener</b> was deleted.' in answer.content.decode()


def test_listener_is_edited(signed_in: Client, pki: Pki) -> None:
    server = factories.server_certificate(pki.modern.server)
    ca = factories.ca_certificate(pki.modern.ca)
    row = factories.listener(server_certificate=server)
    url = reverse("listener_edit", args=[row.pk])
    fields = {
        "name": "renamed",
        "authentication": "mutual",
        "server_certificate": server.pk,
        "ca_certificates": ca.pk,
        "description": "",
        "port": 1,
        "protocol": "HTTP",
        "stamp": stamp_of(signed_in, url),
    }

    answer = signed_in.post(url, fields)

    assert answer.headers["Location"] == row.get_absolute_url()
    edited = Listener.objects.get()
    assert (edited.name, edited.chosen("ca_certificates"), edited.is_mutual) == ("renamed", [ca], True)
    assert (edited.port, edited.protocol) == (row.port, "HTTPS")


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"name": ""}, {"name"}),
        ({"authentication": "mutual"}, {"ca_certificates"}),
        ({"authentication": ""}, {"authentication"}),
        ({"server_certificate": ""}, {"server_certificate"}),
        ({"server_certificate": "\0"}, {"server_certificate"}),
        ({"server_certificate": "9" * 5000}, {"server_certificate"}),
    ],
)
def test_listener_edit_is_refused_at_the_field(
    signed_in: Client, pki: Pki, fields: dict[str, Any], errors: set[str]
) -> None:
    server = factories.server_certificate(pki.modern.server)
    row = factories.listener(server_certificate=server, name="before")
    url = reverse("listener_edit", args=[row.pk])
    right = {"name": "after", "authentication": "one-way", "server_certificate": server.pk}
    revision = ConfigurationRevision.objects.number()

    answer = signed_in.post(url, {**right, "stamp": stamp_of(signed_in, url), **fields})

    assert (answer.status_code, set(answer.context["form"].errors)) == (422, errors)
    row.refresh_from_db()
    assert (row.name, row.is_mutual) == ("before", False)
    assert ConfigurationRevision.objects.number() == revision


@pytest.mark.parametrize("name", ["load_balancer_edit", "listener_edit", "listener_backends"])
def test_second_editor_is_told_and_may_go_on(signed_in: Client, name: str) -> None:
    row = factories.listener(factories.load_balancer("lb"), name="before")
    url = reverse(name, args=[row.load_balancer_id if name == "load_balancer_edit" else row.pk])
    row_fields = {
        "servers-TOTAL_FORMS": 1,
        "servers-0-address": "192.0.2.77",
        "servers-0-port": 7,
        "servers-0-weight": 7,
    }
    fields = {"name": "mine", "address": "127.0.0.7", "description": "", **row_fields}
    stale = stamp_of(signed_in, url)
    LoadBalancer.objects.update(description="of somebody else")
    Listener.objects.update(description="of somebody else")
    row.backend_server_group.hold([factories.backend_server("192.0.2.99", 9)])

    refused = signed_in.post(url, {**fields, "stamp": stale})
    kept = html_forms(refused.content.decode())
    stored = words(signed_in.get(row.get_absolute_url()).content)
    again = next(form.fields for form in kept if "stamp" in form.fields)
    accepted = signed_in.post(url, {**fields, "stamp": again["stamp"]})

    assert refused.status_code == 422
    assert "Somebody else has changed this" in words(refused.content)
    assert "mine" in again.values() or "192.0.2.77" in again.values()
    assert "192.0.2.99:9" in stored
    assert "before" in stored
    assert accepted.status_code == 302


def test_backend_servers_are_edited(signed_in: Client) -> None:
    row = factories.listener(
        servers=[factories.backend_server(port=8081), factories.backend_server(port=8082)]
    )
    url = reverse("listener_backends", args=[row.pk])
    fields = {
        "servers-TOTAL_FORMS": 2,
        "servers-0-address": "192.0.2.10",
        "servers-0-port": 8082,
        "servers-0-weight": 3,
        "servers-1-address": "2001:db8::2",
        "servers-1-port": 80,
        "servers-1-weight": 1,
        "stamp": stamp_of(signed_in, url),
    }
    answer = signed_in.post(url, fields)
    assert answer.headers["Location"] == row.get_absolute_url()
    stored = row.backend_server_group.servers.values_list("address", "port", "weight")
    assert list(stored) == [("192.0.2.10", 8082, 3), ("2001:db8::2", 80, 1)]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"servers-TOTAL_FORMS": "-1"},
        {"servers-TOTAL_FORMS": "\0"},
        {"servers-TOTAL_FORMS": "1", "servers-0-address": "\0"},
        {"servers-TOTAL_FORMS": "1", "servers-0-address": "192.0.2.1", "servers-0-port": "9" * 5000},
    ],
)
def test_backend_servers_refuse_junk(signed_in: Client, fields: dict[str, str]) -> None:
    row = factories.listener()
    url = reverse("listener_backends", args=[row.pk])
    answer = signed_in.post(url, {**fields, "stamp": stamp_of(signed_in, url)})
    assert answer.status_code == 422
    assert [str(server) for server in row.backend_server_group.servers.all()] == ["192.0.2.10:8080"]


def test_adding_a_row_keeps_the_stamp_and_stores_nothing(signed_in: Client) -> None:
    row = factories.listener()
    url = reverse("listener_backends", args=[row.pk])
    answer = signed_in.post(
        url, {"servers-TOTAL_FORMS": "1", "servers-0-address": "x", "action": "add", "stamp": "s"}
    )
    fields = next(form.fields for form in html_forms(answer.content.decode()) if "stamp" in form.fields)
    assert answer.status_code == 200
    assert (fields["stamp"], fields["servers-TOTAL_FORMS"], fields["servers-0-address"]) == ("s", "2", "x")
    assert [str(server) for server in row.backend_server_group.servers.all()] == ["192.0.2.10:8080"]


@pytest.mark.parametrize(("word", "status"), [("DELETE", 302), ("delete", 422), ("", 422)])
def test_listener_is_deleted_by_the_word(signed_in: Client, word: str, status: int) -> None:
    row = factories.listener()
    answer = signed_in.post(reverse("listener_delete", args=[row.pk]), {"confirmation": word})
    assert answer.status_code == status
    assert Listener.objects.exists() is BackendServerGroup.objects.exists() is (status == 422)


@pytest.mark.parametrize(
    "name",
    [
        "load_balancer_add",
        "load_balancer_edit",
        "load_balancer_delete",
        "load_balancer_disable",
        "listener_delete",
        "listener_disable",
    ],
)
def test_dialog_is_a_part_of_its_page(signed_in: Client, name: str) -> None:
    row = factories.listener()
    numbers = {"load_balancer_add": [], "listener_disable": [row.pk], "listener_delete": [row.pk]}
    url = reverse(name, args=numbers.get(name, [row.load_balancer_id]))
    page, dialog = signed_in.get(url), signed_in.get(url, headers=HTMX)
    assert (b"<!doctype html>" in page.content, b"<!doctype html>" in dialog.content) == (True, False)
    assert b'id="dialog-heading"' in dialog.content
    if "disable" not in name:
        assert signed_in.post(url, {"confirmation": "no"}, headers=HTMX).status_code == 422


def test_dialog_leads_on_once_it_is_accepted(signed_in: Client) -> None:
    fields = {"name": "edge", "address": "127.0.0.1"}
    answer = signed_in.post(reverse("load_balancer_add"), fields, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (
        204,
        LoadBalancer.objects.get().get_absolute_url(),
    )
