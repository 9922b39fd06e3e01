"""Pitfalls I2 and I5: every place that writes certificates is known here, and what was checked is stored."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import get_commands
from django.test import Client
from django.urls import URLPattern, reverse

from certificates import urls
from certificates.forms.certificate import CertificateForm
from certificates.models import Certificate
from tests.conftest import Pki
from tests.factories import server_certificate, user
from tests.pki import CertificateSet

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for app in ("console", "certificates", "listeners")
    for path in sorted((ROOT / app).rglob("*.py"))
    if not {"migrations", "pem", "issuing"} & set(path.parts)  # the latter two have no database
]
ISSUED_ROWS = "certificates.models.issued_certificate.IssuedCertificateQuerySet"
WRITING = {
    *("save", "create", "get_or_create", "update_or_create", "bulk_create", "bulk_update", "update"),
    *("delete", "execute", "executemany", "raw", "asave", "acreate", "aupdate", "adelete"),
}
MAKING = {"Certificate", "CertificateAuthority", "IssuedCertificate", "model"}
AUTHORITIES = "certificates.models.authority.CertificateAuthorityQuerySet"
# What a certificate is, and its key: set by `hold` from what was parsed, and by nothing else.
FACTS = {
    *("content", "sealed_private_key", "subject", "issuer", "domain_names", "serial_number", "fingerprint"),
    *("key", "public_key_hash", "signature_algorithm", "not_before", "not_after"),
}


@cache
def functions(path: Path) -> tuple[tuple[str, ast.AST], ...]:
    """Each function of a module, and what stands outside of any, by its dotted name."""

    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from walk(inner, f"{name}.{inner.name}")
            else:
                yield name, inner
                yield from walk(inner, name)

    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return tuple(walk(ast.parse(path.read_text()), module))


def writes(path: Path) -> Iterator[tuple[str, str]]:
    """Calls that write rows: `x.save(...)` and the like, with what they are called on."""
    for name, node in functions(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITING:
            yield name, f"{ast.unparse(node.func.value).partition('(')[0]}.{node.func.attr}"


def called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def test_every_door_to_certificates_and_keys_is_known() -> None:
    """A new one fails here: let it go through `Certificate.hold` and a form's `clean`, then name it."""
    doors = {
        door
        for path in SOURCES
        for door in writes(path)
        if path.parts[len(ROOT.parts)] == "certificates" or "ertificate" in door[1] or "Draft" in door[1]
    }
    searches = {door for door in doors if door[0].startswith("certificates.search.")}
    assert {door for _, door in searches} == {"cursor.execute"}
    source = (ROOT / "certificates" / "search.py").read_text().upper()
    assert [word for word in ("INSERT ", "UPDATE ", "DELETE ", "REPLACE ") if word in source] == []
    assert doors - searches == {
        # Forms: examined, held, saved; a key of a refused form is sealed into a draft.
        ("certificates.views.certificates._is_saved", "form.save"),
        ("certificates.forms.certificate.CertificateForm.save", "certificate.save"),
        ("certificates.forms.certificate.CertificateForm.save", "self.draft.delete"),
        ("certificates.forms.certificate.CertificateForm.keep_private_key", "self.draft.delete"),
        ("certificates.models.key_draft.KeyDraftQuerySet.keep", "draft.save"),
        # Deletion, which the database refuses while a listener uses it.
        ("certificates.views.certificates.certificate_delete", "form.delete"),
        ("certificates.forms.deletion.DeletionForm.delete", "self.certificate.delete"),
        ("certificates.models.authority.CertificateAuthority.delete_with_issued", "self.issued.all.delete"),
        ("certificates.models.authority.CertificateAuthority.delete_with_issued", "self.certificate.delete"),
        ("certificates.models.certificate.CertificateQuerySet.remove", "certificate.delete"),
        ("certificates.models.key_draft.KeyDraftQuerySet.expire", "self.filter.delete"),
        # CAs: made, given their keys and rid of them.
        ("certificates.views.authorities.authority_add", "form.save"),
        ("certificates.views.authorities.authority_take_up", "form.save"),
        ("certificates.models.authority.CertificateAuthorityQuerySet._store", "certificate.save"),
        ("certificates.models.authority.CertificateAuthorityQuerySet._keep", "authority.save"),
        ("certificates.models.authority.CertificateAuthorityQuerySet.take_up", "known.save"),
        ("certificates.models.authority.CertificateAuthority.remove_key", "self.save"),
        ("certificates.models.key_download.KeyDownloadQuerySet.note", "self.create"),
        # What a CA issues; of a server the certificate is stored, too, or takes the place of the earlier one.
        ("certificates.views.issuing._saved", "form.save"),
        ("certificates.models.authority.CertificateAuthority.issue", "row.save"),
        ("certificates.models.authority.CertificateAuthority._stored_server", "certificate.save"),
        # A client's key goes with its download, or when its time is over.
        (f"{ISSUED_ROWS}.take_key", "self.filter.update"),
        (f"{ISSUED_ROWS}.forget_keys", "self.exclude.update"),
        # The master key's rotation writes the same key again.
        ("certificates.sealed.SealedRows._batch", "models.QuerySet.update"),
    }


