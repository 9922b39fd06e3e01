"""A client that keeps requesting in the background and remembers each answer."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.pki import KeyPair
from tests.waiting import LIMIT, eventually


@dataclass
class Traffic:
    """`answered` counts requests with 200; `failures` are the other outcomes in words."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)

    def wait_for_more(self, requests: int = 20) -> None:
        """Returns when so many more requests have been answered, or at a first failure."""
        goal = self.answered + requests
        eventually(lambda: self.answered >= goal or self.failures, f"{requests} more requests")


@contextmanager
def traffic(url: str, client: KeyPair | None = None) -> Iterator[Traffic]:
    """Every other request opens a new connection; the others share one that is kept alive."""
    seen, stop = Traffic(), threading.Event()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client:
        context.load_cert_chain(client.certificate, client.key)

    def ask(session: httpx.Client) -> None:
        try:
            status = session.get(url).status_code
        except httpx.HTTPError as error:
            seen.failures.append(repr(error))
        else:
            if status == httpx.codes.OK:
                seen.answered += 1
            else:
                seen.failures.append(f"status {status}")

    def run() -> None:
        with httpx.Client(verify=context, timeout=LIMIT) as kept:
            while not stop.is_set():
                ask(kept)
                with httpx.Client(verify=context, timeout=LIMIT) as fresh:
                    ask(fresh)

    thread = threading.Thread(target=run, name="traffic")
    thread.start()
    try:
        eventually(lambda: seen.answered or seen.failures, "the first request")
        yield seen
    finally:
        stop.set()
        thread.join()
