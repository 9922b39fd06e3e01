"""What pages show of the data plane's answers, with a version by which a page knows that it is up to date."""

from dataclasses import dataclass

from listeners.models import BackendServer, Listener, LoadBalancer
from listeners.spec import digest
from listeners.status import (
    BackendHealth,
    ListenerState,
    State,
    backend_health,
    leftovers,
    listener_states,
)

TONES = {
    State.RUNNING: "success",
    State.APPLYING: "info",
    State.REJECTED: "danger",
    State.STOPPED: "warning",
}


@dataclass(frozen=True)
class LiveListener:
    """A listener as the data plane has it now; `servers` is empty where only the state is shown."""

    listener: Listener
    state: ListenerState
    servers: tuple[tuple[BackendServer, BackendHealth], ...] = ()

    @property
    def tone(self) -> str:
        return TONES[self.state.state]

    @property
    def version(self) -> str:
        health = [(str(server), server.weight, health) for server, health in self.servers]
        return digest(repr((self.listener.pk, self.listener.updated_at, self.state, health)))


@dataclass(frozen=True)
class ListenerTable:
    """The listeners of a load balancer; `leftovers` are sentences about what should be gone."""

    load_balancer: LoadBalancer
    rows: tuple[LiveListener, ...]
    leftovers: tuple[str, ...]

    @property
    def version(self) -> str:
        return digest(repr((self.load_balancer.address, [row.version for row in self.rows], self.leftovers)))


def live_listener(listener: Listener) -> LiveListener:
    health = backend_health(listener)
    servers = tuple(
        (server, health[server.address, server.port])
        for server in listener.backend_server_group.servers.all()
    )
    return LiveListener(listener, listener_states([listener])[listener.pk], servers)


def listener_table(load_balancer: LoadBalancer) -> ListenerTable:
    listeners = list(load_balancer.listeners.with_relations())
    states = listener_states(listeners)
    rows = tuple(LiveListener(listener, states[listener.pk]) for listener in listeners)
    return ListenerTable(load_balancer, rows, leftovers())
