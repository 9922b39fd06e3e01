"""Private keys in a running console: nowhere in clear, whatever is done; and junk that does it no harm."""

import base64
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import httpx
import psutil
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.backend import Backend
from tests.conftest import Pki
from tests.console_client import BackendFields, ConsoleClient
from tests.curl import curl
from tests.listeners.management.test_serve import child
from tests.live import LiveConsole
from tests.pki import PASSWORD, encrypted_key, pkcs12
from tests.ports import free_port

Start = Callable[..., LiveConsole]
MEBIBYTE = 1024 * 1024
MOST_PAGES = 200


def traces(key_pem: str) -> list[bytes]:
    """What a key would leave behind, in each form that it could take."""
    key = load_pem_private_key(key_pem.encode(), None)
    numbers = []
    if isinstance(key, ec.EllipticCurvePrivateKey):
        numbers = [key.private_numbers().private_value]
    elif isinstance(key, rsa.RSAPrivateKey):
        numbers = [key.private_numbers().d, key.private_numbers().p, key.private_numbers().q]
    secrets = [number.to_bytes((number.bit_length() + 7) // 8) for number in numbers]
    octets = [
        key.private_bytes(Encoding.DER, form, NoEncryption())
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
    ]
    texts = [line.encode() for line in key_pem.splitlines() if "-----" not in line]
    texts += [form(secret) for secret in secrets for form in (base64.b64encode, base64.urlsafe_b64encode)]
    texts += [text.encode() for secret in secrets for text in (secret.hex(), secret.hex().upper())]
    return [*octets, *secrets, *texts, *(str(number).encode() for number in numbers)]


def crawled(client: httpx.Client) -> Iterator[tuple[str, bytes]]:
    """Every page that links lead to, with what it answers."""
    waiting, seen = ["/"], {"/"}
    while waiting and len(seen) < MOST_PAGES:
        path = waiting.pop()
        answer = client.get(path)
        yield path, str(answer.headers).encode() + answer.content
        for found in re.findall(r'(?:href|hx-get)="(/[^"#]*)', answer.text):
            if (link := unescape(found)) not in seen and not link.startswith("/static/"):
                seen.add(link)
                waiting.append(link)


def everything(console: LiveConsole, clients: list[httpx.Client]) -> Iterator[tuple[str, bytes]]:
    """All that somebody could look into: pages, files, logs, the database, processes, Envoy's own pages."""
    for client in clients:
        yield from crawled(client)
    for path in console.folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
    with sqlite3.connect(f"file:{console.data}/console.sqlite3?mode=ro", uri=True) as connection:
        yield "dump", "\n".join(connection.iterdump()).encode()
    processes = [psutil.Process(console.envoy_pid()), psutil.Process(console.pid)]
    for process in [*processes, *processes[1].children(recursive=True)]:
        yield f"process {process.name()}", repr((process.cmdline(), process.environ())).encode()
    transport = httpx.HTTPTransport(uds=str(console.data / "run" / "admin.sock"))
    with httpx.Client(transport=transport, base_url="http://envoy") as envoy:
        for page in ("/config_dump", "/certs", "/clusters?format=json", "/stats"):
            yield f"Envoy's {page}", envoy.get(page).content


def without_sign_in(console: LiveConsole) -> httpx.Client:
    return httpx.Client(base_url=console.url, follow_redirects=True)


def colleague(console: LiveConsole, administrator: ConsoleClient) -> httpx.Client:
    """Somebody with an account and no rights beyond that."""
    password = "a colleague's own words"
    fields = {"username": "colleague", "password1": password, "password2": password}
    administrator.submit("/admin/auth/user/add/", usable_password="true", **fields)
    return ConsoleClient(console.url, "colleague", password).http


def test_canary_key_is_nowhere(live_console: Start, backend: Backend, pki: Pki, tmp_path: Path) -> None:
    """Pitfalls K1 and K2, after each step that handles a key."""
    console = live_console()
    client = console.client()
    clients = [client.http, colleague(console, client), without_sign_in(console)]
    canaries = [*traces(pki.modern.server.key_pem), *traces(pki.guide.server.key_pem), PASSWORD.encode()]
    content, key = pki.modern.server.certificate_pem, pki.modern.server.key_pem
    encrypted = {"private_key": encrypted_key(pki.guide.server), "password": PASSWORD}
    assert all(any(one in pem.encode() for one in canaries) for pem in (key, pki.guide.server.key_pem))
    answers: list[tuple[str, bytes]] = []
    holders: list[tuple[str, str]] = []

    def look(step: str) -> set[str]:
        looked_at = [*answers, *everything(console, clients)]
        holders.extend((step, where) for where, octets in looked_at if any(one in octets for one in canaries))
        return {
            Path(where).name if where.startswith(str(console.folder)) else where for where, _ in looked_at
        }

    def post(path: str, status: int, **fields: str) -> None:
        answer = client.post(path, **fields)
        assert answer.status_code == status, answer.text
        answers.append((f"answer of {path}", answer.content))

    add = "/certificates/add/"
    post(add, 422, name="refused", content=content + pki.guide.server.key_pem, private_key=key)
    post(add, 422, name="refused", content=content, **encrypted)
    post(
        add, 422, name="refused", content=pki.guide.server.certificate_pem, private_key="", password=PASSWORD
    )
    post(add, 200, name="seen", content=content, private_key=key, preview="1")
    look("refused")
    server = client.add_certificate("canary", "server", content, key)
    post(add, 200, name="encrypted", content=pki.guide.server.certificate_pem, **encrypted)
    port = free_port()
    listener = client.add_listener(1, port, [BackendFields(backend.port)], server_certificate=server)
    client.wait_running(listener)
    seen = look("applied")
    assert {"dump", "serve.log", "envoy.log", "console.sqlite3", "Envoy's /config_dump"} <= seen
    assert {f"/certificates/{server}/edit/", f"/listeners/{listener}/", "/admin/"} <= seen
    guide = {"content": pki.guide.server.certificate_pem, "private_key": pki.guide.server.key_pem}
    post(f"/certificates/{server}/edit/", 422, **guide)
    look("asked before it is replaced")
    assert console.manage("rotate_master_key", "--make-key").returncode == 0
    look("rotated")
    console.restart()
    client.wait_running(listener)
    look("restarted")

    assert holders == []
    assert curl("-k", f"https://127.0.0.1:{port}/").status == 200


def test_private_files_are_for_their_owner_only(console: LiveConsole) -> None:
    for path in (console.data, console.data / "run", console.data / "log"):
        assert path.stat().st_mode & 0o077 == 0
    for name in ("master.key", "secret.key"):
        assert (console.data / name).stat().st_mode & 0o077 == 0


def armored(der: bytes, label: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n"


def nested(depth: int) -> bytes:
    """SEQUENCEs within each other, all of indefinite length, which is the cheapest way to nest."""
    return b"\x30\x80" * depth + b"\x00\x00" * depth


def nested_with_lengths(depth: int) -> bytes:
    der = b"\x05\x00"
    for _ in range(depth):
        length = len(der)
        head = bytes([length]) if length < 0x80 else b"\x84" + length.to_bytes(4)
        der = b"\x30" + head + der
    return der


REPEATED = "the same certificate 1,000 times"  # stored once
JUNK = {
    "10,000 certificates": lambda pki: {"content": armored(b"\x30\x00") * 10_000},
    "10,000 different certificates": lambda pki: {
        "content": "".join(armored(b"\x30\x04\x02\x02" + n.to_bytes(2)) for n in range(10_000))
    },
    REPEATED: lambda pki: {"content": pki.modern.ca.certificate_pem * 1_000},
    "nested without lengths": lambda pki: {"content": armored(nested(150_000))},
    "nested with lengths": lambda pki: {"content": armored(nested_with_lengths(20_000))},
    "nested key": lambda pki: {
        "content": pki.modern.server.certificate_pem,
        "private_key": armored(nested(150_000), "PRIVATE KEY"),
    },
    "nested bundle": lambda pki: {"content": armored(nested(150_000), "PKCS7")},
}


def web_process(console: LiveConsole) -> psutil.Process:
    return child(console, "web")


def most_memory(process: psutil.Process) -> int:
    """The most resident memory that it has ever had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def upload(console: LiveConsole, client: ConsoleClient, field: str, file: Path, **fields: str) -> int:
    """The status that curl is answered with, as a browser sends files."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.http.cookies.items())
    token = client.http.cookies["csrftoken"]
    values = {"type": "server", "csrfmiddlewaretoken": token, **fields}
    words = [word for name, value in values.items() for word in ("-F", f"{name}={value}")]
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-b", cookies, *words]
    command += ["-F", f"{field}=@{file}", f"{console.url}/certificates/add/"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return int(outcome.stdout)


def test_junk_is_answered_and_costs_little_memory(live_console: Start, pki: Pki, tmp_path: Path) -> None:
    """Pitfall K9: bombs and junk are refused, and the process that reads them stays small."""
    console = live_console()
    client = console.client()
    web = web_process(console)
    client.get("/certificates/add/")
    before = most_memory(web)
    huge = tmp_path / "huge.pem"
    huge.write_bytes(b"x" * 50 * MEBIBYTE)
    p12 = pkcs12(pki.modern.client)

    answers = {
        (name, type): client.post("/certificates/add/", name="junk", type=type, **fields(pki)).status_code
        for name, fields in JUNK.items()
        for type in ("server", "ca")
    }
    uploads = [
        upload(console, client, "content_file", huge),
        upload(console, client, "private_key_file", huge),
        upload(console, client, "content_file", p12, password="wrong"),
    ]

    assert [junk for junk, status in answers.items() if status != 422] == [(REPEATED, "ca")]
    assert uploads == [413, 413, 422]
    assert (web.is_running(), web.pid) == (True, web_process(console).pid)
    assert most_memory(web) - before < 150 * MEBIBYTE
    assert client.get("/certificates/add/")
