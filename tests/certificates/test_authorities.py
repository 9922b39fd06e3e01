"""CAs and what they issue, as rows: what is stored, whose keys are here and for how long."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.db.models import ProtectedError
from django.utils import timezone
from pytest_django import Settings

from certificates import pem
from certificates.alternative_names import entered
from certificates.issuing import IssuingError, KeyKind, Profile, Subject, read_request
from certificates.issuing.keys import loaded
from certificates.keyring import UnsealError
from certificates.models import (
    Certificate,
    CertificateAuthority,
    IssuedCertificate,
    KeyDownload,
    NewAuthority,
)
from console.checks import stored_keys
from tests import factories
from tests.certificates.issuing.hostile import raw
from tests.certificates.test_keyring import master_key
from tests.conftest import Pki
from tests.pki import authority as made_elsewhere

pytestmark = pytest.mark.django_db

INTERMEDIATE = Subject("Shop Issuing")


def ca(name: str = "shop", intermediate: Subject | None = None, **options: Any) -> CertificateAuthority:
    wanted = NewAuthority(name, Subject(f"{name} root"), KeyKind.P256, 3650, intermediate, **options)
    return CertificateAuthority.objects.create_root(wanted, factories.user())


def client(by: CertificateAuthority, **options: Any) -> IssuedCertificate:
    names = entered("client.test.com, urn:a:b")
    return by.issue(Profile.CLIENT, Subject("client", "ELB"), names, KeyKind.P256, 30, user(), **options)


def server(
    by: CertificateAuthority,
    names: str = "www.test.com, 127.0.0.1",
    kind: KeyKind = KeyKind.P256,
    **options: Any,
) -> IssuedCertificate:
    found = entered(names, wildcards=True)
    return by.issue(Profile.SERVER, Subject(found[0].value), found, kind, 90, user(), **options)


def user() -> User:
    return User.objects.first() or factories.user()


def fits(content: str, private_key: str) -> bool:
    certificate = x509.load_pem_x509_certificate(content.encode())
    return loaded(private_key).public_key() == certificate.public_key()


def test_root_is_a_ca_certificate_that_listeners_take_and_issues() -> None:
    row = ca()
    stored = row.certificate
    assert (stored.name, stored.type, stored.sealed_private_key) == ("shop", Certificate.Type.CA, "")
    assert (row.is_root, row.parent, row.above, row.between) == (True, None, (), ())
    assert (row.subject, row.has_key, str(row)) == ("CN=shop root", True, "shop")
    assert row.content == stored.content
    assert fits(row.content, row.private_key())
    assert pem.examine_ca(stored.content, timezone.now()).findings == ()


def test_intermediate_issues_and_its_root_stands_in_what_listeners_are_given() -> None:
    row = ca(intermediate=INTERMEDIATE)
    root = row.parent
    assert root is not None
    assert (root.certificate.name, row.certificate.name, row.is_root) == ("shop root", "shop", False)
    assert (row.above, row.between) == ((root.content,), (row.content,))
    assert row.certificate.content == row.content + root.content
    assert fits(root.content, root.private_key())
    assert fits(row.content, row.private_key())
    assert pem.examine_ca(row.certificate.content, timezone.now()).findings == ()


def test_long_name_leaves_room_for_that_of_the_root() -> None:
    row = ca("shop", intermediate=INTERMEDIATE)
    assert row.parent
    wanted = NewAuthority("n" * 255, Subject("Long"), KeyKind.P256, 30, Subject("Long Issuing"))
    made = CertificateAuthority.objects.create_root(wanted, user())
    assert made.parent
    assert (len(made.certificate.name), made.parent.certificate.name) == (255, f"{'n' * 250} root")


def test_client_has_its_key_here_until_it_is_taken_once() -> None:
    row = client(ca(intermediate=INTERMEDIATE))
    assert (row.serial_number, len(row.serial_number) > 30) == (facts(row).serial_number, True)
    assert (row.subject, row.key, row.key_origin, row.days) == ("CN=client,O=ELB", "ECDSA P-256", "here", 30)
    assert list(map(str, row.names)) == ["dns: client.test.com", "uri: urn:a:b"]
    assert row.chain == row.content + row.authority.content
    assert row.is_key_here

    taken = IssuedCertificate.objects.take_key(row.pk)
    again = IssuedCertificate.objects.take_key(row.pk)

    row.refresh_from_db()
    assert fits(row.content, taken)
    assert (again, row.sealed_private_key, row.is_key_here) == ("", "", False)


def facts(row: IssuedCertificate) -> pem.CertificateFacts:
    return pem.stored_facts(row.content)[0]


def test_key_that_nobody_takes_in_time_is_not_given_and_is_forgotten(settings: Settings) -> None:
    by = ca()
    late, fresh = client(by), client(by)
    ended = timezone.now() - timedelta(seconds=settings.ELB_CLIENT_KEY_SECONDS)
    IssuedCertificate.objects.filter(pk=late.pk).update(created_at=ended)
    late.refresh_from_db()
    assert (late.is_key_here, fresh.is_key_here) == (False, True)

    IssuedCertificate.objects.forget_keys()

    late.refresh_from_db()
    assert late.sealed_private_key == ""
    assert IssuedCertificate.objects.take_key(late.pk) == ""
    assert fits(fresh.content, IssuedCertificate.objects.take_key(fresh.pk))


def test_key_past_its_time_is_not_given_before_it_is_forgotten(settings: Settings) -> None:
    row = client(ca())
    settings.ELB_CLIENT_KEY_SECONDS = 0
    assert IssuedCertificate.objects.take_key(row.pk) == ""


def test_key_that_does_not_open_is_kept(settings: Settings) -> None:
    row = client(ca())
    old, settings.ELB_MASTER_KEY = settings.ELB_MASTER_KEY, master_key()
    with pytest.raises(UnsealError):
        IssuedCertificate.objects.take_key(row.pk)
    settings.ELB_MASTER_KEY = old
    assert fits(row.content, IssuedCertificate.objects.take_key(row.pk))


def test_request_leaves_no_key_here() -> None:
    asked = read_request(raw())
    row = ca().issue(Profile.CLIENT, Subject("client"), entered("a.test.com"), asked, 30, user())
    assert (row.key_origin, row.sealed_private_key, row.is_key_here) == ("request", "", False)
    assert row.public_key_hash == asked.public_key_hash == facts(row).public_key_hash


def test_server_is_stored_with_its_chain_and_key() -> None:
    by = ca(intermediate=INTERMEDIATE)
    row = server(by, server_name="shop web")
    stored = row.stored
    assert stored
    assert (stored.name, stored.server_names, stored.content) == ("shop web", "www.test.com", row.chain)
    assert stored.content == row.content + by.content
    assert fits(row.content, stored.private_key())
    assert (row.sealed_private_key, row.is_key_here) == ("", False)
    findings = pem.examine_server(stored.content, stored.private_key(), timezone.now()).findings
    assert [finding.code for finding in findings] == ["issuer_absent"]


def test_server_of_a_request_is_not_stored_for_its_key_is_elsewhere() -> None:
    asked = read_request(raw())
    row = ca().issue(Profile.SERVER, Subject("www.test.com"), entered("www.test.com"), asked, 30, user())
    assert (row.stored, row.sealed_private_key) == (None, "")


def test_key_of_a_server_is_in_one_place() -> None:
    row = server(ca())
    row.sealed_private_key = "sealed"
    with pytest.raises(IntegrityError, match="issued_server_key_elsewhere"):
        row.save()


def test_renewed_server_takes_the_place_of_the_earlier_one() -> None:
    by = ca()
    first = server(by, "www.test.com, shop.test.com")
    assert first.stored
    Certificate.objects.filter(pk=first.stored.pk).update(server_names="shop.test.com", name="kept")
    factories.listener(server_certificate=first.stored)

    second = server(by, "www.test.com, shop.test.com", renewal_of=first)
    other = server(by, "new.test.com", renewal_of=second)

    assert second.stored_id == first.stored_id == other.stored_id
    stored = Certificate.objects.get(pk=first.stored.pk)
    assert (stored.name, stored.server_names, stored.fingerprint) == (
        "kept",
        "new.test.com",
        other.fingerprint,
    )
    assert fits(other.content, stored.private_key())
    assert first.renewals.get() == second


def test_names_that_a_server_is_chosen_for_stay_while_its_renewal_has_them() -> None:
    by = ca()
    first = server(by, "www.test.com, shop.test.com")
    Certificate.objects.filter(pk=first.stored_id).update(server_names="shop.test.com")
    assert server(by, "www.test.com, shop.test.com", renewal_of=first).stored
    assert Certificate.objects.get(pk=first.stored_id).server_names == "shop.test.com"


def test_certificate_that_was_put_in_its_place_by_hand_stays(pki: Pki) -> None:
    by = ca()
    first = server(by)
    assert first.stored
    material = pem.examine_server(
        pki.modern.server.certificate_pem, pki.modern.server.key_pem, timezone.now()
    ).material
    assert material
    first.stored.hold(material)
    first.stored.save()

    second = server(by, renewal_of=first, server_name="anew")

    assert second.stored
    assert second.stored_id != first.stored_id
    assert Certificate.objects.get(pk=first.stored_id).fingerprint == material.certificates[0].fingerprint


def test_renewal_that_a_listener_cannot_serve_is_refused_and_nothing_is_stored() -> None:
    by = ca()
    one, two = server(by, "a.test.com"), server(by, "b.test.com")
    row = factories.listener(server_certificate=server(by).stored)
    row.choose(sni_certificates=[one.stored, two.stored]).save()

    with pytest.raises(IssuingError, match=f"Listener {row.name}: .*b.test.com"):
        server(by, "b.test.com", renewal_of=one)

    assert (by.issued.count(), one.renewals.count()) == (3, 0)
    assert Certificate.objects.get(pk=one.stored_id).fingerprint == one.fingerprint


def test_removed_key_issues_nothing_until_it_is_brought_back() -> None:
    row = ca()
    key = row.private_key()
    row.remove_key()
    row.refresh_from_db()
    assert not row.has_key
    with pytest.raises(IssuingError, match="not on this machine"):
        client(row)

    again = CertificateAuthority.objects.take_up(row.certificate, row.content, key, user())

    assert again.pk == row.pk
    assert client(again).authority == row


def test_key_is_taken_up_for_the_certificate_of_a_bundle_that_it_belongs_to(tmp_path: Path) -> None:
    pairs = [made_elsewhere(tmp_path, f"ca{number}", f"/CN=CA {number}") for number in range(3)]
    one, two, three = pairs
    bundle = tmp_path / "bundle.crt"
    bundle.write_text(one.certificate_pem + two.certificate_pem)
    stored = factories.ca_certificate(type(one)(bundle, one.key))
    parts = [facts.pem for facts in pem.stored_facts(stored.content)]
    take_up = CertificateAuthority.objects.take_up

    for content, key, said in (
        (parts[0], two.key_pem, "key of another certificate"),
        (three.certificate_pem, three.key_pem, "changed or deleted meanwhile"),
        (parts[0], "no key", "cannot be read"),
    ):
        with pytest.raises(IssuingError, match=said):
            take_up(stored, content, key, user())
    row = take_up(stored, parts[1], two.key_pem, user())

    assert (row.subject, row.content, row.is_root, row.parent) == ("CN=CA 1", parts[1], True, None)
    assert client(row).chain == row.issued.get().content
    # One CA of a bundle issues, and a key issues for one.
    other = factories.ca_certificate(type(two)(two.certificate, two.key))
    for certificate, content, key in ((stored, parts[0], one.key_pem), (other, parts[1], two.key_pem)):
        with pytest.raises(IntegrityError):
            take_up(certificate, content, key, user())
    assert CertificateAuthority.objects.get().private_key() == row.private_key()


def test_ca_that_has_issued_is_not_deleted_in_passing() -> None:
    row = ca(intermediate=INTERMEDIATE)
    issued, root = client(row), row.parent
    assert root
    KeyDownload.objects.note("CN=client", "PEM", user(), issued=issued)
    for certificate in (row.certificate, root.certificate):
        with pytest.raises(ProtectedError):
            certificate.delete()
    assert (CertificateAuthority.objects.count(), IssuedCertificate.objects.count()) == (2, 1)

    issued.delete()
    row.certificate.delete()
    root.certificate.delete()

    assert (CertificateAuthority.objects.count(), Certificate.objects.count()) == (0, 0)
    assert KeyDownload.objects.values_list("what", "issued").get() == ("CN=client", None)


def test_ca_and_what_it_issues_use_no_certificate() -> None:
    """Only listeners do: the list says of none of these that it is in use."""
    row = ca(intermediate=INTERMEDIATE)
    issued = server(row)
    client(row)
    assert not Certificate.objects.filter(Certificate.is_used()).exists()
    factories.listener(server_certificate=issued.stored, ca_certificate=row.certificate)
    used = Certificate.objects.filter(Certificate.is_used()).values_list("pk", flat=True)
    assert set(used) == {issued.stored_id, row.certificate_id}


SEALED: dict[str, Callable[[], object]] = {
    "a server's": lambda: server(ca()).authority.remove_key(),
    "a CA's": ca,
    "a client's": lambda: client(ca()).authority.remove_key(),
}


@pytest.mark.parametrize("whose", SEALED)
def test_missing_master_key_is_found_whosever_key_it_sealed(whose: str, settings: Settings) -> None:
    SEALED[whose]()
    assert stored_keys(None, databases=["default"]) == []
    settings.ELB_MASTER_KEY = master_key()
    assert [error.id for error in stored_keys(None, databases=["default"])] == ["console.E007"]


def test_serial_number_is_there_once_for_each_ca() -> None:
    one, other = ca("one"), ca("other")
    number = client(one).serial_number
    client(other)
    other.issued.update(serial_number=number)
    later = client(one)
    with pytest.raises(IntegrityError, match="serial"):
        one.issued.filter(pk=later.pk).update(serial_number=number)


def test_no_key_is_in_a_repr_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    by = ca()
    row = client(by)
    key = IssuedCertificate.objects.take_key(row.pk)
    KeyDownload.objects.note(str(row), "PEM", user(), issued=row)
    secrets = [line for text in (key, by.private_key()) for line in text.splitlines()[1:-1]]
    shown = " ".join(map(repr, (by, row, by.signing, by.__dict__, row.__dict__))) + caplog.text
    assert "has downloaded the private key of client as PEM" in caplog.text
    assert [secret for secret in secrets if secret in shown] == []
