"""The real control plane and a real Envoy, fed with specs: the data plane without its web pages."""

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.bootstrap import MutualTls, bootstrap, tcp_address, unix_address
from listeners.dataplane.control_plane import ControlPlane, RemoteListener
from listeners.dataplane.delivery_status import (
    DeliveryReport,
    ResourceQuestion,
    StatusUnavailableError,
    delivery_reports,
    questions,
)
from listeners.dataplane.envoy_process import EnvoyProcess, EnvoySettings
from listeners.dataplane.preflight import Preflight
from listeners.dataplane.reading import (
    EnvoyUnreachableError,
    is_live,
    listener_readings,
    served_listeners,
)
from listeners.dataplane.sightings import Sighting
from listeners.rendering import envoy as rendering
from listeners.spec import (
    BackendServerGroupSpec,
    BackendServerSpec,
    CaBundleSpec,
    ChangesSpec,
    ClientAuthenticationSpec,
    ConfigurationSpec,
    ListenerSpec,
    ServerCertificateSpec,
    TlsSpec,
)
from tests.pki import KeyPair
from tests.waiting import eventually

NODE = "lab"


class Configurations:
    """Configurations as the control plane's source: their positions are their revisions."""

    def __init__(self, preflight: Preflight) -> None:
        self.refusals = preflight.refusals
        self._all = [ConfigurationSpec(0)]

    @property
    def latest(self) -> ConfigurationSpec:
        return self._all[-1]

    def add(self, configuration: ConfigurationSpec) -> None:
        self._all.append(replace(configuration, revision=len(self._all)))

    def changes(self, since: int | None) -> ChangesSpec | None:
        now = self.latest
        if since is None:
            return ChangesSpec(now.revision, None)
        before, after = made_of(self._all[since]), made_of(now)
        changed = {id for id in before.keys() | after.keys() if before.get(id) != after.get(id)}
        return ChangesSpec(now.revision, frozenset(changed)) if since != now.revision else None

    def configuration(self, asked: Collection[int] | None) -> ConfigurationSpec:
        return self.latest if asked is None else only(self.latest, asked)


def made_of(configuration: ConfigurationSpec) -> dict[int, object]:
    """All that each listener depends on, by its id; of one that cannot be expressed, the sentence."""
    found: dict[int, object] = dict(configuration.problems)
    for spec in configuration.listeners:
        used, trusted = certificates_of(spec)
        found[spec.id] = (
            spec,
            [configuration.server_certificates.get(id) for id in used],
            [configuration.ca_bundles.get(id) for id in trusted],
        )
    return found


def only(configuration: ConfigurationSpec, listeners: Collection[int]) -> ConfigurationSpec:
    """What is read of a configuration for some listeners."""
    specs = tuple(spec for spec in configuration.listeners if spec.id in listeners)
    used = {id for spec in specs for id in certificates_of(spec)[0]}
    trusted = {id for spec in specs for id in certificates_of(spec)[1]}
    return replace(
        configuration,
        listeners=specs,
        server_certificates={id: one for id, one in configuration.server_certificates.items() if id in used},
        ca_bundles={id: one for id, one in configuration.ca_bundles.items() if id in trusted},
        problems={id: reason for id, reason in configuration.problems.items() if id in listeners},
    )


def certificates_of(spec: ListenerSpec) -> tuple[list[int], list[int]]:
    """Ids of server certificates and of CA bundles."""
    if spec.tls is None:
        return [], []
    trusted = spec.tls.client.ca_bundles if spec.tls.client else ()
    return [spec.tls.server_certificate, *(one.certificate for one in spec.tls.sni)], list(trusted)


