"""Load balancers are added, edited and deleted: what is stored, and what is refused."""

import pytest
from django.test import Client
from django.urls import reverse

from console.models import ConfigurationRevision
from listeners.models import Listener, LoadBalancer
from tests import factories
from tests.listeners.test_views import stamp_of, words

pytestmark = pytest.mark.django_db


def test_load_balancer_is_added(signed_in: Client) -> None:
    fields = {"name": "edge", "address": "::1", "description": "IPv6"}
    answer = signed_in.post(reverse("load_balancer_add"), fields)
    row = LoadBalancer.objects.get()
    assert answer.headers["Location"] == row.get_absolute_url()
    assert (row.name, row.address, row.description) == ("edge", "::1", "IPv6")


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({}, {"name", "address"}),
        ({"name": "taken", "address": "127.0.0.1"}, {"name"}),
        ({"name": "a\0b", "address": "\0"}, {"name", "address"}),
        ({"name": "a", "address": "::ffff:127.0.0.1"}, {"address"}),
        ({"name": "a", "address": "127.0.0.1/8", "description": "x" * 256}, {"address", "description"}),
    ],
)
def test_load_balancer_is_refused_at_the_field(
    signed_in: Client, fields: dict[str, str], errors: set[str]
) -> None:
    factories.load_balancer("taken")
    revision = ConfigurationRevision.objects.number()
    answer = signed_in.post(reverse("load_balancer_add"), fields)
    assert (answer.status_code, set(answer.context["form"].errors)) == (422, errors)
    assert LoadBalancer.objects.count() == 1
    assert ConfigurationRevision.objects.number() == revision


def test_load_balancer_is_edited(signed_in: Client) -> None:
    row = factories.load_balancer("before")
    url = reverse("load_balancer_edit", args=[row.pk])
    fields = {"name": "after", "address": "127.0.0.9", "description": "", "stamp": stamp_of(signed_in, url)}
    assert signed_in.post(url, fields).headers["Location"] == row.get_absolute_url()
    row.refresh_from_db()
    assert (row.name, row.address) == ("after", "127.0.0.9")


def test_load_balancer_keeps_its_address_where_the_new_one_overlaps(signed_in: Client) -> None:
    factories.listener(factories.load_balancer(address="127.0.0.1"), 8443, name="first")
    row = factories.load_balancer(address="127.0.0.2")
    factories.listener(row, 8443)
    url = reverse("load_balancer_edit", args=[row.pk])
    fields = {"name": row.name, "address": "0.0.0.0", "stamp": stamp_of(signed_in, url)}

    answer = signed_in.post(url, fields)

    assert answer.status_code == 422
    assert "first" in answer.context["form"].errors["address"][0]
    row.refresh_from_db()
    assert row.address == "127.0.0.2"


def test_load_balancer_with_listeners_is_not_deleted(signed_in: Client) -> None:
    row = factories.listener().load_balancer
    url = reverse("load_balancer_delete", args=[row.pk])
    shown, answer = signed_in.get(url), signed_in.post(url, {"confirmation": "DELETE"})
    assert (shown.status_code, answer.status_code) == (200, 422)
    assert "It still has 1 listener. Delete them first." in words(answer.content)
    assert LoadBalancer.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(("word", "status"), [("DELETE", 302), ("delete", 422), ("", 422), ("\0", 422)])
def test_load_balancer_is_deleted_by_the_word(signed_in: Client, word: str, status: int) -> None:
    row = factories.load_balancer()
    answer = signed_in.post(reverse("load_balancer_delete", args=[row.pk]), {"confirmation": word})
    assert answer.status_code == status
    assert LoadBalancer.objects.exists() is (status == 422)


def test_looking_at_a_deletion_deletes_nothing(signed_in: Client) -> None:
    row = factories.listener()
    for name, number in (("listener_delete", row.pk), ("load_balancer_delete", row.load_balancer_id)):
        assert signed_in.get(reverse(name, args=[number]), {"confirmation": "DELETE"}).status_code == 200
    assert Listener.objects.get() == row


def test_list_reads_the_first_listeners_of_each_alone(signed_in: Client) -> None:
    many, few = factories.load_balancer("many", "127.0.0.3"), factories.load_balancer("few", "127.0.0.4")
    for port in range(8001, 8008):
        factories.listener(many, port, name=f"m{port}")
    factories.listener(few, 8001, name="one")

    page = signed_in.get(reverse("load_balancer_list"))

    shown = [(one.name, [row.name for row in rows]) for one, rows in page.context["load_balancers"]]
    assert shown == [("few", ["one"]), ("many", [f"m{port}" for port in range(8001, 8006)])]
    assert "m8005 (HTTP/8005) View all 7" in words(page.content)
    assert "View all 1" not in words(page.content)
