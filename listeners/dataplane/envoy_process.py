"""The local Envoy as a process: started in a session of its own, adopted when it outlived its starter."""

import errno
import hashlib
import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil

from listeners.dataplane import health_log
from listeners.dataplane.reading import EnvoyUnreachableError, answers, drain, draining_finished

logger = logging.getLogger(__name__)

POLL = 0.1  # seconds
TERMINATE_TIMEOUT = 5.0  # seconds from SIGTERM to SIGKILL
UNREACHABLE_LIMIT = 10.0  # seconds that Envoy may live without its administration socket
SILENCE_LIMIT = 60.0  # seconds without an answer; reading thousands of listeners takes a quarter of them


@dataclass(frozen=True)
class EnvoySettings:
    """`concurrency` is the number of worker threads, 0 for one per core; `drain_seconds` bounds a drain.

    `health_log` gets Envoy's standard output, which is what `rendering` has it write of backend servers.
    """

    binary: Path
    bootstrap: str
    run_directory: Path
    log_file: Path
    health_log: Path
    admin: Path
    concurrency: int
    drain_seconds: int

    @cached_property
    def bootstrap_file(self) -> Path:
        """Named after its content and the program: a running Envoy tells by its arguments what it is.

        /proc/PID/exe would not do: for a program with capabilities (setcap) only root may look there.
        """
        program = self.binary.resolve()
        file = program.stat()
        identity = "\0".join((self.bootstrap, str(program), str(file.st_size), str(file.st_mtime_ns)))
        return self.run_directory / f"envoy-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"

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
        self._answered_at = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def ensure(self) -> bool:
        """Sees to it that one Envoy runs as configured. Returns whether one had to be started."""
        if self.is_running():
            return False
        self._answered_at = time.monotonic()
        for orphan, arguments in self._orphans():
            self._process = orphan
            if arguments[1:] == self.settings.arguments[1:]:
                logger.info("adopted the running Envoy, process %d", orphan.pid)
                return False
            logger.info("Envoy %d was started otherwise than configured now; replacing it", orphan.pid)
            self._end()
        self._start()
        return True

    def end_if_lost(self) -> None:
        """Ends an Envoy that lives but cannot be asked for anything; `ensure` then starts another."""
        admin = self.settings.admin
        if answers(admin):
            self._answered_at = time.monotonic()
            return
        # A busy Envoy does not answer, but the kernel connects to its socket all the same.
        limit = SILENCE_LIMIT if _connects(admin) else UNREACHABLE_LIMIT
        if time.monotonic() - self._answered_at > limit:
            logger.error("Envoy does not answer on %s; replacing it", admin)
            self._end()

    def keep_health_log_small(self) -> None:
        health_log.shorten(self.settings.health_log)

    def is_running(self) -> bool:
        if self._process is None:
            return False
        _reap(self._process.pid)
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def stop(self) -> None:
        """Drains, at most for the drain time, then ends Envoy, also one that was not adopted yet."""
        self._end()
        for orphan, _ in self._orphans():
            self._process = orphan
            self._end()

    def _end(self) -> None:
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
                self._process.wait(TERMINATE_TIMEOUT)
        except (psutil.NoSuchProcess, psutil.TimeoutExpired):
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
        health_log.begin(settings.health_log)
        # A session and files of its own: neither a signal to the console nor a closed pipe ends it.
        with (
            open(settings.log_file, "ab", opener=_private) as log,
            open(settings.health_log, "ab", opener=_private) as health,
        ):
            child = subprocess.Popen(
                settings.arguments,
                stdin=subprocess.DEVNULL,
                stdout=health,
                stderr=log,
                start_new_session=True,
            )
        self._process = psutil.Process(child.pid)
        # Whoever outlives it reaps it by number (`_reap`), an adopted one in the same way.
        child.returncode = 0
        logger.info("started Envoy, process %d", child.pid)

    def _orphans(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        """With their arguments, which are gone when the process is."""
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
                    found = process, arguments
                else:
                    continue
            except psutil.Error:
                continue
            yield found


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        return connection.connect_ex(str(path)) in (0, errno.EAGAIN)  # EAGAIN: others wait there too


def _reap(pid: int) -> None:
    """Collects the exit status if the process is a dead child of ours, so that it is no zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
