"""The real curl, run without a shell."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What OpenSSL 3 needs before it handles a SHA-1 signed certificate at all.
SECURITY_LEVEL_0 = """\
openssl_conf = openssl_init
[openssl_init]
ssl_conf = ssl_sect
[ssl_sect]
system_default = system_default_sect
[system_default_sect]
CipherString = DEFAULT@SECLEVEL=0
"""


@dataclass(frozen=True)
class Answer:
    """`status` is 0 when no HTTP response came; `headers` keep their order, names in lower case."""

    exit_code: int
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    stderr: str


def curl(*arguments: str | Path, sha1: bool = False, timeout: int = 30) -> Answer:
    """Runs curl with these arguments; `sha1` lets its OpenSSL use SHA-1 signed certificates."""
    with tempfile.TemporaryDirectory(prefix="elb-curl-") as folder:
        body, head, openssl = (Path(folder, name) for name in ("body", "head", "openssl.cnf"))
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        if sha1:
            openssl.write_text(SECURITY_LEVEL_0)
            environment["OPENSSL_CONF"] = str(openssl)
        run = subprocess.run(
            [
                *("curl", "--silent", "--show-error", "--max-time", str(timeout)),
                *("--output", body, "--dump-header", head, "--write-out", "%{http_code}"),
                *arguments,
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout + 20,
            check=False,
        )
        return Answer(
            exit_code=run.returncode,
            status=int(run.stdout.strip() or 0),
            headers=tuple(_headers(head.read_text() if head.exists() else "")),
            body=body.read_text() if body.exists() else "",
            stderr=run.stderr,
        )


def _headers(dump: str) -> Iterator[tuple[str, str]]:
    for line in dump.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name.lower(), value.strip()
