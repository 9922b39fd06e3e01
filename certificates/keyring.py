"""Private keys at rest: sealed with AES-256-GCM under master keys that can be rotated.

A sealed text is `v1.<key id>.<nonce and ciphertext, URL-safe base64>`. Its context (what it is the key
of) is authenticated with it, so a sealed key moved to another row does not open there.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12
# Where a sealed text has the id of its master key, counted from 1 as databases count.
ID_START, ID_LENGTH = len(FORMAT) + 2, 8


class KeyringError(Exception):
    """The master keys cannot be used; the sentence says why and never shows them."""


class UnsealError(Exception):
    """A sealed text does not open: damaged, moved, or sealed by a master key that is not here."""


@dataclass(frozen=True)
class MasterKey:
    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class Keyring:
    """Master keys, newest first: the first seals, every one of them unseals."""

    keys: tuple[MasterKey, ...]

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Reads keys of 32 bytes in URL-safe base64, separated by commas or white space.

        Raises `KeyringError`.
        """
        words = text.replace(",", " ").split()
        if not words:
            raise KeyringError("There is no master key.")
        return cls(tuple(_master_key(word, place) for place, word in enumerate(words, start=1)))

    @property
    def first_id(self) -> str:
        """The id of the master key that seals."""
        return self.keys[0].id

    def then(self, others: "Keyring") -> "Keyring":
        """With the keys of another keyring behind its own."""
        return Keyring((*self.keys, *(key for key in others.keys if key not in self.keys)))

    def seal(self, secret: str, context: str) -> str:
        key = self.keys[0]
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + AESGCM(key.secret).encrypt(nonce, secret.encode(), context.encode())
        return f"{FORMAT}.{key.id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def unseal(self, sealed: str, context: str) -> str:
        """Raises `UnsealError`."""
        version, _, rest = sealed.partition(".")
        key_id, _, body = rest.partition(".")
        if version != FORMAT:
            raise UnsealError("The sealed key is damaged or of a format that this version does not know.")
        key = next((key for key in self.keys if key.id == key_id), None)
        if key is None:
            raise UnsealError(f"The master key {key_id!r} that sealed this private key is not configured.")
        try:
            raw = base64.b64decode(body, altchars=b"-_", validate=True)
            return AESGCM(key.secret).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context.encode()).decode()
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise UnsealError("The sealed key is damaged or belongs to another certificate.") from error


def add_master_key(path: Path) -> None:
    """Puts a new master key in front of those in the file, or makes the file. Raises `OSError`.

    The file is replaced whole: who reads it meanwhile sees the keys as they were or as they are.
    """
    path = path.resolve()
    with _held(path.parent) as directory:
        earlier = path.read_text() if path.exists() else ""
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(f"{secrets.token_urlsafe(KEY_BYTES)}\n{earlier}")
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
            os.fsync(directory)  # before anything is sealed by it
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _held(directory: Path) -> Iterator[int]:
    """One at a time: of two new keys put in front at once, one would be lost, and all that it sealed."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _master_key(word: str, place: int) -> MasterKey:
    try:
        secret = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise KeyringError(f"Master key {place} is not 32 bytes in URL-safe base64.")
    return MasterKey(id=hashlib.sha256(b"elb master key " + secret).hexdigest()[:ID_LENGTH], secret=secret)
