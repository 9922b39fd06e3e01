"""The order in which one Envoy is told things, without an Envoy: the state machine alone."""

from collections.abc import Sequence
from dataclasses import replace

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from listeners.dataplane.desired import Desired, Update, update_of
from listeners.dataplane.discovery import Session
from listeners.rendering.envoy import CLUSTER, ENDPOINTS, LISTENER, SECRET, resources
from listeners.rendering.envoy.names import servers_name
from listeners.spec import CaBundleSpec, ConfigurationSpec, HealthCheckSpec, ListenerSpec
from tests.conftest import Pki
from tests.envoy_lab import configuration, group, http, https


def desired(configuration: ConfigurationSpec, **refused: str) -> Update:
    """All that there is to have; `refused` listeners, listener_2 for the second, are in no configuration."""
    rendered = {resource.key: resource for resource in resources(configuration)}
    reasons = {int(name.removeprefix("listener_")): reason for name, reason in refused.items()}
    return update_of(configuration, rendered, reasons, None)


def beginning(wanted: Update) -> Session:
    goal = Desired()
    goal.apply(wanted)
    return Session(goal)


def aim(session: Session, wanted: Update) -> None:
    session.aim(session.desired.apply(wanted))


def ask(type_url: str, *names: str, held: dict[str, str] | None = None) -> DeltaDiscoveryRequest:
    return DeltaDiscoveryRequest(
        type_url=type_url, resource_names_subscribe=names, initial_resource_versions=held or {}
    )


def acknowledge(response: DeltaDiscoveryResponse, error: str = "") -> DeltaDiscoveryRequest:
    request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
    if error:
        request.error_detail.message = error
    return request


def told(responses: Sequence[DeltaDiscoveryResponse]) -> list[tuple[str, list[str], list[str]]]:
    """Per response the type's short name, the resources' names and the removed names."""
    return [
        (r.type_url.rpartition(".")[2], sorted(one.name for one in r.resources), list(r.removed_resources))
        for r in responses
    ]


def servers_of(id: int, port: int = 80) -> str:
    return servers_name(group(id, port))


def connected(wanted: Update) -> Session:
    """A session whose Envoy has taken everything that it was sent."""
    session = beginning(wanted)
    for request in (
        ask(CLUSTER),
        ask(ENDPOINTS, *(name for kind, name in wanted.resources if kind == ENDPOINTS)),
        ask(LISTENER),
        ask(SECRET, *(name for kind, name in wanted.resources if kind == SECRET)),
    ):
        session.receive(request)
    while responses := session.responses():
        for response in responses:
            session.receive(acknowledge(response))
    return session


def test_fresh_envoy_with_nothing_to_serve_is_answered() -> None:
    session = beginning(desired(ConfigurationSpec(0)))
    session.receive(ask(CLUSTER))
    clusters = session.responses()
    session.receive(acknowledge(clusters[0]))
    session.receive(ask(LISTENER))
    assert told(clusters) + told(session.responses()) == [("Cluster", [], []), ("Listener", [], [])]


def test_listener_waits_for_its_cluster_and_endpoints() -> None:
    session = beginning(desired(configuration(http(1, 8000, 80))))
    session.receive(ask(LISTENER))
    session.receive(ask(CLUSTER))
    first = session.responses()
    session.receive(acknowledge(first[0]))
    before_endpoints = session.responses()
    session.receive(ask(ENDPOINTS, servers_of(1)))
    endpoints = session.responses()
    session.receive(acknowledge(endpoints[0]))

    assert [told(r) for r in (first, before_endpoints, endpoints, session.responses())] == [
        [("Cluster", ["group-1"], [])],
        [],
        [("ClusterLoadAssignment", [servers_of(1)], [])],
        [("Listener", ["listener-1"], [])],
    ]


