"""What is stored, what is refused at which field, and what becomes of the private key of a refused form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from certificates.forms.certificate import CertificateForm
from certificates.models import Certificate, KeyDraft
from tests.conftest import Pki
from tests.factories import ca_certificate, server_certificate, user
from tests.pki import issue, modern_set

pytestmark = pytest.mark.django_db


def bound(person: User, data: Mapping[str, Any], instance: Certificate | None = None) -> CertificateForm:
    """A form as it is posted; a value of bytes is an uploaded file."""
    defaults = {"name": "web", "type": "server", "content": "", "private_key": "", "description": ""}
    texts = {name: value for name, value in (defaults | dict(data)).items() if not isinstance(value, bytes)}
    files = MultiValueDict(
        {
            f"{name}_file": [SimpleUploadedFile(name, value)]
            for name, value in data.items()
            if isinstance(value, bytes)
        }
    )
    return CertificateForm(texts, files, instance=instance or Certificate(), user=person)


def refused(person: User, data: Mapping[str, Any], instance: Certificate | None = None) -> CertificateForm:
    form = bound(person, data, instance)
    assert not form.is_valid()
    form.keep_private_key()
    return form


def stored(person: User, data: Mapping[str, Any], instance: Certificate | None = None) -> Certificate:
    form = bound(person, data, instance)
    assert form.is_valid(), form.errors
    return form.save()


def body(key_pem: str) -> str:
    """A line of the key's base64 that occurs nowhere else."""
    return key_pem.splitlines()[2]


def test_server_certificate_stored_with_sealed_key(pki: Pki, person: User) -> None:
    pair = pki.guide.server
    certificate = stored(person, {"content": pair.certificate_pem, "private_key": pair.key_pem})

    certificate.refresh_from_db()
    assert certificate.subject == "CN=www.test.com,O=ELB"
    assert (certificate.created_by, certificate.updated_by) == (person, person)
    assert body(pair.key_pem) not in certificate.sealed_private_key
    assert body(pair.key_pem) in certificate.private_key()
    assert KeyDraft.objects.count() == 0


@pytest.mark.parametrize(
    "paste",
    [
        str.strip,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: f"Certificate:\n    Data:\n{text}",
        str.encode,
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
    ],
    ids=["no last newline", "CRLF", "text before BEGIN", "file", "file with BOM", "file in UTF-16"],
)
def test_same_certificate_stored_however_it_comes(pki: Pki, person: User, paste: Any) -> None:
    pair = pki.modern.server
    data = {"content": paste(pair.certificate_pem), "private_key": paste(pair.key_pem)}

    assert stored(person, data).content == pair.certificate_pem


def test_ca_certificate_stored_without_key(pki: Pki, person: User) -> None:
    certificate = stored(person, {"type": "ca", "content": pki.guide.ca.certificate_pem})

    assert certificate.sealed_private_key == ""


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "{{ 7*7 }}", "../../etc/passwd", "a\u202eb", "two\nlines", "x" * 255],
)
def test_name_stored_verbatim(pki: Pki, person: User, name: str) -> None:
    data = {"name": f"  {name} ", "type": "ca", "content": pki.modern.ca.certificate_pem}

    assert stored(person, data).name == name


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "x" * 256}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"description": "a\0b"}, "description"),
        ({"type": "junk"}, "type"),
        ({"content": ""}, "content"),
        ({"content": "junk"}, "content"),
        ({"content": "a\0b"}, "content"),
        ({"content": b""}, "content"),
        ({"content": b"\x00\x01"}, "content"),
        ({"content": b"\xff\xfea"}, "content"),
        ({"content": b"\x30\x82\xff\xff"}, "content"),
        ({"content": b"\x30\x03\x04\x01a"}, "content"),
        ({"content": b"\xfe\xed\xfe\xed\0"}, "content"),
        ({"content": "x" * (1024 * 1024 + 1)}, "content"),
        ({"private_key": ""}, "private_key"),
        ({"private_key": "junk"}, "private_key"),
        ({"private_key": "a\0b"}, "private_key"),
        ({"private_key": b"\x30\x82\xff\xff"}, "private_key"),
        ({"private_key": "x" * (1024 * 1024 + 1)}, "private_key"),
        ({"password": "x" * 1025}, "password"),
        ({"server_names": "www.example.com"}, "server_names"),
        ({"server_names": "localhost"}, "server_names"),
        ({"private_key": "", "key_draft": "junk"}, "private_key"),
        ({"private_key": "", "key_draft": "a\0b"}, "private_key"),
        ({"private_key": "", "key_draft": str(uuid4())}, "private_key"),
    ],
)
def test_refused_at_its_field(pki: Pki, person: User, change: dict[str, Any], field: str) -> None:
    pair = pki.modern.server
    # A file counts while the text area is empty.
    data = {"content": pair.certificate_pem, "private_key": pair.key_pem} | change

    assert list(refused(person, data).errors) == [field]
    assert Certificate.objects.count() == 0


