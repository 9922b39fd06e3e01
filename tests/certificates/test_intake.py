"""Several files, files under a password, and the domain names, through the form that stores them."""

from itertools import permutations
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.utils.html import escape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certificates.forms.certificate import CertificateForm
from certificates.models import Certificate, KeyDraft
from tests.certificates.pem.containers import der, pkcs12, truststore
from tests.certificates.pem.test_rules import with_subject
from tests.certificates.test_forms import body, refused, stored
from tests.conftest import Pki
from tests.factories import server_certificate
from tests.pki import PASSWORD, KeyPair, encrypted_key, issue

pytestmark = pytest.mark.django_db


def files_of(**files: list[bytes]) -> MultiValueDict[str, SimpleUploadedFile]:
    return MultiValueDict(
        {
            f"{name}_file": [SimpleUploadedFile(f"{name}.bin", one) for one in every]
            for name, every in files.items()
        }
    )


def handed(person: User, files: dict[str, list[bytes]], **data: str) -> CertificateForm:
    """A form with several files in a field."""
    texts = {"name": "web", "type": "server", "content": "", "private_key": ""} | data
    return CertificateForm(texts, files_of(**files), instance=Certificate(), user=person)


def pieces(pki: Pki) -> list[bytes]:
    """A server's certificate as DER, its CA and its key as PEM."""
    pair = pki.modern.server
    return [der(pair.certificate_pem), pki.modern.ca.certificate_pem.encode(), pair.key_pem.encode()]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_several_files_in_any_order_are_one_certificate(pki: Pki, person: User, order: list[int]) -> None:
    form = handed(person, {"content": [pieces(pki)[place] for place in order]})

    assert form.is_valid(), form.errors
    assert form.save().content == pki.modern.server.certificate_pem + pki.modern.ca.certificate_pem


def test_files_and_text_count_together(pki: Pki, person: User) -> None:
    leaf, ca, key = pieces(pki)
    form = handed(person, {"content": [leaf], "private_key": [key]}, content=ca.decode())

    assert form.is_valid(), form.errors
    assert form.save().content == pki.modern.server.certificate_pem + ca.decode()


def test_files_take_the_place_of_what_is_stored(pki: Pki, person: User, tmp_path: Path) -> None:
    server_certificate(pki.modern.server)
    row = Certificate.objects.get()
    renewed = issue(tmp_path, "renewed", pki.modern.ca, key=pki.modern.server)
    data = {"name": "web", "content": row.content.replace("\n", "\r\n")}

    form = CertificateForm(data, files_of(content=[der(renewed.certificate_pem)]), instance=row, user=person)

    assert form.is_valid(), form.errors
    assert form.save().content == renewed.certificate_pem


def test_too_much_in_all_fields_together_is_refused(pki: Pki, person: User) -> None:
    filler = b"x" * (600 * 1024)
    form = handed(person, {"content": [filler, pieces(pki)[0]], "private_key": [filler]})

    assert not form.is_valid()
    assert "more than 1 MiB" in str(form.errors)


@pytest.mark.parametrize("column", ["content", "private_key"])
def test_pkcs12_is_kept_sealed_until_its_password_comes(
    pki: Pki, person: User, tmp_path: Path, column: str
) -> None:
    pair = pki.guide.server
    form = handed(person, {column: [pkcs12(tmp_path, pair, pki.guide.ca)]})
    assert not form.is_valid()
    form.keep_private_key()
    assert list(form.errors) == ["password"]
    assert "PKCS12" not in form.as_p()
    assert form.draft is not None

    wrong = refused(person, {"key_draft": str(form.draft.pk), "password": "wrong"})
    assert (list(wrong.errors), wrong.draft) == (["password"], form.draft)

    data = {"key_draft": str(form.draft.pk), "password": PASSWORD}
    certificate = stored(person, data)
    assert certificate.content == pair.certificate_pem + pki.guide.ca.certificate_pem
    assert certificate.private_key() == pair.key_pem
    assert KeyDraft.objects.count() == 0


def test_what_a_password_opened_is_kept_opened_and_the_password_is_not(
    pki: Pki, person: User, tmp_path: Path
) -> None:
    pair = pki.guide.server
    form = handed(person, {"content": [pkcs12(tmp_path, pair)]}, password=PASSWORD, name="x" * 256)
    assert not form.is_valid()
    form.keep_private_key()

    page = form.as_p()
    assert form.draft is not None
    assert form.draft.private_key() == pair.key_pem
    assert form["content"].value().strip() == pair.certificate_pem.strip()
    assert PASSWORD not in page
    assert body(pair.key_pem) not in page
    assert form["server_names"].value() == "www.test.com"
    data = {"content": form["content"].value(), "key_draft": str(form.draft.pk)}
    assert stored(person, data).content == pair.certificate_pem


