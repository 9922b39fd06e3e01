"""Rows for tests: plain functions that make one thing, with what it needs, and return it."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from certificates import pem
from certificates.models import Certificate
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
        ca_certificate=ca_certificate,
        **fields,
    )
    return Listener.objects.open(row, servers or [backend_server()])


def listener_draft(
    on: LoadBalancer, user: User, configure: dict[str, str] | None = None, backends: Any = None
) -> ListenerDraft:
    """A draft that has come as far as what is given."""
    draft = ListenerDraft.objects.begin(on, user)
    if configure is not None:
        draft.remember("configure", draft.fields("configure") | configure)
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
