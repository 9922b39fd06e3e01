"""What the data plane says about rows: asked of Envoy and of the control plane, never of the database.

A listener is called running only when the local Envoy serves the very content that the row asks for and
has acknowledged everything the listener is made of.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from django.conf import settings

from certificates.models import Certificate
from listeners import snapshot
from listeners.dataplane.binary import BinaryError, envoy_binary
from listeners.dataplane.delivery_status import (
    DeliveryReport,
    NodeReport,
    ResourceQuestion,
    StatusUnavailableError,
    delivery_reports,
    questions,
)
from listeners.dataplane.reading import (
    BackendReading,
    EnvoyUnreachableError,
    ListenerReading,
    backend_readings,
    listener_readings,
    served_listeners,
)
from listeners.dataplane.reasons import explained
from listeners.deployment import admin_socket, control_plane_socket
from listeners.models import Listener
from listeners.rendering import envoy as rendering
from listeners.spec import CaBundleSpec, SpecError, digest


class State(StrEnum):
    RUNNING = "running"
    APPLYING = "applying"
    REJECTED = "rejected"
    STOPPED = "stopped"


WORDS = {
    State.RUNNING: "Running",
    State.APPLYING: "Applying",
    State.REJECTED: "Rejected",
    State.STOPPED: "Not answering",
}


@dataclass(frozen=True)
class NodeState:
    """The state of a listener at another Envoy than the local one."""

    node: str
    word: str
    sentence: str


@dataclass(frozen=True)
class ListenerState:
    """`sentence` is in plain words, empty when all is well; `detail` is Envoy's own text.

    `remedy` is a shell command that mends it, where there is one. `still_served`: Envoy goes on with an
    earlier version of this listener.
    """

    state: State
    sentence: str = ""
    detail: str = ""
    remedy: str = ""
    nodes: tuple[NodeState, ...] = ()
    still_served: bool = False

    @property
    def word(self) -> str:
        return WORDS[self.state]


@dataclass(frozen=True)
class BackendHealth:
    """`tone` is a Bootstrap colour name."""

    word: str
    tone: str


UNKNOWN_HEALTH = BackendHealth("Unknown", "secondary")
HEALTH_BY_FLAG = (
    ("pending_active_hc", BackendHealth("Checking", "secondary")),
    ("failed_active_health_check", BackendHealth("Unhealthy", "danger")),
    ("failed_outlier_check", BackendHealth("Ejected", "danger")),
    ("pending_dynamic_removal", BackendHealth("Leaving", "warning")),
)


def listener_states(listeners: Sequence[Listener]) -> dict[int, ListenerState]:
    """By primary key. One question to Envoy and one to the control plane, however many listeners."""
    parts: dict[int, tuple[ResourceQuestion, ...]] = {}
    states: dict[int, ListenerState] = {}
    for row in listeners:
        try:
            parts[row.pk] = _parts(row)
        except SpecError as error:
            states[row.pk] = ListenerState(State.REJECTED, f"{error} Nothing of it is handed to Envoy.")
    # In this order: what is acknowledged by now is warming or active in the reading that follows.
    reports = _reports(parts)
    readings = _readings(parts)
    for pk, asked in parts.items():
        states[pk] = _state(asked[0], readings, reports.get(pk))
    return states


def backend_health(listener: Listener) -> dict[tuple[str, int], BackendHealth]:
    """By address and port, as the local Envoy sees the servers; those it does not have are unknown."""
    group = listener.backend_server_group
    if group is None:
        return {}
    try:
        found = backend_readings(admin_socket(), rendering.group_name(group.pk))
    except EnvoyUnreachableError:
        found = ()
    by_socket = {(reading.address, reading.port): _health(reading) for reading in found}
    servers = [(server.address, server.port) for server in group.servers.all()]
    return {socket: by_socket.get(socket, UNKNOWN_HEALTH) for socket in servers}


def rendered_configuration(listener: Listener) -> str:
    """The Envoy configuration of a listener as JSON; certificates and keys appear by name.

    Empty where the row asks for something that may not be served; the listener's state says why.
    """
    try:
        spec = snapshot.listener_spec(listener)
    except SpecError:
        return ""
    secrets: list[dict[str, Any]] = []
    for certificate in _server_certificates(listener):
        name = rendering.server_certificate_name(certificate.pk)
        chain, key = f"[chain of certificate {certificate}]", f"[private key of certificate {certificate}]"
        secrets.append({"name": name, "tls_certificate": {"certificate_chain": chain, "private_key": key}})
    if spec.tls and spec.tls.client:
        trusted = [f"[CA certificate {certificate}]" for certificate in listener.chosen("ca_certificates")]
        name = rendering.trust_name(spec.tls.client)
        secrets.append({"name": name, "validation_context": {"trusted_ca": trusted}})
    shown = {
        "listener": rendering.plain(rendering.listener_message(spec, rendering.ADS)),
        "secrets": secrets,
    }
    if spec.group:
        shown["cluster"] = rendering.plain(rendering.cluster_message(spec.group))
        shown["endpoints"] = rendering.plain(rendering.endpoints_message(spec.group))
    return json.dumps(shown, indent=2, ensure_ascii=False)


def leftovers() -> tuple[str, ...]:
    """Sentences about listeners that the local Envoy serves and that exist here no more."""
    try:
        served = served_listeners(admin_socket())
    except EnvoyUnreachableError:
        return ()
    known = {rendering.listener_name(pk) for pk in Listener.objects.values_list("pk", flat=True)}
    return tuple(
        f"Envoy still serves {name}, which was deleted: it goes once the other changes made with the "
        "deletion have been accepted. Look for a rejected listener and mend or delete it."
        for name in sorted(served - known)
    )


def _parts(row: Listener) -> tuple[ResourceQuestion, ...]:
    """The resources that a listener is made of in the versions that the row asks for, itself first."""
    spec = snapshot.listener_spec(row)
    asked = list(questions(rendering.listener_resources(spec)))
    for certificate in _server_certificates(row):
        name = rendering.server_certificate_name(certificate.pk)
        asked.append(ResourceQuestion(rendering.SECRET, name, digest(certificate.content)))
    if spec.tls and spec.tls.client:
        bundles = {one.pk: CaBundleSpec(one.pk, one.content) for one in row.chosen("ca_certificates")}
        asked += questions([rendering.trust_resource(spec.tls.client, bundles)])
    return tuple(asked)


def _server_certificates(row: Listener) -> list[Certificate]:
    server = [row.server_certificate] if row.server_certificate else []
    return list(dict.fromkeys([*server, *row.chosen("sni_certificates")]))


def _readings(parts: Mapping[int, tuple[ResourceQuestion, ...]]) -> dict[str, ListenerReading] | None:
    """None when Envoy does not answer."""
    try:
        return listener_readings(admin_socket(), [asked[0].name for asked in parts.values()])
    except EnvoyUnreachableError:
        return None


def _reports(parts: Mapping[int, tuple[ResourceQuestion, ...]]) -> dict[int, DeliveryReport]:
    """Empty when the control plane does not answer."""
    if not parts:
        return {}
    try:
        found = delivery_reports(control_plane_socket(), list(parts.values()))
    except StatusUnavailableError:
        return {}
    return dict(zip(parts, found, strict=True))


def _state(
    wanted: ResourceQuestion, readings: Mapping[str, ListenerReading] | None, report: DeliveryReport | None
) -> ListenerState:
    local, nodes = _split(report)
    if readings is None:
        return ListenerState(
            State.STOPPED,
            "Envoy does not answer the console, so what it serves is not known. If it stays silent it is "
            "started again.",
            nodes=nodes,
        )
    reading = readings.get(wanted.name, ListenerReading(wanted.name, "", is_warming=False))
    state = _local_state(wanted, reading, report, local)
    serves = bool(reading.version) and state.state != State.RUNNING
    return replace(state, nodes=nodes, still_served=serves)


def _local_state(
    wanted: ResourceQuestion,
    reading: ListenerReading,
    report: DeliveryReport | None,
    local: NodeReport | None,
) -> ListenerState:
    if report is None:
        return ListenerState(
            State.APPLYING,
            "The control plane does not answer, so whether Envoy has this configuration is not known. "
            "Envoy goes on with what it has.",
        )
    refusal = report.refusal or (local.reason if local else "")
    if refusal:
        explanation = explained(refusal, _binary())
        return ListenerState(State.REJECTED, explanation.sentence, refusal, explanation.remedy)
    if local is None or not local.connected:
        return ListenerState(State.APPLYING, "Envoy is not connected to the control plane at the moment.")
    if local.held and reading.version == wanted.version and not reading.is_warming:
        return ListenerState(State.RUNNING)
    if reading.is_warming:
        return ListenerState(State.APPLYING, "Envoy waits for the certificates of this listener.")
    return ListenerState(State.APPLYING, "Envoy is being given this configuration.")


def _split(report: DeliveryReport | None) -> tuple[NodeReport | None, tuple[NodeState, ...]]:
    """The local Envoy's report, and what the others say."""
    if report is None:
        return None, ()
    local = next((node for node in report.nodes if node.node == settings.ELB_NODE_ID), None)
    others = tuple(_node_state(node, report) for node in report.nodes if node.node != settings.ELB_NODE_ID)
    return local, others


def _node_state(node: NodeReport, report: DeliveryReport) -> NodeState:
    if not node.connected:
        return NodeState(node.node, "Disconnected", "This Envoy has left; what it serves is not known.")
    if reason := report.refusal or node.reason:
        return NodeState(node.node, WORDS[State.REJECTED], reason)
    if node.held:
        return NodeState(node.node, "Acknowledged", "")
    return NodeState(node.node, WORDS[State.APPLYING], "")


def _health(reading: BackendReading) -> BackendHealth:
    if reading.draining:
        return BackendHealth("Draining", "warning")
    return next(
        (health for flag, health in HEALTH_BY_FLAG if flag in reading.flags),
        BackendHealth("Healthy", "success"),
    )


def _binary() -> str:
    try:
        return str(envoy_binary(settings.ELB_ENVOY_BINARY))
    except BinaryError:
        return "envoy"
