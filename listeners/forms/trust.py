"""What is worth knowing of the CA certificates chosen: the size of their names, how long chains get."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from listeners.models.listener_checks import ca_contents
from listeners.trust_store import LARGEST_NAMES, chain_limits, names_size

# What clients take of the whole message, which has some more than the names: one record of TLS, for those
# that put no message together from several; and what Java takes unless it is told otherwise.
REST_OF_MESSAGE = 200
ONE_RECORD = 16_384
JAVA_DEFAULT = 32_768


@dataclass(frozen=True)
class Trust:
    """Of CA bundles that were accepted before; `size` is in octets, `limits` are of `chain_limits`."""

    size: int
    limits: tuple[int, ...]

    @property
    def octets(self) -> str:
        return f"{self.size:,}"

    @property
    def limit(self) -> str:
        return f"{LARGEST_NAMES:,}"

    @property
    def is_too_much(self) -> bool:
        return self.size > LARGEST_NAMES

    @property
    def warning(self) -> str:
        """Which clients refuse so many names, "" while all take them."""
        whole = self.size + REST_OF_MESSAGE
        if self.is_too_much or whole <= ONE_RECORD:
            return ""
        who = "Java clients, which take 32,768 octets unless they are told otherwise, and small devices"
        if whole <= JAVA_DEFAULT:
            who = "Clients on small devices, which take 16,384 octets at once,"
        return f"{who} may end the handshake. Switch this off unless clients choose among certificates by it."

    @property
    def chains(self) -> str:
        """That CAs which allow different chains are held to one limit, "" where they allow the same."""
        if len(self.limits) < 2:
            return ""
        fewer, most = ", ".join(map(str, self.limits[:-1])), self.limits[-1]
        return (
            f"Up to {most} below each of these CA certificates, for Envoy has one limit for all CAs of a "
            f"listener. By their own path length some allow fewer ({fewer}): give those a listener of their "
            "own where it matters."
        )


def trust(numbers: Sequence[int]) -> Trust | None:
    """Of the CA certificates with these ids; None for none, or for a damaged row."""
    bundles = ca_contents(numbers)
    try:
        return Trust(names_size(bundles), chain_limits(bundles)) if bundles else None
    except ValueError:
        return None


def authorities(numbers: Sequence[int]) -> list[x509.Certificate]:
    """All CAs of these bundles; none of a damaged row."""
    found = []
    for text in ca_contents(numbers):
        try:
            found += x509.load_pem_x509_certificates(text.encode())
        except ValueError:
            continue
    return found
