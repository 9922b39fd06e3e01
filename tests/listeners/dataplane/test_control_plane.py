"""The control plane and a real Envoy: what is delivered, refused, kept and removed."""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import httpx
import pytest

from listeners.dataplane import control_plane
from listeners.dataplane.delivery_status import ChangeTimes, change_times, withheld
from listeners.dataplane.vouching import Voucher
from listeners.spec import HealthCheckSpec, ServerCertificateSpec, TlsSpec
from tests.backend import Backend, running_backend
from tests.conftest import Pki
from tests.curl import Answer, curl
from tests.envoy_lab import NODE, EnvoyLab, configuration, group, http, https
from tests.pki import KeyPair
from tests.ports import free_port
from tests.waiting import eventually


def request(port: int, client: KeyPair | None = None, scheme: str = "https") -> Answer:
    certificate = ("--cert", client.certificate, "--key", client.key) if client else ()
    return curl("-k", *certificate, f"{scheme}://127.0.0.1:{port}/")


def test_mutual_listener_lets_in_its_clients_only(lab: EnvoyLab, backend: Backend, pki: Pki) -> None:
    listener = https(1, free_port(), backend.port, ca=2)
    lab.apply(configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca}))
    lab.wait_served(listener)

    assert request(listener.port, pki.modern.client).status == 200
    assert request(listener.port).status == 0


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("127.0.0.2", ["127.0.0.2"]),
        ("::1", ["[::1]"]),
        ("0.0.0.0", ["127.0.0.1", "127.0.0.2"]),
        ("::", ["127.0.0.1", "127.0.0.2", "[::1]"]),
    ],
)
def test_listener_answers_at_its_addresses_only(
    lab: EnvoyLab, backend: Backend, address: str, reached: list[str]
) -> None:
    listener = http(5, free_port(), backend.port, address=address)
    lab.apply(configuration(listener))
    lab.wait_served(listener)
    hosts = ["127.0.0.1", "127.0.0.2", "[::1]"]

    answering = [host for host in hosts if curl(f"http://{host}:{listener.port}/").status == 200]

    assert answering == reached
    lab.apply(configuration())
    lab.wait_gone(listener.id)


def test_listener_on_a_taken_port_is_rejected_and_the_rest_is_served(lab: EnvoyLab, backend: Backend) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        bad, good = http(10, other.getsockname()[1], backend.port), http(11, free_port(), backend.port)
        lab.apply(configuration(bad, good))

        reason = lab.wait_rejected(bad)
        lab.wait_served(good)

    assert "Address already in use" in reason
    assert request(good.port, scheme="http").status == 200


def test_deleted_listener_serves_until_the_additions_of_its_revision_are_accepted(
    lab: EnvoyLab, backend: Backend
) -> None:
    """Pitfall A3: one revision deletes a listener and adds one that cannot be bound."""
    old = http(20, free_port(), backend.port)
    lab.apply(configuration(old))
    lab.wait_served(old)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        bad = http(21, other.getsockname()[1], backend.port)
        lab.apply(configuration(bad))
        lab.wait_rejected(bad)

        assert request(old.port, scheme="http").status == 200
        assert withheld(lab.socket) == ("listener-20",)

    mended = replace(bad, port=free_port())
    lab.apply(configuration(mended))
    lab.wait_served(mended)
    lab.wait_gone(old.id)
    assert request(old.port, scheme="http").status == 0
    eventually(lambda: withheld(lab.socket) == (), "nothing is withheld any more")


def test_times_of_a_change_are_told_once_it_is_delivered(lab: EnvoyLab, backend: Backend) -> None:
    listener = http(25, free_port(), backend.port)
    lab.apply(configuration(listener))
    lab.wait_served(listener)

    times = eventually(lambda: delivered(lab), "the change is delivered")

    assert (times.revision, times.listeners) == (lab.configuration.revision, 1)
    assert min(times.read, times.render, times.preflight) > 0


