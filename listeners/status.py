"""The state of listeners at the data plane: asked of Envoy and of the control plane, never of the database.

A listener is called running only when the local Envoy serves the very content that the row asks for and
has acknowledged everything the listener is made of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from listeners import snapshot
from listeners.dataplane.binary import BinaryError, envoy_binary
from listeners.dataplane.delivery_status import (
    DeliveryReport,
    NodeReport,
    ResourceQuestion,
    StatusUnavailableError,
    delivery_reports,
    questions,
    withheld,
)
from listeners.dataplane.reading import EnvoyUnreachableError, ListenerReading, listener_readings
from listeners.dataplane.reasons import explained
from listeners.deployment import admin_socket, control_plane_socket
from listeners.freshness import Patience, control_plane_limit
from listeners.models import Listener
from listeners.rendering import envoy as rendering
from listeners.spec import CaBundleSpec, SpecError, digest

Parts = tuple[ResourceQuestion, ...]


class State(StrEnum):
    RUNNING = "running"
    APPLYING = "applying"
    REJECTED = "rejected"
    UNCONFIRMED = "unconfirmed"
    SILENT = "silent"
    STOPPING = "stopping"
    DISABLED = "disabled"


WORDS = {
    State.RUNNING: "Running",
    State.APPLYING: "Applying",
    State.REJECTED: "Rejected",
    State.UNCONFIRMED: "Not confirmed",
    State.SILENT: "Not answering",
    State.STOPPING: "Stopping",
    State.DISABLED: "Disabled",
}


@dataclass(frozen=True)
class NodeState:
    """The state of a listener at another Envoy than the local one; `detail` is that Envoy's own text."""

    node: str
    word: str
    sentence: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ListenerState:
    """`sentence` is in plain words, empty when all is well; `detail` is Envoy's own text.

    `remedy` is a shell command that mends it, where there is one. `is_served`: the local Envoy has some
    version of this listener; None: that is not known.
    """

    state: State
    sentence: str = ""
    detail: str = ""
    remedy: str = ""
    nodes: tuple[NodeState, ...] = ()
    is_served: bool | None = None

    @property
    def word(self) -> str:
        return WORDS[self.state]


@dataclass(frozen=True)
class Observation:
    """What was seen at one time, by primary key; `parts` are what each listener is to be made of."""

    at: datetime
    envoy_answers: bool
    control_plane_answers: bool
    states: Mapping[int, ListenerState] = field(default_factory=dict)
    parts: Mapping[int, Parts] = field(default_factory=dict)


def observation(listeners: Sequence[Listener], patience: Patience) -> Observation:
    """One question to Envoy and one to the control plane, however many listeners."""
    parts: dict[int, Parts] = {}
    problems: dict[int, str] = {}
    for row in listeners:
        try:
            parts[row.pk] = _parts(row)
        except SpecError as error:
            parts[row.pk] = (_absent(row),)
            problems[row.pk] = str(error)
    # In this order: what is acknowledged by now is warming or active in the reading that follows.
    reports = _reports(parts)
    readings = _readings(parts, patience)
    states = {
        row.pk: _state(row, parts[row.pk][0], readings, (reports or {}).get(row.pk), problems.get(row.pk, ""))
        for row in listeners
    }
    return Observation(timezone.now(), readings is not None, reports is not None, states, parts)


def leftovers(patience: Patience) -> tuple[str, ...]:
    """Sentences about listeners that an Envoy still has and that exist here no more."""
    try:
        names = withheld(control_plane_socket(), patience.left)
    except StatusUnavailableError:
        return ()
    ids = {name: int(name.rpartition("-")[2]) for name in names}
    known = set(Listener.objects.filter(pk__in=ids.values()).values_list("pk", flat=True)) if ids else set()
    return tuple(
        f"Envoy still serves {name}, which was deleted: it goes once the other changes made with the "
        "deletion have been accepted. Look for a rejected listener and mend or delete it."
        for name in sorted(names)
        if ids[name] not in known
    )


def _parts(row: Listener) -> Parts:
    """The resources that a listener is made of in the versions that the row asks for, itself first."""
    if not row.is_open:
        return (_absent(row),)
    spec = snapshot.listener_spec(row)
    asked = list(questions(rendering.listener_resources(spec)))
    for certificate in row.shown_certificates:
        name = rendering.server_certificate_name(certificate.pk)
        asked.append(ResourceQuestion(rendering.SECRET, name, digest(certificate.content)))
    if spec.tls and spec.tls.client:
        bundles = {one.pk: CaBundleSpec(one.pk, one.content) for one in row.chosen_ca_certificates}
        asked += questions([rendering.trust_resource(spec.tls.client, bundles)])
    return tuple(asked)


def _absent(row: Listener) -> ResourceQuestion:
    return ResourceQuestion(rendering.LISTENER, rendering.listener_name(row.pk), None)


