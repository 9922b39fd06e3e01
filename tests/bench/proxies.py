"""nginx, HAProxy and the leanest Envoy, each with a configuration written by hand, and the backends."""

import json
import os
import resource
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listeners.dataplane.binary import envoy_binary
from tests.bench.machine import program, running
from tests.bench.served import Material, Place, Served, backend_body, client_context, look
from tests.waiting import eventually

START_SECONDS = 120
ADDRESSES = {"nginx": "127.0.0.2", "HAProxy": "127.0.0.3", "lean Envoy": "127.0.0.4"}
SPARE_CONNECTIONS = 1_000


@dataclass
class Proxy:
    """One that is reloaded by a signal. Its listeners have the console's ports, on an address of its own."""

    name: str
    folder: Path
    ports: Sequence[int]
    material: Material
    backends: Sequence[int]
    pid: int = 0

    def __post_init__(self) -> None:
        self.served: dict[int, Served] = {}

    def place(self, port: int) -> Place:
        return Place(ADDRESSES[self.name], port)

    def write(self, served: Mapping[int, Served]) -> Path:
        """The configuration file, for every port what it serves."""
        self.served = dict(served)
        text = {"nginx": nginx_text, "HAProxy": haproxy_text, "lean Envoy": lean_envoy_text}[self.name](self)
        path = self.folder / f"{self.name.replace(' ', '-')}.conf"
        path.write_text(text)
        return path

    def command(self, path: Path) -> list[str]:
        match self.name:
            case "nginx":
                return [program("nginx"), "-e", "stderr", "-p", str(self.folder), "-c", str(path)]
            case "HAProxy":
                return [program("haproxy"), "-W", "-f", str(path)]
        quiet = ["--disable-hot-restart", "--log-level", "warning", "--concurrency", "1"]
        return [str(envoy_binary()), *quiet, "--config-path", str(path)]

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP if self.name == "nginx" else signal.SIGUSR2)


@contextmanager
def running_proxy(proxy: Proxy, served: Mapping[int, Served], cores: Iterable[int] = ()) -> Iterator[Proxy]:
    path = proxy.write(served)
    log = proxy.folder / "proxies.log"
    with running(proxy.command(path), log, cores) as process:
        proxy.pid = process.pid
        place, context = proxy.place(max(proxy.ports)), client_context(proxy.material.client)

        def answers() -> bool:
            assert process.poll() is None, f"{proxy.name} has ended:\n{log.read_text()[-4000:]}"
            return look(place, context).status == 200

        eventually(answers, f"{proxy.name} at {place.url}", START_SECONDS)
        yield proxy


@contextmanager
def running_backends(folder: Path, ports: Sequence[int], cores: Iterable[int] = ()) -> Iterator[None]:
    """Two that answer with their numbers."""
    servers = [
        f'server {{ listen 127.0.0.1:{port} backlog=4096; return 200 "{backend_body(number)}"; }}'
        for number, port in enumerate(ports)
    ]
    path = folder / "backends.conf"
    path.write_text(_nginx_frame(folder / "backends", len(ports), servers))
    command = [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(path)]
    with running(command, folder / "proxies.log", cores):
        yield