class EnvoyLab:
    def __init__(self, drain_seconds: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="elblab"))
        self.socket, self.admin = self.folder / "xds.sock", self.folder / "admin.sock"
        self.wake = self.folder / "wake.sock"
        self.source = Configurations(Preflight(envoy_binary()))
        self.sightings: list[Sighting] = []
        self.remote: RemoteListener | None = None
        self.envoy = EnvoyProcess(
            EnvoySettings(
                binary=envoy_binary(),
                bootstrap=bootstrap(NODE, unix_address(self.socket), self.admin),
                run_directory=self.folder,
                log_file=self.folder / "envoy.log",
                health_log=self.folder / "backend-health.log",
                admin=self.admin,
                concurrency=1,
                drain_seconds=drain_seconds,
            )
        )
        self._stop: Callable[[], None] = lambda: None

    @contextmanager
    def another_envoy(self, node: str) -> Iterator[None]:
        """A second Envoy on this machine, fed by the same control plane."""
        folder = Path(tempfile.mkdtemp(prefix="elblab"))
        admin = folder / "admin.sock"
        settings = replace(
            self.envoy.settings,
            bootstrap=bootstrap(node, unix_address(self.socket), admin),
            run_directory=folder,
            log_file=folder / "envoy.log",
            health_log=folder / "backend-health.log",
            admin=admin,
        )
        envoy = EnvoyProcess(settings)
        envoy.ensure()
        try:
            yield
        finally:
            envoy.stop()
            shutil.rmtree(folder)

    def move_away(self, node: str, port: int, server: KeyPair, client: KeyPair, ca: KeyPair) -> None:
        """Before the start: has its Envoy fed over TCP, as one of another machine. Both pairs are of `ca`."""
        address = f"127.0.0.1:{port}"
        content = (server.certificate_pem.encode(), server.key_pem.encode(), ca.certificate_pem.encode())
        self.remote = RemoteListener(address, *content)
        tls = MutualTls(client.certificate, client.key, ca.certificate, "127.0.0.1")
        text = bootstrap(node, tcp_address("127.0.0.1", port), self.admin, tls)
        self.envoy = EnvoyProcess(replace(self.envoy.settings, bootstrap=text))

    def start_control_plane(self) -> None:
        """With a fresh memory, as after a restart of the console."""
        control_plane = ControlPlane(self.source, NODE, self.sightings.extend)
        stop: Future[Callable[[], None]] = Future()

        async def serve() -> None:
            loop = asyncio.get_running_loop()
            task = asyncio.create_task(control_plane.serve(self.socket, self.remote, self.wake))
            stop.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
            with contextlib.suppress(asyncio.CancelledError):
                await task

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="control plane")
        thread.start()
        cancel = stop.result()

        def end() -> None:
            cancel()
            thread.join()

        self._stop = end
        eventually(self._answers, "the control plane answers")

    def _answers(self) -> bool:
        try:
            return delivery_reports(self.socket, []) == []
        except StatusUnavailableError:
            return False

    def stop_control_plane(self) -> None:
        self._stop()
        self._stop = lambda: None

    def apply(self, configuration: ConfigurationSpec) -> None:
        """Hands a new revision to the control plane; waits for nothing."""
        self.source.add(configuration)

    @property
    def configuration(self) -> ConfigurationSpec:
        """The one applied last."""
        return self.source.latest

    def served(self) -> dict[str, str]:
        """Names and versions of the listeners that Envoy says it serves; none while it does not answer."""
        try:
            names = served_listeners(self.admin)
            return {r.name: r.version for r in listener_readings(self.admin, names).values()}
        except EnvoyUnreachableError:
            return {}

    def report(self, spec: ListenerSpec) -> DeliveryReport:
        parts = [*rendering.listener_resources(spec)]
        certificates = self.configuration.server_certificates.values()
        parts += [rendering.server_certificate_resource(one) for one in certificates]
        if spec.tls and spec.tls.client:
            parts.append(rendering.trust_resource(spec.tls.client, self.configuration.ca_bundles))
        needed = {parts[0].key, *parts[0].needs}
        return delivery_reports(self.socket, [questions(p for p in parts if p.key in needed)])[0]

    def reported_refusal(self, listener: int) -> str:
        """Why the control plane does not hand this listener over."""
        asked = [ResourceQuestion(rendering.LISTENER, rendering.listener_name(listener), "")]
        return delivery_reports(self.socket, [asked])[0].refusal

    def is_connected(self) -> bool:
        """Whether Envoy is connected and has been answered."""
        asked = [ResourceQuestion(rendering.LISTENER, "", "")]
        connected = any(node.connected for node in delivery_reports(self.socket, [asked])[0].nodes)
        return connected and is_live(self.admin)

    def wait_served(self, *specs: ListenerSpec) -> None:
        eventually(lambda: self._are_served(specs), f"listeners {[spec.id for spec in specs]} are served")

    def _are_served(self, specs: Sequence[ListenerSpec]) -> bool:
        served = self.served()
        return all(
            served.get(rendering.listener_name(spec.id)) == rendering.listener_resources(spec)[0].version
            and any(node.node == NODE and node.held for node in self.report(spec).nodes)
            for spec in specs
        )

    def wait_rejected(self, spec: ListenerSpec) -> str:
        """Envoy's reason."""
        return eventually(
            lambda: next((n.reason for n in self.report(spec).nodes if n.reason), ""),
            f"listener {spec.id} is rejected",
        )

    def wait_gone(self, *listeners: int) -> None:
        names = {rendering.listener_name(id) for id in listeners}
        eventually(lambda: not names & self.served().keys(), f"{names} are gone")


@contextmanager
def envoy_lab(drain_seconds: int = 2) -> Iterator[EnvoyLab]:
    with running(EnvoyLab(drain_seconds)) as lab:
        yield lab


@contextmanager
def running(lab: EnvoyLab) -> Iterator[EnvoyLab]:
    lab.start_control_plane()
    try:
        lab.envoy.ensure()
        yield lab
    finally:
        lab.stop_control_plane()
        lab.envoy.stop()
        shutil.rmtree(lab.folder)


def https(
    id: int, port: int, backend: int, *, ca: int | None = None, address: str = "127.0.0.1"
) -> ListenerSpec:
    """An HTTPS listener with certificate 1, for clients of `ca` where one is given."""
    return ListenerSpec(
        id,
        address,
        port,
        group(id, backend),
        TlsSpec(server_certificate=1, client=ClientAuthenticationSpec((ca,)) if ca else None),
    )


def http(id: int, port: int, backend: int, *, address: str = "127.0.0.1") -> ListenerSpec:
    return ListenerSpec(id, address, port, group(id, backend), tls=None)


def group(id: int, *ports: int) -> BackendServerGroupSpec:
    return BackendServerGroupSpec(id, tuple(BackendServerSpec("127.0.0.1", port) for port in ports))


def configuration(
    *listeners: ListenerSpec, server: KeyPair | None = None, cas: dict[int, KeyPair] | None = None
) -> ConfigurationSpec:
    """`server` becomes certificate 1; `cas` are CA certificates by id."""
    certificates = {1: ServerCertificateSpec(1, server.certificate_pem, server.key_pem)} if server else {}
    bundles = {id: CaBundleSpec(id, ca.certificate_pem) for id, ca in (cas or {}).items()}
    return ConfigurationSpec(0, listeners, certificates, bundles)
