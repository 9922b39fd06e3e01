"""Keeps the console's processes running: control plane, web server and the local Envoy.

Guarantees: one supervisor for a data directory (a lock that dies with its holder); the control plane and
the web server end with it, whatever ends it (`leash`); Envoy does not, and is adopted by the next one;
what dies is started again. It starts no threads and imports no gRPC, so it may fork at any time.
"""

import fcntl
import logging
import math
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from listeners.dataplane.envoy_process import EnvoyProcess
from listeners.dataplane.process_signals import ProcessSignals
from listeners.dataplane.reading import is_live

logger = logging.getLogger(__name__)

CHECK_INTERVAL = 0.2  # seconds between two looks at the processes
BACK_OFF = 1.0  # seconds until a process that died young is started again
STOP_TIMEOUT = 10.0  # seconds a child has to end after SIGTERM
ENVOY_CHECK_INTERVAL = 1.0  # seconds between two questions to Envoy

INHERITED_LOCK = "ELB_SERVE_LOCK"  # names the descriptor of a lock that was kept through `exec`


class AlreadyRunningError(Exception):
    """Another supervisor owns this data directory."""


class ChildFailedError(Exception):
    """A process that has never been ready has ended."""


class Lock:
    """The right to supervise a data directory; the kernel gives it back when its holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[str] | None = None

    def acquire(self) -> None:
        """Raises `AlreadyRunningError` with the holder's process id."""
        inherited = os.environ.pop(INHERITED_LOCK, "")
        stream = open(int(inherited) if inherited else self.path, "a+")  # noqa: SIM115 - open while it is held
        os.set_inheritable(stream.fileno(), False)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise AlreadyRunningError(
                f"Process {self.holder()} already serves this data directory. "
                "Restart it with `make restart`, or stop it first."
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        self._stream = stream

    def keep_through_exec(self) -> None:
        """So that nobody else takes it, and `holder` has an answer, while this process starts anew."""
        if self._stream:
            os.set_inheritable(self._stream.fileno(), True)
            os.environ[INHERITED_LOCK] = str(self._stream.fileno())

    def holder(self) -> int | None:
        """The process that holds the lock, None when nobody does."""
        try:
            with open(self.path) as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(stream.read() or 0) or None
        except (FileNotFoundError, ValueError):
            pass
        return None


@dataclass
class Child:
    """A process of ours on a leash: a pipe whose end of file tells it that we are gone.

    `is_ready` is asked with the process id.
    """

    name: str
    arguments: Sequence[str]
    is_ready: Callable[[int], bool]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = field(default=0.0)
    has_been_ready: bool = False

    def start(self) -> None:
        # A group of its own: Ctrl-C reaches the supervisor alone, which stops things in their order.
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, process_group=0)
        self.started_at = time.monotonic()

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look_whether_ready(self) -> None:
        if not self.has_been_ready and self.process and self.is_running():
            self.has_been_ready = self.is_ready(self.process.pid)

    def stop(self) -> None:
        if not self.process or not self.is_running():
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """`announce` is called once, when every child is ready and Envoy is live."""

    def __init__(
        self,
        envoy: EnvoyProcess,
        children: Sequence[Child],
        signals: ProcessSignals,
        announce: Callable[[], None],
    ) -> None:
        self.envoy = envoy
        self.children = children
        self.signals = signals
        self.announce = announce
        self._has_started_envoy = False
        self._envoy_tried_at = self._envoy_checked_at = -math.inf

    def run(self) -> bool:
        """Returns after a signal: whether to start anew. Envoy then serves on, else it has ended too.

        Raises `ChildFailedError` when a child cannot be started at all.
        """
        try:
            self._start_all()
            while not self.signals.any:
                self.signals.wait(CHECK_INTERVAL)
                self._keep_running()
        except ChildFailedError:
            self._stop_children()
            if self._has_started_envoy or self.signals.stop:  # one that was adopted serves on
                self.envoy.stop()
            raise
        self._stop_children()
        self.signals.hold()
        if not self.signals.stop:
            return True
        self.envoy.stop()
        return False

    def _start_all(self) -> None:
        if self.signals.any:
            return
        self._keep_envoy_running()
        for child in self.children:
            child.start()
        while not self.signals.any:
            self._keep_running()
            for child in self.children:
                child.look_whether_ready()
            if all(child.has_been_ready for child in self.children) and is_live(self.envoy.settings.admin):
                self.announce()
                return
            self.signals.wait(CHECK_INTERVAL / 4)

    def _keep_running(self) -> None:
        for child in self.children:
            if child.is_running():
                continue
            if not child.has_been_ready:
                raise ChildFailedError(f"The {child.name} could not be started; the reason is above.")
            if time.monotonic() - child.started_at < BACK_OFF:
                continue  # it died young; not again at once
            logger.warning("the %s has ended; starting it again", child.name)
            child.start()
        try:
            self._keep_envoy_running()
        except OSError:
            logger.exception("starting Envoy failed")

    def _keep_envoy_running(self) -> None:
        now = time.monotonic()
        if self.envoy.is_running():
            if now - self._envoy_checked_at >= ENVOY_CHECK_INTERVAL:
                self._envoy_checked_at = now
                self.envoy.end_if_lost()
                self.envoy.keep_health_log_small()
            return
        if now - self._envoy_tried_at < BACK_OFF:
            return  # it died young; not again at once
        self._envoy_tried_at = now
        if self.envoy.pid is not None:
            logger.warning(
                "Envoy has ended; starting it again; its reasons are in %s", self.envoy.settings.log_file
            )
        if self.envoy.ensure():
            self._has_started_envoy = True

    def _stop_children(self) -> None:
        # The web server first: no change is accepted that would not be served.
        for child in reversed(self.children):
            child.stop()


def leash() -> None:
    """Ends this process as soon as the supervisor at the other end of standard input is gone.

    At once and without cleaning up: a successor may already have put its own socket in place of ours.
    """

    def watch() -> None:
        while os.read(0, 64):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="leash", daemon=True).start()