def test_encrypted_key_survives_a_refusal_sealed(pki: Pki, person: User) -> None:
    pair = pki.guide.server
    data = {"content": pair.certificate_pem, "private_key": encrypted_key(pair)}

    form = refused(person, data)
    assert list(form.errors) == ["password"]
    assert form.draft is not None
    assert "ENCRYPTED" in form.draft.private_key()
    assert "ENCRYPTED" not in form.draft.sealed

    data = {"content": pair.certificate_pem, "key_draft": str(form.draft.pk), "password": PASSWORD}
    assert stored(person, data).private_key() == pair.key_pem


def test_bundle_of_cas_is_kept_until_its_password_comes(pki: Pki, person: User, tmp_path: Path) -> None:
    file = truststore(tmp_path, pki.modern.ca)
    form = handed(person, {"content": [file]}, type="ca")
    assert not form.is_valid()
    form.keep_private_key()
    assert form.draft is not None

    data = {"type": "ca", "key_draft": str(form.draft.pk), "password": PASSWORD}
    assert stored(person, data).content == pki.modern.ca.certificate_pem
    assert KeyDraft.objects.count() == 0


def test_stored_key_is_never_made_a_draft(pki: Pki, person: User) -> None:
    certificate = server_certificate(pki.modern.server)
    data = {"content": certificate.content + pki.guide.ca.certificate_pem}

    form = refused(person, data, Certificate.objects.get())

    assert list(form.errors) == ["content"]
    assert form.draft is None
    assert KeyDraft.objects.count() == 0


def test_owner_of_a_wrong_key_is_named(pki: Pki, person: User) -> None:
    server_certificate(pki.modern.client, name="<mail>")
    data = {"content": pki.modern.server.certificate_pem, "private_key": pki.modern.client.key_pem}

    form = refused(person, data)

    assert "the key of the stored certificate <mail>" in form.errors["private_key"][0]
    assert "<mail>" not in form.as_p()


def wildcard(folder: Path) -> KeyPair:
    return issue(
        folder, "wildcard", None, extensions=["subjectAltName=DNS:*.Test.com,DNS:test.com,IP:10.0.0.1"]
    )


@pytest.mark.parametrize(
    ("entered", "kept"),
    [
        ("", "*.test.com,test.com"),
        ("www.TEST.com", "www.test.com"),
        (" a.test.com, b.test.com\n*.test.com ,a.test.com", "a.test.com,b.test.com,*.test.com"),
    ],
)
def test_domain_names_are_those_of_the_certificate_or_narrower(
    person: User, tmp_path: Path, entered: str, kept: str
) -> None:
    pair = wildcard(tmp_path)
    data = {"content": pair.certificate_pem, "private_key": pair.key_pem, "server_names": entered}

    certificate = stored(person, data)

    assert certificate.server_names == kept
    assert certificate.domain_names == "*.Test.com,test.com,10.0.0.1"


@pytest.mark.parametrize(
    ("entered", "words"),
    [
        ("www.example.com", "is not covered by the certificate"),
        ("a.b.test.com", "is not covered by the certificate"),
        ("*.a.test.com", "is not covered by the certificate"),
        ("localhost", "is no domain name"),
        ("10.0.0.1", "is no domain name"),
        ("-a.test.com", "is no domain name"),
        ("a*.test.com", "is no domain name"),
        ("<b>.test.com", "is no domain name"),
        (f"{'a' * 64}.test.com", "is no domain name"),
        (f"{'a' * 50}.{'b' * 50}.test.com", "longer than 100 characters"),
        (",".join(f"n{number}.test.com" for number in range(101)), "at most 100 are taken"),
    ],
)
def test_domain_names_that_do_not_fit_are_refused_at_their_field(
    person: User, tmp_path: Path, entered: str, words: str
) -> None:
    pair = wildcard(tmp_path)
    data = {"content": pair.certificate_pem, "private_key": pair.key_pem, "server_names": entered}

    form = refused(person, data)

    assert list(form.errors) == ["server_names"]
    assert words in form.errors["server_names"][0]
    assert "<b>" not in str(form.errors)


