"""A guided setup: its steps in order, left and resumed, sent twice, and with things deleted in between."""

import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from listeners.models import GuidedSetup, Listener, LoadBalancer
from tests import factories
from tests.conftest import Pki
from tests.console_client import words
from tests.listeners.guided import Way
from tests.ports import free_port

pytestmark = pytest.mark.django_db

MADE = (CertificateAuthority, Certificate, Listener, IssuedCertificate)


def counts() -> list[int]:
    return [model.objects.count() for model in MADE]


@pytest.fixture
def way(signed_in: Client, load_balancer: LoadBalancer) -> Way:
    return Way(signed_in)


def test_steps_lead_from_nothing_to_the_proof(way: Way, load_balancer: LoadBalancer) -> None:
    steps = [way.step]
    way.press("shape", "create")
    steps.append(way.step)
    assert way.form("names").fields["names"].splitlines() == ["localhost", "testserver", "127.0.0.1"]
    way.press("names", "create")
    steps.append(way.step)
    way.add_listener(port := free_port())
    steps.append(way.step)
    way.press("common_name", "create")
    steps.append(way.step)

    assert steps == ["authority", "certificate", "listener", "client", "proof"]
    setup = way.setup
    listener = setup.listener
    assert listener
    assert setup.authority
    assert (listener.load_balancer, listener.port) == (load_balancer, port)
    assert (listener.authentication, list(listener.ca_certificates.all())) == (
        Listener.Authentication.MUTUAL,
        [setup.authority.certificate],
    )
    assert listener.server_certificate == setup.server_certificate
    assert [str(one) for one in listener.backend_server_group.servers.all()] == ["127.0.0.1:8080"]
    assert (setup.client.authority, setup.client.is_key_here) == (setup.authority, True)
    assert counts() == [1, 2, 1, 2]


def test_nothing_is_made_twice_by_sending_a_step_again(way: Way) -> None:
    sent = []
    for field, changes in (
        ("shape", {}),
        ("names", {}),
        (
            "servers-TOTAL_FORMS",
            {"port": free_port(), "servers-0-address": "127.0.0.1", "servers-0-port": 80},
        ),
        ("common_name", {}),
    ):
        url = way.url
        sent.append((url, way.press(field, "create", **changes)))
    made, proof = counts(), way.url
    setup = GuidedSetup.objects.values().get()

    for url, posted in sent:
        way.client.post(url, posted)

    assert (counts(), made) == (made, [1, 2, 1, 2])
    assert GuidedSetup.objects.values().get() == setup
    assert way.visit("proof").url == proof


def test_a_second_click_on_the_offer_begins_nothing_new(signed_in: Client, way: Way) -> None:
    assert Way(signed_in).setup == way.setup
    way.press("shape", "create")
    assert Way(signed_in).setup != way.setup
    assert GuidedSetup.objects.count() == 2


def test_what_is_refused_stands_at_its_field_and_nothing_is_lost(way: Way) -> None:
    way.press("shape", "create", days="0", common_name="Partners")
    assert (way.status, way.form("shape").fields["common_name"]) == (422, "Partners")
    assert "Choose a number of days from 1 to 36,500." in way.text
    way.press("shape", "create", days="30")
    way.press("names", "create", names="no name!")
    assert (way.status, way.form("names").fields["names"]) == (422, "no name!")
    way.press("names", "create", names="www.test.com")
    taken = factories.listener(LoadBalancer.objects.get(), free_port())
    way.add_listener(taken.port, name="shop", **{"servers-0-address": "169.254.169.254"})
    form = way.form("servers-TOTAL_FORMS").fields
    assert (way.status, form["name"], form["servers-0-address"]) == (422, "shop", "169.254.169.254")
    assert f"Port {taken.port} of 127.0.0.1 is taken by listener {taken.name}" in way.text
    assert "link-local" in way.text
    way.add_listener()
    way.press("common_name", "create", common_name="", names="")
    assert way.status == 422
    assert "Write who the certificate is for." in way.text


@pytest.mark.parametrize("text", ["\0", "9" * 30])
def test_damaged_posts_are_refused(way: Way, text: str) -> None:
    names = (
        "chosen",
        "search-chosen",
        "load_balancer",
        "name",
        "port",
        "names",
        "days",
        "common_name",
        "stamp",
    )
    rows = {"servers-TOTAL_FORMS": text, "servers-0-address": text, "servers-0-port": text}
    fields = {**dict.fromkeys(names, text), **rows}
    way.to_listener()
    seen = [
        way.client.post(way.url, fields | {"action": one}) for one in ("create", "add", "remove:99", text)
    ]
    way.add_listener()
    for step in ("authority", "certificate", "client"):
        way.visit(step)
        held = way.form("held").fields["held"] if "held" in way.page else ""
        fields |= {"held": held}
        seen += [way.client.post(way.url, fields | {"action": one}) for one in ("choose", "create", "search")]
    assert {answer.status_code for answer in seen} <= {200, 302, 422}


