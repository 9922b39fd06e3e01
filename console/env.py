"""Environment variables turned into settings; nonsense is refused by the variable's name."""

import ipaddress
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off"}


def env_str(name: str, default: str, environ: Mapping[str, str] = os.environ) -> str:
    return environ.get(name, "").strip() or default


def env_bool(name: str, default: bool, environ: Mapping[str, str] = os.environ) -> bool:
    word = environ.get(name, "").strip().lower()
    if not word:
        return default
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ImproperlyConfigured(f"{name} is {word!r}; write 1 or 0.")


def env_int(
    name: str, default: int, *, minimum: int, maximum: int, environ: Mapping[str, str] = os.environ
) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {text!r}; write a whole number.") from None
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name} is {number}; it must be between {minimum} and {maximum}.")
    return number


def env_list(name: str, default: list[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Comma-separated words, blanks dropped."""
    words = [word.strip() for word in environ.get(name, "").split(",")]
    return [word for word in words if word] or default


def env_path(name: str, default: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    text = environ.get(name, "").strip()
    return Path(text).expanduser().resolve() if text else default


def env_address(name: str, default: str, environ: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """`host:port`, with IPv6 in brackets; returns the host without brackets and the port."""
    text = env_str(name, default, environ)
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ImproperlyConfigured(
            f"{name} is {text!r}; write an address and a port, such as 127.0.0.1:8000 or [::1]:8000."
        )
    return host, int(port)


def env_sockets(name: str, environ: Mapping[str, str] = os.environ) -> frozenset[tuple[str, int | None]]:
    """Comma-separated IP addresses, each perhaps with a port; None stands for every port.

    The addresses are as `ipaddress` writes them.
    """
    found: set[tuple[str, int | None]] = set()
    for text in env_list(name, [], environ):
        try:
            found.add((str(ipaddress.ip_address(text)), None))
        except ValueError:
            host, port = env_address(name, text, {})
            try:
                found.add((str(ipaddress.ip_address(host)), port))
            except ValueError:
                raise ImproperlyConfigured(f"{name}: {host!r} is not an IP address.") from None
    return frozenset(found)


def env_secret(
    name: str, generated_file: Path, environ: Mapping[str, str] = os.environ, *, traces: Sequence[Path] = ()
) -> str:
    """A secret from NAME, else from the file named by NAME_FILE, else from `generated_file`.

    `generated_file` is made at first use, mode 0600, holding 32 random bytes as URL-safe base64. Where one
    of `traces` exists this is not the first use, and its secret is lost: "" is returned, and none is made.
    """
    value = environ.get(name, "").strip()
    named = environ.get(f"{name}_FILE", "").strip()
    if value and named:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; keep one of them.")
    if value:
        return value
    path = Path(named) if named else generated_file
    if not named:
        # In this order: another process may be making all of them for the first time.
        if any(trace.exists() for trace in traces) and not path.exists():
            return ""
        _generate_once(path)
    try:
        value = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE: {path} cannot be read: {error}") from error
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE: {path} is empty.")
    return value


def env_secret_file(name: str, generated_file: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file that `env_secret` reads; None where NAME itself holds the secret."""
    if environ.get(name, "").strip():
        return None
    return env_path(f"{name}_FILE", None, environ) or generated_file


def private_directory(path: Path) -> Path:
    """Makes the directory when it is missing, readable by its owner only.

    Returned without symbolic links: an Envoy is found by the path it was started with.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.resolve()


def _generate_once(path: Path) -> None:
    # Written aside and linked into place: a second process never reads half a secret.
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
    finally:
        draft.unlink()
