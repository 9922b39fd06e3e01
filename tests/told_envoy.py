"""An Envoy without a program: what a session has to say is answered at once, and kept."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from listeners.dataplane.discovery import LINGERING, WILDCARD_TYPES, Session
from listeners.rendering.envoy import CLUSTER, ENDPOINTS, LISTENER, SECRET, ResourceKey


@dataclass
class ToldEnvoy:
    """Takes what it is told, but for the names of listeners that it cannot bind."""

    session: Session
    has: dict[ResourceKey, str] = field(default_factory=dict)

    def connect(self) -> None:
        for kind in (CLUSTER, ENDPOINTS, LISTENER, SECRET):
            held = {name: version for (one, name), version in self.has.items() if one == kind}
            names = () if kind in WILDCARD_TYPES else tuple(held)
            self.ask(kind, names, held)

    def ask(self, kind: str, names: tuple[str, ...], held: Mapping[str, str] | None = None) -> None:
        self.session.receive(
            DeltaDiscoveryRequest(
                type_url=kind, resource_names_subscribe=names, initial_resource_versions=held or {}
            )
        )

    def answers(self, unbindable: Collection[str] = ()) -> Iterator[DeltaDiscoveryResponse]:
        """Answers all that the session has to say, each response as it is given."""
        while responses := self.session.responses():
            for response in responses:
                self._answer(response, unbindable)
                yield response

    def wait_out(self) -> None:
        """So long that the session lets go of clusters that no listener uses any more."""
        for _ in range(LINGERING):
            self.session.retry()
        list(self.answers())

    def _answer(self, response: DeltaDiscoveryResponse, unbindable: Collection[str]) -> None:
        wanted = self.session.desired.resources
        for name in response.removed_resources:
            self.has.pop((response.type_url, name), None)
        bad = {one.name for one in response.resources} & set(unbindable)
        for one in response.resources:
            if one.name not in bad:
                self.has[response.type_url, one.name] = one.version
        answer = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        if bad:
            answer.error_detail.message = " ".join(f"{name}: cannot bind" for name in sorted(bad))
        self.session.receive(answer)
        subscribed = self.session.types
        for one in response.resources:
            for kind, name in wanted[response.type_url, one.name].needs:
                if kind not in WILDCARD_TYPES and name not in subscribed[kind].subscribed:
                    self.ask(kind, (name,))