def test_rows_of_backend_servers_are_added_and_removed(way: Way) -> None:
    way.to_listener()
    way.press("servers-TOTAL_FORMS", "add", name="shop", **{"servers-0-address": "192.0.2.1"})
    form = way.form("servers-TOTAL_FORMS").fields
    assert (form["servers-TOTAL_FORMS"], form["name"], form["servers-0-address"]) == (
        "2",
        "shop",
        "192.0.2.1",
    )
    way.press("servers-TOTAL_FORMS", "remove:1")
    assert way.form("servers-TOTAL_FORMS").fields["servers-TOTAL_FORMS"] == "1"


def test_a_ca_and_a_certificate_that_are_here_can_be_used(signed_in: Client, way: Way, pki: Pki) -> None:
    older, newer = factories.authority("older"), factories.authority("newer")
    stored = factories.server_certificate(pki.modern.server)
    way.visit("authority").press("chosen", "choose")  # the newest is proposed
    assert way.setup.authority == newer
    way.visit("authority").press("chosen", "choose", chosen=older.pk)
    assert way.setup.authority == older
    way.press("chosen", "choose")
    assert (way.status, "Choose one." in way.text) == (422, True)
    way.press("chosen", "choose", chosen=stored.pk)
    assert (way.setup.server_certificate, way.step) == (stored, "listener")
    assert counts() == [2, 3, 0, 0]


def test_lists_are_searched(way: Way) -> None:
    factories.authority("older")
    factories.authority("newer")
    way.visit("authority").press("chosen", "search", **{"search-chosen": "old"})
    assert (way.status, "older" in way.text) == (200, True)
    assert 'for="id_chosen_' in way.page


def test_a_ca_without_its_key_is_offered_to_be_brought(way: Way) -> None:
    authority = factories.authority("far")
    authority.remove_key()
    way.visit("authority")
    assert reverse("authority_take_up", args=[authority.certificate_id]) in way.page
    assert "Use a CA that is here" not in way.text


def test_what_was_made_is_shown_when_one_goes_back(way: Way) -> None:
    way.to_proof()
    setup = way.setup
    shown = {step: way.visit(step).text for step in ("authority", "certificate", "listener", "client")}
    assert way.setup == setup
    assert str(setup.authority) in shown["authority"]
    assert str(setup.server_certificate) in shown["certificate"]
    assert str(setup.listener) in shown["listener"]
    assert str(setup.client) in shown["client"]


def test_later_steps_are_out_of_reach(way: Way) -> None:
    assert [way.visit(step).step for step in GuidedSetup.Step.values] == ["authority"] * 5
    assert way.client.get(way.url.replace("authority", "nowhere")).status_code == 404


def test_setup_is_resumed_after_a_new_sign_in_where_it_was_left(way: Way) -> None:
    way.to_listener()
    way.client.logout()
    assert way.client.get(reverse("guided_start")).status_code == 302
    way.client.force_login(way.setup.created_by)
    page = way.client.get(reverse("guided_start")).content.decode()
    assert "next: Listener" in words(page)
    assert way.setup.get_absolute_url() in page
    answer = way.client.get(way.setup.get_absolute_url())
    assert answer.headers["Location"] == way.setup.url_of("listener")
    way.client.post(way.setup.url_of("listener"), {"action": "discard"})
    assert (GuidedSetup.objects.count(), counts()) == (0, [1, 2, 0, 1])


def test_list_of_setups_costs_as_much_with_many_as_with_one(way: Way, signed_in: Client) -> None:
    way.to_proof()
    counts = []
    for number in (0, 10):
        for _ in range(number):
            row = way.setup
            row.pk = uuid.uuid4()
            row.save(force_insert=True)
        with CaptureQueriesContext(connection) as queries:
            assert signed_in.get(reverse("guided_start")).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_setup_of_somebody_else_is_not_found(way: Way, client: Client) -> None:
    way.to_proof()
    urls = [way.setup.get_absolute_url(), *map(way.setup.url_of, GuidedSetup.Step.values)]
    client.force_login(factories.user())
    assert [client.get(url).status_code for url in urls] == [404] * len(urls)
    assert [client.post(url, {"action": "discard"}).status_code for url in urls[1:]] == [404] * 5
    assert str(way.setup.pk) not in client.get(reverse("guided_start")).content.decode()
    assert client.get(reverse("guided_setup", args=[uuid.uuid4()])).status_code == 404


