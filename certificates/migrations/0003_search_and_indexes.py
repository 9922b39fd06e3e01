from django.db import migrations, models

# Triggers keep the search table in step, whatever writes: a form, a command, a bulk update. On SQLite a
# later migration that makes certificates_certificate anew (AlterField, AddConstraint) drops them with the
# old table and has to call `make_triggers` again; tests/certificates/test_search.py notices.
COLUMNS = ["name", "domain_names", "server_names", "subject", "serial_number", "fingerprint"]

SQLITE = [
    "CREATE VIRTUAL TABLE certificates_search USING fts5(text, tokenize='trigram')",
    "INSERT INTO certificates_search (rowid, text) SELECT id, {one} FROM certificates_certificate AS one",
]
SQLITE_TRIGGERS = [
    """CREATE TRIGGER certificates_search_insert AFTER INSERT ON certificates_certificate BEGIN
    INSERT INTO certificates_search (rowid, text) VALUES (new.id, {new});
    END""",
    """CREATE TRIGGER certificates_search_update AFTER UPDATE OF {columns} ON certificates_certificate
    WHEN {old} IS NOT {new} BEGIN
    UPDATE certificates_search SET text = {new} WHERE rowid = new.id;
    END""",
    """CREATE TRIGGER certificates_search_delete AFTER DELETE ON certificates_certificate BEGIN
    DELETE FROM certificates_search WHERE rowid = old.id;
    END""",
]
# The role of the console may create pg_trgm, which PostgreSQL trusts, in a database that it owns.
POSTGRESQL = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    """CREATE TABLE certificates_search (
    rowid bigint PRIMARY KEY REFERENCES certificates_certificate (id) ON DELETE CASCADE,
    text text NOT NULL)""",
    "INSERT INTO certificates_search (rowid, text) SELECT id, {one} FROM certificates_certificate AS one",
    "CREATE INDEX certificates_search_text ON certificates_search USING gin (text gin_trgm_ops)",
    "CREATE INDEX certificate_name_begins ON certificates_certificate (name varchar_pattern_ops)",
    """CREATE FUNCTION certificates_search_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO certificates_search (rowid, text) VALUES (new.id, {new})
    ON CONFLICT (rowid) DO UPDATE SET text = excluded.text;
    RETURN NULL; END $$""",
    """CREATE TRIGGER certificates_search_keep AFTER INSERT OR UPDATE OF {columns}
    ON certificates_certificate FOR EACH ROW EXECUTE FUNCTION certificates_search_keep()""",
]


def make_search(apps, schema_editor):
    _execute(schema_editor, SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL)
    make_triggers(schema_editor)


def make_triggers(schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        _execute(schema_editor, SQLITE_TRIGGERS)


def drop_search(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        for event in ("insert", "update", "delete"):
            schema_editor.execute(f"DROP TRIGGER certificates_search_{event}")
    else:
        schema_editor.execute("DROP TRIGGER certificates_search_keep ON certificates_certificate")
        schema_editor.execute("DROP FUNCTION certificates_search_keep()")
        schema_editor.execute("DROP INDEX certificate_name_begins")
    schema_editor.execute("DROP TABLE certificates_search")


def _execute(schema_editor, statements):
    newline = "char(10)" if schema_editor.connection.vendor == "sqlite" else "chr(10)"
    texts = {
        row: f" || {newline} || ".join(f"{row}.{column}" for column in COLUMNS)
        for row in ("one", "old", "new")
    }
    for statement in statements:
        schema_editor.execute(statement.format(columns=", ".join(COLUMNS), **texts))


class Migration(migrations.Migration):
    dependencies = [("certificates", "0002_names_and_public_keys")]

    operations = [
        # Each order of the list with all that the list filters by: the index alone answers.
        *(
            migrations.AddIndex(
                model_name="certificate",
                index=models.Index(fields=fields, name=f"certificate_by_{order}"),
            )
            for order, fields in {
                "name": ["name", "id", "type", "key", "not_after", "not_before"],
                "not_after": ["not_after", "id", "type", "key", "not_before"],
                "created_at": ["created_at", "id", "type", "key", "not_after", "not_before"],
            }.items()
        ),
        migrations.AlterField(
            model_name="certificate",
            name="serial_number",
            field=models.CharField(db_index=True, editable=False, help_text="hexadecimal", max_length=64),
        ),
        migrations.RunPython(make_search, drop_search),
    ]