def test_listener_does_not_wait_for_the_cluster_of_another() -> None:
    """Whose servers take their time to be checked, which Envoy awaits before it answers."""
    one, other = http(1, 8000, 80), http(2, 8001, 80)
    session = connected(desired(configuration(one, other)))
    slow = replace(one, action=group(1, 81))
    aim(session, desired(configuration(slow, other)))
    under_way = session.responses()
    aim(session, desired(configuration(slow, replace(other, address="127.0.0.2"), http(3, 8002, 80))))
    meanwhile = session.responses()
    session.receive(acknowledge(meanwhile[0]))
    aim(session, desired(configuration(slow, http(3, 8002, 80))))

    # The new listener's own cluster is told once the other one is answered.
    assert [told(r) for r in (under_way, meanwhile, session.responses())] == [
        [("Cluster", ["group-1"], [])],
        [("Listener", ["listener-2"], [])],
        [("Listener", [], ["listener-2"])],
    ]


def test_removal_follows_the_additions_of_its_revision() -> None:
    session = connected(desired(configuration(http(1, 8000, 80))))
    aim(session, desired(configuration(http(2, 8001, 80))))
    session.receive(acknowledge(session.responses()[0]))  # the new cluster
    session.receive(ask(ENDPOINTS, servers_of(2)))
    session.receive(acknowledge(session.responses()[0]))
    addition = session.responses()
    session.receive(acknowledge(addition[0]))
    removal = session.responses()
    session.receive(acknowledge(removal[0]))

    assert [told(r) for r in (addition, removal, session.responses())] == [
        [("Listener", ["listener-2"], [])],
        [("Listener", [], ["listener-1"])],
        [],
    ]


def test_cluster_without_a_listener_goes_after_two_turns_unless_it_is_wanted_again() -> None:
    """Connections of before go on for a while, and are answered by it."""
    one, other = http(1, 8000, 80), replace(http(1, 8000, 80), action=group(2, 81))
    session = connected(desired(configuration(one)))

    def after(listener: ListenerSpec, turns: int) -> list[tuple[str, list[str], list[str]]]:
        aim(session, desired(configuration(listener)))
        session.receive(ask(ENDPOINTS, servers_of(2, 81)))
        while responses := session.responses():
            for response in responses:
                session.receive(acknowledge(response))
        for _ in range(turns):
            session.retry()
        return told(session.responses())

    assert [after(other, 1), after(one, 1), after(other, 1)] == [[], [], []]
    session.retry()
    assert told(session.responses()) == [("Cluster", [], ["group-1"])]


def test_removal_is_withheld_while_an_addition_of_its_revision_is_refused() -> None:
    keeper = http(3, 8002, 80)
    session = connected(desired(configuration(http(1, 8000, 80), keeper)))
    # The pre-flight refuses listener 2, so nothing of it is sent.
    aim(session, desired(configuration(keeper), listener_2="bad certificate"))
    withheld = session.responses()
    aim(session, desired(configuration(keeper)))

    assert (told(withheld), told(session.responses())) == ([], [("Listener", [], ["listener-1"])])


def test_removal_stays_withheld_while_the_addition_is_refused_in_another_way() -> None:
    session = connected(desired(configuration(http(1, 8000, 80))))
    aim(session, desired(configuration(), listener_2="bad certificate"))
    aim(session, desired(configuration(), listener_2="bad in another way"))
    assert told(session.responses()) == []


def test_listener_that_is_tried_once_more_withholds_no_removal() -> None:
    """Somebody disables a listener at the moment at which another's port is found taken as before."""
    old, bad = http(1, 8000, 80), replace(http(2, 8001, 80), action=group(1, 80))
    session = connected(desired(configuration(old)))
    aim(session, desired(configuration(old, bad)))
    session.receive(acknowledge(session.responses()[0], "listener-2: cannot bind"))
    session.retry()
    aim(session, desired(configuration(bad)))
    again = session.responses()
    session.receive(acknowledge(again[0], "listener-2: cannot bind"))

    assert [told(r) for r in (again, session.responses())] == [
        [("Listener", ["listener-2"], [])],
        [("Listener", [], ["listener-1"])],
    ]