def test_what_was_deleted_meanwhile_is_asked_for_again(way: Way) -> None:
    way.to_proof()
    setup = way.setup
    setup.listener.delete()
    assert way.visit("proof").step == "listener"
    way.add_listener()
    assert way.step == "proof"
    setup.client.delete()
    assert way.visit("proof").step == "client"
    way.press("common_name", "create")
    assert way.step == "proof"
    setup.refresh_from_db()
    setup.listener.delete()
    setup.server_certificate.delete()
    assert way.visit("proof").step == "certificate"
    IssuedCertificate.objects.all().delete()
    setup.authority.certificate.delete()
    assert way.visit("proof").step == "authority"


def test_a_key_removed_meanwhile_is_asked_for_again(way: Way) -> None:
    way.to_listener()
    way.setup.authority.remove_key()
    assert way.visit("listener").step == "authority"


def test_mutual_listener_with_a_ca_that_is_here_goes_straight_to_the_client(
    signed_in: Client, pki: Pki
) -> None:
    authority = factories.authority()
    listener = factories.listener(
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=authority.certificate,
    )
    way = Way(signed_in, listener=listener.pk)
    assert (way.step, way.setup.authority, way.setup.listener) == ("client", authority, listener)
    assert Way(signed_in, listener=listener.pk).setup == way.setup


@pytest.mark.parametrize("authentication", ["one-way", "optional", "mutual"])
def test_listener_comes_to_ask_for_certificates_and_keeps_all_else(
    signed_in: Client, pki: Pki, authentication: str
) -> None:
    others = [] if authentication == "one-way" else [factories.ca_certificate(pki.guide.ca)]
    row = Listener(
        load_balancer=factories.load_balancer(),
        name="shop",
        port=free_port(),
        server_certificate=factories.server_certificate(pki.modern.server),
        authentication=authentication,
        description="For partners",
        idle_timeout=7,
    ).choose(ca_certificates=others)
    listener = Listener.objects.open(row, [factories.backend_server()])
    way = Way(signed_in, listener=listener.pk)
    way.press("shape", "create")
    assert way.step == "listener"
    said = {"one-way": "Now everybody is let in", "optional": "Now clients are let in with a certificate or"}
    assert said.get(authentication, "are let in as well") in way.text
    stale = way.press("stamp", "save", stamp="0")
    assert (way.status, "Somebody else has changed this" in way.text) == (422, True)
    way.press("stamp", "save")
    assert way.step == "client", way.text

    listener.refresh_from_db()
    assert (listener.authentication, listener.name, listener.description, listener.idle_timeout) == (
        "mutual",
        "shop",
        "For partners",
        7,
    )
    assert set(listener.ca_certificates.all()) == {*others, way.setup.authority.certificate}
    assert listener.backend_server_group.servers.count() == 1
    assert way.client.post(way.setup.url_of("listener"), stale).status_code == 302


def test_first_listed_client_is_proposed_where_a_listener_lets_in_no_other(
    signed_in: Client, pki: Pki
) -> None:
    authority = factories.authority()
    listener = factories.listener(
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=authority.certificate,
        admission=Listener.Admission.LISTED,
        allowed_clients=[["fingerprint", "0" * 64], ["dns", "till-1.test.com"]],
    )
    way = Way(signed_in, listener=listener.pk)
    assert way.form("common_name").fields["names"] == "dns: till-1.test.com"
    assert "lets in listed clients alone" in way.text


@pytest.mark.parametrize("number", ["x", "0", "9" * 30, "-1"])
def test_offer_for_a_listener_that_is_none_is_not_found(signed_in: Client, number: str) -> None:
    assert signed_in.post(reverse("guided_start"), {"listener": number}).status_code == 404


def test_offer_is_made_where_it_applies(signed_in: Client, load_balancer: LoadBalancer, pki: Pki) -> None:
    action = f'action="{reverse("guided_start")}"'
    pages = [reverse("load_balancer_list"), load_balancer.get_absolute_url()]
    assert [action in signed_in.get(url).content.decode() for url in pages] == [True, True]
    plain = factories.listener(load_balancer, free_port())
    https = factories.listener(
        load_balancer, free_port(), server_certificate=factories.server_certificate(pki.modern.server)
    )
    pages = [reverse("load_balancer_list"), plain.get_absolute_url(), https.get_absolute_url()]
    assert [action in signed_in.get(url).content.decode() for url in pages] == [False, False, True]
    assert signed_in.post(reverse("guided_start"), {"listener": plain.pk}).status_code == 404


def test_without_a_load_balancer_one_is_asked_for(signed_in: Client) -> None:
    way = Way(signed_in).to_listener()
    assert "There is no load balancer" in way.text
    way.send({"action": ["create"]})
    assert (way.status, "There is no load balancer" in way.text) == (422, True)
