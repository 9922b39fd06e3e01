"""`manage.py control_plane`: feeds every Envoy that connects; `serve` starts it."""

import asyncio
import logging
import signal
from collections.abc import Collection, Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections

from certificates.models import IssuedCertificate, KeyDraft
from console.waking import wake_socket
from listeners import snapshot
from listeners.dataplane.binary import BinaryError, envoy_binary
from listeners.dataplane.control_plane import ControlPlane, RemoteListener
from listeners.dataplane.preflight import Preflight
from listeners.dataplane.sightings import Sighting
from listeners.dataplane.supervisor import leash
from listeners.deployment import control_plane_socket
from listeners.models import SeenClient
from listeners.spec import ChangesSpec, ConfigurationSpec

logger = logging.getLogger(__name__)

PURGE_INTERVAL = 60.0  # seconds between two removals of keys that nobody came for


class Command(BaseCommand):
    help = "Serves the configuration to Envoys over xDS: the local one on a Unix socket, others over TCP."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            preflight = Preflight(envoy_binary(settings.ELB_ENVOY_BINARY))
        except BinaryError as error:
            raise CommandError(str(error)) from error
        asyncio.run(_serve(preflight))


class Database:
    """The rows as the control plane's source; what they make is checked by the pre-flight."""

    def __init__(self, preflight: Preflight) -> None:
        self.refusals = preflight.refusals

    def changes(self, since: int | None) -> ChangesSpec | None:
        close_old_connections()
        return snapshot.changes(since)

    def configuration(self, asked: Collection[int] | None) -> ConfigurationSpec:
        return snapshot.configuration(asked)


async def _serve(preflight: Preflight) -> None:
    control_plane = ControlPlane(
        Database(preflight), settings.ELB_NODE_ID, _note_seen, settings.ELB_DRAIN_SECONDS
    )
    serving = asyncio.create_task(
        control_plane.serve(control_plane_socket(), _remote_listener(), wake_socket(), preflight.take)
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    leash()
    purging = asyncio.create_task(_purge_keys())
    try:
        await serving
    except asyncio.CancelledError:
        return
    finally:
        purging.cancel()


async def _purge_keys() -> None:
    """Of forms that were given up and of clients; this process is always there to remove them."""
    while True:
        try:
            await asyncio.to_thread(_forget_keys)
        except DatabaseError:
            logger.exception("removing keys that nobody came for failed")
        await asyncio.sleep(PURGE_INTERVAL)


def _forget_keys() -> None:
    close_old_connections()
    KeyDraft.objects.expire()
    IssuedCertificate.objects.forget_keys()


def _note_seen(sightings: Sequence[Sighting]) -> None:
    close_old_connections()
    SeenClient.objects.note(
        SeenClient(
            listener_id=one.listener,
            fingerprint=one.fingerprint,
            subject=one.subject,
            issuer=one.issuer,
            serial_number=one.serial_number,
            first_seen=one.first_seen,
            last_seen=one.last_seen,
            count=one.count,
        )
        for one in sightings
    )


def _remote_listener() -> RemoteListener | None:
    if not settings.ELB_XDS_ADDRESS:
        return None
    return RemoteListener(
        address=settings.ELB_XDS_ADDRESS,
        certificate=_bytes("ELB_XDS_CERTIFICATE_FILE"),
        private_key=_bytes("ELB_XDS_KEY_FILE"),
        client_ca=_bytes("ELB_XDS_CLIENT_CA_FILE"),
    )


def _bytes(setting: str) -> bytes:
    path = getattr(settings, setting)
    if path is None:
        raise CommandError(f"ELB_XDS_ADDRESS is set, so {setting} must name a PEM file.")
    try:
        content: bytes = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{setting}: {path} cannot be read: {error.strerror}.") from error
    if b"-----BEGIN" not in content:
        raise CommandError(f"{setting}: {path} holds no PEM.")
    return content
