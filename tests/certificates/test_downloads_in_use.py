"""Downloads of a running console: what its pages say to do with them, done; and that there is one."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.backend import running_backend
from tests.certificates.issuing.test_bundles import has_key
from tests.console_client import BackendFields, ConsoleClient, number_in
from tests.html_forms import html_forms
from tests.live import PASSWORD, LiveConsole
from tests.ports import free_port

FILE_PASSWORD = "kind:moon'42$blue"


@dataclass(frozen=True)
class Shop:
    """A CA of the console, and a listener that lets in its clients alone."""

    client: ConsoleClient
    authority: int
    address: str

    def issue(self) -> int:
        page = f"/certificates/authorities/{self.authority}/client/"
        return number_in(self.client.submit(page, common_name="ada@test.com"))

    def download(self, issued: int, folder: Path, target: str, **fields: str) -> tuple[Path, str]:
        """Where the file was put, and the page that offered it."""
        path = f"/certificates/issued/{issued}/download/"
        page = self.client.get(path)
        chosen = {"target": target, "file_password": FILE_PASSWORD, "account_password": PASSWORD, **fields}
        answer = self.client.submit(path, **chosen)
        name = re.fullmatch(r'attachment; filename="([a-z0-9.-]+)"', answer.headers["Content-Disposition"])
        assert name
        (folder / name[1]).write_bytes(answer.content)
        return folder / name[1], page


@pytest.fixture(scope="module")
def shop(console: LiveConsole) -> Iterator[Shop]:
    client = console.client()
    authority = number_in(client.submit("/certificates/authorities/add/", name="bundles"))
    ca = newest_certificate(client)
    client.submit(f"/certificates/authorities/{authority}/server/", names="127.0.0.1")
    port = free_port()
    with running_backend() as backend:
        listener = client.add_listener(
            1,
            port,
            [BackendFields(backend.port)],
            server_certificate=newest_certificate(client),
            ca_certificate=ca,
        )
        client.wait_running(listener)
        yield Shop(client, authority, f"https://127.0.0.1:{port}/")


def newest_certificate(client: ConsoleClient) -> int:
    page = client.get("/certificates/?sort=-created")
    return max(int(number) for number in re.findall(r'href="/certificates/(\d+)/"', page))


def commands(page: str, target: str) -> list[str]:
    """Those that the page gives for a target, as somebody would copy them."""
    return [
        unescape(text)
        for text in re.findall(rf'<code id="import-{target}-\d+">(.*?)</code>', page, re.DOTALL)
    ]


def in_a_shell(command: str, folder: Path, typed: str) -> "subprocess.CompletedProcess[str]":
    """Without a terminal, so that programs ask for the password on standard input."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        input=f"{typed}\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )


def test_curl_gets_in_as_the_page_says(shop: Shop, tmp_path: Path) -> None:
    example = "https://127.0.0.1:8443/"
    _, page = shop.download(shop.issue(), tmp_path, "curl")
    of_pem, _ = commands(page, "curl")
    p12, page = shop.download(shop.issue(), tmp_path, "curl", format="p12-legacy")
    _, of_p12 = commands(page, "curl")
    assert example in of_pem
    assert example in of_p12
    answers = [
        in_a_shell(f"{command.replace(example, shop.address)} -k -sS", tmp_path, typed)
        for command in (of_pem, of_p12)
        for typed in (FILE_PASSWORD, "another-password")
    ]
    assert [(one.returncode, one.stdout[:12]) for one in answers] == [
        (0, "HTTP/1.1 200"),
        (58, ""),
        (0, "HTTP/1.1 200"),
        (58, ""),
    ]
    refused = in_a_shell(f"curl {shop.address} -I -k -sS", tmp_path, "")
    assert (refused.returncode in {55, 56}, refused.stdout) == (True, "")  # while writing, or reading
    assert p12.stat().st_size > 0


def test_nss_and_java_take_the_file_as_the_page_says(shop: Shop, tmp_path: Path) -> None:
    p12, page = shop.download(shop.issue(), tmp_path, "chrome-linux")
    (into_nss,) = commands(page, "chrome-linux")
    # pk12util asks on a terminal alone.
    imported = in_a_shell(f"{into_nss} -W {shlex.quote(FILE_PASSWORD)}", tmp_path, "")
    assert (imported.returncode, imported.stderr) == (0, "")
    store = f"sql:{tmp_path}/.pki/nssdb"
    listed = in_a_shell(f"certutil -K -d {store}; certutil -L -d {store}", tmp_path, "").stdout
    assert f"ada-test-com-{p12.stem.removeprefix('client-')}" in listed

    shown, _ = commands(page, "java")
    java = in_a_shell(shown, tmp_path, FILE_PASSWORD)
    assert (java.returncode, java.stdout.count("PrivateKeyEntry")) == (0, 1)


def test_one_of_several_at_a_time_gets_the_file(shop: Shop, console: LiveConsole) -> None:
    issued = shop.issue()
    path = f"/certificates/issued/{issued}/download/"
    page = shop.client.get(path)
    form = next(form for form in html_forms(page) if "account_password" in form.fields)
    filled = form.filled({"format": "pem-plain", "account_password": PASSWORD})

    def ask(_: int) -> httpx.Response:
        return shop.client.http.post(path, data=filled)

    with ThreadPoolExecutor(4) as people:
        answers = sorted(people.map(ask, range(4)), key=lambda answer: answer.status_code)

    assert [answer.status_code for answer in answers] == [200, 410, 410, 410]
    assert ["Content-Disposition" in answer.headers for answer in answers] == [True, False, False, False]
    assert all("downloaded it at" in answer.text for answer in answers[1:])
    key = answers[0].text[answers[0].text.index("-----BEGIN PRIVATE") :]
    files = [file for file in console.folder.rglob("*") if file.is_file()]
    assert has_key(answers[0].content, key)
    assert [file for file in files if has_key(file.read_bytes(), key)] == []
    assert not has_key(shop.client.get(f"/certificates/issued/{issued}/").encode(), key)
