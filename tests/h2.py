"""HTTP/2 by hand, frame for frame: a client that sends whatever header fields a test wants."""

import ssl
from collections.abc import Sequence

from tests.hello import client_context, connected

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x7
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
# RFC 7541, appendices A and B: statuses that have an entry of their own, and the codes of digits.
INDEXED_STATUS = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
STATUS_NAME = 8
DIGITS = {f"{digit:05b}": str(digit) for digit in range(3)} | {
    f"{0b011001 + digit - 3:06b}": str(digit) for digit in range(3, 10)
}

# SETTINGS_HEADER_TABLE_SIZE 0: what was sent before is not referred to.
NO_TABLE = b"\0\x01\0\0\0\0"

Fields = Sequence[tuple[str, str]]


def request(authority: str | None, path: str = "/") -> list[tuple[str, str]]:
    fields = [(":method", "GET"), (":scheme", "https"), (":path", path)]
    return fields if authority is None else [*fields, (":authority", authority)]


class H2Connection:
    """A connection to a listener that speaks HTTP/2; requests go one after another.

    `is_leaving` is set once the server has said that it takes no more requests on it. `body` is that of
    the last answer.
    """

    def __init__(
        self,
        port: int,
        name: str | None,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._socket = connected(port, name, context or client_context(alpn=["h2"]), session)
        self.body = b""
        assert self._socket.selected_alpn_protocol() == "h2"
        self._socket.sendall(PREFACE + _frame(SETTINGS, 0, 0, NO_TABLE))
        self._stream = -1
        self.is_leaving = False

    def __enter__(self) -> "H2Connection":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    @property
    def session(self) -> ssl.SSLSession | None:
        return self._socket.session

    @property
    def is_resumed(self) -> bool:
        return bool(self._socket.session_reused)

    def ask(self, fields: Fields, trailers: Fields = ()) -> int:
        """The status; 0 when the stream or the connection was ended without an answer."""
        self._stream += 2
        flags = END_HEADERS if trailers else END_STREAM | END_HEADERS
        self._socket.sendall(_frame(HEADERS, flags, self._stream, _block(fields)))
        if trailers:
            last = _frame(HEADERS, END_STREAM | END_HEADERS, self._stream, _block(trailers))
            self._socket.sendall(last)
        status, self.body = 0, b""
        while True:
            kind, flags, stream, payload = self._read()
            if kind == SETTINGS and not flags & ACK:
                self._socket.sendall(_frame(SETTINGS, ACK, 0, b""))
            elif kind == GOAWAY:
                self.is_leaving = True
                if int.from_bytes(payload[:4], "big") < self._stream:
                    return status
            elif kind == RST_STREAM and stream == self._stream:
                return status
            elif kind == HEADERS and stream == self._stream and not status:
                status = _status(payload)
            elif kind == DATA and stream == self._stream:
                self.body += payload
            if stream == self._stream and kind in (HEADERS, DATA) and flags & END_STREAM:
                return status

    def _read(self) -> tuple[int, int, int, bytes]:
        head = self._exactly(9)
        if not head:
            return GOAWAY, 0, 0, bytes(4)
        length = int.from_bytes(head[:3], "big")
        return head[3], head[4], int.from_bytes(head[5:], "big"), self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        received = b""
        while len(received) < length:
            try:
                more = self._socket.recv(length - len(received))
            except ConnectionError:
                more = b""
            if not more:
                return b""
            received += more
        return received


def _block(fields: Fields) -> bytes:
    # Literals that no table keeps (RFC 7541, 6.2.2).
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def _string(text: str) -> bytes:
    encoded = text.encode()
    assert len(encoded) < 127
    return bytes([len(encoded)]) + encoded


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _status(block: bytes) -> int:
    """Of an answer's header block, whose first field it is."""
    while block[0] & 0xE0 == 0x20:  # an update of the table's size
        block = block[1:]
    if block[0] in INDEXED_STATUS:
        return INDEXED_STATUS[block[0]]
    assert block[0] & 0x0F == STATUS_NAME
    is_huffman, length = block[1] & 0x80, block[1] & 0x7F
    value = block[2 : 2 + length]
    if not is_huffman:
        return int(value)
    bits, found, code = "".join(f"{byte:08b}" for byte in value), "", ""
    for bit in bits:
        code += bit
        if code in DIGITS:
            found, code = found + DIGITS[code], ""
    return int(found)
