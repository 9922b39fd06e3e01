"""`make bench`: what the console costs beside others, measured in the same run.

Nothing is asserted. What is printed is Markdown; what is said meanwhile goes to standard error.
"""

import argparse
import sys
from collections.abc import Callable
from typing import NamedTuple

from tests.bench import certificates, changes, load, rates
from tests.bench.machine import description, interrupt_on_terminate
from tests.bench.tables import say


class Part(NamedTuple):
    add_arguments: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace], None]
    says: str


PARTS = {
    "certificates": Part(
        certificates.add_arguments, certificates.measure_certificates, "pages beside django-x509's admin"
    ),
    "changes": Part(changes.add_arguments, changes.measure_changes, "from a submit to what obeys it"),
    "load": Part(load.add_arguments, load.measure_load, "failed requests while listeners change"),
    "rates": Part(rates.add_arguments, rates.measure_rates, "work per second of processor time"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--x509-python", required=True, help="of the environment with django-x509")
    commands = parser.add_subparsers(dest="part", help="one part alone; without, all with their defaults")
    for name, part in PARTS.items():
        part.add_arguments(commands.add_parser(name, help=part.says, description=part.says))
    options = parser.parse_args()
    interrupt_on_terminate()
    for line in description():
        say(line)
    say()
    for name in [options.part] if options.part else PARTS:
        chosen = options if options.part else parser.parse_args(["--x509-python", options.x509_python, name])
        try:
            PARTS[name].measure(chosen)
        except KeyboardInterrupt:
            sys.exit("Interrupted.")


if __name__ == "__main__":
    main()