def test_key_of_another_certificate_is_refused_and_kept(pki: Pki, person: User) -> None:
    data = {"content": pki.modern.server.certificate_pem, "private_key": pki.modern.client.key_pem}

    form = refused(person, data)

    assert "does not belong to the certificate" in form.errors["private_key"][0]
    assert form.draft is not None
    assert form.draft.private_key() == pki.modern.client.key_pem
    assert body(pki.modern.client.key_pem) not in form.draft.sealed


def test_kept_key_is_used_and_then_deleted(pki: Pki, person: User) -> None:
    pair = pki.modern.server
    draft = refused(person, {"content": "junk", "private_key": pair.key_pem}).draft
    assert draft is not None

    certificate = stored(person, {"content": pair.certificate_pem, "key_draft": str(draft.pk)})

    assert body(pair.key_pem) in certificate.private_key()
    assert KeyDraft.objects.count() == 0


def test_kept_key_stays_kept_while_the_form_is_refused(pki: Pki, person: User) -> None:
    draft = refused(person, {"content": "junk", "private_key": pki.modern.server.key_pem}).draft
    assert draft is not None

    for content in ("", "junk", "a\0b"):
        form = refused(person, {"content": content, "key_draft": str(draft.pk)})
        assert form.draft == draft


@pytest.mark.parametrize("column", ["private_key", "content"])
def test_kept_key_is_replaced_by_another(pki: Pki, person: User, column: str) -> None:
    first = refused(person, {"content": "junk", "private_key": pki.modern.client.key_pem}).draft
    assert first is not None

    second = refused(person, {column: pki.modern.server.key_pem, "key_draft": str(first.pk)}).draft

    assert list(KeyDraft.objects.all()) == [second]
    assert second is not None
    assert second.private_key() == pki.modern.server.key_pem


def test_kept_key_of_another_person_is_refused(pki: Pki, person: User) -> None:
    pair = pki.modern.server
    draft = refused(user("eve"), {"content": "junk", "private_key": pair.key_pem}).draft
    assert draft is not None

    form = refused(person, {"content": pair.certificate_pem, "key_draft": str(draft.pk)})

    assert form.errors["private_key"] == [
        "The private key that was kept for this form has expired. Paste or choose the private key again."
    ]
    assert form.draft is None
    assert list(KeyDraft.objects.all()) == [draft]


def test_kept_keys_that_have_expired_are_deleted(pki: Pki, person: User) -> None:
    data = {"content": "junk", "private_key": pki.modern.server.key_pem}
    refused(person, data)
    KeyDraft.objects.update(created_at=timezone.now() - KeyDraft.lifetime())

    draft = refused(person, data).draft

    assert list(KeyDraft.objects.all()) == [draft]


def test_kept_key_expires(pki: Pki, person: User) -> None:
    pair = pki.modern.server
    draft = refused(person, {"content": "junk", "private_key": pair.key_pem}).draft
    assert draft is not None
    KeyDraft.objects.update(created_at=timezone.now() - KeyDraft.lifetime())

    form = refused(person, {"content": pair.certificate_pem, "key_draft": str(draft.pk)})

    assert list(form.errors) == ["private_key"]
    assert form.draft is None


def test_key_pasted_into_content_is_used(pki: Pki, person: User) -> None:
    pair = pki.modern.server

    certificate = stored(person, {"content": pair.key_pem + pair.certificate_pem})

    assert certificate.content == pair.certificate_pem
    assert body(pair.key_pem) in certificate.private_key()


def test_key_pasted_into_content_is_taken_out_and_kept_when_refused(pki: Pki, person: User) -> None:
    pair = pki.modern.server

    form = refused(person, {"content": pki.modern.client.key_pem + pair.certificate_pem})

    assert list(form.errors) == ["private_key"]
    assert form.key_was_in_content
    assert form.draft is not None
    assert form.draft.private_key() == pki.modern.client.key_pem
    assert form["content"].value().strip() == pair.certificate_pem.strip()


