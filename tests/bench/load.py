"""Failed requests while a listener under load is changed again and again, beside reloads.

What counts as failed stands in tests/bench/load_client.py. Changes of one kind go to and fro between two
states, each seen to be obeyed before the next; they are begun at least a drain time and a half apart, so
none is cut short by the next. Sides run one after the other, each under a load of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.changes import FIRST_PORT, LIMIT, Sides, running_sides
from tests.bench.deployment import DRAIN_SECONDS
from tests.bench.machine import END_SECONDS, ROOT, pinned
from tests.bench.served import Change, Material, Place, Served, obeys
from tests.bench.tables import note, say, start_table
from tests.waiting import eventually

APART = 1.5 * DRAIN_SECONDS  # seconds
KEPT, FRESH, PAUSE = 16, 4, 0.01


@dataclass
class Load:
    """What became of the requests, once the load has ended."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        requests, failed = self.counts["kept"] + self.counts["fresh"], self.counts["failed kept"]
        return f"{requests:,} | {failed} + {self.counts['failed fresh']}"


@contextmanager
def load(place: Place, material: Material, *options: str, cores: Iterable[int] = ()) -> Iterator[Load]:
    """A client in a process of its own, for as long as the block lasts."""
    pair = [str(material.client.certificate), str(material.client.key)]
    command = [sys.executable, "-m", "tests.bench.load_client", place.address, str(place.port), *pair]
    process = subprocess.Popen(
        [*pinned(cores), *command, *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    seen = Load()
    try:
        yield seen
        answer = json.loads(process.communicate(timeout=2 * END_SECONDS)[0])
        seen.counts, seen.reasons = Counter(answer["counts"]), Counter(answer["reasons"])
    finally:
        process.kill()
        process.wait()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--changes", type=int, default=50, help="of each kind and side")
    parser.add_argument("--kinds", type=Change, nargs="+", default=list(Change), choices=list(Change))
    parser.add_argument("--listeners", type=int, default=100)
    parser.add_argument("--first-port", type=int, default=FIRST_PORT)


def measure_load(options: argparse.Namespace) -> None:
    say("## Failed requests under load\n")
    say(
        f"{options.changes} changes of each kind, at least {APART:.1f} s apart, drain time "
        f"{DRAIN_SECONDS} s; "
        f"{options.listeners:,} listeners, one of them under load over mutual TLS: {KEPT} kept connections, "
        f"{FRESH} clients that connect anew for each request, {PAUSE * 1000:.0f} ms between a client's "
        "requests. Failed: on kept connections + on fresh ones.\n"
    )
    ports = [options.first_port + number for number in range(options.listeners)]
    served = dict.fromkeys(ports, Served())
    reasons: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="elb-bench-") as name:
        material = Material(Path(name))
        with running_sides(served, material, Path(name)) as sides:
            columns = " | ".join(f"{side}: requests | failed" for side in sides.names)
            start_table(f"change | {columns}")
            for kind in options.kinds:
                loads = {
                    side: change_under_load(sides, side, kind, options, material) for side in sides.names
                }
                say(f"| {kind} | {' | '.join(map(str, loads.values()))} |")
                for side, one in loads.items():
                    reasons[side] = reasons.get(side, Counter()) + one.reasons
    say()
    for side, counted in reasons.items():
        for reason, count in counted.most_common(3):
            say(f"- {side}, {count} times: {reason}")
    say()


def change_under_load(
    sides: Sides, side: str, kind: Change, options: argparse.Namespace, material: Material
) -> Load:
    note(f"{side}: {options.changes} changes of the {kind}")
    port, now = options.first_port, Served()
    place = sides.place(side, port)
    clients = ("--kept", str(KEPT), "--fresh", str(FRESH), "--pause", str(PAUSE))
    with load(place, material, *clients) as seen:
        time.sleep(APART)
        for _ in range(options.changes):
            began = time.monotonic()
            now = now.after(kind)
            sides.ready_change(side, port, kind, now)()
            eventually(obeys(kind, now, place, material), f"{side} obeys a change of the {kind}", LIMIT)
            time.sleep(max(0.0, APART - (time.monotonic() - began)))
        time.sleep(APART)
    if now != Served():
        # As the next kind expects to find it.
        sides.ready_change(side, port, kind, Served())()
        eventually(obeys(kind, Served(), place, material), f"{side} goes back", LIMIT)
    return seen