def delivered(lab: EnvoyLab) -> ChangeTimes | None:
    times = change_times(lab.socket)
    return times if times and times.delivery and times.revision == lab.configuration.revision else None


def test_datagram_wakes_the_control_plane(lab: EnvoyLab, backend: Backend, monkeypatch: Any) -> None:
    """It looks by itself as well: not within this test, so only the datagram explains the delivery."""
    lab.stop_control_plane()
    monkeypatch.setattr(control_plane, "LOOK_INTERVAL", 3600.0)
    lab.start_control_plane()
    listener = http(26, free_port(), backend.port)
    lab.apply(configuration(listener))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
        waker.sendto(b"!", str(lab.wake))
    lab.wait_served(listener)
    monkeypatch.undo()
    lab.stop_control_plane()
    lab.start_control_plane()


def test_datagram_that_is_a_voucher_is_handed_on_and_wakes_nobody() -> None:
    woken, taken = asyncio.Event(), list[Voucher]()
    waking = control_plane.Waking(woken, taken.append)
    voucher = Voucher(7, "0" * 64)
    waking.datagram_received(voucher.message, None)
    assert (taken, woken.is_set()) == ([voucher], False)
    waking.datagram_received(b"!", None)
    assert (taken, woken.is_set()) == ([voucher], True)


def test_listeners_that_swap_ports_are_both_served(lab: EnvoyLab, backend: Backend) -> None:
    one, other = http(30, free_port(), backend.port), http(31, free_port(), backend.port)
    lab.apply(configuration(one, other))
    lab.wait_served(one, other)

    swapped = replace(one, port=other.port), replace(other, port=one.port)
    lab.apply(configuration(*swapped))

    lab.wait_served(*swapped)


def test_listener_takes_the_port_of_one_deleted_with_it(lab: EnvoyLab, backend: Backend) -> None:
    old = http(40, free_port(), backend.port)
    lab.apply(configuration(old))
    lab.wait_served(old)

    new = http(41, old.port, backend.port)
    lab.apply(configuration(new))

    lab.wait_served(new)
    lab.wait_gone(old.id)


def test_removed_backend_server_gets_no_more_requests(lab: EnvoyLab) -> None:
    with running_backend("first") as first, running_backend("second") as second:
        listener = replace(http(50, free_port(), first.port), action=group(50, first.port, second.port))
        lab.apply(configuration(listener))
        lab.wait_served(listener)
        alone = replace(listener, action=group(50, second.port))
        lab.apply(configuration(alone))
        lab.wait_served(alone)
        first.forget()

        statuses = {request(listener.port, scheme="http").status for _ in range(6)}

    assert (statuses, first.requests) == ({200}, ())


def test_changed_cluster_is_served_at_once(lab: EnvoyLab, backend: Backend) -> None:
    listener = http(55, free_port(), backend.port)
    lab.apply(configuration(listener))
    lab.wait_served(listener)
    slower = replace(group(55, backend.port), health_check=HealthCheckSpec(interval=30))
    changed = replace(listener, action=slower)
    lab.apply(configuration(changed))
    lab.wait_served(changed)
    eventually(lambda: cluster_interval(lab) == "30s", "the changed cluster is active")
    assert request(listener.port, scheme="http").status == 200