def test_facts_and_keys_are_set_in_one_place_for_each_model() -> None:
    setting: dict[str, set[str]] = {}
    for path in SOURCES:
        for name, node in functions(path):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in FACTS:
                setting.setdefault(name, set()).add(node.attr)
            if isinstance(node, ast.Call) and called(node) in MAKING | WRITING:
                words = {word.arg for word in node.keywords if word.arg in FACTS}
                setting.setdefault(name, set()).update(word for word in words if word)
    del setting["console.http.bodiless_to_head.bodiless"]  # an answer's content, no certificate's
    assert {name: facts for name, facts in setting.items() if facts} == {
        "certificates.models.certificate.Certificate.hold": FACTS,
        # A CA made here or taken up, and a certificate that one has issued: from what was signed or stored.
        f"{AUTHORITIES}._keep": {"content", "subject", "public_key_hash", "not_before", "not_after"},
        "certificates.models.issued_certificate.IssuedCertificate.hold": FACTS
        - {"issuer", "domain_names", "signature_algorithm"},
        # Their keys: sealed, and gone.
        "certificates.models.authority.CertificateAuthority.seal": {"sealed_private_key"},
        "certificates.models.authority.CertificateAuthority.remove_key": {"sealed_private_key"},
        f"{ISSUED_ROWS}.take_key": {"sealed_private_key"},
        f"{ISSUED_ROWS}.forget_keys": {"sealed_private_key"},
    }


def test_keys_are_sealed_and_opened_where_it_is_known() -> None:
    found = {
        (name, node.func.attr)
        for path in SOURCES
        for name, node in functions(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"seal", "unseal", "private_key"}
    }
    assert found == {
        ("certificates.models.certificate.Certificate.hold", "seal"),
        ("certificates.models.certificate.Certificate.private_key", "unseal"),
        ("certificates.models.key_draft.KeyDraftQuerySet.keep", "seal"),
        ("certificates.models.key_draft.KeyDraft.private_key", "unseal"),
        ("certificates.sealed.SealedRows._batch", "seal"),
        ("certificates.sealed.SealedRows._batch", "unseal"),
        # A form that keeps the key it has, and the snapshot for the control plane.
        ("certificates.forms.certificate.CertificateForm._examine", "private_key"),
        ("certificates.forms.certificate.CertificateForm._private_key_from_elsewhere", "private_key"),
        ("listeners.snapshot.server_certificate_spec", "private_key"),
        # A CA's key: to be kept, to be signed with, and to be downloaded.
        ("certificates.models.authority.CertificateAuthorityQuerySet.take_up", "seal"),
        ("certificates.models.authority.CertificateAuthorityQuerySet._keep", "seal"),
        ("certificates.models.authority.CertificateAuthority.seal", "seal"),
        ("certificates.models.authority.CertificateAuthority.private_key", "unseal"),
        ("certificates.models.authority.CertificateAuthority.signing", "private_key"),
        ("certificates.views.authorities._key_file", "private_key"),
        # A client's key: sealed when it is made, and given away once.
        ("certificates.models.issued_certificate.IssuedCertificate.hold", "seal"),
        ("certificates.models.issued_certificate.IssuedCertificate.private_key", "unseal"),
        (f"{ISSUED_ROWS}.take_key", "private_key"),
        # While it is here, the guided setup tries it on the listener.
        ("listeners.guided._identity", "private_key"),
    }


def test_admin_knows_no_drafts_of_keys() -> None:
    registered = {model.__name__ for model in admin.site._registry}
    assert registered & {"Certificate", "KeyDraft"} == {"Certificate"}


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["add", "change", "delete"])
def test_admin_refuses_to_write(admin_client: Client, pki: Pki, page: str) -> None:
    certificate = server_certificate(pki.modern.server)
    arguments = [] if page == "add" else [certificate.pk]
    path = reverse(f"admin:certificates_certificate_{page}", args=arguments)
    answer = admin_client.post(path, {"name": "changed", "content": "x", "post": "yes"})
    assert (answer.status_code, Certificate.objects.values_list("name", "content").get()) == (
        403,
        (certificate.name, certificate.content),
    )


def test_addresses_that_take_a_post_are_known() -> None:
    names = {pattern.name for pattern in urls.urlpatterns if isinstance(pattern, URLPattern)}
    reading = {
        *("certificate_list", "certificate_detail", "certificate_download", "authority_list", "issued_pem"),
    }
    assert names - reading == {
        *("certificate_add", "certificate_edit", "certificate_delete", "certificate_batch_delete"),
        *("authority_add", "authority_take_up", "authority_key_download", "authority_key_remove"),
        *("server_issue", "client_issue", "issued_renew", "issued_download"),
    }


def test_commands_are_known() -> None:
    """Those that write certificates or keys: `rotate_master_key`. Those of Django are its own."""
    own = {app.name for app in apps.get_app_configs() if Path(app.path).parent == ROOT}
    commands = {name for name, app in get_commands().items() if app in own}
    assert commands == {
        *("rotate_master_key", "expiring_certificates"),
        *("control_plane", "envoy_bootstrap", "restart", "serve", "web"),
    }


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["guide", "modern"])
def test_what_was_examined_is_what_is_stored(pki: Pki, name: str) -> None:
    """Pitfall I2: not a copy of it, and not what was pasted."""
    made: CertificateSet = getattr(pki, name)
    noisy = "words before\r\n" + made.server.certificate_pem.replace("\n", "\r\n") + "\r\nwords behind"
    fields = {"name": " web ", "type": "server", "description": " of the shop", "content": noisy}
    form = CertificateForm(fields | {"private_key": f"\n{made.server.key_pem}\n"}, user=user())
    assert form.is_valid(), form.errors
    assert form.verdict
    assert form.verdict.material
    material = form.verdict.material

    form.save()

    row = Certificate.objects.get()
    assert (row.content, row.private_key()) == (material.content, material.private_key)
    assert "words" not in row.content
    assert row.fingerprint == material.certificates[0].fingerprint
    for field in ("name", "type", "description", "server_names"):
        assert getattr(row, field) == form.cleaned_data[field] == getattr(form.instance, field)
