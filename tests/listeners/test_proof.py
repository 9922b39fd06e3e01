"""The commands on a listener's page: their text, and that they do what they say when pasted into a shell."""

import shlex
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509

from listeners.models import Listener, LoadBalancer
from listeners.proof import concrete_address, proof_commands
from tests import factories
from tests import pki as make
from tests.conftest import Pki
from tests.pki import KeyPair

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("address", "console_host", "expected"),
    [
        ("127.0.0.2", "console.test", "127.0.0.2"),
        ("::1", "127.0.0.1", "::1"),
        ("0.0.0.0", "192.0.2.7", "192.0.2.7"),
        ("0.0.0.0", "console.test", "console.test"),
        ("0.0.0.0", "localhost", "localhost"),
        ("0.0.0.0", "[2001:db8::7]", "127.0.0.1"),
        ("0.0.0.0", "[::1]", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "", "127.0.0.1"),
        ("0.0.0.0", "a b;$(id)", "127.0.0.1"),
        ("0.0.0.0", "-k", "127.0.0.1"),
        ("::", "[2001:db8::7]", "2001:db8::7"),
        ("::", "2001:db8::7", "2001:db8::7"),
        ("::", "192.0.2.7", "192.0.2.7"),
        ("::", "[::]", "127.0.0.1"),
        ("::", "[fe80::1%eth0]", "127.0.0.1"),
    ],
)
def test_concrete_address(address: str, console_host: str, expected: str) -> None:
    assert concrete_address(address, console_host) == expected


def listener(
    server: KeyPair | None = None, ca: KeyPair | None = None, address: str = "127.0.0.1", port: int = 8443
) -> Listener:
    return factories.listener(
        LoadBalancer.objects.create(name=f"{address} {port}", address=address),
        port=port,
        server_certificate=factories.server_certificate(server) if server else None,
        ca_certificate=factories.ca_certificate(ca) if ca else None,
    )


def texts(row: Listener, console_host: str = "127.0.0.1") -> list[str]:
    return [command.text for command in proof_commands(row, console_host)]


CONFIGURE = (
    "printf '%s\\n' 'openssl_conf = elb' '[elb]' 'ssl_conf = elb_ssl' '[elb_ssl]' "
    "'system_default = elb_defaults' '[elb_defaults]' 'CipherString = DEFAULT@SECLEVEL=0' > elb-openssl.cnf\n"
    "OPENSSL_CONF=elb-openssl.cnf "
)


def test_http(pki: Pki) -> None:
    assert texts(listener(address="::1", port=8080)) == ["curl 'http://[::1]:8080/' -I"]


def test_guide_is_as_in_the_guide_with_what_openssl_3_needs(pki: Pki) -> None:
    row = listener(pki.guide.server, pki.guide.ca, "0.0.0.0")

    with_certificate, without = proof_commands(row, "192.0.2.7")

    assert with_certificate.text == (
        f"{CONFIGURE}curl -k --cert client.crt --key client.key https://192.0.2.7:8443/ -I"
    )
    assert without.text == "curl -k https://192.0.2.7:8443/ -I"
    assert "no subjectAltName" in with_certificate.expectation
    assert "-sha256" in with_certificate.expectation
    assert "Expected: refused." in without.expectation


def test_modern_set_checks_the_server_too(pki: Pki) -> None:
    row = listener(pki.modern.server, pki.modern.ca)

    with_certificate, without = proof_commands(row, "127.0.0.1")

    assert with_certificate.text == (
        "curl --cacert ca.crt --cert client.crt --key client.key https://127.0.0.1:8443/ -I"
    )
    assert without.text == "curl --cacert ca.crt https://127.0.0.1:8443/ -I"
    assert (
        f"ca.crt is the content of the CA certificate {row.chosen_ca_certificates[0]}."
        in with_certificate.expectation
    )


@pytest.mark.parametrize(
    ("address", "console_host", "way"),
    [
        ("127.0.0.2", "127.0.0.1", "--resolve www.test.com:8443:127.0.0.2"),
        ("2001:db8::7", "127.0.0.1", "--resolve 'www.test.com:8443:[2001:db8::7]'"),
        ("0.0.0.0", "console.test", "--connect-to www.test.com:8443:console.test:8443"),
        ("0.0.0.0", "www.test.com", ""),
    ],
)
def test_name_of_the_certificate_leads_to_the_address(
    address: str, console_host: str, way: str, pki: Pki
) -> None:
    factories.ca_certificate(pki.modern.ca)

    found = texts(listener(pki.modern.server, address=address), console_host)

    assert found == [" ".join(f"curl --cacert ca.crt {way} https://www.test.com:8443/ -I".split())]


def test_one_way_without_a_stored_ca_does_not_check_the_server(pki: Pki) -> None:
    (command,) = proof_commands(listener(pki.modern.server), "127.0.0.1")

    assert command.text == "curl -k https://127.0.0.1:8443/ -I"
    assert "no CA certificate stored here vouches for it" in command.expectation


def test_ca_of_the_same_name_and_another_key_does_not_vouch(pki: Pki) -> None:
    assert texts(listener(pki.modern.server, pki.guide.ca)) == [
        f"{CONFIGURE}curl -k --cert client.crt --key client.key https://127.0.0.1:8443/ -I",
        "curl -k https://127.0.0.1:8443/ -I",
    ]


