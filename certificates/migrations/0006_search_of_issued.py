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
# PostgreSQL empties no table that another one refers to, so `manage.py flush` failed with the foreign keys.
APART = [
    "ALTER TABLE {search} DROP CONSTRAINT {search}_rowid_fkey",
    """CREATE FUNCTION {search}_forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'TRUNCATE' THEN TRUNCATE {search}; ELSE DELETE FROM {search} WHERE rowid = old.id; END IF;
    RETURN NULL; END $$""",
    """CREATE TRIGGER {search}_forget AFTER DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {search}_forget()""",
    """CREATE TRIGGER {search}_empty AFTER TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {search}_forget()""",
]
TOGETHER = [
    "DROP TRIGGER {search}_empty ON {table}",
    "DROP TRIGGER {search}_forget ON {table}",
    "DROP FUNCTION {search}_forget()",
    "ALTER TABLE {search} ADD FOREIGN KEY (rowid) REFERENCES {table} (id) ON DELETE CASCADE",
]


def part(apps, schema_editor, statements=APART):
    if schema_editor.connection.vendor != "sqlite":
        for of in (search.CERTIFICATES, ISSUED):
            for statement in statements:
                schema_editor.execute(statement.format_map(of))


class Migration(migrations.Migration):
    dependencies = [("certificates", "0005_issued_certificates")]

    operations = [
        migrations.RunPython(partial(search.make_search, of=ISSUED), partial(search.drop_search, of=ISSUED)),
        migrations.RunPython(part, partial(part, statements=TOGETHER)),
    ]