def test_listener_that_moves_to_a_socket_over_its_own_gives_it_up_first() -> None:
    listener = http(1, 8000, 80)
    session = connected(desired(configuration(listener)))
    aim(session, desired(configuration(replace(listener, address="0.0.0.0"))))
    assert told(session.responses()) == [("Listener", [], ["listener-1"])]


def test_good_secret_is_sent_again_after_a_refused_one(pki: Pki) -> None:
    listener = https(1, 8000, 80)
    good = desired(configuration(listener, server=pki.modern.server))
    session = connected(good)
    aim(session, desired(configuration(listener, server=pki.guide.server)))
    session.receive(acknowledge(session.responses()[0], "Failed to load certificate chain"))
    aim(session, good)
    assert told(session.responses()) == [("Secret", ["certificate-1"], [])]


def test_listener_refused_earlier_does_not_withhold_a_later_removal() -> None:
    keeper = http(3, 8002, 80)
    refused = {"listener_2": "bad certificate"}
    session = connected(desired(configuration(http(1, 8000, 80), keeper), **refused))
    aim(session, desired(configuration(keeper), **refused))
    assert told(session.responses()) == [("Listener", [], ["listener-1"])]


def test_swapped_sockets_are_given_up_before_they_are_taken() -> None:
    one, other = http(1, 8000, 80), http(2, 8001, 80)
    session = connected(desired(configuration(one, other)))
    aim(session, desired(configuration(replace(one, port=8001), replace(other, port=8000))))
    removal = session.responses()
    session.receive(acknowledge(removal[0]))
    assert [told(r) for r in (removal, session.responses())] == [
        [("Listener", [], ["listener-1", "listener-2"])],
        [("Listener", ["listener-1", "listener-2"], [])],
    ]


def test_endpoints_are_sent_again_with_a_change_of_their_cluster() -> None:
    listener = http(1, 8000, 80)
    session = connected(desired(configuration(listener)))
    slower = replace(group(1, 80), health_check=HealthCheckSpec(interval=30))
    aim(session, desired(configuration(replace(listener, action=slower))))
    assert told(session.responses()) == [
        ("Cluster", ["group-1"], []),
        ("ClusterLoadAssignment", [servers_of(1)], []),
    ]


def test_endpoints_are_sent_again_to_an_envoy_that_waits_for_them_on_another_stream() -> None:
    """The stream broke between a changed cluster and its endpoints: it names what the earlier cluster has,
    and its clusters not before it has been answered.
    """
    wanted = desired(configuration(http(1, 8000, 80)))
    held = {servers_of(1): wanted.resources[ENDPOINTS, servers_of(1)].version}
    session = beginning(wanted)
    session.receive(ask(ENDPOINTS, *held, held=held))
    assert told(session.responses()) == [("ClusterLoadAssignment", [servers_of(1)], [])]


def test_endpoints_of_a_cluster_under_way_are_given_even_if_they_are_wanted_no_more() -> None:
    """Envoy answers the cluster once it has them, and nothing else of the kind can be told before."""
    listener = http(1, 8000, 80)
    session = connected(desired(configuration(listener)))
    aim(session, desired(configuration(replace(listener, action=group(1, 81)))))
    first = session.responses()
    aim(session, desired(configuration(replace(listener, action=group(1, 82)))))
    session.receive(ask(ENDPOINTS, servers_of(1, 81)))
    promised = session.responses()
    for response in (*promised, *first):
        session.receive(acknowledge(response))

    assert [told(r) for r in (first, promised, session.responses())] == [
        [("Cluster", ["group-1"], [])],
        [("ClusterLoadAssignment", [servers_of(1, 81)], [])],
        [("Cluster", ["group-1"], [])],
    ]