def test_names_from_certificates_are_data(tmp_path: Path, pki: Pki) -> None:
    names = ("$(touch owned)", "`touch owned`", "a;touch owned", "-k", "'", "*.wild.test")
    now = datetime.now(UTC)
    extension = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    pair = make.issue_between(
        tmp_path, "odd", pki.modern.ca, now - DAY, now + 90 * DAY, extensions=[(extension, False)]
    )
    factories.ca_certificate(pki.modern.ca)

    (text,) = texts(listener(pair, address="127.0.0.2"))

    assert shlex.split(text) == [
        *("curl", "--cacert", "ca.crt", "--resolve", "www.wild.test:8443:127.0.0.2"),
        *("https://www.wild.test:8443/", "-I"),
    ]


def commands(row: Listener) -> dict[str, str]:
    return {command.title: command.expectation for command in proof_commands(row, "127.0.0.1")}


@pytest.mark.parametrize(
    ("authentication", "with_certificate", "without"),
    [
        ("mutual", "from the backend server.", "Expected: refused."),
        (
            "optional",
            "Clientverify: SUCCESS. A certificate that does not verify is refused.",
            "Clientverify: NONE.",
        ),
        ("unverified", "Clientverify: SUCCESS, or FAILED when", "Clientverify: NONE."),
    ],
)
def test_each_way_to_authenticate_says_what_its_commands_show(
    authentication: str, with_certificate: str, without: str, pki: Pki
) -> None:
    row = listener(pki.modern.server, pki.modern.ca)
    row.authentication = authentication
    found = commands(row)
    assert list(found) == ["With a client certificate", "Without a client certificate"]
    assert with_certificate in found["With a client certificate"]
    assert without in found["Without a client certificate"]


def test_several_cas_and_a_list_are_said_and_the_one_that_vouches_is_named(pki: Pki) -> None:
    row = listener(pki.modern.server, pki.modern.ca)
    (vouching,), other = row.chosen_ca_certificates, factories.ca_certificate(pki.guide.ca, name="other")
    row.choose(ca_certificates=[other, vouching])
    row.admission = Listener.Admission.LISTED
    text = commands(row)["With a client certificate"]
    assert (
        f"client.crt comes from one of these CA certificates: other, {vouching}. It is one of those on"
        in text
    )
    assert f"ca.crt is the content of the CA certificate {vouching}." in text


def test_name_of_an_sni_certificate_is_listed_and_not_used_for_the_other(pki: Pki) -> None:
    row = listener(pki.modern.server, pki.modern.ca, address="127.0.0.2")
    assert "www.test.com" in texts(row)[0]
    row.choose(sni_certificates=[factories.server_certificate(pki.guide.server)])
    assert "www.test.com" not in texts(row)[0]
    text = commands(row)["With a client certificate"]
    assert "Clients that ask for one of these names are shown its SNI certificate: www.test.com." in text


def test_redirect_says_where_it_leads(pki: Pki) -> None:
    target = listener(pki.modern.server)
    row = listener(port=8080)
    row.redirect_to, row.backend_server_group = target, None
    assert (
        "301 Moved Permanently, and a Location with the same host and path, https:// and port 8443."
        in (commands(row)["Ask the listener"])
    )


# Pasted into a shell


class _Answer(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def tls_server(pair: KeyPair, ca: KeyPair | None) -> Iterator[int]:
    """An HTTPS server on a free port, as lenient as Envoy; requires a certificate when `ca` is set."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(pair.certificate, pair.key)
    if ca:
        context.load_verify_locations(ca.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        server.handle_error = lambda *arguments: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


# A TLS 1.3 client believes that it is connected before it is refused: what it is doing then decides.
REFUSED_BY_SERVER = {35, 52, 55, 56}


def pasted(shell: str, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shell, "-c", text], cwd=folder, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("kind", ["guide", "guide with SAN", "modern"])
def test_mutual_commands_work_when_pasted(shell: str, kind: str, tmp_path: Path, pki: Pki) -> None:
    made = pki.modern if kind == "modern" else pki.guide
    server = made.server
    if kind == "guide with SAN":
        server = make.issue(
            tmp_path / "san", "server", made.ca, digest="sha1", extensions=make.SERVER_EXTENSIONS
        )
    for name, source in {
        "client.crt": made.client.certificate,
        "client.key": made.client.key,
        "ca.crt": made.ca.certificate,
    }.items():
        shutil.copy(source, tmp_path / name)
    with tls_server(server, made.ca) as port:
        with_certificate, without = texts(listener(server, made.ca, port=port))
        let_in, refused = pasted(shell, with_certificate, tmp_path), pasted(shell, without, tmp_path)

    assert let_in.stdout.startswith("HTTP/1.0 200"), let_in.stderr
    assert refused.stdout == ""
    assert refused.returncode in REFUSED_BY_SERVER, refused.stderr


@pytest.mark.parametrize("kind", ["guide", "modern"])
def test_one_way_command_works_when_pasted(kind: str, tmp_path: Path, pki: Pki) -> None:
    made = pki.modern if kind == "modern" else pki.guide
    factories.ca_certificate(made.ca)
    shutil.copy(made.ca.certificate, tmp_path / "ca.crt")
    with tls_server(made.server, None) as port:
        (text,) = texts(listener(made.server, port=port))
        answer = pasted("sh", text, tmp_path)

    assert answer.stdout.startswith("HTTP/1.0 200"), answer.stderr
