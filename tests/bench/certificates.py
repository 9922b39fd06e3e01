"""Certificates: asks both sides the same things in turn, and prints medians and their ratio.

A side is a process with a database of its own; a request goes through all of Django but no socket.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.material import Pem, authority, leaf
from tests.bench.tables import say, start_table

ROOT = Path(__file__).resolve().parents[2]
SIZES = [1_000, 10_000, 100_000]
ROWS_A_PAGE = 25  # certificates.keyset.ROWS
X509_ROWS_A_PAGE = 100  # Django's default, which django-x509 leaves as it is
# What is measured, and by which side: django-x509's list as it comes, and with as many rows as the console's.
COLUMNS = {"console": "console", "admin": "x509", "same-rows": "x509"}
WARM_UPS = 3
CHECKBOX = re.compile('name="(certificate|_selected_action)"')  # one in each row


@dataclass(frozen=True)
class Case:
    """The same question to both: an address, or one with a form that is sent."""

    name: str
    console: str
    x509: str  # behind the address of the admin's list
    uploads: bool = False
    has_rows: bool = True


class Side:
    def __init__(self, name: str, python: str, settings: str, rows: int, ca: Pem) -> None:
        # A Unix socket's path is short, and ELB_DATA_DIR is checked for that.
        self.folder = Path(tempfile.mkdtemp(prefix="elb-bench-"))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ELB_", "DATABASE_"))}
        environment = kept | {
            "DJANGO_SETTINGS_MODULE": settings,
            "ELB_DATA_DIR": str(self.folder),
            "BENCH_FOLDER": str(self.folder),
            "BENCH_ROWS": str(rows),
            "BENCH_ROWS_A_PAGE": str(ROWS_A_PAGE),
            "BENCH_AUTHORITY": json.dumps({"certificate": ca.certificate, "private_key": ca.private_key}),
        }
        self.process = subprocess.Popen(
            [python, "-m", "tests.bench.worker", name],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, question: dict[str, Any] | None) -> dict[str, Any]:
        """Without a question, waits until the side is ready."""
        assert self.process.stdin
        assert self.process.stdout
        if question is not None:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("A side of the comparison has ended; its message stands above.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def cases(rows: int) -> list[Case]:
    base = "/certificates/"
    few, one = f"-{rows // 2 // 10:05d}", f"-{rows // 2:06d}"
    return [
        Case("first page", base, ""),
        Case("last page", f"{base}?last=1", "?p={last}"),
        Case("search, one found", f"{base}?q={one}", f"?q={one}"),
        Case("search, ten found", f"{base}?q={few}", f"?q={few}"),
        Case("search, an eighth found", f"{base}?q=web-", "?q=web-"),
        Case("search, all found", f"{base}?q=example.com", "?q=example.com"),
        Case("search, none found", f"{base}?q=nowhere", "?q=nowhere", has_rows=False),
        Case("sorted by expiry", f"{base}?sort=expires", "?o=4"),
        Case("newest first, last page", f"{base}?sort=-created&last=1", "?o=-5&p={last}"),
        Case("upload of RSA 2048", f"{base}add/", "add/", uploads=True),
    ]


def question(case: Case, column: str, rows: int, pem: Pem, number: int) -> dict[str, Any]:
    if column == "console":
        url, fields = case.console, {"type": "server", "content": pem.certificate}
    else:
        a_page = ROWS_A_PAGE if column == "same-rows" else X509_ROWS_A_PAGE
        url = f"/{column}/django_x509/cert/{case.x509}".format(last=-(-rows // a_page))
        fields = {"operation_type": "import", "ca": "1", "certificate": pem.certificate}
    if not case.uploads:
        return {"url": url}
    fields |= {"name": f"upload-{column}-{number}", "private_key": pem.private_key}
    return {"url": url, "fields": fields}


def measure(sides: dict[str, Side], case: Case, rows: int, pems: list[Pem]) -> dict[str, float]:
    """Medians in milliseconds, by column."""
    # Sending the same form again, only for other rows a page, would say nothing.
    columns = [column for column in COLUMNS if not (case.uploads and column == "same-rows")]
    seconds: dict[str, list[float]] = {column: [] for column in columns}
    for number, pem in enumerate(pems):
        # In turn, and each of them first now and then: what else the machine does hits all.
        for column in columns[number % len(columns) :] + columns[: number % len(columns)]:
            answer = sides[COLUMNS[column]].ask(question(case, column, rows, pem, number))
            check(case, answer)
            if number >= WARM_UPS:
                seconds[column].append(answer["seconds"])
    return {column: statistics.median(some) * 1000 for column, some in seconds.items()}


def check(case: Case, answer: dict[str, Any]) -> None:
    expected = 302 if case.uploads else 200
    rows = len(CHECKBOX.findall(answer["text"]))
    if answer["status"] != expected or (not case.uploads and (rows > 0) != case.has_rows):
        sys.exit(f"{case.name}: status {answer['status']}, {rows} rows:\n{answer['text'][:2000]}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of certificates")


def measure_certificates(options: argparse.Namespace) -> None:
    ca, key = authority()
    pems = [leaf(number, key) for number in range(WARM_UPS + options.repetitions)]
    say("## Certificates beside django-x509\n")
    say(f"Medians of {options.repetitions} in milliseconds.\n")
    theirs = [f"django-x509, {rows} rows" for rows in (X509_ROWS_A_PAGE, ROWS_A_PAGE)]
    heading = f"console, {ROWS_A_PAGE} rows | {theirs[0]} | ratio | {theirs[1]} | ratio"
    start_table(f"certificates | | {heading}", words=[1])
    for size in options.sizes:
        sides = {
            "console": Side("console", sys.executable, "tests.bench.console_settings", size, ca),
            "x509": Side("x509", options.x509_python, "tests.bench.x509_settings", size, ca),
        }
        try:
            for side in sides.values():
                side.ask(None)
            for case in cases(size):
                medians = measure(sides, case, size, pems)
                ours = medians.pop("console")
                ratios = [f"{median:.1f} | {ours / median:.2f}" for median in medians.values()]
                ratios += ["| "] * case.uploads
                say(f"| {size:,} | {case.name} | {ours:.1f} | {' | '.join(ratios)} |")
        finally:
            for side in sides.values():
                side.end()