def test_key_pasted_into_content_of_a_ca_is_not_kept(pki: Pki, person: User) -> None:
    pair = pki.modern.ca

    form = refused(person, {"type": "ca", "content": pair.certificate_pem + pair.key_pem})

    assert list(form.errors) == ["content"]
    assert form.draft is None
    assert body(pair.key_pem) not in form.as_p()


def test_key_of_a_ca_is_refused_and_not_kept(pki: Pki, person: User) -> None:
    pair = pki.modern.ca
    data = {"type": "ca", "content": pair.certificate_pem, "private_key": pair.key_pem}

    form = refused(person, data)

    assert "should stay where it is" in form.errors["private_key"][0]
    assert form.draft is None
    assert KeyDraft.objects.count() == 0


@pytest.mark.parametrize("field", ["name", "description"])
def test_key_in_the_wrong_field_is_neither_stored_nor_shown(pki: Pki, person: User, field: str) -> None:
    pair = pki.modern.server  # short enough for a name

    form = refused(person, {"type": "ca", "content": pki.modern.ca.certificate_pem, field: pair.key_pem})

    assert list(form.errors) == [field]
    assert body(pair.key_pem) not in form.as_p()


def test_uploaded_certificate_is_shown_as_text_when_refused(pki: Pki, person: User) -> None:
    form = refused(person, {"content": pki.modern.server.certificate_pem.encode()})

    assert form["content"].value() == pki.modern.server.certificate_pem


@pytest.mark.parametrize("content", [b"\x30\x82\xff\xff", "a\0b", "x" * (1024 * 1024 + 1)])
def test_content_that_is_no_text_is_not_shown_again(person: User, content: str | bytes) -> None:
    assert refused(person, {"content": content})["content"].value() == ""


def test_edit_of_the_name_leaves_the_rest(pki: Pki, person: User) -> None:
    certificate = server_certificate(pki.guide.server)
    sealed = certificate.sealed_private_key
    data = {"name": "renamed", "content": certificate.content.replace("\n", "\r\n")}

    changed = stored(person, data, Certificate.objects.get())

    changed.refresh_from_db()
    assert (changed.name, changed.sealed_private_key) == ("renamed", sealed)
    assert (changed.created_by, changed.updated_by) == (None, person)


def test_edit_keeps_the_stored_key_when_it_fits(pki: Pki, person: User, tmp_path: Path) -> None:
    server_certificate(pki.modern.server)
    renewed = issue(tmp_path, "renewed", pki.modern.ca, key=pki.modern.server)

    changed = stored(person, {"content": renewed.certificate_pem}, Certificate.objects.get())

    assert changed.content == renewed.certificate_pem
    assert body(pki.modern.server.key_pem) in Certificate.objects.get().private_key()


def test_edit_with_content_of_another_key_needs_that_key(pki: Pki, person: User, tmp_path: Path) -> None:
    server_certificate(pki.modern.server)
    other = modern_set(tmp_path).server

    form = refused(person, {"content": other.certificate_pem}, Certificate.objects.get())
    assert list(form.errors) == ["private_key"]
    assert form.draft is None

    data = {"content": other.certificate_pem, "private_key": other.key_pem}
    changed = stored(person, data, Certificate.objects.get())
    assert body(other.key_pem) in changed.private_key()


def test_edit_when_the_stored_key_does_not_open(pki: Pki, person: User, tmp_path: Path) -> None:
    certificate = server_certificate(pki.modern.server)
    Certificate.objects.update(sealed_private_key="v1.another.AAAA")
    renewed = issue(tmp_path, "renewed", pki.modern.ca, key=pki.modern.server)

    form = refused(person, {"content": renewed.certificate_pem}, Certificate.objects.get())

    assert list(form.errors) == ["private_key"]
    assert certificate.content == Certificate.objects.get().content


def test_edit_leaves_the_type(pki: Pki, person: User) -> None:
    ca_certificate(pki.modern.ca)
    data = {"type": "server", "content": pki.guide.ca.certificate_pem, "private_key": "ignored"}

    assert stored(person, data, Certificate.objects.get()).type == Certificate.Type.CA


def test_warnings_are_for_people(pki: Pki, person: User) -> None:
    pair = pki.guide.server
    form = bound(person, {"content": pair.certificate_pem, "private_key": pair.key_pem})

    assert form.is_valid()
    assert any("SHA-1" in warning for warning in form.warnings)
