"""Which names each kind of certificate is issued for."""

from collections.abc import Sequence
from enum import StrEnum

from certificates.alternative_names import MOST_NAMES, AlternativeName, NameKind
from certificates.issuing.errors import IssuingError
from certificates.pem import quoted

# A TLS message with certificates may have 100 KiB; a certificate that comes near it opens nothing.
LONGEST_NAMES = 10_000


class Profile(StrEnum):
    """What is issued to others than CAs."""

    SERVER = "server"
    CLIENT = "client"


def check_names(profile: Profile, names: Sequence[AlternativeName]) -> None:
    """Raises `IssuingError`."""
    if not names:
        what = "that clients use for the server" if profile is Profile.SERVER else "of the client"
        raise IssuingError(f"Write at least one name {what}.", "names")
    if len(names) > MOST_NAMES:
        raise IssuingError(f"There are {len(names):,} names; at most {MOST_NAMES} are taken.", "names")
    length = sum(len(name.value) for name in names)
    if length > LONGEST_NAMES:
        raise IssuingError(
            f"The names have {length:,} characters together; at most {LONGEST_NAMES:,} are taken, for a TLS "
            "handshake has room for no more.",
            "names",
        )
    for name in names:
        if fault := name_fault(profile, name):
            raise IssuingError(fault, "names")


def name_fault(profile: Profile, name: AlternativeName) -> str:
    """Why a certificate of this kind does not have such a name; "" for one that it may have."""
    if profile is Profile.SERVER and name.kind not in {NameKind.DNS, NameKind.IP}:
        return (
            f"{quoted(name.value)} is no name of a server. Expected are DNS names and IP addresses, by which "
            "clients ask for it."
        )
    if profile is Profile.CLIENT and name.kind is NameKind.DNS and "*" in name.value:
        return f"{quoted(name.value)}: a client's name has no star. Write its name in full."
    return ""
