"""What Envoy itself says of a listener before any Envoy is given it: `envoy --mode validate`.

A listener is tried with its certificates and backend servers, once per content. Private keys reach the
program through a memory file, never through an argument or a file on disk.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from listeners.dataplane.reasons import WITHHELD, quotable, quotes_configuration
from listeners.rendering import envoy as rendering
from listeners.spec import ConfigurationSpec, ListenerSpec

TIMEOUT = 120.0  # seconds for one batch

Content = frozenset[tuple[str, str, str]]


@dataclass(frozen=True)
class Verdict:
    """`reason` is empty for a configuration that passed; what is not final is asked again."""

    reason: str
    is_final: bool = True


class Preflight:
    """Remembers which contents have passed and why the others did not."""

    def __init__(self, binary: Path) -> None:
        self.binary = binary
        self._verdicts: dict[Content, str] = {}

    def refusals(self, configuration: ConfigurationSpec) -> dict[int, str]:
        """Listener id to Envoy's reason, for each listener of the configuration that Envoy would refuse."""
        versions = {r.key: r.version for r in rendering.resources(configuration)}
        contents = {spec.id: _content(spec, versions) for spec in configuration.listeners}
        unknown = [spec for spec in configuration.listeners if contents[spec.id] not in self._verdicts]
        passing: dict[Content, str] = {}
        for spec, verdict in self._tried(unknown, configuration):
            (self._verdicts if verdict.is_final else passing)[contents[spec.id]] = verdict.reason
        current = set(contents.values())
        self._verdicts = {content: v for content, v in self._verdicts.items() if content in current}
        reasons = {**passing, **self._verdicts}
        return {id: reason for id, content in contents.items() if (reason := reasons[content])}

    def _tried(
        self, listeners: Sequence[ListenerSpec], configuration: ConfigurationSpec
    ) -> Iterable[tuple[ListenerSpec, Verdict]]:
        # Nearly always all of them pass at once; a batch that fails is halved until each culprit is alone.
        if not listeners:
            return
        verdict = self._validate(listeners, configuration)
        if not verdict.reason or len(listeners) == 1:
            yield from ((spec, verdict) for spec in listeners)
            return
        middle = len(listeners) // 2
        yield from self._tried(listeners[:middle], configuration)
        yield from self._tried(listeners[middle:], configuration)

    def _validate(self, listeners: Sequence[ListenerSpec], configuration: ConfigurationSpec) -> Verdict:
        bootstrap = rendering.bootstrap_for_validation(tuple(listeners), configuration)
        memory = os.memfd_create("preflight")
        try:
            with open(memory, "wb", closefd=False) as stream:
                stream.write(json.dumps(rendering.plain(bootstrap)).encode())
            # No preexec_fn, so Python starts it by vfork: safe beside the threads of gRPC.
            outcome = subprocess.run(
                [self.binary, "--mode", "validate", "--log-level", "critical", "-c", f"/dev/fd/{memory}"],
                pass_fds=[memory],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            sentence = f"Envoy did not finish checking this configuration within {TIMEOUT:.0f} s."
            return Verdict(sentence, is_final=False)
        finally:
            os.close(memory)
        if outcome.returncode == 0:
            return Verdict("")
        # A program that was killed has judged nothing.
        return Verdict(_reason(outcome.stderr, outcome.returncode), is_final=outcome.returncode > 0)


def _content(spec: ListenerSpec, versions: dict[tuple[str, str], str]) -> Content:
    parts = rendering.listener_resources(spec)
    keys = [part.key for part in parts] + list(rendering.secret_keys(spec.tls))
    return frozenset((*key, versions.get(key, "")) for key in keys)


def _reason(output: str, status: int) -> str:
    if quotes_configuration(output):
        return WITHHELD
    lines = [line for line in output.splitlines() if line.strip()]
    return quotable(lines[-1].strip() if lines else f"Envoy ended with status {status} and said nothing.")
