"""What serving costs: work done per second of the proxy's own processor time, in rounds that alternate.

The console's Envoy with default settings, as the console delivers it, beside the leanest Envoy, nginx and
HAProxy; one worker each on one core, clients and backends on the others where there are any. Handshakes are
full and mutual, each with one request; h2load knows no client certificates, so requests on kept connections
go to a listener with one-way authentication. Processor time is utime + stime of the proxy and its workers.
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.changes import FIRST_PORT
from tests.bench.deployment import running_console
from tests.bench.load import load
from tests.bench.machine import cpu_seconds, memory, output_of, pin, program, proxy_and_other_cores
from tests.bench.proxies import Proxy, running_backends, running_proxy
from tests.bench.served import Material, Place, Served
from tests.bench.tables import note, say, spread, start_table
from tests.ports import free_port

CLIENTS = 16  # connections at once
STREAMS = 10  # at once on each connection of HTTP/2
OURS = "console's Envoy"
MODES = {
    "full mutual handshakes": Served(),
    "HTTP/1.1 requests": Served(mutual=False),
    "HTTP/2 requests": Served(mutual=False, http2=True),
}
DONE = re.compile(r"^requests: .* (\d+) succeeded", re.MULTILINE)
STATUSES = re.compile(r"^status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", re.MULTILINE)


@dataclass(frozen=True)
class Contender:
    name: str
    pid: int
    address: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=8, help="of one measurement")
    parser.add_argument("--works", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--first-port", type=int, default=FIRST_PORT)


def measure_rates(options: argparse.Namespace) -> None:
    proxy_cores, other_cores = proxy_and_other_cores()
    where = (
        f"on core {proxy_cores[0]}, all else on {other_cores}" if proxy_cores else "on the one core there is"
    )
    say("## Work per second of the proxy's processor time\n")
    say(
        f"{options.rounds} rounds of {options.seconds} s; proxies with one worker {where}; {CLIENTS} clients "
        f"at once, HTTP/2 with {STREAMS} streams each. Ratio: {OURS} to the other, least - **median** - "
        "greatest; above 1 the console's does more.\n"
    )
    served = {options.first_port + number: one for number, one in enumerate(MODES.values())}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="elb-bench-")))
        material = Material(folder)
        contenders = started(stack, folder, material, served)
        start_table(f"work | {OURS} | {' | '.join(f'{one.name} | ratio' for one in contenders[1:])}")
        for work in options.works:
            rates = alternated(work, contenders, material, options)
            say(f"| {work} | {' | '.join(cells(rates))} |")
        sizes = ", ".join(
            f"{one.name} {memory(one.pid, alone=one.name == OURS)[1]:.0f}" for one in contenders
        )
        say(f"\nMemory of these proxies afterwards, PSS in MiB: {sizes}.\n")


def started(
    stack: ExitStack, folder: Path, material: Material, served: Mapping[int, Served]
) -> list[Contender]:
    """The console's first."""
    proxy_cores, other_cores = proxy_and_other_cores()
    backends, ports = [free_port(), free_port()], list(served)
    stack.enter_context(running_backends(folder, backends, other_cores))
    console = stack.enter_context(running_console(material, backends, served))
    envoy = console.live.envoy_pid()
    if proxy_cores:
        pin(console.live.pid, other_cores)
        pin(envoy, proxy_cores)
    contenders = [Contender(OURS, envoy, console.place(ports[0]).address)]
    for name in ("lean Envoy", "nginx", "HAProxy"):
        proxy = Proxy(name, folder, ports, material, backends)
        stack.enter_context(running_proxy(proxy, served, proxy_cores))
        contenders.append(Contender(name, proxy.pid, proxy.place(ports[0]).address))
    return contenders


def alternated(
    work: str, contenders: Sequence[Contender], material: Material, options: argparse.Namespace
) -> dict[str, list[float]]:
    """The rates of each contender, by round."""
    port = options.first_port + list(MODES).index(work)
    rates: dict[str, list[float]] = {one.name: [] for one in contenders}
    for number in range(options.rounds):
        note(f"{work}, round {number + 1} of {options.rounds}")
        first = number % len(contenders)
        for one in [*contenders[first:], *contenders[:first]]:
            before = cpu_seconds(one.pid)
            done = amount(work, Place(one.address, port), material, options.seconds)
            rates[one.name].append(done / (cpu_seconds(one.pid) - before))
    return rates


def amount(work: str, place: Place, material: Material, seconds: int) -> int:
    """How much was done in so many seconds. All of it has to succeed."""
    _, other_cores = proxy_and_other_cores()
    if MODES[work].mutual:
        with load(place, material, "--fresh", str(CLIENTS), cores=other_cores) as seen:
            time.sleep(seconds)
        if seen.reasons:
            raise SystemExit(f"{work} at {place.url}: {seen.reasons}")
        return seen.counts["fresh"]
    protocol = ["--npn-list=h2", "-m", str(STREAMS)] if MODES[work].http2 else ["--h1"]
    command = [program("h2load"), "-t", "1", "-c", str(CLIENTS), "-D", str(seconds), *protocol, place.url]
    answer = output_of(command, other_cores)
    wanted = "h2" if MODES[work].http2 else "http/1.1"
    found, statuses = DONE.search(answer), STATUSES.search(answer)
    is_right = (
        f"Application protocol: {wanted}" in answer and statuses and not any(map(int, statuses.groups()))
    )
    if not found or not is_right:
        raise SystemExit(f"{work} at {place.url}:\n{answer}")
    return int(found[1])


def cells(rates: Mapping[str, Sequence[float]]) -> list[str]:
    ours, *others = rates.values()
    found = [f"{statistics.median(ours):,.0f}"]
    for other in others:
        ratios = [mine / theirs for mine, theirs in zip(ours, other, strict=True)]
        found += [f"{statistics.median(other):,.0f}", spread(ratios)]
    return found
