"""What Envoy would refuse is said on the form, and nothing of it is stored."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from certificates.models import Certificate
from console.waking import wake_socket
from listeners import snapshot
from listeners.dataplane import vouching
from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.preflight import Preflight
from listeners.models import BackendServerGroup, Listener, ListenerDraft
from listeners.trial import objection
from tests import factories
from tests.conftest import Pki
from tests.listeners.dataplane.test_preflight import refusals
from tests.listeners.test_views import stamp_of, words

pytestmark = pytest.mark.django_db


def spoiled(certificate: Certificate) -> Certificate:
    """As no door lets it in: a private key that belongs to another certificate."""
    other = Certificate.objects.exclude(pk=certificate.pk).get(type=Certificate.Type.SERVER)
    Certificate.objects.filter(pk=certificate.pk).update(content=other.content)
    return Certificate.objects.get(pk=certificate.pk)


@pytest.fixture
def bad(pki: Pki) -> Certificate:
    factories.server_certificate(pki.guide.server, "good")
    return spoiled(factories.server_certificate(pki.modern.server, "bad"))


def test_listener_that_envoy_takes_has_no_objection(pki: Pki) -> None:
    server = factories.server_certificate(pki.modern.server)
    ca = factories.ca_certificate(pki.modern.ca)
    plain = factories.listener()
    mutual = factories.listener(server_certificate=server, ca_certificate=ca)
    assert [objection(one) for one in (plain, mutual)] == [("", ""), ("", "")]


@pytest.fixture
def control_plane() -> Iterator[socket.socket]:
    """Where the control plane is told things."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(wake_socket()))
        heard.setblocking(False)
        yield heard
    wake_socket().unlink()


def test_edit_tells_the_control_plane_what_passed(
    signed_in: Client, control_plane: socket.socket, pki: Pki
) -> None:
    """Of the very content that the control plane then reads, so it does not try it again."""
    server = factories.server_certificate(pki.modern.server)
    ca = factories.ca_certificate(pki.modern.ca)
    row = factories.listener(server_certificate=server, servers=[factories.backend_server()])
    url = reverse("listener_edit", args=[row.pk])
    fields = {
        "name": "after",
        "authentication": "mutual",
        "server_certificate": server.pk,
        "ca_certificates": ca.pk,
        "stamp": stamp_of(signed_in, url),
    }
    assert signed_in.post(url, fields).status_code == 302
    voucher = vouching.read(control_plane.recv(1000))
    assert voucher is not None
    wanted = snapshot.configuration()
    hasty, trusting = (Preflight(envoy_binary(), limit=0.0) for _ in range(2))  # nothing passes in no time
    trusting.take(voucher)
    assert (list(refusals(hasty, wanted)), refusals(trusting, wanted)) == ([row.pk], {})


@pytest.mark.parametrize("is_new", [False, True])
def test_what_did_not_pass_or_has_no_number_is_not_vouched_for(
    control_plane: socket.socket, bad: Certificate, is_new: bool
) -> None:
    row = factories.listener(server_certificate=Certificate.objects.get(name="good"))
    if is_new:
        row.pk = None
    else:
        row.server_certificate = bad
    assert bool(objection(row, [])[1]) != is_new
    with pytest.raises(BlockingIOError):
        control_plane.recv(1000)


def test_wizard_keeps_what_envoy_would_refuse(signed_in: Client, bad: Certificate) -> None:
    on = factories.load_balancer()
    signed_in.post(reverse("listener_add", args=[on.pk]))
    draft = ListenerDraft.objects.get()
    fields = draft.fields("configure")
    for name, value in {"port": "9443", "server_certificate": str(bad.pk)}.items():
        fields.setlist(name, [value])
    draft.remember("configure", fields)
    draft.remember("backends", [{"address": "192.0.2.10", "port": "80", "weight": "1"}])

    answer = signed_in.post(reverse("listener_draft", args=[draft.pk, "confirm"]))

    assert answer.status_code == 422
    assert "Envoy cannot use the server certificate" in answer.context["form"].errors["server_certificate"][0]
    assert "PRIVATE KEY" not in answer.content.decode()
    assert (Listener.objects.count(), BackendServerGroup.objects.count(), ListenerDraft.objects.count()) == (
        0,
        0,
        1,
    )


def test_edit_refuses_what_envoy_would_refuse(signed_in: Client, pki: Pki, bad: Certificate) -> None:
    good = Certificate.objects.get(name="good")
    row = factories.listener(server_certificate=good, name="before")
    url = reverse("listener_edit", args=[row.pk])
    fields = {"name": "after", "authentication": "one-way", "server_certificate": bad.pk}

    answer = signed_in.post(url, {**fields, "stamp": stamp_of(signed_in, url)})

    assert (answer.status_code, set(answer.context["form"].errors)) == (422, {"server_certificate"})
    row.refresh_from_db()
    assert (row.name, row.server_certificate) == ("before", good)


@pytest.mark.parametrize("what", ["listener", "load_balancer"])
def test_enabling_is_refused_where_envoy_would_refuse_it(
    signed_in: Client, bad: Certificate, what: str
) -> None:
    row = factories.listener(server_certificate=bad, name="shop")
    switched = row if what == "listener" else row.load_balancer
    switched.switch(False)
    answer = signed_in.post(reverse(f"{what}_enable", args=[switched.pk]))
    switched.refresh_from_db()
    assert (answer.status_code, switched.is_enabled) == (422, False)
    assert "Listener shop: Envoy cannot use the server certificate" in words(answer.content)


@pytest.mark.parametrize("program", ["missing", "hanging", "killed"])
def test_saving_goes_on_where_envoy_cannot_be_asked(
    signed_in: Client, settings: Settings, tmp_path: Path, bad: Certificate, program: str
) -> None:
    row = factories.listener(server_certificate=Certificate.objects.get(name="good"))
    scripts = {"hanging": "#!/bin/sh\nexec sleep 60\n", "killed": "#!/bin/sh\nkill -9 $$\n"}
    settings.ELB_ENVOY_BINARY = tmp_path / "envoy"
    if program in scripts:
        settings.ELB_ENVOY_BINARY.write_text(scripts[program])
        settings.ELB_ENVOY_BINARY.chmod(0o755)
    url = reverse("listener_edit", args=[row.pk])
    fields = {"name": "after", "authentication": "one-way", "server_certificate": bad.pk}

    answer = signed_in.post(url, {**fields, "stamp": stamp_of(signed_in, url)})

    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.name, row.server_certificate) == ("after", bad)
