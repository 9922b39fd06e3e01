"""What one process of a machine says to another: that Envoy has passed this very content of a listener."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

FORM = re.compile(rb"passed (\d{1,18}) ([0-9a-f]{64})")


@dataclass(frozen=True)
class Voucher:
    """`proof` is the SHA-256 of the whole configuration that was tried, secrets included, and of which
    program tried it.
    """

    listener: int
    proof: str

    @property
    def message(self) -> bytes:
        return f"passed {self.listener} {self.proof}".encode()


def read(message: bytes) -> Voucher | None:
    """None for anything but a voucher."""
    found = FORM.fullmatch(message)
    return Voucher(int(found[1]), found[2].decode()) if found else None


def proof(program: Path, configuration: bytes) -> str:
    """Raises OSError when there is no such program."""
    path = program.resolve()
    file = path.stat()
    identity = f"{path}\0{file.st_dev}\0{file.st_ino}\0{file.st_size}\0{file.st_mtime_ns}\0"
    return hashlib.sha256(identity.encode(errors="surrogateescape") + configuration).hexdigest()