def cluster_interval(lab: EnvoyLab) -> str:
    """How often the only cluster that is active checks its servers; not one that still warms up."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(lab.admin)), base_url="http://envoy") as client:
        query = {"resource": "dynamic_active_clusters", "name_regex": "^group-55$"}
        found = client.get("/config_dump", params=query).json()["configs"]
    return str(found[0]["cluster"]["health_checks"][0]["interval"]) if found else ""


def test_listener_changed_beside_a_refused_one_is_known_after_a_restart(
    lab: EnvoyLab, backend: Backend, pki: Pki
) -> None:
    """Envoy notes no version of a response that it refuses in part, though it applies the rest."""
    closed = https(56, free_port(), backend.port, ca=2)
    opened = replace(closed, tls=TlsSpec(server_certificate=1))
    cas = {2: pki.modern.ca}
    lab.apply(configuration(closed, server=pki.modern.server, cas=cas))
    lab.wait_served(closed)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        bad = http(57, other.getsockname()[1], backend.port)
        lab.apply(configuration(opened, bad, server=pki.modern.server, cas=cas))
        lab.wait_rejected(bad)
        lab.wait_served(opened)
        lab.stop_control_plane()
        lab.apply(configuration(closed, bad, server=pki.modern.server, cas=cas))
        lab.start_control_plane()
        lab.wait_served(closed)

        assert request(closed.port).status == 0


def test_port_is_not_shared_with_another_envoy(lab: EnvoyLab, backend: Backend) -> None:
    listener = http(58, free_port(), backend.port)
    lab.apply(configuration(listener))
    lab.wait_served(listener)
    with lab.another_envoy("other"):
        reason = eventually(
            lambda: next((n.reason for n in lab.report(listener).nodes if n.node == "other"), ""),
            "the other Envoy's refusal",
        )
        assert "Address already in use" in reason
        assert {request(listener.port, scheme="http").status for _ in range(10)} == {200}


def test_namesake_does_not_hide_what_an_envoy_has_not(lab: EnvoyLab, backend: Backend) -> None:
    """Of two Envoys with one name the report tells what both of them have."""
    listener = http(59, free_port(), backend.port)
    lab.apply(configuration(listener))
    lab.wait_served(listener)
    with lab.another_envoy(NODE):
        eventually(lambda: any(n.reason for n in lab.report(listener).nodes), "the namesake's refusal")
        moved = replace(listener, port=free_port())
        lab.apply(configuration(moved))
        eventually(lambda: request(moved.port, scheme="http").status == 200, "the first one is still fed")


def test_restarted_control_plane_applies_what_changed_meanwhile(lab: EnvoyLab, backend: Backend) -> None:
    kept, deleted = http(60, free_port(), backend.port), http(61, free_port(), backend.port)
    lab.apply(configuration(kept, deleted))
    lab.wait_served(kept, deleted)
    lab.stop_control_plane()
    taker = http(62, deleted.port, backend.port)
    lab.apply(configuration(kept, taker))
    assert request(kept.port, scheme="http").status == 200

    lab.start_control_plane()

    lab.wait_served(kept, taker)
    lab.wait_gone(deleted.id)


def test_certificate_that_envoy_cannot_load_leaves_the_old_one_serving(
    lab: EnvoyLab, backend: Backend, pki: Pki
) -> None:
    """Pitfall A1: the pre-flight refuses it, and other listeners go on changing."""
    listener = https(70, free_port(), backend.port)
    lab.apply(configuration(listener, server=pki.modern.server))
    lab.wait_served(listener)
    foreign_key = ServerCertificateSpec(1, pki.modern.server.certificate_pem, pki.guide.server.key_pem)
    broken = replace(
        configuration(listener, http(71, free_port(), backend.port), server=pki.modern.server),
        server_certificates={1: replace(foreign_key, chain=pki.guide.ca.certificate_pem)},
    )
    lab.apply(broken)
    lab.wait_served(broken.listeners[1])

    assert "KEY_VALUES_MISMATCH" in lab.report(listener).refusal
    assert request(listener.port).status == 200


def test_envoy_that_starts_anew_gets_everything(lab: EnvoyLab, backend: Backend, pki: Pki) -> None:
    listener = https(80, free_port(), backend.port, ca=2)
    lab.apply(configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca}))
    lab.wait_served(listener)
    lab.envoy.stop()

    assert lab.envoy.ensure()

    lab.wait_served(listener)
    assert request(listener.port, pki.modern.client).status == 200
