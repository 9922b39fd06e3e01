from django.db import migrations, models

# Triggers keep the search table in step, whatever writes: a form, a command, a bulk update. On SQLite a
# later migration that makes certificates_certificate anew (AlterField, AddConstraint) drops them with the
# old table and has to call `make_triggers` again; tests/certificates/test_search.py notices.
CERTIFICATES = {
    "search": "certificates_search",
    "table": "certificates_certificate",
    "columns": ["name", "domain_names", "server_names", "subject", "serial_number", "fingerprint"],
    "named": "name",
    "begins": "certificate_name_begins",
}

SQLITE = [
    "CREATE VIRTUAL TABLE {search} USING fts5(text, tokenize='trigram')",
    "INSERT INTO {search} (rowid, text) SELECT id, {one} FROM {table} AS one",
]
SQLITE_TRIGGERS = [
    """CREATE TRIGGER {search}_insert AFTER INSERT ON {table} BEGIN
    INSERT INTO {search} (rowid, text) VALUES (new.id, {new});
    END""",
    """CREATE TRIGGER {search}_update AFTER UPDATE OF {columns} ON {table}
    WHEN {old} IS NOT {new} BEGIN
    UPDATE {search} SET text = {new} WHERE rowid = new.id;
    END""",
    """CREATE TRIGGER {search}_delete AFTER DELETE ON {table} BEGIN
    DELETE FROM {search} WHERE rowid = old.id;
    END""",
]
SQLITE_DROPS = [f"DROP TRIGGER {{search}}_{event}" for event in ("insert", "update", "delete")]
# The role of the console may create pg_trgm, which PostgreSQL trusts, in a database that it owns.
POSTGRESQL = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    """CREATE TABLE {search} (
    rowid bigint PRIMARY KEY REFERENCES {table} (id) ON DELETE CASCADE,
    text text NOT NULL)""",
    "INSERT INTO {search} (rowid, text) SELECT id, {one} FROM {table} AS one",
    "CREATE INDEX {search}_text ON {search} USING gin (text gin_trgm_ops)",
    "CREATE INDEX {begins} ON {table} ({named} varchar_pattern_ops)",
    """CREATE FUNCTION {search}_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO {search} (rowid, text) VALUES (new.id, {new})
    ON CONFLICT (rowid) DO UPDATE SET text = excluded.text;
    RETURN NULL; END $$""",
    """CREATE TRIGGER {search}_keep AFTER INSERT OR UPDATE OF {columns}
    ON {table} FOR EACH ROW EXECUTE FUNCTION {search}_keep()""",
]
POSTGRESQL_DROPS = [
    "DROP TRIGGER {search}_keep ON {table}",
    "DROP FUNCTION {search}_keep()",
    "DROP INDEX {begins}",
]


def make_search(apps, schema_editor, of=CERTIFICATES):
    _execute(schema_editor, of, SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL)
    make_triggers(schema_editor, of)


def make_triggers(schema_editor, of=CERTIFICATES):
    if schema_editor.connection.vendor == "sqlite":
        _execute(schema_editor, of, SQLITE_TRIGGERS)


def drop_search(apps, schema_editor, of=CERTIFICATES):
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    _execute(schema_editor, of, SQLITE_DROPS if is_sqlite else POSTGRESQL_DROPS)
    _execute(schema_editor, of, ["DROP TABLE {search}"])


def _execute(schema_editor, of, statements):
    newline = "char(10)" if schema_editor.connection.vendor == "sqlite" else "chr(10)"
    texts = {
        row: f" || {newline} || ".join(f"{row}.{column}" for column in of["columns"])
        for row in ("one", "old", "new")
    }
    for statement in statements:
        schema_editor.execute(statement.format_map(of | texts | {"columns": ", ".join(of["columns"])}))


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
