"""What a page asks of the database does not depend on how many listeners there are."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certificates.models import Certificate
from listeners.models import Listener, LoadBalancer
from tests import factories
from tests.conftest import Pki
from tests.listeners.wizard import Fields, at

pytestmark = pytest.mark.django_db

PAGES = (
    *("listener_detail", "listener_status", "listener_served", "listener_edit", "listener_backends"),
    *("listener_disable", "listener_enable", "listener_delete"),
    *("load_balancer_list", "load_balancer_detail", "load_balancer_summary", "load_balancer_listeners"),
    *("load_balancer_edit", "load_balancer_disable", "load_balancer_enable", "load_balancer_delete"),
    *("certificate_detail", "certificate_edit", "configure", "routing", "backends", "confirm"),
)


@pytest.mark.parametrize("name", PAGES)
def test_page_costs_as_much_with_many_listeners_as_with_one(
    client: Client, pki: Pki, load_balancer: LoadBalancer, configure: Fields, name: str
) -> None:
    user = factories.user()
    client.force_login(user)
    server, ca = Certificate.objects.get(type="server"), Certificate.objects.get(type="ca")
    row = factories.listener(load_balancer, 7999, server_certificate=server, ca_certificate=ca)
    places = {"listener": row, "load": load_balancer, "certificate": server}
    if name == "load_balancer_list":
        url = reverse(name)
    elif name in {"configure", "routing", "backends", "confirm"}:
        servers = [{"address": "192.0.2.10", "port": "8080", "weight": "1"}]
        url = at(factories.listener_draft(load_balancer, user, configure, servers), name)
    else:
        url = reverse(name, args=[places[name.partition("_")[0]].pk])
    counts = []

    for number in (0, 30):
        for port in range(number):
            factories.listener(load_balancer, 8000 + port, server_certificate=server, ca_certificate=ca)
        client.get(url)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(url).status_code == 200
        counts.append(len(queries))

    assert Listener.objects.count() == 31
    assert counts[0] == counts[1]
    assert counts[0] <= 25
