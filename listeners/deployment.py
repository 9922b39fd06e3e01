"""Where this machine's data plane lives: its sockets, files and settings."""

from pathlib import Path

from django.conf import settings

from listeners.dataplane.binary import envoy_binary
from listeners.dataplane.bootstrap import bootstrap, unix_address
from listeners.dataplane.envoy_process import EnvoyProcess, EnvoySettings
from listeners.dataplane.supervisor import Lock

# sockaddr_un.sun_path holds 108 bytes, the last of them NUL.
SOCKET_PATH_LIMIT = 107


def control_plane_socket() -> Path:
    return Path(settings.ELB_RUN_DIR) / "xds.sock"


def admin_socket() -> Path:
    return Path(settings.ELB_RUN_DIR) / "admin.sock"


def health_log() -> Path:
    return Path(settings.ELB_LOG_DIR) / "backend-health.log"


def lock() -> Lock:
    return Lock(Path(settings.ELB_RUN_DIR) / "serve.lock")


def envoy_process() -> EnvoyProcess:
    """Raises `binary.BinaryError`."""
    return EnvoyProcess(
        EnvoySettings(
            binary=envoy_binary(settings.ELB_ENVOY_BINARY),
            bootstrap=bootstrap(settings.ELB_NODE_ID, unix_address(control_plane_socket()), admin_socket()),
            run_directory=settings.ELB_RUN_DIR,
            log_file=settings.ELB_LOG_DIR / "envoy.log",
            health_log=health_log(),
            admin=admin_socket(),
            concurrency=settings.ELB_ENVOY_CONCURRENCY,
            drain_seconds=settings.ELB_DRAIN_SECONDS,
        )
    )
