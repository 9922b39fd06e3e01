from functools import partial
from importlib import import_module

from django.db import migrations

search = import_module("certificates.migrations.0003_search_and_indexes")

# As for stored certificates, with what migration 0003 says of migrations that make the table anew.
ISSUED = {
    "search": "certificates_issued_search",
    "table": "certificates_issuedcertificate",
    "columns": ["common_name", "subject", "alternative_names", "serial_number", "fingerprint"],
    "named": "common_name",
    "begins": "issued_name_begins",
}


class Migration(migrations.Migration):
    dependencies = [("certificates", "0005_issued_certificates")]

    operations = [
        migrations.RunPython(partial(search.make_search, of=ISSUED), partial(search.drop_search, of=ISSUED)),
    ]
