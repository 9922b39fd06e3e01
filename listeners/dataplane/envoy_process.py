"""The local Envoy as a process: started in a session of its own, adopted when it outlived its starter."""

import hashlib
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from listeners.dataplane.reading import EnvoyUnreachableError, drain, draining_finished

logger = logging.getLogger(__name__)

POLL = 0.1  # seconds
TERMINATE_TIMEOUT = 5.0  # seconds from SIGTERM to SIGKILL


@dataclass(frozen=True)
class EnvoySettings:
    """`concurrency` is the number of worker threads, 0 for one per core; `drain_seconds` bounds a drain."""

    binary: Path
    bootstrap: str
    run_directory: Path
    log_file: Path
    admin: Path
    concurrency: int
    drain_seconds: int

    @property
    def bootstrap_file(self) -> Path:
        """Named after its content, so that a running Envoy tells by its arguments what it was given."""
        return self.run_directory / f"envoy-{hashlib.sha256(self.bootstrap.encode()).hexdigest()[:16]}.json"

    @property
    def arguments(self) -> list[str]:
        arguments = [
            str(self.binary),
            "--config-path",
            str(self.bootstrap_file),
            # A dead Envoy's shared memory would stop the next one from starting.
            "--disable-hot-restart",
            "--drain-time-s",
            str(self.drain_seconds),
            "--drain-strategy",
            "immediate",
            "--file-flush-interval-msec",
            "500",
            "--log-level",
            "warning",
        ]
        if self.concurrency:
            arguments += ["--concurrency", str(self.concurrency)]
        return arguments


class EnvoyProcess:
    """Exactly one Envoy for one run directory; its owner holds the directory's lock."""

    def __init__(self, settings: EnvoySettings) -> None:
        self.settings = settings
        self._process: psutil.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def ensure(self) -> bool:
        """Sees to it that one Envoy runs as configured. Returns whether one had to be started."""
        if self.is_running():
            return False
        for orphan in self._orphans():
            if orphan.cmdline()[1:] == self.settings.arguments[1:]:
                logger.info("adopted the running Envoy, process %d", orphan.pid)
                self._process = orphan
                return False
            logger.info("Envoy %d was started otherwise than configured now; replacing it", orphan.pid)
            self._process = orphan
            self.stop()
        self._start()
        return True

    def is_running(self) -> bool:
        if self._process is None:
            return False
        _reap(self._process.pid)
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def stop(self) -> None:
        """Drains, at most for the drain time, then ends Envoy."""
        if not self._process or not self.is_running():
            return
        self._drain()
        logger.info("stopping Envoy %d", self._process.pid)
        try:
            self._process.terminate()
            deadline = time.monotonic() + TERMINATE_TIMEOUT
            while self.is_running() and time.monotonic() < deadline:
                time.sleep(POLL)
            if self.is_running():
                self._process.kill()
        except psutil.NoSuchProcess:
            pass
        self._process = None

    def _drain(self) -> None:
        # SIGTERM ends Envoy at once, open connections included.
        try:
            drain(self.settings.admin)
            deadline = time.monotonic() + self.settings.drain_seconds
            while not draining_finished(self.settings.admin) and time.monotonic() < deadline:
                time.sleep(POLL)
        except EnvoyUnreachableError:
            logger.warning("Envoy does not answer; it is ended without draining")

    def _start(self) -> None:
        settings = self.settings
        for old in settings.run_directory.glob("envoy-*.json"):
            old.unlink()
        settings.bootstrap_file.write_text(settings.bootstrap)
        settings.admin.unlink(missing_ok=True)
        log = os.open(settings.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # A session and a log file of its own: neither a signal to the console nor a closed pipe ends it.
            child = subprocess.Popen(
                settings.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        self._process = psutil.Process(child.pid)
        # Whoever outlives it reaps it by number (`_reap`), an adopted one in the same way.
        child.returncode = 0
        logger.info("started Envoy, process %d", child.pid)

    def _orphans(self) -> Iterator[psutil.Process]:
        prefix = str(self.settings.run_directory / "envoy-")
        for process in psutil.process_iter():
            try:
                arguments = process.cmdline()
                if (
                    len(arguments) > 2
                    and arguments[1] == "--config-path"
                    and arguments[2].startswith(prefix)
                    and process.uids().real == os.getuid()
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    yield process
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue


def _reap(pid: int) -> None:
    """Collects the exit status if the process is a dead child of ours, so that it is no zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