def _nginx_frame(folder: Path, listeners: int, parts: Iterable[str]) -> str:
    folder.mkdir(exist_ok=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(
        [
            "daemon off;",
            "worker_processes 1;",
            f"worker_rlimit_nofile {resource.getrlimit(resource.RLIMIT_NOFILE)[0]};",
            f"pid {folder}/nginx.pid;",
            # Memory is set aside for each, and a listener takes one.
            f"events {{ worker_connections {listeners + SPARE_CONNECTIONS}; }}",
            "http {",
            "access_log off;",
            "keepalive_requests 1000000000;",
            *(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
            *parts,
            "}\n",
        ]
    )


def nginx_text(proxy: Proxy) -> str:
    parts = [
        *("ssl_session_tickets off;", "ssl_session_cache off;"),
        *("proxy_http_version 1.1;", 'proxy_set_header Connection "";'),
    ]
    for number, port in enumerate(proxy.backends):
        server = f"server 127.0.0.1:{port};"
        parts.append(f"upstream backend-{number} {{ {server} keepalive 64; keepalive_requests 1000000000; }}")
    for port, served in proxy.served.items():
        server, place = proxy.material.servers[served.certificate], proxy.place(port)
        protocols = "TLSv1.2 TLSv1.3" if served.newest_tls == "TLSv1.3" else "TLSv1.2"
        trust = f"ssl_verify_client on; ssl_client_certificate {proxy.material.trusted(served)};"
        parts.append(
            f"server {{ listen {place.address}:{port} ssl{' http2' * served.http2}; "
            f"ssl_certificate {server.certificate}; ssl_certificate_key {server.key}; "
            f"ssl_protocols {protocols}; {trust if served.mutual else ''} "
            f"location / {{ proxy_pass http://backend-{served.backend}; }} }}"
        )
    return _nginx_frame(proxy.folder / "nginx", len(proxy.ports), parts)


def haproxy_text(proxy: Proxy) -> str:
    lines = [
        *("global", "  nbthread 1", "  maxconn 4000", "  ssl-default-bind-options no-tls-tickets"),
        *("defaults", "  mode http", "  timeout connect 5s", "  timeout client 60s", "  timeout server 60s"),
        *("  http-reuse always", "  timeout http-request 60s"),
    ]
    for port, served in proxy.served.items():
        place, server = proxy.place(port), proxy.material.server_with_key(served)
        versions = f"ssl-min-ver TLSv1.2 ssl-max-ver {served.newest_tls}"
        trust = f" verify required ca-file {proxy.material.trusted(served)}" if served.mutual else ""
        alpn = " alpn h2,http/1.1" if served.http2 else " alpn http/1.1"
        lines += [
            f"listen l{port}",
            f"  bind {place.address}:{port} ssl crt {server} {versions}{trust}{alpn}",
            # As the console checks; nginx has no such checks.
            f"  server s1 127.0.0.1:{proxy.backends[served.backend]} check inter 5s",
        ]
    return "\n".join(lines) + "\n"


def lean_envoy_text(proxy: Proxy) -> str:
    """What serves at all: no policy, no guard, no header, no timeout of its own, no health check."""
    clusters = [
        {
            "name": f"backend-{number}",
            "load_assignment": {
                "cluster_name": f"backend-{number}",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address("127.0.0.1", port)}}]}],
            },
        }
        for number, port in enumerate(proxy.backends)
    ]
    listeners = [_lean_listener(proxy, port, served) for port, served in proxy.served.items()]
    return json.dumps({"static_resources": {"listeners": listeners, "clusters": clusters}})


def _lean_listener(proxy: Proxy, port: int, served: Served) -> dict[str, Any]:
    server = proxy.material.servers[served.certificate]
    pair = {
        "certificate_chain": {"filename": str(server.certificate)},
        "private_key": {"filename": str(server.key)},
    }
    common: dict[str, Any] = {"tls_certificates": [pair]}
    common["alpn_protocols"] = ["h2", "http/1.1"] if served.http2 else ["http/1.1"]
    context: dict[str, Any] = {"common_tls_context": common}
    # Tickets cost something to make, and the console's mutual listeners have none.
    context |= {"disable_stateless_session_resumption": True, "disable_stateful_session_resumption": True}
    if served.mutual:
        common["validation_context"] = {"trusted_ca": {"filename": str(proxy.material.trusted(served))}}
        context["require_client_certificate"] = True
    route = {"match": {"prefix": "/"}, "route": {"cluster": f"backend-{served.backend}"}}
    manager = {
        "stat_prefix": f"l{port}",
        "codec_type": "AUTO" if served.http2 else "HTTP1",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [_typed("http.router", "filters.http.router.v3.Router", {})],
    }
    kind = "filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {
        "name": f"l{port}",
        "address": _address(proxy.place(port).address, port),
        "filter_chains": [
            {
                "transport_socket": _typed(
                    "tls", "transport_sockets.tls.v3.DownstreamTlsContext", context, "transport_sockets"
                ),
                "filters": [_typed("network.http_connection_manager", kind, manager)],
            }
        ],
    }


def _typed(name: str, type: str, config: dict[str, Any], place: str = "filters") -> dict[str, Any]:
    url = f"type.googleapis.com/envoy.extensions.{type}"
    return {"name": f"envoy.{place}.{name}", "typed_config": {"@type": url, **config}}


def _address(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
