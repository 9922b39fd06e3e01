"""The curl commands that prove a listener, complete for its address, port and certificates."""

import ipaddress
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from certificates import pem
from certificates.models import Certificate
from listeners.identity_headers import VERDICT_HEADER
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
REFUSED = (
    'Expected: refused. curl shows no status line and ends with an error: (56) and "certificate required", '
    "or, as timing has it, (16), (35), (52) or (55)."
)
# With a client certificate and without, by the listener's authentication.
EXPECTATIONS = {
    Listener.Authentication.MUTUAL.value: (ANSWERED, REFUSED),
    Listener.Authentication.OPTIONAL.value: (
        f"{ANSWERED} It reads {VERDICT_HEADER}: SUCCESS. A certificate that does not verify is refused.",
        f"{ANSWERED} It reads {VERDICT_HEADER}: NONE.",
    ),
    Listener.Authentication.UNVERIFIED.value: (
        f"{ANSWERED} It reads {VERDICT_HEADER}: SUCCESS, or FAILED when the certificate does not verify.",
        f"{ANSWERED} It reads {VERDICT_HEADER}: NONE.",
    ),
}
NAMES_SHOWN = 10


@dataclass(frozen=True)
class ProofCommand:
    """`text` is one or more lines for sh or bash."""

    title: str
    text: str
    expectation: str


@dataclass(frozen=True)
class Files:
    """What commands are told to read: the client's certificate and key, as options, and a CA's."""

    client: tuple[str, ...] = ("--cert", "client.crt", "--key", "client.key")
    client_words: str = "the client's client.crt and client.key are"
    ca: str = "ca.crt"


@dataclass(frozen=True)
class ServerCheck:
    """How curl makes sure of the server: options, the host for the URL, and a sentence on the choice."""

    options: tuple[str, ...]
    host: str
    sentence: str
    needs_low_security: bool = False


USUAL_FILES = Files()


def proof_commands(
    listener: Listener, console_host: str, files: Files = USUAL_FILES
) -> tuple[ProofCommand, ...]:
    """`console_host` is the host that the browser reached the console by, without its port."""
    address = concrete_address(listener.load_balancer.address, console_host)
    server = listener.server_certificate
    if server is None:
        text = shlex.join(["curl", f"http://{_bracketed(address)}:{listener.port}/", "-I"])
        return (ProofCommand("Ask the listener", text, _redirected(listener) or ANSWERED),)
    cas = listener.chosen_ca_certificates
    own = [name for name in server.domain_names.split(",") if name not in _sni_names(listener)]
    check = _server_check(server, cas, own, (address, listener.port), files.ca)
    url = f"https://{_bracketed(check.host)}:{listener.port}/"
    plain = _command(("curl", *check.options, url, "-I"), check.needs_low_security)
    sentence = " ".join(filter(None, (check.sentence, _other_names(listener))))
    if not cas:
        return (ProofCommand("Ask the listener", plain, f"{ANSWERED} {sentence}"),)
    is_weak = _is_weak(server) or any(map(_is_weak, cas))
    with_certificate, without = EXPECTATIONS[listener.authentication]
    return (
        ProofCommand(
            "With a client certificate",
            _command(("curl", *check.options, *files.client, url, "-I"), is_weak),
            f"Run it where {files.client_words}. {_client(listener) if files == USUAL_FILES else ''}"
            f"{with_certificate} "
            f"{sentence}" + (_low_security_sentence() if is_weak else ""),
        ),
        ProofCommand("Without a client certificate", plain, without),
    )


def vouching(listener: Listener) -> Certificate | None:
    """The stored CA certificate that the commands make sure of the server with."""
    server = listener.server_certificate
    return _issuer(server, listener.chosen_ca_certificates, timezone.now()) if server else None


def _redirected(listener: Listener) -> str:
    if listener.redirect_to is None:
        return ""
    port = listener.redirect_to.port
    place = "https://" if port == 443 else f"https:// and port {port}"
    return f"Expected: HTTP/1.1 301 Moved Permanently, and a Location with the same host and path, {place}."


def _client(listener: Listener) -> str:
    """Whose certificate client.crt has to be, where that is not plain from there being one CA."""
    names = [str(one) for one in listener.chosen_ca_certificates]
    sentence = ""
    if len(names) > 1:
        sentence = f"client.crt comes from one of these CA certificates: {', '.join(names)}. "
    if listener.admission == Listener.Admission.LISTED:
        sentence += "It is one of those on the list of allowed clients. "
    return sentence


def _sni_names(listener: Listener) -> list[str]:
    names = (name for one in listener.chosen_sni_certificates for name in one.server_names.split(",") if name)
    return list(dict.fromkeys(names))


def _other_names(listener: Listener) -> str:
    found = _sni_names(listener)
    if not found:
        return ""
    shown = ", ".join(found[:NAMES_SHOWN]) + (" and others" if len(found) > NAMES_SHOWN else "")
    return (
        f"Clients that ask for one of these names are shown its SNI certificate: {shown}. Such a name works "
        "in place of the host in the command."
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


def _server_check(
    server: Certificate, cas: Sequence[Certificate], names: Sequence[str], place: tuple[str, int], ca: str
) -> ServerCheck:
    """`names` are those that clients are shown the certificate for, `ca` the file of what vouches for it."""
    address, port = place
    issuer = _issuer(server, cas, timezone.now())
    if issuer is None:
        return ServerCheck(
            ("-k",),
            address,
            "With -k curl does not check the server's certificate: no CA certificate stored here vouches "
            "for it.",
        )
    name = _name(names, address)
    if name is None:
        return ServerCheck(
            ("-k",),
            address,
            "With -k curl does not check the server's certificate: it has no subjectAltName that a client "
            "could ask for.",
        )
    sentence = f"{ca} is the content of the CA certificate {issuer.name}."
    is_weak = _is_weak(server) or _is_weak(issuer)
    if name == address:
        return ServerCheck(("--cacert", ca), name, sentence, is_weak)
    if _is_ip(address):
        way = ("--resolve", f"{name}:{port}:{_bracketed(address)}")
    else:
        way = ("--connect-to", f"{name}:{port}:{address}:{port}")
    return ServerCheck(("--cacert", ca, *way), name, sentence, is_weak)


def _issuer(server: Certificate, cas: Sequence[Certificate], now: datetime) -> Certificate | None:
    """The stored CA certificate that makes curl accept the server; the listener's own are asked first."""
    chain = pem.stored_facts(server.content)
    stored = Certificate.objects.filter(type=Certificate.Type.CA, subject__in={one.issuer for one in chain})
    candidates = [*cas, *stored.defer("sealed_private_key")[:20]]
    return next((one for one in candidates if pem.is_trusted(server.content, one.content, now)), None)


def _name(names: Sequence[str], address: str) -> str | None:
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