def test_domain_names_follow_a_replacement_unless_they_were_narrowed(
    pki: Pki, person: User, tmp_path: Path
) -> None:
    old = wildcard(tmp_path)
    names = ["subjectAltName=DNS:new.test.com"]
    new = issue(tmp_path, "new", None, key=old, extensions=names)
    row = stored(person, {"content": old.certificate_pem, "private_key": old.key_pem})
    shown = row.server_names.replace(",", ", ")

    assert (
        stored(person, {"content": new.certificate_pem, "server_names": shown}, row).server_names
        == "new.test.com"
    )
    narrowed = {"content": old.certificate_pem, "server_names": "www.test.com"}
    row = stored(person, narrowed, Certificate.objects.get())
    form = refused(person, {"content": new.certificate_pem, "server_names": "www.test.com"}, row)
    assert list(form.errors) == ["server_names"]


def test_name_may_be_empty_and_then_the_number_stands_for_it(pki: Pki, person: User) -> None:
    certificate = stored(person, {"name": " ", "type": "ca", "content": pki.modern.ca.certificate_pem})

    assert (certificate.name, str(certificate)) == ("", f"ID {certificate.pk}")


ANY = st.binary(max_size=60) | st.sampled_from(
    [b"0\x80", b"-----BEGIN PRIVATE KEY-----", b"\xfe\xed\xfe\xed", b"\xff\xfe0"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.fixed_dictionaries(
        {},
        optional={
            name: st.text(max_size=40)
            for name in (
                "name",
                "type",
                "content",
                "private_key",
                "password",
                "server_names",
                "key_draft",
                "description",
            )
        },
    ),
    files=st.lists(ANY, max_size=3),
    with_key=st.booleans(),
    is_server=st.booleans(),
)
def test_anything_in_any_field_is_answered_and_shows_no_key(
    texts: dict[str, str], files: list[bytes], with_key: bool, is_server: bool, pki: Pki, person: User
) -> None:
    key = pki.modern.server.key_pem
    data = {"type": "server" if is_server else "ca"} | texts
    every = [*files, *([key.encode()] if with_key else [])]
    form = CertificateForm(
        data, files_of(content=every, private_key=every), instance=Certificate(), user=person
    )

    assert not form.is_valid()
    form.keep_private_key()

    assert body(key) not in form.as_p()
    assert body(key) not in str(form.errors)


def test_preview_of_what_is_stored_already_shows_it(pki: Pki, person: User) -> None:
    row = server_certificate(pki.modern.server)
    data = {"name": "web", "content": row.content, "preview": "1"}

    form = CertificateForm(data, files_of(), instance=row, user=person)

    assert form.is_valid(), form.errors
    assert form.verdict is not None
    assert (form.verdict.key_name, form.verdict.key_fits) == ("ECDSA P-256", True)
    form.keep_private_key()
    assert KeyDraft.objects.count() == 0


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "dialog"])
def test_preview_shows_what_was_understood_and_stores_nothing(
    pki: Pki, person: User, client: Client, headers: dict[str, str]
) -> None:
    client.force_login(person)
    pair = pki.guide.server
    data = {"name": "<web>", "type": "server", "content": pair.certificate_pem, "private_key": pair.key_pem}

    answer = client.post(reverse("certificate_add"), data | {"preview": "1"}, headers=headers)
    refused = client.post(
        reverse("certificate_add"),
        data | {"preview": "1", "private_key": pki.modern.server.key_pem},
        headers=headers,
    )

    page = answer.content.decode()
    assert (answer.status_code, refused.status_code) == (200, 422)
    assert Certificate.objects.count() == 0
    for words in (
        "What was understood",
        "It belongs to the certificate",
        "CN=www.test.com,O=ELB",
        "SHA-1 with RSA",
    ):
        assert words in page
    assert 'value="&lt;web&gt;"' in page
    assert "It does not belong to the certificate" in refused.content.decode()
    for key in (pair.key_pem, pki.modern.server.key_pem):
        assert body(key) not in page + refused.content.decode()


HARMFUL = ["<script>alert(1)</script>", "{{ 7*7 }}{% now 'Y' %}", "\u202ea<b>c", "two\nlines", "a\0b"]


@pytest.mark.parametrize("name", HARMFUL)
def test_names_in_a_certificate_are_shown_harmlessly_and_stored_verbatim(
    name: str, person: User, client: Client, tmp_path: Path
) -> None:
    client.force_login(person)
    pair = with_subject(tmp_path, x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False))
    data = {"name": "x", "type": "server", "content": pair.certificate_pem + pair.key_pem}

    page = client.post(reverse("certificate_add"), data | {"preview": "1"}).content.decode()
    client.post(reverse("certificate_add"), data)

    subject = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).subject.rfc4514_string()
    assert Certificate.objects.get().subject == subject
    assert escape(subject) in page
    assert "<script>alert" not in page
    assert "<b>c" not in page
