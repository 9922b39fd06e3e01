"""Other backend servers in the place of all that a listener had: used once they are found healthy."""

from contextlib import ExitStack
from dataclasses import replace

import httpx

from tests.backend import backend_behind_a_full_queue, running_backend
from tests.curl import curl
from tests.envoy_lab import EnvoyLab, configuration, group, http
from tests.ports import free_port
from tests.traffic import traffic
from tests.waiting import eventually

ID = 80


def healthy_ports(lab: EnvoyLab) -> list[int]:
    """Of the group's servers, as Envoy's main thread knows them."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(lab.admin)), base_url="http://envoy") as client:
        clusters = client.get("/clusters", params={"format": "json"}).json()["cluster_statuses"]
    return [
        host["address"]["socket_address"]["port_value"]
        for cluster in clusters
        if cluster["name"] == f"group-{ID}"
        for host in cluster.get("host_statuses", ())
        if "failed_active_health_check" not in host["health_status"]
    ]


def test_servers_are_used_as_soon_as_they_are_healthy(lab: EnvoyLab) -> None:
    """All are exchanged, so there is no other to answer meanwhile: Envoy's own pause is a second of 503."""
    with running_backend("first") as first, running_backend("second") as second:
        listener = http(ID, free_port(), first.port)
        lab.apply(configuration(listener))
        lab.wait_served(listener)

        answered = []
        for port in (second.port, first.port, second.port):
            lab.apply(configuration(replace(listener, action=group(ID, port))))
            eventually(lambda port=port: healthy_ports(lab) == [port], f"server {port} alone, and healthy")
            answered.append(curl(f"http://127.0.0.1:{listener.port}/").status)

    assert answered == [200, 200, 200]


def test_no_request_fails_while_all_servers_are_exchanged(lab: EnvoyLab) -> None:
    """The old ones serve until each of the new ones has been checked, however long that takes."""
    with ExitStack() as stack:
        first = stack.enter_context(running_backend("first"))
        second, answer = stack.enter_context(backend_behind_a_full_queue("second"))
        listener = http(ID, free_port(), first.port)
        lab.apply(configuration(listener))
        lab.wait_served(listener)
        changed = replace(listener, action=group(ID, second.port))

        with traffic(f"http://127.0.0.1:{listener.port}/") as client:
            lab.apply(configuration(changed))
            client.wait_for_more(100)
            meanwhile = len(first.requests), len(second.requests)
            answer()
            eventually(lambda: second.requests or client.failures, "the second is used")
            client.wait_for_more()
        lab.wait_served(changed)

    assert client.failures == []
    assert meanwhile[0] >= 100
    assert meanwhile[1] == 0


def test_no_request_fails_while_a_listener_is_given_other_groups(lab: EnvoyLab) -> None:
    """Connections that began with the group of before are answered by it until they end."""
    with running_backend("first") as first, running_backend("second") as second:
        listener = http(ID, free_port(), first.port)
        lab.apply(configuration(listener))
        lab.wait_served(listener)

        with traffic(f"http://127.0.0.1:{listener.port}/") as client:
            for number in range(1, 9):
                port = (first.port, second.port)[number % 2]
                listener = replace(listener, action=group(ID + number, port))
                lab.apply(configuration(listener))
                lab.wait_served(listener)
                client.wait_for_more()

    assert client.failures == []
