"""The certificate that is really served somewhere: read back by a TLS handshake.

No request is sent. The connection begins at the address that it goes to, so it cannot leave this machine:
an address that is another machine's has nothing here to begin at (pitfall K7).
"""

import errno
import hashlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from listeners.tls_policies import KeyType

TIMEOUT = 2.0  # seconds, to connect and again for the handshake
LONGEST_HANDSHAKE = 1024 * 1024
HANDSHAKE_RECORD, CERTIFICATE_MESSAGE = 22, 11


class HandshakeError(Exception):
    """No certificate could be read; the sentence says why."""


def served_fingerprint(address: str, port: int, name: str = "", key: KeyType | None = None) -> str:
    """The fingerprint of the first certificate that is served there. Raises `HandshakeError`.

    `name` is what the client asks for, `key` the one kind of key that it can check; both may be left open.
    """
    with connected(address, port) as connection:
        der = _shown_certificate(connection, name, key)
    if not der:
        raise HandshakeError("What answered has no certificate.")
    return hashlib.sha256(der).hexdigest()


@contextmanager
def connected(address: str, port: int) -> Iterator[socket.socket]:
    """A connection to a port of this machine. What breaks it is raised as `HandshakeError`."""
    host = _connectable(address)
    try:
        with socket.create_connection((host, port), TIMEOUT, source_address=(host, 0)) as connection:
            yield connection
    except TimeoutError:
        raise HandshakeError(f"Nothing answered within {TIMEOUT:g} seconds.") from None
    except ConnectionRefusedError:
        raise HandshakeError("Nothing listens there.") from None
    except ssl.SSLError as error:
        raise HandshakeError(f"What answered did not finish a TLS handshake ({error.reason}).") from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise HandshakeError(f"This machine does not have the address {host}.") from None
        raise HandshakeError(f"No connection came about: {error.strerror or error}.") from error


def _shown_certificate(connection: socket.socket, name: str, key: KeyType | None) -> bytes:
    """The certificate in DER, also of a server that refuses the handshake for want of one of ours.

    In TLS 1.3 this side is done before the server asks in earnest. In TLS 1.2 it is not, and Python shows
    nothing of a handshake that failed; but there the certificate came in clear.
    """
    received = bytearray()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = any_context(key).wrap_bio(incoming, outgoing, server_hostname=name or None)
    try:
        return _certificate_of_handshake(connection, tls, incoming, outgoing, received)
    except (ssl.SSLError, ConnectionError):
        if der := _certificate_in_clear(bytes(received)):
            return der
        raise


def _certificate_of_handshake(
    connection: socket.socket,
    tls: ssl.SSLObject,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    received: bytearray,
) -> bytes:
    """Goes through the handshake; `received` takes all that the server sent."""
    deadline = time.monotonic() + TIMEOUT
    while len(received) < LONGEST_HANDSHAKE:
        try:
            tls.do_handshake()
            return tls.getpeercert(binary_form=True) or b""
        except ssl.SSLWantReadError:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            connection.sendall(outgoing.read())
            octets = connection.recv(16384)
            received += octets
            incoming.write(octets) if octets else incoming.write_eof()
    raise HandshakeError("What answered did not come to the end of a TLS handshake.")


def _certificate_in_clear(received: bytes) -> bytes:
    """The first certificate among TLS 1.2 records (RFC 5246, sections 6.2.1 and 7.4.2), b"" for none."""
    messages = b""
    while len(received) >= 5 and received[0] == HANDSHAKE_RECORD:
        end = 5 + int.from_bytes(received[3:5])
        messages, received = messages + received[5:end], received[end:]
    while len(messages) >= 4:
        end = 4 + int.from_bytes(messages[1:4])
        if messages[0] == CERTIFICATE_MESSAGE:
            # The length of all certificates, the length of the first, the first.
            return messages[10 : 10 + int.from_bytes(messages[7:10])]
        messages = messages[end:]
    return b""


def _connectable(address: str) -> str:
    """What listens on every address is asked at the loopback one."""
    listening = ipaddress.ip_address(address)
    if not listening.is_unspecified:
        return str(listening)
    return "127.0.0.1" if listening.version == 4 else "::1"


def any_context(key: KeyType | None = None) -> ssl.SSLContext:
    """It looks at any certificate that Envoy can serve, and trusts none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    if key:
        # Before TLS 1.3 a cipher suite says what key it goes with.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{'aRSA' if key == KeyType.RSA else 'aECDSA'}:@SECLEVEL=0")
    return context
