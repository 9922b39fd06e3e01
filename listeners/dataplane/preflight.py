"""What Envoy itself says of a listener before any Envoy is given it: `envoy --mode validate`.

A listener is tried with its certificates and backend servers, once per content, and only when it was read
anew, or once in all where whoever stored it has tried the same content before and vouches for it. Private
keys reach the program through a memory file, never through an argument or a file on disk.
"""

import json
import os
import subprocess
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from listeners.dataplane import vouching
from listeners.dataplane.reasons import WITHHELD, quotable, quotes_configuration
from listeners.dataplane.vouching import Voucher
from listeners.rendering import envoy as rendering
from listeners.rendering.envoy import LISTENER, SECRET, Resource, ResourceKey, listener_name
from listeners.spec import ConfigurationSpec, ListenerSpec

TIMEOUT = 120.0  # seconds for one batch
# Without the time and the process, for the same refusal is to read the same each time.
VALIDATE = ("--mode", "validate", "--log-level", "critical", "--log-format", "%v")
MOST_VOUCHERS = 1_000  # that wait for their listeners to be read; the oldest give way

Content = frozenset[tuple[str, str, str]]


@dataclass(frozen=True)
class Verdict:
    """`reason` is empty for a configuration that passed; what is not final is asked again."""

    reason: str
    is_final: bool = True


class Preflight:
    """Remembers of each listener which content was tried last and what became of it."""

    def __init__(self, binary: Path, limit: float = TIMEOUT) -> None:
        self.binary = binary
        self.limit = limit  # seconds
        self._verdicts: dict[int, tuple[Content, Verdict]] = {}
        self._vouchers: dict[int, Voucher] = {}

    def take(self, voucher: Voucher) -> None:
        """From a process of the same user on this machine; it may come from another thread.

        It counts for that listener's very content alone, the next time that it would be tried.
        """
        self._vouchers.pop(voucher.listener, None)
        self._vouchers[voucher.listener] = voucher
        if len(self._vouchers) > MOST_VOUCHERS:
            self._vouchers.pop(next(iter(self._vouchers)), None)

    def refusals(
        self,
        configuration: ConfigurationSpec,
        rendered: Mapping[ResourceKey, Resource],
        asked: Collection[int] | None = None,
    ) -> dict[int, str]:
        """Listener id to Envoy's reason, for each listener of the configuration that Envoy would refuse.

        `rendered` are the configuration's resources; `asked` is whom it was read for, None for all.
        """
        contents = {spec.id: _content(spec, rendered) for spec in configuration.listeners}
        for gone in set(self._verdicts if asked is None else asked) - contents.keys():
            self._verdicts.pop(gone, None)
        unknown = []
        for spec in configuration.listeners:
            if self._is_vouched_for(spec, configuration):
                self._verdicts[spec.id] = contents[spec.id], Verdict("")
            elif not self._has_tried(spec.id, contents[spec.id]):
                unknown.append(spec)
        alike: dict[Hashable, list[ListenerSpec]] = {}
        for spec in unknown:
            alike.setdefault(self._likeness(spec, contents[spec.id]), []).append(spec)
        verdicts = dict(self._tried([specs[0] for specs in alike.values()], configuration))
        for first, *others in alike.values():
            if verdicts[first.id].reason:
                verdicts |= self._tried(others, configuration)
            else:
                verdicts |= dict.fromkeys((spec.id for spec in others), verdicts[first.id])
        for id, verdict in verdicts.items():
            self._verdicts[id] = contents[id], verdict
        return {id: reason for id in contents if (reason := self._verdicts[id][1].reason)}

    def verdict(self, spec: ListenerSpec, configuration: ConfigurationSpec) -> Verdict:
        """On one listener with the certificates of the configuration; nothing of it is remembered.

        Raises OSError when the program cannot be run.
        """
        return self._validate([spec], configuration)

    def voucher(self, spec: ListenerSpec, configuration: ConfigurationSpec) -> Voucher:
        """For a listener that has just passed with these certificates. Raises OSError."""
        return Voucher(spec.id, vouching.proof(self.binary, _written([spec], configuration)))

    def _is_vouched_for(self, spec: ListenerSpec, configuration: ConfigurationSpec) -> bool:
        voucher = self._vouchers.pop(spec.id, None)
        return voucher is not None and voucher == self.voucher(spec, configuration)

    def _has_tried(self, listener: int, content: Content) -> bool:
        tried, verdict = self._verdicts.get(listener, (None, None))
        return verdict is not None and verdict.is_final and tried == content

    def _likeness(self, spec: ListenerSpec, content: Content) -> Hashable:
        """Of those that have passed with other contents of the same secrets, those with the same TLS are
        alike: how Envoy takes the new secrets does not depend on the rest, which it has seen.
        """
        tried, verdict = self._verdicts.get(spec.id, (content, None))
        has_passed = verdict is not None and verdict.is_final and not verdict.reason
        if has_passed and all(kind == SECRET for kind, _, _ in tried ^ content):
            return spec.tls, spec.http2
        return spec.id

    def _tried(
        self, listeners: Sequence[ListenerSpec], configuration: ConfigurationSpec
    ) -> Iterable[tuple[int, Verdict]]:
        # Nearly always all of them pass at once; a batch that fails is halved until each culprit is alone.
        if not listeners:
            return
        verdict = self._validate(listeners, configuration)
        if not verdict.reason or len(listeners) == 1:
            yield from ((spec.id, verdict) for spec in listeners)
            return
        middle = len(listeners) // 2
        yield from self._tried(listeners[:middle], configuration)
        yield from self._tried(listeners[middle:], configuration)

    def _validate(self, listeners: Sequence[ListenerSpec], configuration: ConfigurationSpec) -> Verdict:
        memory = os.memfd_create("preflight")
        try:
            with open(memory, "wb", closefd=False) as stream:
                stream.write(_written(listeners, configuration))
            # No preexec_fn, so Python starts it by vfork: safe beside the threads of gRPC.
            outcome = subprocess.run(
                [self.binary, *VALIDATE, "-c", f"/dev/fd/{memory}"],
                pass_fds=[memory],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.limit,
            )
        except subprocess.TimeoutExpired:
            sentence = f"Envoy did not finish checking this configuration within {self.limit:.0f} s."
            return Verdict(sentence, is_final=False)
        finally:
            os.close(memory)
        if outcome.returncode == 0:
            return Verdict("")
        # A program that was killed has judged nothing.
        return Verdict(_reason(outcome.stderr, outcome.returncode), is_final=outcome.returncode > 0)


def _written(listeners: Sequence[ListenerSpec], configuration: ConfigurationSpec) -> bytes:
    """What Envoy is given to try: the same for the same listeners and certificates in every process."""
    bootstrap = rendering.bootstrap_for_validation(tuple(listeners), configuration)
    return json.dumps(rendering.plain(bootstrap), sort_keys=True).encode()


def _content(spec: ListenerSpec, rendered: Mapping[ResourceKey, Resource]) -> Content:
    listener = rendered[LISTENER, listener_name(spec.id)]
    return frozenset((*key, rendered[key].version) for key in (listener.key, *listener.needs))


def _reason(output: str, status: int) -> str:
    if quotes_configuration(output):
        return WITHHELD
    lines = [line for line in output.splitlines() if line.strip()]
    return quotable(lines[-1].strip() if lines else f"Envoy ended with status {status} and said nothing.")
