"""What pages say of the CA certificates that a listener checks its clients by."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from listeners.forms.trust import Trust, trust
from listeners.models import Listener, ListenerDraft, LoadBalancer
from listeners.trust_store import LARGEST_NAMES, names_size
from tests import factories
from tests import pki as make
from tests.conftest import Pki
from tests.console_client import words
from tests.listeners.wizard import Fields, at
from tests.pki import many_authorities

pytestmark = pytest.mark.django_db

LIMITED = ("basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign,cRLSign")


@pytest.mark.parametrize(
    ("size", "warned"),
    [
        (16_184, ""),
        (16_185, "Clients on small devices"),
        (32_568, "Clients on small devices"),
        (32_569, "Java clients"),
        (LARGEST_NAMES, "Java clients"),
        (LARGEST_NAMES + 1, ""),
    ],
)
def test_names_that_some_clients_refuse_are_warned_of(size: int, warned: str) -> None:
    found = Trust(size, (1,))
    assert (found.warning[: len(warned)], bool(found.warning)) == (warned, bool(warned))
    assert found.is_too_much == (size > LARGEST_NAMES)


def test_nothing_is_said_of_cas_that_are_not_there() -> None:
    assert (trust([]), trust([404])) == (None, None)


def test_wizard_says_that_cas_allow_different_chains(
    client: Client, load_balancer: LoadBalancer, configure: Fields, tmp_path: Path
) -> None:
    limited = factories.ca_certificate(
        make.authority(tmp_path, "limited", "/CN=Limited", extensions=LIMITED), "limited"
    )
    user = factories.user()
    client.force_login(user)
    alike = factories.listener_draft(load_balancer, user, configure)
    both = {**configure, "ca_certificates": [*configure["ca_certificates"], str(limited.pk)]}
    unlike = factories.listener_draft(load_balancer, user, both)

    pages = [words(client.get(at(draft, "configure")).content.decode()) for draft in (alike, unlike)]

    said = "By their own path length some allow fewer (0): give those a listener of their own"
    assert [said in page for page in pages] == [False, True]
    assert ListenerDraft.objects.count() == 2


def test_ca_content_whose_names_no_handshake_could_carry_is_refused(signed_in: Client, pki: Pki) -> None:
    ca = factories.ca_certificate(pki.modern.ca)
    others = [
        factories.listing_certificate(
            type="ca", content=many_authorities(100, f"Authority of clients {number:02}")
        )
        for number in range(14)
    ]
    assert LARGEST_NAMES - 4_000 < names_size(tuple(one.content for one in others)) < LARGEST_NAMES
    server = factories.server_certificate(pki.modern.server)
    row = factories.listener(server_certificate=server, ca_certificate=ca, name="partners")
    row.choose(ca_certificates=[ca, *others]).save()
    url = reverse("certificate_edit", args=[ca.pk])
    stamp = signed_in.get(url).context["stamp"].current
    fields = {
        "name": "clients",
        "content": ca.content + many_authorities(99, "Authority of some more clients"),
        "stamp": stamp,
    }

    answer = signed_in.post(url, fields)
    Listener.objects.filter(pk=row.pk).update(sends_ca_names=False)
    allowed = signed_in.post(url, fields)

    assert (answer.status_code, allowed.status_code) == (422, 302)
    assert "Listener partners: The names of these CA certificates take" in words(answer.content.decode())
