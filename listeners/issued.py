"""What was issued here, beside what listeners make of it: whom they let in, and whom they have seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509

from certificates.issued_listing import IssuedRow
from certificates.models import CertificateAuthority, IssuedCertificate
from listeners.models import Listener, SeenClient
from listeners.openings import Trust, openings

SEEN_SHOWN = 10
UNREAD = ("sealed_private_key", "certificate__content", "certificate__sealed_private_key")


@dataclass(frozen=True)
class Seen:
    """Where a certificate was seen last, how often anywhere, and at how many listeners."""

    last: SeenClient
    count: int
    places: int


@dataclass(frozen=True)
class IssuedEntry:
    """A line of what a CA has issued; `listeners` are those that it opens."""

    row: IssuedRow
    authority: CertificateAuthority
    listeners: list[Listener]
    seen: Seen | None


@dataclass(frozen=True)
class Limits:
    """What a CA's certificate lets it issue: CAs below each other, and names; None and empty: no limit."""

    path_length: int | None
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sighting:
    """A client certificate at a listener; `issued` is it where it was issued here."""

    seen: SeenClient
    issued: IssuedCertificate | None


def issuers(rows: Sequence[IssuedRow]) -> Mapping[int, CertificateAuthority]:
    """The CAs of these, by id."""
    numbers = {row.issued.authority_id for row in rows}
    authorities = CertificateAuthority.objects.filter(pk__in=numbers).select_related("certificate")
    return authorities.defer(*UNREAD).in_bulk()


def entries(
    rows: Sequence[IssuedRow],
    authorities: Mapping[int, CertificateAuthority],
    trusts: Mapping[int, Sequence[Trust]],
) -> list[IssuedEntry]:
    """`trusts` are those of the CAs of these rows; see `openings.trusting`."""
    seen = _seen([row.issued.fingerprint for row in rows])
    return [
        IssuedEntry(
            row,
            authorities[row.issued.authority_id],
            [
                one.listener
                for one in openings(row.issued, trusts.get(row.issued.authority_id, ()))
                if one.opens
            ],
            seen.get(row.issued.fingerprint),
        )
        for row in rows
    ]


def _seen(fingerprints: Sequence[str]) -> Mapping[str, Seen]:
    found: dict[str, Seen] = {}
    rows = SeenClient.objects.filter(fingerprint__in=fingerprints).select_related("listener")
    for row in rows:  # the last seen first
        before = found.get(row.fingerprint, Seen(row, 0, 0))
        found[row.fingerprint] = Seen(before.last, before.count + row.count, before.places + 1)
    return found


def clients_seen(listener: Listener) -> list[Sighting]:
    """The clients that this listener has seen last."""
    rows = list(listener.seen_clients.all()[:SEEN_SHOWN])
    ours = IssuedCertificate.objects.filter(fingerprint__in=[row.fingerprint for row in rows])
    issued = {one.fingerprint: one for one in ours.only("fingerprint", "common_name", "subject")}
    return [Sighting(row, issued.get(row.fingerprint)) for row in rows]


def sightings(issued: IssuedCertificate, most: int) -> list[Sighting]:
    """Where it has been seen, last first."""
    rows = SeenClient.objects.filter(fingerprint=issued.fingerprint).select_related("listener")
    return [Sighting(row, issued) for row in rows[:most]]


def limits(authority: CertificateAuthority) -> Limits:
    extensions = x509.load_pem_x509_certificate(authority.content.encode()).extensions
    path_length: int | None = None
    names: x509.NameConstraints | None = None
    for extension in extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            path_length = extension.value.path_length
        if isinstance(extension.value, x509.NameConstraints):
            names = extension.value
    if names is None:
        return Limits(path_length)
    return Limits(path_length, _texts(names.permitted_subtrees), _texts(names.excluded_subtrees))


def _texts(names: Sequence[x509.GeneralName] | None) -> tuple[str, ...]:
    values = (one.value for one in names or ())
    return tuple(one.rfc4514_string() if isinstance(one, x509.Name) else str(one) for one in values)
