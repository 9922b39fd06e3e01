"""Changes: from the submit of one listener's edit to the first connection that obeys it, beside reloads.

A change takes client verification from one-way to mutual and, the next time, back. The console's clock
starts when the filled-in form is sent, the others' when the reload is signalled, their files having been
written before. All three have the same number of listeners, on the same ports with the same certificates,
run at the same time and are changed in turn. Meanwhile a client without a certificate connects again and
again. `First` is when the first of its connections met what was asked for; `for good` is when the first did
after which none met the old state any more: a worker that is replaced may go on accepting for a while.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from listeners.dataplane.delivery_status import ChangeTimes, change_times
from tests.bench.deployment import DRAIN_SECONDS, Console, running_console
from tests.bench.machine import memory
from tests.bench.proxies import Proxy, running_backends, running_proxy
from tests.bench.served import Change, Material, Place, Served, obeys
from tests.bench.tables import milliseconds, note, say, start_table
from tests.ports import free_port
from tests.waiting import eventually

SIZES = [1, 100, 1_000, 5_000]
FIRST_PORT = 20_000  # all below what the kernel gives to clients
WARM_UPS = 2
LIMIT = 120.0  # seconds in which a change has to be obeyed
SETTLED = 0.25  # seconds without a connection that meets the old state
PAUSE = 0.003  # seconds between two looks
STRIDE = 7919  # a prime, so that changes go all over the ports
WHENS = ("first", "for good")
PARTS = ("request", "noticed", "read", "render", "preflight", "delivery")
PROCESSES = ("web", "control_plane", "serve", "Envoy")


@dataclass(frozen=True)
class Sides:
    """What is compared, with what each listener of each serves now."""

    console: Console
    proxies: Sequence[Proxy]

    @property
    def names(self) -> list[str]:
        return ["console", *(proxy.name for proxy in self.proxies)]

    def place(self, name: str, port: int) -> Place:
        return self.console.place(port) if name == "console" else self._proxy(name).place(port)

    def ready_change(self, name: str, port: int, change: Change, wanted: Served) -> Callable[[], None]:
        """All but the last step of a change, which is returned."""
        if name == "console":
            return self.console.submission(port, change, wanted).send
        proxy = self._proxy(name)
        proxy.write({**proxy.served, port: wanted})
        return proxy.reload

    def _proxy(self, name: str) -> Proxy:
        return next(proxy for proxy in self.proxies if proxy.name == name)


@contextmanager
def running_sides(served: Mapping[int, Served], material: Material, folder: Path) -> Iterator[Sides]:
    backends, ports = [free_port(), free_port()], list(served)
    nginx, haproxy = (Proxy(name, folder, ports, material, backends) for name in ("nginx", "HAProxy"))
    with (
        running_backends(folder, backends),
        running_proxy(nginx, served),
        running_proxy(haproxy, served),
        running_console(material, backends, served) as console,
    ):
        yield Sides(console, [nginx, haproxy])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of listeners")
    parser.add_argument("--first-port", type=int, default=FIRST_PORT)


def measure_changes(options: argparse.Namespace) -> None:
    say("## From submit to obeyed\n")
    say(
        f"{options.repetitions} changes of each side, drain time {DRAIN_SECONDS} s. "
        "Medians / p99 in milliseconds.\n"
    )
    results = [measure_size(options, size) for size in options.sizes]
    heading = "console | nginx | HAProxy | console : nginx | console : HAProxy"
    for when in WHENS:
        start_table(f"listeners, {when} | {heading}", words=())
        for size, result in zip(options.sizes, results, strict=True):
            totals = result.totals[when]
            say(f"| {size:,} | {' | '.join([*map(milliseconds, totals.values()), *ratios(totals)])} |")
        say()
    say("The console's parts, which overlap: the request is answered while its change is noticed.\n")
    start_table("listeners | request | noticed after | read | render | pre-flight | delivery", words=())
    for size, result in zip(options.sizes, results, strict=True):
        say(f"| {size:,} | {' | '.join(milliseconds(result.parts[part]) for part in PARTS)} |")
    say("\nMemory in MiB, PSS (RSS), workers included.\n")
    start_table(f"listeners | {' | '.join([*PROCESSES, 'nginx', 'HAProxy'])}", words=())
    for size, result in zip(options.sizes, results, strict=True):
        say(f"| {size:,} | {' | '.join(f'{pss:.0f} ({rss:.0f})' for rss, pss in result.memory)} |")
    say()


@dataclass(frozen=True)
class Result:
    """Seconds of every change: `totals` by when it was obeyed and by side, `parts` by name.

    `memory`: RSS and PSS in MiB.
    """

    totals: dict[str, dict[str, list[float]]]
    parts: dict[str, list[float]]
    memory: list[tuple[float, float]]


def ratios(totals: Mapping[str, Sequence[float]]) -> list[str]:
    ours, *others = (statistics.median(seconds) for seconds in totals.values())
    return [f"{ours / other:.2f}" for other in others]


def measure_size(options: argparse.Namespace, size: int) -> Result:
    note(f"{size:,} listeners: starting")
    ports = [options.first_port + number for number in range(size)]
    served = dict.fromkeys(ports, Served(mutual=False))
    with tempfile.TemporaryDirectory(prefix="elb-bench-") as name:
        material = Material(Path(name))
        with running_sides(served, material, Path(name)) as sides:
            totals: dict[str, dict[str, list[float]]] = {
                when: {side: [] for side in sides.names} for when in WHENS
            }
            result = Result(totals, {part: [] for part in PARTS}, [])
            for number, port in enumerate(islice(every_port(ports), WARM_UPS + options.repetitions)):
                served[port] = served[port].after(Change.LISTENER)
                first = number % len(sides.names)
                for side in sides.names[first:] + sides.names[:first]:
                    took, parts = one_change(sides, side, port, served[port], material)
                    if number >= WARM_UPS:
                        for when, seconds in zip(WHENS, took, strict=True):
                            totals[when][side].append(seconds)
                        for part, seconds in parts.items():
                            result.parts[part].append(seconds)
            result.memory.extend(memories(sides))
    return result


def every_port(ports: Sequence[int]) -> Iterator[int]:
    number = len(ports) // 2
    while True:
        yield ports[number % len(ports)]
        number += STRIDE


def one_change(
    sides: Sides, side: str, port: int, wanted: Served, material: Material
) -> tuple[tuple[float, float], dict[str, float]]:
    """How long until it was obeyed first and for good, and the console's parts of that, in seconds."""
    send = sides.ready_change(side, port, Change.LISTENER, wanted)
    obeyed = obeys(Change.LISTENER, wanted, sides.place(side, port), material)
    if obeyed():
        raise SystemExit(f"{side} obeys a change of port {port} before it was made.")
    watch = Watch(obeyed)
    began, began_at = time.perf_counter(), time.time()
    watch.start()
    send()
    request = time.perf_counter() - began
    watch.join()
    if watch.settled is None or watch.first is None:
        raise SystemExit(f"{side} does not obey a change of port {port} within {LIMIT:.0f} s.")
    parts = {}
    if side == "console":
        times = settled_times(sides.console, began_at)
        parts = {"request": request, "noticed": times.found_at - began_at}
        parts |= {part: getattr(times, part) for part in ("read", "render", "preflight", "delivery")}
    return (watch.first - began, watch.settled - began), parts


class Watch(threading.Thread):
    """Looks until the answer has been yes for a while.

    `first` is when it was yes first, `settled` since when it has been nothing else; None after `LIMIT`.
    """

    def __init__(self, obeyed: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self.first: float | None = None
        self.settled: float | None = None
        self._obeyed = obeyed

    def run(self) -> None:
        since, now = None, time.perf_counter()
        limit = now + LIMIT
        while now < limit:
            is_obeyed, now = self._obeyed(), time.perf_counter()
            since = (since or now) if is_obeyed else None
            self.first = self.first or since
            if since and now - since > SETTLED:
                self.settled = since
                return
            time.sleep(PAUSE)


def settled_times(console: Console, since: float) -> ChangeTimes:
    socket = console.live.data / "run/xds.sock"

    def found() -> ChangeTimes | None:
        times = change_times(socket)
        is_complete = times and times.found_at >= since and times.delivery is not None
        return times if is_complete else None

    times = eventually(found, "the control plane's times of the last change", LIMIT)
    assert times is not None
    return times


def memories(sides: Sides) -> list[tuple[float, float]]:
    processes = sides.console.processes()
    ours = [memory(processes[name], alone=True) for name in PROCESSES]
    return ours + [memory(proxy.pid) for proxy in sides.proxies]
