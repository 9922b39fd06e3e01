"""What a replacement takes from those who use the listeners of a certificate: names, and trusted CAs."""

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from certificates import pem

MOST_SHOWN = 10


@dataclass(frozen=True)
class Losses:
    """`items` are names or subjects; `sentence` leads to them."""

    sentence: str
    items: tuple[str, ...]

    @property
    def shown(self) -> tuple[str, ...]:
        return self.items[:MOST_SHOWN]

    @property
    def others(self) -> int:
        return len(self.items) - len(self.shown)

    @property
    def token(self) -> str:
        """What a person confirms: just these losses, not those of another certificate pasted since."""
        return hashlib.sha256("\n".join(self.items).encode()).hexdigest()[:16]


def losses_of_server(domain_names: str, names: Sequence[str], material: pem.Material) -> Losses | None:
    """`domain_names`, separated by commas, are those that the stored certificate is chosen for.

    `names` are all that it has: without domain names these count, and its IP addresses count in any case.
    """
    chosen = domain_names.split(",") if domain_names else names
    addresses = [name for name in names if _is_address(name)]
    leaf = material.certificates[0]
    # Without a subjectAltName its domain names are those of the CN, as they are in the stored one.
    lost = lost_names([*dict.fromkeys([*chosen, *addresses])], [*leaf.names, *leaf.server_names])
    if not lost:
        return None
    sentence = (
        "The new certificate is not valid for every name of the one that it replaces. Clients that ask for "
        "one of these names will refuse it:"
    )
    return Losses(sentence, tuple(lost))


def losses_of_ca(content: str, material: pem.Material) -> Losses | None:
    """`content` is what is stored."""
    lost = lost_authorities(pem.stored_facts(content), material.certificates)
    if not lost:
        return None
    sentence = (
        "The new content leaves out CAs that are trusted now. Clients with a certificate of one of them will "
        "be refused:"
    )
    return Losses(sentence, tuple(lost))


def lost_names(stored: Sequence[str], new: Iterable[str]) -> list[str]:
    """Names that the stored certificate stands for and the new one does not."""
    covered = {name.lower() for name in new}
    return [name for name in stored if not covered & _ways_to_cover(name.lower())]


def lost_authorities(
    stored: Sequence[pem.CertificateFacts], new: Sequence[pem.CertificateFacts]
) -> list[str]:
    """Subjects of CAs whose clients are let in now and not afterwards.

    A CA certificate that was issued anew, for the same subject and key, admits the same clients.
    """
    kept = {(facts.subject, facts.public_key_hash) for facts in new}
    return [facts.subject for facts in stored if (facts.subject, facts.public_key_hash) not in kept]


def _ways_to_cover(name: str) -> set[str]:
    """The name itself, and the one with a star in the place of its first label."""
    _, _, parent = name.partition(".")
    return {name, f"*.{parent}"} if parent and not _is_address(name) else {name}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
