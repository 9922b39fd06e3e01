"""Fills the console's database."""

from django.contrib.auth.models import User

from certificates.models import Certificate
from tests.bench.material import many

BATCH = 1_000


def fill(count: int, authority: dict[str, str]) -> None:
    person = User.objects.get()
    rows = []
    for one in many(count):
        names = f"{one.domain},www.{one.domain}"
        rows.append(
            Certificate(
                name=one.name,
                type=Certificate.Type.CA if one.is_ca else Certificate.Type.SERVER,
                content=authority["certificate"],
                # As long as a sealed key of RSA 2048; none is opened here.
                sealed_private_key="" if one.is_ca else f"v1.00000000.{'A' * 2_300}",
                subject=f"CN={one.domain},O=Example",
                issuer="CN=Benchmark CA",
                domain_names="" if one.is_ca else names,
                server_names="" if one.is_ca else names,
                serial_number=f"{one.serial_number:x}",
                fingerprint=one.fingerprint,
                key=one.key,
                signature_algorithm="SHA-256 with RSA",
                not_before=one.begins,
                not_after=one.ends,
                created_by=person,
                updated_by=person,
            )
        )
        if len(rows) == BATCH:
            Certificate.objects.bulk_create(rows)
            rows = []
    Certificate.objects.bulk_create(rows)
