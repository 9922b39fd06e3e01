"""System checks: mistakes of a deployment, said before anything starts."""

import shlex
import stat
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import OperationalError, connection

from certificates.keyring import Keyring, KeyringError
from certificates.models import sealed_private_keys
from listeners.dataplane.binary import MINIMUM_VERSION, BinaryError, envoy_binary, envoy_version
from listeners.deployment import SOCKET_PATH_LIMIT, admin_socket, control_plane_socket

PUT_BACK = (
    "Nothing was changed. Put the earlier key back, from a backup of the file master.key or of the variable "
    "ELB_MASTER_KEY; several keys, separated by commas, may stand there, the newest first."
)


@register
def master_key(app_configs: Any, **options: Any) -> list[CheckMessage]:
    file = settings.ELB_MASTER_KEY_FILE
    if not settings.ELB_MASTER_KEY and file:
        return [
            Error(
                f"The master key is missing: this data directory was used before, but there is no {file}.",
                hint=f"{PUT_BACK} If it is lost for good, make another one with: "
                "manage.py rotate_master_key --make-key",
                id="console.E001",
            )
        ]
    try:
        Keyring.parse(settings.ELB_MASTER_KEY)
    except KeyringError as error:
        hint = "Make one with: openssl rand -base64 32 | tr '+/' '-_'"
        return [Error(f"ELB_MASTER_KEY: {error}", hint=hint, id="console.E001")]
    return []


@register(Tags.database)
def stored_keys(
    app_configs: Any, databases: Sequence[str] | None = None, **options: Any
) -> list[CheckMessage]:
    """Whether the master keys are those that sealed what is stored; nothing is opened."""
    if not databases or master_key(None):
        return []  # not asked to look into one, or said already
    try:
        tables = connection.introspection.table_names()
    except OperationalError:
        return []  # there is no database yet, or none that answers: what needs it says so
    sealed = [one for one in sealed_private_keys() if one.rows.model._meta.db_table in tables]
    known = [key.id for key in Keyring.parse(settings.ELB_MASTER_KEY).keys]
    return [
        Error(
            f"Private keys are stored that master key {id} sealed, and it is not configured: the master keys "
            f"that are have the ids {', '.join(known)}.",
            hint=f"{PUT_BACK} If it is lost for good, start with `manage.py serve --skip-checks` and upload "
            "the private keys again, those of CAs as well; until then their listeners go on with what Envoy "
            "has, and these CAs issue nothing.",
            id="console.E007",
        )
        for id in sorted({id for one in sealed for id in one.master_key_ids()} - set(known))
    ]


@register
def data_directory(app_configs: Any, **options: Any) -> list[CheckMessage]:
    path = settings.ELB_DATA_DIR
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [
            Error(
                f"ELB_DATA_DIR: {path} has mode {mode:04o}; it holds keys, so it is for its owner alone.",
                hint=f"Run: chmod 700 {shlex.quote(str(path))}",
                id="console.E008",
            )
        ]
    return []


@register
def envoy(app_configs: Any, **options: Any) -> list[CheckMessage]:
    try:
        version = envoy_version(envoy_binary(settings.ELB_ENVOY_BINARY))
    except BinaryError as error:
        return [Error(str(error), id="console.E002")]
    if version < MINIMUM_VERSION:
        found, wanted = (".".join(map(str, numbers)) for numbers in (version, MINIMUM_VERSION))
        return [Error(f"Envoy {found} is too old.", hint=f"Install {wanted} or later.", id="console.E003")]
    return []


@register
def socket_paths(app_configs: Any, **options: Any) -> list[CheckMessage]:
    longest = max((admin_socket(), control_plane_socket()), key=lambda path: len(str(path).encode()))
    if len(str(longest).encode()) > SOCKET_PATH_LIMIT:
        return [
            Error(
                f"The path of a Unix socket may have {SOCKET_PATH_LIMIT} bytes; {longest} is longer.",
                hint="Set ELB_DATA_DIR to a directory with a shorter path.",
                id="console.E004",
            )
        ]
    return []


@register
def allowed_hosts(app_configs: Any, **options: Any) -> list[CheckMessage]:
    if settings.ELB_CONSOLE_HOST in {"0.0.0.0", "::"} and not settings.ELB_ALLOWED_HOSTS:
        return [
            Error(
                "The console listens on every address, but no name for it is allowed.",
                hint="Set ELB_ALLOWED_HOSTS to the names and addresses that people will open it by.",
                id="console.E005",
            )
        ]
    return []


@register
def remote_control_plane(app_configs: Any, **options: Any) -> list[CheckMessage]:
    files = ("ELB_XDS_CERTIFICATE_FILE", "ELB_XDS_KEY_FILE", "ELB_XDS_CLIENT_CA_FILE")
    if not settings.ELB_XDS_ADDRESS:
        return []
    return [
        Error(
            f"ELB_XDS_ADDRESS is set, so {name} must name a PEM file that can be read.",
            hint="Envoys on other machines are served over mutual TLS only.",
            id="console.E006",
        )
        for name in files
        if not (path := getattr(settings, name)) or not path.is_file()
    ]
