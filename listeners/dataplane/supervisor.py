"""Keeps the console's processes running: control plane, web server and the local Envoy.

Guarantees: one supervisor for a data directory (a lock that dies with its holder); the control plane and
the web server end with it, whatever ends it (`leash`); Envoy does not, and is adopted by the next one;
what dies is started again. It starts no threads and imports no gRPC, so it may fork at any time.
"""

import fcntl
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from listeners.dataplane.envoy_process import EnvoyProcess

logger = logging.getLogger(__name__)

CHECK_INTERVAL = 0.2  # seconds between two looks at the processes
BACK_OFF = 1.0  # seconds until a process that died young is started again
STOP_TIMEOUT = 10.0  # seconds a child has to end after SIGTERM


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
        stream = open(self.path, "a+")  # noqa: SIM115 - open as long as the lock is held
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
    """A process of ours on a leash: a pipe whose end of file tells it that we are gone."""

    name: str
    arguments: Sequence[str]
    is_ready: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = field(default=0.0)
    has_been_ready: bool = False

    def start(self) -> None:
        # A group of its own: Ctrl-C reaches the supervisor alone, which stops things in their order.
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, process_group=0)
        self.started_at = time.monotonic()

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

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
    """`announce` is called once, when every child is ready and Envoy runs."""

    def __init__(self, envoy: EnvoyProcess, children: Sequence[Child], announce: Callable[[], None]) -> None:
        self.envoy = envoy
        self.children = children
        self.announce = announce
        self._signal: int | None = None

    def run(self) -> None:
        """Returns after SIGINT or SIGTERM; SIGHUP replaces this process and its children, not Envoy.

        Raises `ChildFailedError` when a child cannot be started at all.
        """
        wakeup = self._catch_signals()
        try:
            self._start_all()
            while self._signal is None:
                self._wait(wakeup, CHECK_INTERVAL)
                self._keep_running()
        except ChildFailedError:
            self._stop_children()
            raise
        if self._signal == signal.SIGHUP:
            self._stop_children()
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - this very command
        self._stop()

    def _start_all(self) -> None:
        self.envoy.ensure()
        announced = False
        for child in self.children:
            child.start()
        while self._signal is None and not announced:
            self._keep_running()
            for child in self.children:
                child.has_been_ready = child.has_been_ready or (child.is_running() and child.is_ready())
            if all(child.has_been_ready for child in self.children):
                self.announce()
                announced = True
            time.sleep(CHECK_INTERVAL / 4)

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
            if self.envoy.ensure():
                logger.info("Envoy runs again")
        except OSError:
            logger.exception("starting Envoy failed")

    def _stop(self) -> None:
        self._stop_children()
        self.envoy.stop()

    def _stop_children(self) -> None:
        # The web server first: no change is accepted that would not be served.
        for child in reversed(self.children):
            child.stop()

    def _catch_signals(self) -> int:
        read, write = os.pipe()
        os.set_blocking(write, False)
        os.set_blocking(read, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        return read

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = number

    def _wait(self, wakeup: int, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(wakeup, selectors.EVENT_READ)
            if selector.select(seconds):
                os.read(wakeup, 64)


def leash() -> None:
    """Ends this process as soon as the supervisor at the other end of standard input is gone.

    At once and without cleaning up: a successor may already have put its own socket in place of ours.
    """

    def watch() -> None:
        while os.read(0, 64):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="leash", daemon=True).start()
