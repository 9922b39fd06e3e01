"""CAs that issue, what they have issued, and who was seen, for tests: plain functions."""

import hashlib
from datetime import timedelta
from typing import Any

from django.utils import timezone

from certificates.alternative_names import entered
from certificates.issuing import KeyKind, Profile, Subject
from certificates.models import CertificateAuthority, IssuedCertificate, NewAuthority
from listeners.models import Listener, SeenClient
from tests import factories


def authority(name: str = "Clients", *, intermediate: bool = False) -> CertificateAuthority:
    """The CA that issues, under a root of its own where it is an `intermediate`."""
    number = next(factories.NUMBERS)
    wanted = NewAuthority(
        name,
        Subject(f"CA {number}"),
        KeyKind.P256,
        3650,
        intermediate=Subject(f"CA {number} below") if intermediate else None,
    )
    return CertificateAuthority.objects.create_root(wanted, factories.user())


def client(by: CertificateAuthority, holder: str = "laptop", **fields: Any) -> IssuedCertificate:
    """A client's real certificate; `fields` are those of the row alone, such as another end."""
    names = entered(fields.pop("names", f"dns: client-{next(factories.NUMBERS)}.test.com"))
    row = by.issue(
        Profile.CLIENT, Subject(holder), names, KeyKind.P256, 90, factories.user(), **_links(fields)
    )
    return _with(row, fields)


def server(by: CertificateAuthority, host: str = "www.test.com", **fields: Any) -> IssuedCertificate:
    """With its stored certificate."""
    links = _links(fields)
    names = entered(f"dns: {host}")
    row = by.issue(
        Profile.SERVER, Subject(host), names, KeyKind.P256, 90, factories.user(), server_name=host, **links
    )
    return _with(row, fields)


def many(by: CertificateAuthority, count: int, **fields: Any) -> list[IssuedCertificate]:
    """Rows that differ in their numbers and ends; all hold one real certificate."""
    like = client(by)
    now = timezone.now()
    rows = []
    for number in range(1, count + 1):
        digest = hashlib.sha256(f"{like.pk} {number}".encode()).hexdigest()
        facts: dict[str, Any] = {
            "common_name": f"holder-{number:06d}",
            "subject": f"CN=holder-{number:06d},O=Test",
            "alternative_names": f"dns: host-{number:06d}.test.com",
            "serial_number": digest[:39],
            "fingerprint": digest,
            "not_after": now + timedelta(days=number % 400 - 20, seconds=30),
        }
        kept = {
            name: getattr(like, name) for name in ("profile", "key", "key_origin", "content", "not_before")
        }
        rows.append(IssuedCertificate(authority=by, **kept | facts | fields))
    like.delete()
    return IssuedCertificate.objects.bulk_create(rows)


def seen(at: Listener, certificate: IssuedCertificate | str, count: int = 1, days: float = 0) -> SeenClient:
    """Last seen so many days ago; a certificate may be a fingerprint of none that was issued here."""
    fingerprint = certificate if isinstance(certificate, str) else certificate.fingerprint
    last = timezone.now() - timedelta(days=days)
    return SeenClient.objects.create(
        listener=at,
        fingerprint=fingerprint,
        subject=f"CN=seen {fingerprint[:4]}",
        issuer="CN=Somebody's CA",
        serial_number="1f",
        first_seen=last - timedelta(days=1),
        last_seen=last,
        count=count,
    )


def _links(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields.pop(name) for name in ("renewal_of",) if name in fields}


def _with(row: IssuedCertificate, fields: dict[str, Any]) -> IssuedCertificate:
    if fields:
        IssuedCertificate.objects.filter(pk=row.pk).update(**fields)
        row.refresh_from_db()
    return row
