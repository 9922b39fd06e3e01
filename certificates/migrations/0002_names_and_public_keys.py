"""Domain names that a certificate is chosen for, and by whose hash the owner of a key is found."""

import hashlib
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import migrations, models

LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN_NAME = re.compile(rf"(?:\*\.)?{LABEL}(?:\.{LABEL})+")
ADDRESS = re.compile(r"[0-9.]+")


def fill(apps, schema_editor):
    Certificate = apps.get_model("certificates", "Certificate")
    rows = Certificate.objects.only("pk", "type", "content", "domain_names")
    for row in rows.iterator(chunk_size=200):
        row.public_key_hash = public_key_hash(row.content)
        if row.type == "server":
            names = row.domain_names.lower().split(",")
            row.server_names = ",".join(
                name
                for name in dict.fromkeys(names)
                if DOMAIN_NAME.fullmatch(name) and not ADDRESS.fullmatch(name)
            )
        row.save(update_fields=["public_key_hash", "server_names"])


def public_key_hash(content):
    try:
        key = x509.load_pem_x509_certificate(content.encode()).public_key()
        return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    except (ValueError, UnsupportedAlgorithm):
        return ""


class Migration(migrations.Migration):
    dependencies = [("certificates", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="certificate",
            name="name",
            field=models.CharField(blank=True, max_length=255, verbose_name="Certificate Name"),
        ),
        migrations.AlterField(
            model_name="certificate",
            name="domain_names",
            field=models.TextField(
                blank=True, editable=False, help_text="comma-separated; every name of the subjectAltName"
            ),
        ),
        migrations.AddField(
            model_name="certificate",
            name="server_names",
            field=models.TextField(
                blank=True,
                default="",
                help_text="comma-separated; of a server certificate, those it is chosen for",
                verbose_name="Domain Name",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="certificate",
            name="public_key_hash",
            field=models.CharField(
                blank=True,
                db_index=True,
                default="",
                editable=False,
                help_text="SHA-256, hexadecimal",
                max_length=64,
            ),
            preserve_default=False,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
