"""What a data plane is to serve, as frozen values: no database, checked at construction, keys never in repr.

Resources refer to each other by the names that these classes give, which derive from row ids alone.
"""

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography import x509

from certificates.pem.facts import READ_ERRORS
from listeners.tls_policies import DEFAULT, KeyType, TlsPolicy

SNI_NAME = re.compile(r"(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
LONGEST_NAME = 253


class SpecError(ValueError):
    """A value that no data plane may be given; the sentence is fit for a person."""


@dataclass(frozen=True)
class ServerCertificateSpec:
    """`chain` is PEM, leaf first; `private_key` is PEM and is read by the secret resource alone."""

    id: int
    chain: str
    private_key: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_certificates(self.chain, "server certificate", self.id)
        if not self.private_key:
            raise SpecError(f"Server certificate {self.id} has no private key.")

    @property
    def version(self) -> str:
        # The leaf's public key pins the private key, so the chain alone tells versions apart.
        return digest(self.chain)


@dataclass(frozen=True)
class CaBundleSpec:
    """`certificates` is PEM, one or more trusted CA certificates; never empty (pitfall F1)."""

    id: int
    certificates: str

    def __post_init__(self) -> None:
        _check_certificates(self.certificates, "CA certificate", self.id)

    @property
    def version(self) -> str:
        return digest(self.certificates)


class ClientDemand(StrEnum):
    """What a listener asks of every client, whatever name the client asks for."""

    REQUIRED = "required"  # no request without a verified certificate
    OPTIONAL = "optional"  # none is fine; one that is sent must verify
    UNVERIFIED = "unverified"  # one is asked for, and nobody is refused for it


class IdentityKind(StrEnum):
    """The parts of a client certificate that an allow-list can name, each compared with its like alone."""

    DNS = "dns"
    EMAIL = "email"
    URI = "uri"
    IP = "ip"
    SUBJECT = "subject"
    FINGERPRINT = "fingerprint"


@dataclass(frozen=True)
class AllowedClientSpec:
    """`value`: a name, an address, a subject as RFC 2253 writes it, or SHA-256 in lower-case hexadecimal."""

    kind: IdentityKind
    value: str

    def __post_init__(self) -> None:
        if not self.value:
            raise SpecError("An entry of the list of allowed clients is empty.")


@dataclass(frozen=True)
class ClientAuthenticationSpec:
    """`ca_bundles` are ids of `CaBundleSpec`, at least one, ascending (pitfall F1).

    `allowed` is None for every client whose certificate verifies; an empty list is an error (B7).
    """

    ca_bundles: tuple[int, ...]
    demand: ClientDemand = ClientDemand.REQUIRED
    sends_ca_names: bool = True
    allowed: tuple[AllowedClientSpec, ...] | None = None

    def __post_init__(self) -> None:
        if not self.ca_bundles or list(self.ca_bundles) != sorted(set(self.ca_bundles)):
            raise SpecError(
                "Client certificates are asked for, but there is no CA certificate to check them by."
            )
        if self.allowed is not None and (not self.allowed or self.demand != ClientDemand.REQUIRED):
            raise SpecError("A list of allowed clients needs an entry, and certificates that are required.")


class SniAlgorithm(StrEnum):
    """What the star of a name such as *.example.com stands for."""

    WILDCARD = "wildcard"  # one label
    LONGEST_SUFFIX = "longest-suffix"  # any number of labels; the longest name wins


@dataclass(frozen=True)
class SniCertificateSpec:
    """A certificate for clients that ask for one of `names`: lower case, each perhaps with a leading star."""

    certificate: int
    names: tuple[str, ...]
    key_type: KeyType

    def __post_init__(self) -> None:
        if not self.names:
            raise SpecError(f"SNI certificate {self.certificate} has no domain name.")
        for name in self.names:
            if not SNI_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
                raise SpecError(
                    f"{name!r} is not a domain name that SNI certificate {self.certificate} can have."
                )


@dataclass(frozen=True)
class TlsSpec:
    """A client certificate is asked for exactly when `client` is set; there is no separate switch.

    `server_certificate` is the id of the `ServerCertificateSpec` for clients whose name no `sni` has.
    """

    server_certificate: int
    client: ClientAuthenticationSpec | None = None
    policy: TlsPolicy = DEFAULT
    sni: tuple[SniCertificateSpec, ...] = ()
    sni_algorithm: SniAlgorithm = SniAlgorithm.WILDCARD

    def __post_init__(self) -> None:
        # One name may have one certificate of each key type, which the client then chooses from.
        places = [(name, one.key_type) for one in self.sni for name in one.names]
        if len(places) != len(set(places)):
            raise SpecError("Two SNI certificates of the same key type have the same domain name.")


@dataclass(frozen=True)
class TimeoutsSpec:
    """In seconds. What moves is never cut, however long it takes.

    `idle`: a connection without a request is closed, which takes a second or two more; a request that
    was on its way is still answered. 0 closes it after each answer, and one on which nothing has been
    asked after `request`.
    `request`: for the head of a request to arrive, else 408.
    `response`: the longest silence of a backend server: before its answer, else 504; within it, else the
    connection ends. A client that takes nothing of the answer for so long is cut likewise.
    The longer of the last two: the longest silence within a request's body, else 408, and of both sides
    of a websocket, which is then closed.
    """

    idle: int = 60
    request: int = 60
    response: int = 60

    def __post_init__(self) -> None:
        if not (0 <= self.idle <= 4000 and 1 <= self.request <= 300 and 1 <= self.response <= 300):
            raise SpecError("A timeout is out of its range.")


@dataclass(frozen=True)
class RedirectSpec:
    """Every request is answered with 301 to the same host and path over HTTPS on `port`."""

    port: int

    def __post_init__(self) -> None:
        _check_port(self.port)


@dataclass(frozen=True)
class HealthCheckSpec:
    """A TCP connection every `interval` seconds, given up after `timeout` seconds."""

    interval: int = 5
    timeout: int = 3
    healthy_threshold: int = 1
    unhealthy_threshold: int = 3


@dataclass(frozen=True)
class BackendServerSpec:
    """`weight` is 0 to 100; 0 means no new requests."""

    address: str
    port: int
    weight: int = 1

    def __post_init__(self) -> None:
        _check_address(self.address)
        _check_port(self.port)
        if not 0 <= self.weight <= 100:
            raise SpecError(f"A backend server's weight is {self.weight}, not between 0 and 100.")


@dataclass(frozen=True)
class BackendServerGroupSpec:
    id: int
    servers: tuple[BackendServerSpec, ...]
    health_check: HealthCheckSpec = HealthCheckSpec()


@dataclass(frozen=True)
class ListenerSpec:
    """`tls` is None for HTTP. `action` is what becomes of a request: a group of servers or a redirect."""

    id: int
    address: str
    port: int
    action: BackendServerGroupSpec | RedirectSpec
    tls: TlsSpec | None
    http2: bool = False
    timeouts: TimeoutsSpec = TimeoutsSpec()

    def __post_init__(self) -> None:
        _check_address(self.address)
        _check_port(self.port)
        if self.tls is not None and isinstance(self.action, RedirectSpec):
            raise SpecError("Only an HTTP listener redirects to an HTTPS listener.")
        if self.tls is None and self.http2:
            raise SpecError("Only an HTTPS listener speaks HTTP/2.")

    @property
    def group(self) -> BackendServerGroupSpec | None:
        return self.action if isinstance(self.action, BackendServerGroupSpec) else None


@dataclass(frozen=True)
class ChangesSpec:
    """What has changed since a reader looked: `listeners` by id, None for any of them.

    `position` is where its next look begins.
    """

    position: int
    listeners: frozenset[int] | None


@dataclass(frozen=True)
class ConfigurationSpec:
    """Everything that one revision asks for, or what it asks for of some listeners.

    `problems` maps the id of a listener that cannot be expressed to a sentence; what is served of it
    stays as it was.
    """

    revision: int
    listeners: tuple[ListenerSpec, ...] = ()
    server_certificates: Mapping[int, ServerCertificateSpec] = field(default_factory=dict)
    ca_bundles: Mapping[int, CaBundleSpec] = field(default_factory=dict)
    problems: Mapping[int, str] = field(default_factory=dict)


def digest(text: str | bytes) -> str:
    """The version of a resource: the first 16 hexadecimal digits of SHA-256 over its content."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


def addresses_overlap(one: str, other: str) -> bool:
    """Whether two sockets on one port could take each other's connections.

    A wildcard overlaps every address: beside it a concrete address works until its listener stops,
    and then the wildcard's listener answers in its place, with another authentication.
    """
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    return first == second or first.is_unspecified or second.is_unspecified


def _check_address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise SpecError(f"{text!r} is not an IP address.") from None


def _check_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise SpecError(f"{port} is not a port between 1 and 65535.")


def _check_certificates(pem: str, what: str, number: int) -> None:
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except READ_ERRORS as error:
        raise SpecError(f"The stored {what} {number} cannot be read: {error}") from error
