"""What a data plane is to serve, as frozen values: no database, checked at construction, keys never in repr.

Resources refer to each other by the names that these classes give, which derive from row ids alone.
"""

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from listeners.tls_policies import DEFAULT, TlsPolicy


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


@dataclass(frozen=True)
class TlsSpec:
    """A client certificate is required exactly when `ca_bundle` is set; there is no separate switch.

    `server_certificate` and `ca_bundle` are ids of `ServerCertificateSpec` and `CaBundleSpec`.
    """

    server_certificate: int
    ca_bundle: int | None = None
    policy: TlsPolicy = DEFAULT


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
    """`tls` is None for HTTP."""

    id: int
    address: str
    port: int
    group: BackendServerGroupSpec
    tls: TlsSpec | None

    def __post_init__(self) -> None:
        _check_address(self.address)
        _check_port(self.port)


@dataclass(frozen=True)
class ConfigurationSpec:
    """Everything that one revision asks for.

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
    except ValueError as error:
        raise SpecError(f"The stored {what} {number} cannot be read: {error}") from error