def test_cluster_keeps_its_endpoints_when_the_listener_that_they_came_with_is_deleted() -> None:
    """Another listener shares the group, and was refused when the servers were exchanged."""
    one, other = (replace(http(id, 8000 + id, 80), action=group(9, 80)) for id in (1, 2))
    goal = Desired()
    goal.apply(desired(configuration(one, other)))
    goal.apply(desired(configuration(replace(one, action=group(9, 81))), listener_2="no"))
    goal.apply(Update(2, frozenset({1}), {}, {}))
    session = Session(goal)  # of an Envoy that has nothing yet
    session.receive(ask(CLUSTER))
    session.receive(ask(ENDPOINTS, servers_of(9, 81)))

    assert told(session.responses()) == [
        ("Cluster", ["group-9"], []),
        ("ClusterLoadAssignment", [servers_of(9, 81)], []),
    ]


def test_refused_secret_is_found_by_sending_one_at_a_time(pki: Pki) -> None:
    listener = https(1, 8000, 80, ca=2)
    wanted = configuration(listener, server=pki.modern.server, cas={2: pki.modern.ca})
    session = connected(desired(wanted))
    changed = replace(
        configuration(listener, server=pki.guide.server),
        ca_bundles={2: CaBundleSpec(2, pki.guide.ca.certificate_pem)},
    )
    aim(session, desired(changed))
    both = session.responses()
    session.receive(acknowledge(both[0], "Failed to load certificate chain from <inline>"))
    first = session.responses()
    session.receive(acknowledge(first[0]))
    second = session.responses()
    session.receive(acknowledge(second[0], "Failed to load certificate chain from <inline>"))

    assert [told(r) for r in (both, first, second, session.responses())] == [
        [("Secret", ["ca-2", "certificate-1"], [])],
        [("Secret", ["ca-2"], [])],
        [("Secret", ["certificate-1"], [])],
        [],
    ]
    version = changed.server_certificates[1].version
    assert (
        session.rejection((SECRET, "certificate-1"), version)
        == "Failed to load certificate chain from <inline>"
    )


def test_error_text_is_split_by_the_listeners_that_it_names() -> None:
    listeners = http(1, 8000, 80), http(11, 8001, 80), http(2, 8002, 80)
    session = connected(desired(configuration()))
    wanted = desired(configuration(*listeners))
    aim(session, wanted)
    for spec in listeners:
        session.receive(ask(ENDPOINTS, servers_of(spec.id)))
    for _ in range(2):
        for response in session.responses():
            if response.type_url != LISTENER:
                session.receive(acknowledge(response))
    refused = next(r for r in [session.types[LISTENER].sent] if r)
    message = "Error adding/updating listener(s) listener-1: cannot bind\nlistener-11: no such address\n"
    session.receive(acknowledge(DeltaDiscoveryResponse(type_url=LISTENER, nonce=refused.nonce), message))

    reasons = {
        spec.id: session.rejection((LISTENER, f"listener-{spec.id}"), version(wanted, spec))
        for spec in listeners
    }

    assert reasons == {1: "cannot bind", 11: "no such address", 2: ""}
    # Envoy serves it, but would claim not to have it if it connected anew.
    assert told(session.responses()) == [("Listener", ["listener-2"], [])]


def test_reconnected_envoy_is_sent_what_has_changed_only(pki: Pki) -> None:
    wanted = desired(configuration(http(1, 8000, 80), http(2, 8001, 80)))
    before = connected(wanted)
    held = {kind: dict(before.types[kind].held) for kind in (CLUSTER, ENDPOINTS, LISTENER)}
    held[LISTENER]["listener-2"] = "older"
    session = beginning(wanted)
    for kind in held:
        session.receive(ask(kind, *(held[kind] if kind == ENDPOINTS else ()), held=held[kind]))

    sent = []
    while responses := session.responses():
        sent += told(responses)
        for response in responses:
            session.receive(acknowledge(response))

    assert [one for one in sent if one[1] or one[2]] == [("Listener", ["listener-2"], [])]


def version(wanted: Update, spec: ListenerSpec) -> str:
    return wanted.resources[LISTENER, f"listener-{spec.id}"].version
