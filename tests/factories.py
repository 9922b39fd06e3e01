"""Rows for tests: plain functions that make one thing, with what it needs, and return it."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from certificates import pem
from certificates.issuing import KeyKind, Subject
from certificates.models import Certificate, CertificateAuthority, NewAuthority
from listeners.models import BackendServer, Listener, ListenerDraft, LoadBalancer
from tests.pki import KeyPair

NUMBERS = itertools.count(1)


def user(username: str = "", **fields: Any) -> User:
    return User.objects.create_user(username or f"user-{next(NUMBERS)}", **fields)


def load_balancer(name: str = "", address: str = "127.0.0.1", **fields: Any) -> LoadBalancer:
    row = LoadBalancer(name=name or f"lb-{next(NUMBERS)}", address=address, **fields)
    row.full_clean()
    row.save()
    return row


def server_certificate(pair: KeyPair, name: str = "web", **fields: Any) -> Certificate:
    verdict = pem.examine_server(read(pair.certificate), read(pair.key), timezone.now())
    return _stored(verdict, Certificate(name=name, type=Certificate.Type.SERVER, **fields))


def ca_certificate(pair: KeyPair, name: str = "clients", **fields: Any) -> Certificate:
    verdict = pem.examine_ca(read(pair.certificate), timezone.now())
    return _stored(verdict, Certificate(name=name, type=Certificate.Type.CA, **fields))


def authority(name: str = "shop", intermediate: str = "", by: User | None = None) -> CertificateAuthority:
    """Made here, for thirty days; the one that issues. `intermediate` is its common name below a root."""
    below = Subject(intermediate) if intermediate else None
    wanted = NewAuthority(name, Subject(f"{name} CA"), KeyKind.P256, 30, below)
    return CertificateAuthority.objects.create_root(wanted, by or user())


def listing_certificate(**fields: Any) -> Certificate:
    """A row for lists, which nothing could serve; valid for a year unless `fields` say else."""
    row = _listed(next(NUMBERS), fields)
    row.save()
    return row


def listing_certificates(count: int, prefix: str = "row") -> None:
    """Many such rows at once, of different ends, keys and types."""
    now = timezone.now()
    rows = []
    for number in range(1, count + 1):
        fields: dict[str, Any] = {
            "name": f"{prefix}-{number:06d}",
            "type": Certificate.Type.CA if number % 10 == 0 else Certificate.Type.SERVER,
            "key": ("RSA 2048", "ECDSA P-256", "Ed25519")[number % 3],
            "not_after": now + timedelta(days=number % 400 - 20, seconds=30),
        }
        rows.append(_listed(number, fields))
    Certificate.objects.bulk_create(rows)


def _listed(number: int, fields: dict[str, Any]) -> Certificate:
    now = timezone.now()
    domain = f"host-{number:06d}.example.com"
    names = "" if fields.get("type") == Certificate.Type.CA else domain
    facts: dict[str, Any] = {
        "name": f"cert-{number}",
        "type": Certificate.Type.SERVER,
        "content": "no certificate",
        "subject": f"CN={domain}",
        "issuer": "CN=Issuing CA",
        "domain_names": names,
        "server_names": names,
        "serial_number": f"{number:016x}",
        "fingerprint": hashlib.sha256(str(number).encode()).hexdigest(),
        "key": "RSA 2048",
        "signature_algorithm": "SHA-256 with RSA",
        "not_before": now - timedelta(days=400),
        "not_after": now + timedelta(days=365),
    }
    row = Certificate(**facts | fields)
    row.sealed_private_key = "" if row.type == Certificate.Type.CA else "sealed"
    return row


def backend_server(address: str = "192.0.2.10", port: int = 8080, weight: int = 1) -> BackendServer:
    """Not stored: a group holds it."""
    return BackendServer(address=address, port=port, weight=weight)


def listener(
    on: LoadBalancer | None = None,
    port: int = 0,
    servers: Sequence[BackendServer] = (),
    *,
    server_certificate: Certificate | None = None,
    ca_certificate: Certificate | None = None,
    **fields: Any,
) -> Listener:
    """HTTP unless there is a server certificate; mutual when there is a CA certificate."""
    number = next(NUMBERS)
    row = Listener(
        load_balancer=on or load_balancer(),
        name=fields.pop("name", f"listener-{number}"),
        port=port or 10_000 + number,
        protocol=Listener.Protocol.HTTPS if server_certificate else Listener.Protocol.HTTP,
        authentication=(
            Listener.Authentication.MUTUAL if ca_certificate else Listener.Authentication.ONE_WAY
        ),
        server_certificate=server_certificate,
        **fields,
    ).choose(ca_certificates=[ca_certificate] if ca_certificate else [])
    return Listener.objects.open(row, servers or [backend_server()])


def listener_draft(
    on: LoadBalancer,
    user: User,
    configure: Mapping[str, str | list[str]] | None = None,
    backends: Any = None,
    routing: Mapping[str, str] | None = None,
) -> ListenerDraft:
    """A draft that has come as far as what is given."""
    draft = ListenerDraft.objects.begin(on, user)
    for step, given in (("configure", configure), ("routing", routing)):
        fields = draft.fields(step)
        for name, value in (given or {}).items():
            fields.setlist(name, [value] if isinstance(value, str) else value)
        draft.remember(step, fields)
    if backends is not None:
        draft.remember("backends", backends)
    return draft


def read(path: Path) -> str:
    return path.read_text()


def _stored(verdict: pem.Verdict, row: Certificate) -> Certificate:
    assert verdict.material, verdict.findings
    row.hold(verdict.material)
    row.save()
    return row
