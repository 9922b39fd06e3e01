"""A client of one listener over mutual TLS: a process that requests until its standard input ends.

Some of its threads keep a connection and ask again and again on it; the others connect anew for each
request and resume nothing. It prints what became of the requests as JSON.

A request has failed when a fresh connection does not get to an answer of 200, for whatever reason; or when a
kept connection closes without an answer although the answer before did not announce that with `Connection:
close`. One that was announced is none: the client connects again, as HTTP/1.1 wants it.
"""

import argparse
import json
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from tests.bench.served import NoAnswerError, Place, answered, client_context
from tests.pki import KeyPair

TIMEOUT = 10.0  # seconds
HEAD = b"GET / HTTP/1.1\r\nHost: www.test.com\r\n"


class RefusedError(Exception):
    """Another answer than 200; the word says which."""


def connected(place: Place, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection((place.address, place.port), TIMEOUT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(plain, server_hostname="www.test.com")
    except OSError:
        plain.close()
        raise


def ask(connection: ssl.SSLSocket, *, is_last: bool) -> bool:
    """Whether the answer announces that the connection closes. Raises whatever stands in `FAILURES`."""
    connection.sendall(HEAD + (b"Connection: close\r\n\r\n" if is_last else b"\r\n"))
    answer = answered(connection)
    if answer.status != 200:
        raise RefusedError(f"status {answer.status}")
    return answer.closes


FAILURES = (OSError, NoAnswerError, RefusedError)


class LoadClient:
    def __init__(self, place: Place, client: KeyPair, pause: float) -> None:
        self.place, self.pause = place, pause
        self.context = client_context(client)
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.stop = threading.Event()
        self._lock = threading.Lock()

    def keep(self) -> None:
        connection = None
        while not self.stop.is_set():
            is_fresh = connection is None
            try:
                connection = connection or connected(self.place, self.context)
                closes = ask(connection, is_last=False)
            except FAILURES as error:
                self._count("fresh" if is_fresh else "kept", error)
                closes = True
            else:
                self._count("kept")
            if closes and connection:
                connection.close()
                connection = None
            time.sleep(self.pause)
        if connection:
            connection.close()

    def connect_anew(self) -> None:
        while not self.stop.is_set():
            try:
                with connected(self.place, self.context) as connection:
                    ask(connection, is_last=True)
            except FAILURES as error:
                self._count("fresh", error)
            else:
                self._count("fresh")
            time.sleep(self.pause)

    def _count(self, kind: str, error: Exception | None = None) -> None:
        with self._lock:
            self.counts[kind] += 1
            if error:
                self.counts[f"failed {kind}"] += 1
                self.reasons[f"{kind}: {type(error).__name__} {error}"] += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("certificate", type=Path)
    parser.add_argument("key", type=Path)
    parser.add_argument("--kept", type=int, default=0)
    parser.add_argument("--fresh", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0)
    options = parser.parse_args()
    pair = KeyPair(options.certificate, options.key)
    client = LoadClient(Place(options.address, options.port), pair, options.pause)
    threads = [threading.Thread(target=client.keep) for _ in range(options.kept)]
    threads += [threading.Thread(target=client.connect_anew) for _ in range(options.fresh)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    client.stop.set()
    for thread in threads:
        thread.join()
    json.dump({"counts": client.counts, "reasons": client.reasons}, sys.stdout)


if __name__ == "__main__":
    main()
