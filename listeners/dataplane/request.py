"""One real HTTPS request to a listener of this machine, with a client certificate or without one.

In TLS 1.3 a client is done with its handshake before the server has looked at the client's certificate, so
nobody is called admitted before a byte of an answer has been read (pitfall A5).
"""

import hashlib
import os
import socket
import ssl
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from listeners.dataplane.handshake import HandshakeError, any_context, connected

TIMEOUT = 5.0  # seconds, for the answer once the handshake is done
LONGEST_ANSWER = 64 * 1024
MOST_HEADERS, LONGEST_HEADER = 8, 200
# How the TLS alerts begin that a server sends because of the client's certificate, or for want of one.
# In TLS 1.2 BoringSSL says nothing but that the handshake failed.
REFUSALS = (
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_UNKNOWN_CA",
    "TLSV1_ALERT_ACCESS_DENIED",
    "TLSV1_ALERT_DECRYPT_ERROR",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
)
# How Envoy's own answers begin when no backend server has given one.
OF_ENVOY = (b"no healthy upstream", b"upstream connect error", b"upstream request timeout")


@dataclass(frozen=True)
class Identity:
    """A client's certificate with those between it and its root, and its private key; both PEM."""

    certificates: str
    private_key: str = field(repr=False)


class Outcome(StrEnum):
    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """What a request came to; `reason` is a sentence where there was no answer.

    `is_of_envoy`: Envoy let the request in and answered it itself, because no backend server did.
    """

    outcome: Outcome
    reason: str = ""
    status: int = 0
    status_line: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    tls_version: str = ""
    is_of_envoy: bool = False


def ask(
    address: str, port: int, host: str, identity: Identity | None = None, served: Collection[str] = ()
) -> Answer:
    """GET / on a connection of its own. `host` is what the request names; no name is asked for by SNI.

    `served` are the fingerprints of the certificates that the listener may show: who shows another one is
    somebody else, and is sent no request.
    """
    try:
        with connected(address, port) as connection:
            return _answer(connection, f"{host}:{port}", identity, served)
    except HandshakeError as error:
        return Answer(Outcome.FAILED, str(error))


def _answer(
    connection: socket.socket, host: str, identity: Identity | None, served: Collection[str]
) -> Answer:
    try:
        tls = _context(identity).wrap_socket(connection)
    except ssl.SSLEOFError:
        return Answer(Outcome.FAILED, "What answered closed the connection during the TLS handshake.")
    except ssl.SSLError as error:
        if (error.reason or "").startswith(REFUSALS):
            return Answer(Outcome.REFUSED, _alert(error))
        raise
    with tls:
        version = tls.version() or ""
        shown = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
        if served and shown not in served:
            sentence = "What answered shows another certificate than this listener has. It was asked nothing."
            return Answer(Outcome.FAILED, sentence, tls_version=version)
        try:
            received = _exchange(tls, host)
        except (ssl.SSLEOFError, ConnectionError):
            received = b""
        except ssl.SSLError as error:
            return Answer(Outcome.REFUSED, _alert(error), tls_version=version)
    if not received:
        sentence = "The connection was closed without a byte of an answer."
        return Answer(Outcome.REFUSED, sentence, tls_version=version)
    return _read(received, version)


def _exchange(tls: ssl.SSLSocket, host: str) -> bytes:
    """What came back: the head of the answer at least, and its body as far as the limits go."""
    deadline = time.monotonic() + TIMEOUT
    tls.settimeout(TIMEOUT)
    try:
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode())
    except (ssl.SSLEOFError, ConnectionError):
        pass  # who has refused already may have said why, which is still to be read
    received = b""
    while len(received) < LONGEST_ANSWER:
        tls.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            octets = tls.recv(16384)
        except (ssl.SSLError, OSError):
            if b"\r\n\r\n" in received:
                break
            raise
        if not octets:
            break
        received += octets
    return received


def _read(received: bytes, version: str) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = [_shown(line) for line in head.split(b"\r\n")]
    words = status_line.split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdigit():
        return Answer(Outcome.FAILED, "What answered speaks no HTTP.", tls_version=version)
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    status = int(words[1])
    return Answer(
        Outcome.ANSWERED,
        status=status,
        status_line=status_line,
        headers=tuple(pairs[:MOST_HEADERS]),
        tls_version=version,
        is_of_envoy=status in {503, 504} and any(text in body[:200] for text in OF_ENVOY),
    )


def _shown(line: bytes) -> str:
    """A header as text that can be put on a page and into a row."""
    text = line[:LONGEST_HEADER].decode("latin-1")
    return "".join(one if one.isprintable() else "?" for one in text)


def _alert(error: ssl.SSLError) -> str:
    """Such as "certificate required"."""
    words = (error.reason or str(error)).lower().replace("_", " ")
    return f"The listener ended the connection: {words.partition('alert ')[2] or words}."


def _context(identity: Identity | None) -> ssl.SSLContext:
    context = any_context()
    context.set_alpn_protocols(["http/1.1"])
    if identity:
        # `ssl` reads keys from files alone; this one is in memory and has no name.
        number = os.memfd_create("client", os.MFD_CLOEXEC)
        with open(number, "w") as file:
            file.write(identity.private_key + identity.certificates)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{number}")
    return context
