"""The whole console as a person runs it: `manage.py serve`, its Envoy and its web server, as processes."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from tests.console_client import ConsoleClient
from tests.ports import free_port
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
USERNAME = "admin"
PASSWORD = "correct horse battery staple"
READY = "ELB Console: http"
STOP_SECONDS = 60


class LiveConsole:
    """One deployment with a data directory and a port of its own; `environment` overrides its settings."""

    def __init__(self, **environment: str) -> None:
        # Unix sockets lie in the data directory, and their paths end at 107 bytes: no pytest folder here.
        self.folder = Path(tempfile.mkdtemp(prefix="elb-live-"))
        self.data = self.folder / "data"
        self.log = self.folder / "serve.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ELB_", "DJANGO_"))},
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "DJANGO_SUPERUSER_USERNAME": USERNAME,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "DJANGO_SUPERUSER_EMAIL": "admin@example.com",
            "PYTHONUNBUFFERED": "1",
            "ELB_DATA_DIR": str(self.data),
            "ELB_CONSOLE_ADDRESS": f"127.0.0.1:{self.port}",
            "ELB_DRAIN_SECONDS": "1",
            "ELB_ENVOY_CONCURRENCY": "1",
            **environment,
        }
        self._serve: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of `manage.py serve`."""
        assert self._serve is not None, "The console has not been started."
        return self._serve.pid

    @property
    def envoy_log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.data / "log").glob("*envoy*")))

    def log_tail(self, characters: int = 20_000) -> str:
        """The end of what `manage.py serve` printed; empty when it was never started."""
        return self.log.read_text()[-characters:] if self.log.exists() else ""

    def start(self, *options: str) -> "LiveConsole":
        """Starts the console and waits until it says that it is ready; again after `kill` or `stop`."""
        times = self.times_ready()
        self.start_serve(*options)
        eventually(lambda: self._is_ready_again(times), f"a console at {self.url}")
        return self

    def start_serve(self, *options: str) -> None:
        """Starts the console and waits for nothing."""
        with self.log.open("ab") as log:
            self._serve = subprocess.Popen(
                [sys.executable, "manage.py", "serve", *options],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of its own, as a service has: Ctrl-C in the test run is not for it.
                start_new_session=True,
            )

    def times_ready(self) -> int:
        """How often it has said that it is ready: control plane, Envoy and web server."""
        return self.log.read_text().count(READY) if self.log.exists() else 0

    def send(self, number: signal.Signals) -> None:
        assert self._serve is not None, "The console has not been started."
        self._serve.send_signal(number)

    def wait_ended(self) -> int:
        """Returns the exit code of `manage.py serve`."""
        assert self._serve is not None, "The console has not been started."
        return self._serve.wait(STOP_SECONDS)

    def stop(self) -> int:
        """SIGTERM as a service manager sends it; returns the exit code."""
        return self._end(signal.SIGTERM)

    def interrupt(self) -> int:
        """SIGINT as Ctrl-C sends it; returns the exit code."""
        return self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to `manage.py serve` alone: nothing of it can say goodbye."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """`manage.py restart`, until the console is ready again."""
        times = self.times_ready()
        outcome = self.manage("restart")
        assert outcome.returncode == 0, outcome.stderr
        eventually(lambda: self._is_ready_again(times), "a console started anew")

    def manage(self, *arguments: str, timeout: int = 60) -> subprocess.CompletedProcess[str]:
        """Runs another management command of this deployment."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def envoy_pids(self) -> list[int]:
        """The Envoys of this deployment, found by their command lines."""
        return [
            process.pid
            for process in psutil.process_iter(["name", "cmdline"])
            if "envoy" in (process.info["name"] or "")
            and any(str(self.data) in word for word in process.info["cmdline"] or [])
        ]

    def envoy_pid(self) -> int:
        pids = self.envoy_pids()
        assert len(pids) == 1, f"{len(pids)} Envoys run for {self.data}: {pids}"
        return pids[0]

    def client(self) -> ConsoleClient:
        """A signed-in administrator's verbs, through the real forms."""
        return ConsoleClient(self.url, USERNAME, PASSWORD)

    def remove(self) -> None:
        """Ends what still runs of this deployment and removes its files."""
        for process in self._processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        if self._serve is not None:
            self._serve.wait(STOP_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> int:
        self.send(number)
        return self.wait_ended()

    def _is_ready_again(self, times: int) -> bool:
        assert self._serve is not None
        ended = self._serve.poll()
        assert ended is None, f"manage.py serve ended with {ended}:\n{self.log_tail()}"
        return self.times_ready() > times

    def _processes(self) -> list[psutil.Process]:
        mine = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("ELB_DATA_DIR") == str(self.data) or any(
                    str(self.data) in word for word in process.cmdline()
                ):
                    mine.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return mine
