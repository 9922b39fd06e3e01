"""Fills django-x509's database."""

from django_x509.models import Ca, Cert

from tests.bench.material import many

BATCH = 1_000


def fill(count: int, authority: dict[str, str]) -> None:
    ca = Ca(name="Benchmark CA", certificate=authority["certificate"], private_key=authority["private_key"])
    ca.full_clean()
    ca.save()
    rows = []
    for one in many(count):
        rows.append(
            Cert(
                ca=ca,
                name=one.name,
                key_length="2048",
                digest="sha256",
                validity_start=one.begins,
                validity_end=one.ends,
                common_name=one.domain,
                serial_number=str(one.serial_number),
                certificate=authority["certificate"],
                private_key=authority["private_key"],
            )
        )
        if len(rows) == BATCH:
            Cert.objects.bulk_create(rows)
            rows = []
    Cert.objects.bulk_create(rows)