def _readings(parts: Mapping[int, Parts], patience: Patience) -> dict[str, ListenerReading] | None:
    """None when Envoy does not answer."""
    try:
        return listener_readings(admin_socket(), [asked[0].name for asked in parts.values()], patience.left)
    except EnvoyUnreachableError:
        return None


def _reports(parts: Mapping[int, Parts]) -> dict[int, DeliveryReport] | None:
    """None when the control plane does not answer."""
    try:
        found = delivery_reports(control_plane_socket(), list(parts.values()), control_plane_limit())
    except StatusUnavailableError:
        return None
    return dict(zip(parts, found, strict=True))


def _state(
    row: Listener,
    wanted: ResourceQuestion,
    readings: Mapping[str, ListenerReading] | None,
    report: DeliveryReport | None,
    problem: str,
) -> ListenerState:
    local, nodes = _split(report, row.is_open)
    if readings is None:
        return ListenerState(
            State.SILENT,
            "Envoy does not answer the console, so what it serves is not known. If it stays silent it is "
            "started again.",
            nodes=nodes,
        )
    reading = readings.get(wanted.name, ListenerReading(wanted.name))
    if not row.is_open:
        state = _state_of_closed(row, reading, report)
    elif problem:
        state = ListenerState(State.REJECTED, f"{problem} It is not handed to Envoy.")
    else:
        state = _state_of_open(wanted, reading, report, local)
    return replace(state, nodes=nodes, is_served=reading.is_served)


def _state_of_closed(row: Listener, reading: ListenerReading, report: DeliveryReport | None) -> ListenerState:
    if reading.is_served or reading.is_warming:
        if report is None:
            return ListenerState(
                State.STOPPING,
                "It is disabled, but the control plane does not answer, so Envoy goes on serving it.",
            )
        return ListenerState(
            State.STOPPING,
            "It is disabled, and Envoy still serves it: it goes once the other changes made at the same time "
            "have been accepted. If it stays, look for a rejected listener and mend or delete it.",
        )
    if reading.is_draining:
        return ListenerState(
            State.STOPPING,
            "Envoy takes no new connections for it. Those that are open may go on for at most "
            f"{settings.ELB_DRAIN_SECONDS} seconds.",
        )
    what = "It is" if row.load_balancer.is_enabled else "Its load balancer is"
    return ListenerState(
        State.DISABLED, f"{what} disabled: Envoy serves nothing of it. Its port stays reserved."
    )


def _state_of_open(
    wanted: ResourceQuestion,
    reading: ListenerReading,
    report: DeliveryReport | None,
    local: NodeReport | None,
) -> ListenerState:
    if report is None:
        return ListenerState(
            State.UNCONFIRMED,
            "The control plane does not answer, so whether Envoy has this configuration is not known. "
            "Envoy goes on with what it has.",
        )
    refusal = report.refusal or (local.reason if local else "")
    if refusal:
        explanation = explained(refusal, _binary())
        return ListenerState(State.REJECTED, explanation.sentence, refusal, explanation.remedy)
    if local is None or not local.connected:
        return ListenerState(
            State.UNCONFIRMED,
            "Envoy is not connected to the control plane at the moment, so whether it has this configuration "
            "is not known. It goes on with what it has.",
        )
    if local.held and reading.version == wanted.version and not reading.is_warming:
        return ListenerState(State.RUNNING)
    if reading.is_warming:
        return ListenerState(State.APPLYING, "Envoy waits for the certificates of this listener.")
    return ListenerState(State.APPLYING, "Envoy is being given this configuration.")


def _split(report: DeliveryReport | None, is_open: bool) -> tuple[NodeReport | None, tuple[NodeState, ...]]:
    """The local Envoy's report, and what the others say."""
    if report is None:
        return None, ()
    local = next((node for node in report.nodes if node.node == settings.ELB_NODE_ID), None)
    others = tuple(
        _node_state(node, report, is_open) for node in report.nodes if node.node != settings.ELB_NODE_ID
    )
    return local, others


def _node_state(node: NodeReport, report: DeliveryReport, is_open: bool) -> NodeState:
    if not node.connected:
        return NodeState(node.node, "Disconnected", "This Envoy has left; what it serves is not known.")
    if not is_open:
        return NodeState(node.node, WORDS[State.DISABLED if node.held else State.STOPPING])
    if reason := report.refusal or node.reason:
        return NodeState(node.node, WORDS[State.REJECTED], explained(reason, "envoy").sentence, reason)
    if node.held:
        return NodeState(node.node, "Acknowledged")
    return NodeState(node.node, WORDS[State.APPLYING])


def _binary() -> str:
    try:
        return str(envoy_binary(settings.ELB_ENVOY_BINARY))
    except BinaryError:
        return "envoy"
