"""The real `openssl s_client`: connections that save a TLS session or try to resume one."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.pki import KeyPair
from tests.waiting import LIMIT

REQUEST = b"GET / HTTP/1.1\r\nHost: www.test.com\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Connection:
    """`status` is the HTTP status that was answered, 0 when none was; `resumed` is OpenSSL's own word."""

    status: int
    resumed: bool
    protocol: str


def s_client(
    port: int,
    version: str,
    *,
    client: KeyPair | None = None,
    save: Path | None = None,
    resume: Path | None = None,
    address: str = "127.0.0.1",
) -> Connection:
    """One request on one connection; `version` is tls1_2 or tls1_3, sessions are files of OpenSSL."""
    command = ["openssl", "s_client", "-connect", f"{address}:{port}", f"-{version}", "-ign_eof"]
    if client:
        command += ["-cert", str(client.certificate), "-key", str(client.key)]
    if save:
        command += ["-sess_out", str(save)]
    if resume:
        command += ["-sess_in", str(resume)]
    run = subprocess.run(command, input=REQUEST, capture_output=True, timeout=LIMIT)
    output = run.stdout.decode(errors="replace")
    status = re.search(r"^HTTP/1\.1 (\d+)", output, re.MULTILINE)
    handshake = re.search(r"^(New|Reused), (TLSv1\.\d)", output, re.MULTILINE)
    return Connection(
        status=int(status[1]) if status else 0,
        resumed=bool(handshake and handshake[1] == "Reused"),
        protocol=handshake[2] if handshake else "",
    )
