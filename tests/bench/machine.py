"""The programs that the bench runs, on which processors, and what they cost."""

import os
import platform
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import psutil

from listeners.dataplane.binary import envoy_binary, envoy_version

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = ROOT / ".cache/bench/debian"  # by tests/bench/prepare
TICKS = os.sysconf("SC_CLK_TCK")
END_SECONDS = 10
MIB = 1024 * 1024


@cache
def program(name: str) -> str:
    """A path: the machine's own program, else the one that was unpacked."""
    places = [os.environ["PATH"], "/usr/sbin", f"{UNPACKED}/usr/sbin", f"{UNPACKED}/usr/bin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if not found:
        raise SystemExit(f"{name} is not there; tests/bench/prepare gets it.")
    return found


def program_environment() -> Mapping[str, str]:
    """With the libraries of unpacked programs."""
    libraries = [str(path) for path in UNPACKED.glob("usr/lib/*-linux-gnu")]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else os.environ


@contextmanager
def running(
    command: Sequence[str], log: Path, cores: Iterable[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that lives as long as the block, in a session of its own, so that Ctrl-C is not for it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*pinned(cores), *command],
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """With the workers that are left of it."""
    workers = _family(process.pid)[1:]
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_SECONDS)
    for worker in workers:
        # An nginx or HAProxy that is reloaded leaves workers, each with the connections that it had.
        try:
            worker.kill()
        except psutil.NoSuchProcess:
            continue


def output_of(command: Sequence[str], cores: Iterable[int] = ()) -> str:
    """What a program says that ends by itself."""
    outcome = subprocess.run(
        [*pinned(cores), *command],
        env=program_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if outcome.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {outcome.returncode}:\n{outcome.stdout}")
    return outcome.stdout


def pin(pid: int, cores: Iterable[int]) -> None:
    """Every thread of a running process, and of its children."""
    for process in _family(pid):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, set(cores))


def pinned(cores: Iterable[int]) -> list[str]:
    """What goes before a command."""
    numbers = ",".join(map(str, cores))
    return ["taskset", "--cpu-list", numbers] if numbers else []


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its workers so far."""
    return sum(_own_ticks(process.pid) for process in _family(pid)) / TICKS


def _own_ticks(pid: int) -> int:
    # Behind the name in parentheses; utime and stime are fields 14 and 15 of proc(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(pid: int, *, alone: bool = False) -> tuple[float, float]:
    """RSS and PSS in MiB, of a process with its workers or `alone`."""
    family = _family(pid)[:1] if alone else _family(pid)
    infos = [process.memory_full_info() for process in family]
    return sum(info.rss for info in infos) / MIB, sum(info.pss for info in infos) / MIB


def raise_file_limit() -> str:
    """Raises the soft limit of open files, which children inherit, as far as the machine lets one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return f"{hard:,} open files allowed" + (f" (soft limit raised from {soft:,})" if soft < hard else "")


def proxy_and_other_cores() -> tuple[list[int], list[int]]:
    """One core for the proxy that is measured and the others for whatever else; none where there is one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[:1], cores[1:]) if len(cores) > 1 else ([], [])


def description() -> list[str]:
    """What a reader of the numbers has to know."""
    envoy = ".".join(map(str, envoy_version(envoy_binary())))
    nginx = output_of([program("nginx"), "-v"]).strip().rpartition("/")[2]
    haproxy = output_of([program("haproxy"), "-v"]).split()[2]
    h2load = output_of([program("h2load"), "--version"]).split()[1].rpartition("/")[2]
    openssl = output_of([program("openssl"), "version"]).split()[1]
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.platform()}, {os.cpu_count()} processors, "
        f"load average {os.getloadavg()[0]:.2f} at the start, {raise_file_limit()}.",
        f"Python {platform.python_version()}, Envoy {envoy}, nginx {nginx}, HAProxy {haproxy}, "
        f"h2load {h2load}, OpenSSL {openssl}.",
    ]


def interrupt_on_terminate() -> None:
    """SIGTERM then ends what runs as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
