"""The curl commands that prove a listener, complete for its address, port and certificates."""

import ipaddress
import re
import shlex
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from certificates import pem
from certificates.models import Certificate
from listeners.models import Listener

HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")
WEAK = {"weak_signature", "key_small"}
# curl takes no security level for certificates on its command line; OpenSSL reads it from here.
OPENSSL_CONFIGURATION = (
    "openssl_conf = elb",
    "[elb]",
    "ssl_conf = elb_ssl",
    "[elb_ssl]",
    "system_default = elb_defaults",
    "[elb_defaults]",
    "CipherString = DEFAULT@SECLEVEL=0",
)
CONFIGURATION_FILE = "elb-openssl.cnf"
ANSWERED = (
    "Expected: a status line such as HTTP/1.1 200 OK, from the backend server. 503 means that no backend "
    "server answered."
)


@dataclass(frozen=True)
class ProofCommand:
    """`text` is one or more lines for sh or bash."""

    title: str
    text: str
    expectation: str


@dataclass(frozen=True)
class ServerCheck:
    """How curl makes sure of the server: options, the host for the URL, and a sentence on the choice."""

    options: tuple[str, ...]
    host: str
    sentence: str
    needs_low_security: bool = False


def proof_commands(listener: Listener, console_host: str) -> tuple[ProofCommand, ...]:
    """`console_host` is the host that the browser reached the console by, without its port."""
    address = concrete_address(listener.load_balancer.address, console_host)
    server = listener.server_certificate
    if server is None:
        text = shlex.join(["curl", f"http://{_bracketed(address)}:{listener.port}/", "-I"])
        return (ProofCommand("Ask the listener", text, ANSWERED),)
    cas = listener.chosen("ca_certificates")
    check = _server_check(server, cas[0] if cas else None, address, listener.port)
    url = f"https://{_bracketed(check.host)}:{listener.port}/"
    plain = _command(("curl", *check.options, url, "-I"), check.needs_low_security)
    if not listener.is_mutual or not cas:
        return (ProofCommand("Ask the listener", plain, f"{ANSWERED} {check.sentence}"),)
    is_weak = _is_weak(server) or any(map(_is_weak, cas))
    client = ("--cert", "client.crt", "--key", "client.key")
    return (
        ProofCommand(
            "With a client certificate",
            _command(("curl", *check.options, *client, url, "-I"), is_weak),
            f"Run it where the client's client.crt and client.key are. {ANSWERED} {check.sentence}"
            + (_low_security_sentence() if is_weak else ""),
        ),
        ProofCommand(
            "Without a client certificate",
            plain,
            'Expected: refused. curl shows no status line and ends with an error: (56) and "certificate '
            'required", or, as timing has it, (35), (52) or (55).',
        ),
    )


def concrete_address(address: str, console_host: str) -> str:
    """An address or name that a client can connect to, for a listener on `address`."""
    listening = ipaddress.ip_address(address)
    if not listening.is_unspecified:
        return str(listening)
    host = console_host.removeprefix("[").removesuffix("]")
    try:
        reached = ipaddress.ip_address(host)
    except ValueError:
        return host if HOST_NAME.fullmatch(host) else "127.0.0.1"
    # 0.0.0.0 has no IPv6; nor is an unspecified address one to connect to.
    if reached.is_unspecified or (reached.version == 6 and listening.version == 4) or "%" in host:
        return "127.0.0.1"
    return str(reached)


def _server_check(server: Certificate, ca: Certificate | None, address: str, port: int) -> ServerCheck:
    issuer = _issuer(server, ca, timezone.now())
    if issuer is None:
        return ServerCheck(
            ("-k",),
            address,
            "With -k curl does not check the server's certificate: no CA certificate stored here vouches "
            "for it.",
        )
    name = _name(server.domain_names.split(","), address)
    if name is None:
        return ServerCheck(
            ("-k",),
            address,
            "With -k curl does not check the server's certificate: it has no subjectAltName that a client "
            "could ask for.",
        )
    sentence = f"ca.crt is the content of the CA certificate {issuer.name}."
    is_weak = _is_weak(server) or _is_weak(issuer)
    if name == address:
        return ServerCheck(("--cacert", "ca.crt"), name, sentence, is_weak)
    if _is_ip(address):
        way = ("--resolve", f"{name}:{port}:{_bracketed(address)}")
    else:
        way = ("--connect-to", f"{name}:{port}:{address}:{port}")
    return ServerCheck(("--cacert", "ca.crt", *way), name, sentence, is_weak)


def _issuer(server: Certificate, ca: Certificate | None, now: datetime) -> Certificate | None:
    """The stored CA certificate that makes curl accept the server; the listener's own is asked first."""
    chain = pem.stored_facts(server.content)
    stored = Certificate.objects.filter(type=Certificate.Type.CA, subject__in={one.issuer for one in chain})
    candidates = [*([ca] if ca else []), *stored.defer("sealed_private_key")[:20]]
    return next((one for one in candidates if pem.is_trusted(server.content, one.content, now)), None)


def _name(names: list[str], address: str) -> str | None:
    """The name of the certificate to ask for: the address itself when it is there."""
    if address in names:
        return address
    usable = (name.replace("*", "www", 1) for name in names if not _is_ip(name))
    return next((name for name in usable if HOST_NAME.fullmatch(name)), None)


def _is_weak(certificate: Certificate) -> bool:
    findings = pem.stored_findings(certificate.type, certificate.content, timezone.now())
    return any(finding.code in WEAK for finding in findings)


def _command(words: tuple[str, ...], needs_low_security: bool) -> str:
    command = shlex.join(words)
    if not needs_low_security:
        return command
    lines = shlex.join(["printf", r"%s\n", *OPENSSL_CONFIGURATION])
    return f"{lines} > {CONFIGURATION_FILE}\nOPENSSL_CONF={CONFIGURATION_FILE} {command}"


def _low_security_sentence() -> str:
    return (
        " The first line writes a configuration that lets OpenSSL 3 use SHA-1 signatures and short keys "
        'for this one command; without it curl stops with error 58, "ca md too weak". Certificates signed '
        "with -sha256 do not need it."
    )


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
