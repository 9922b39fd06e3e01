"""Timeouts cut what stands still and leave alone what moves; each listener has one that is short."""

import re
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from listeners.spec import TimeoutsSpec
from tests.envoy_lab import configuration, envoy_lab, http
from tests.ports import free_port
from tests.slow_backend import STEPS, SlowBackend, running_slow_backend

LONG, PATIENCE = 60, 30
TIMEOUTS = {
    "idle": TimeoutsSpec(idle=1, request=LONG, response=LONG),
    "never idle": TimeoutsSpec(idle=0, request=1, response=LONG),
    "request": TimeoutsSpec(idle=LONG, request=1, response=LONG),
    "response": TimeoutsSpec(idle=LONG, request=LONG, response=1),
    "all": TimeoutsSpec(idle=1, request=1, response=1),
}
BODY_WANTED = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


@pytest.fixture(scope="module")
def slow() -> Iterator[SlowBackend]:
    with running_slow_backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def ports(slow: SlowBackend) -> Iterator[dict[str, int]]:
    """Of an HTTP listener for each of the `TIMEOUTS`."""
    listeners = [
        replace(http(number, free_port(), slow.port), timeouts=timeouts)
        for number, timeouts in enumerate(TIMEOUTS.values(), 1)
    ]
    with envoy_lab() as lab:
        lab.apply(configuration(*listeners))
        lab.wait_served(*listeners)
        yield {name: listener.port for name, listener in zip(TIMEOUTS, listeners, strict=True)}


def get(path: str, *headers: str) -> str:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""))


class Client:
    """A connection that sends a text and takes what comes."""

    def __init__(self, port: int, text: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.send(text)

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def receive(self, pattern: str) -> bool:
        """Whether this comes before the end and before the client loses patience."""
        received = ""
        while not re.search(pattern, received):
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                return False
            if not more:
                return False
            received += more.decode()
        return True

    def is_closed(self) -> bool:
        """Takes what comes until the server ends the connection; False where it does not."""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True


def test_idle_connection_is_closed(ports: dict[str, int]) -> None:
    client = Client(ports["idle"], get("/"))
    assert client.receive("ok$")
    assert client.is_closed()


def test_connection_is_closed_after_its_first_answer_when_idle_is_0(ports: dict[str, int]) -> None:
    client = Client(ports["never idle"], get("/"))
    assert client.receive("(?i)connection: close")
    assert client.is_closed()


def test_connection_that_asks_nothing_is_closed_when_idle_is_0(ports: dict[str, int]) -> None:
    assert Client(ports["never idle"]).is_closed()


def test_connection_is_kept_for_its_idle_time(ports: dict[str, int]) -> None:
    client = Client(ports["response"], get("/steady"))
    assert client.receive("\r\n0\r\n")
    client.send(get("/"))
    assert client.receive("ok$")


def test_unfinished_head_is_answered_with_408(ports: dict[str, int]) -> None:
    assert Client(ports["request"], "GET / HTTP/1.1\r\nHost:").receive("^HTTP/1.1 408 ")


def test_body_that_stands_still_is_answered_with_408(ports: dict[str, int]) -> None:
    assert Client(ports["all"], BODY_WANTED + "abc").receive("^HTTP/1.1 408 ")


def test_silent_backend_is_answered_for_with_504_and_asked_once(
    slow: SlowBackend, ports: dict[str, int]
) -> None:
    assert Client(ports["response"], get("/silent")).receive("^HTTP/1.1 504 ")
    assert slow.paths.count("/silent") == 1


def test_answer_that_stands_still_is_cut(ports: dict[str, int]) -> None:
    client = Client(ports["response"], get("/pause"))
    assert client.receive("half")
    assert client.is_closed()


def test_answer_that_keeps_coming_is_not_cut(ports: dict[str, int]) -> None:
    """It takes three times as long as every timeout."""
    client = Client(ports["all"], get("/steady"))
    assert client.receive("(?s)^HTTP/1.1 200 .*" + "1\r\n\\.\r\n" * STEPS + "0\r\n\r\n")


def test_websocket_works_and_is_closed_when_both_sides_are_silent(ports: dict[str, int]) -> None:
    client = Client(ports["all"], get("/websocket", "Connection: Upgrade", "Upgrade: websocket"))
    assert client.receive("^HTTP/1.1 101 ")
    client.send("frame")
    assert client.receive("frame")
    assert client.is_closed()


def test_silent_websocket_outlives_the_shorter_of_request_and_response(ports: dict[str, int]) -> None:
    client = Client(ports["request"], get("/websocket-late", "Connection: Upgrade", "Upgrade: websocket"))
    assert client.receive("late")
