"""What was issued here is issued anew: a new serial number, once, and a server's in its place."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from certificates.alternative_names import entered
from certificates.forms.renewal import RenewalForm
from certificates.issuing import IssuingError, KeyKind, Profile, Subject, read_request
from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from console.models import ConfigurationRevision
from tests.certificates.issuing_pages import (
    authority,
    read_by_openssl,
    request,
    signed_in,
    verified_by_openssl,
)
from tests.conftest import Pki
from tests.factories import listener, server_certificate, user

pytestmark = pytest.mark.django_db

SAME = ("-subject", "-ext", "subjectAltName,extendedKeyUsage,keyUsage,basicConstraints")


def issued(ca: CertificateAuthority, person: User, profile: Profile = Profile.CLIENT, **given: Any) -> Any:
    names = entered("www.test.com\napi.test.com\n192.0.2.1")
    key, days = given.get("key", KeyKind.P256), given.get("days", 100)
    subject = Subject("www.test.com", "ELB")
    return ca.issue(profile, subject, names, key, days, person, server_name="shop")


def path(row: IssuedCertificate) -> str:
    return reverse("issued_renew", args=[row.pk])


def renew(browser: Client, row: IssuedCertificate, until: str = "renew") -> IssuedCertificate:
    answer = browser.post(path(row), {"until": until})
    renewal: IssuedCertificate = IssuedCertificate.objects.get(renewal_of=row)
    assert answer.headers["Location"] == renewal.get_absolute_url()
    return renewal


def age(row: IssuedCertificate, **by: int) -> None:
    """Makes the row that old; its certificate itself says otherwise, which renewing does not look at."""
    past = timedelta(**by)
    IssuedCertificate.objects.filter(pk=row.pk).update(
        not_before=row.not_before - past, not_after=row.not_after - past
    )
    row.refresh_from_db()


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("key", [KeyKind.P384, KeyKind.RSA_2048])
def test_renewal_is_the_same_with_another_key_and_serial_number(
    browser: Client, ca: CertificateAuthority, person: User, profile: Profile, key: KeyKind, tmp_path: Path
) -> None:
    row = issued(ca, person, profile, key=key)
    age(row, days=60)

    renewal = renew(browser, row)

    assert read_by_openssl(renewal.content, *SAME) == read_by_openssl(row.content, *SAME)
    assert (renewal.profile, renewal.key, renewal.days, renewal.names) == (
        *(row.profile, row.key, 100, row.names),
    )
    assert len({row.serial_number, renewal.serial_number}) == 2
    assert len({row.public_key_hash, renewal.public_key_hash}) == 2
    assert renewal.not_after - row.not_after > timedelta(days=59)
    purpose = f"ssl{profile.value}"
    assert verified_by_openssl(tmp_path, ca.content, renewal.content, purpose) == "leaf.pem: OK"
    assert renewal.is_key_here is (profile is Profile.CLIENT)


def test_reissue_ends_when_the_earlier_one_does(
    browser: Client, ca: CertificateAuthority, person: User
) -> None:
    row = issued(ca, person)
    age(row, days=60)
    reissue = renew(browser, row, "reissue")
    assert reissue.not_after == row.not_after
    assert reissue.serial_number != row.serial_number
    # What is renewed after that is as long as it was at first.
    assert renew(browser, reissue).days == 100


def test_key_of_a_request_stays(
    browser: Client, ca: CertificateAuthority, person: User, tmp_path: Path
) -> None:
    row = issued(ca, person, key=read_request(request(tmp_path, "/CN=x").read_text()))
    renewal = renew(browser, row)
    assert (renewal.key_origin, renewal.sealed_private_key) == ("request", "")
    assert read_by_openssl(renewal.content, "-pubkey") == read_by_openssl(row.content, "-pubkey")


def test_server_is_replaced_in_its_place_and_keeps_its_names(
    browser: Client, ca: CertificateAuthority, person: User
) -> None:
    row = issued(ca, person, Profile.SERVER)
    stored = row.stored
    Certificate.objects.filter(pk=stored.pk).update(name="web", server_names="www.test.com")
    by = listener(server_certificate=stored, name="shop-listener")
    page = browser.get(path(row)).content.decode()
    assert "is replaced in place" in page
    assert "shop-listener" in page
    before = ConfigurationRevision.objects.number()

    renewal = renew(browser, row)

    now = Certificate.objects.get(type="server")
    assert (now.pk, now.name, now.server_names) == (stored.pk, "web", "www.test.com")
    assert (now.fingerprint, renewal.stored) == (renewal.fingerprint, now)
    assert now.private_key() != stored.private_key()
    assert by.server_certificate_id == now.pk
    assert ConfigurationRevision.objects.number() > before


def test_server_that_was_replaced_by_hand_stays(
    browser: Client, ca: CertificateAuthority, person: User, pki: Pki
) -> None:
    row = issued(ca, person, Profile.SERVER)
    other = server_certificate(pki.modern.server)
    facts = ("content", "sealed_private_key", "fingerprint")
    Certificate.objects.filter(pk=row.stored.pk).update(**{fact: getattr(other, fact) for fact in facts})
    assert "holds another certificate by now and stays as it is" in browser.get(path(row)).content.decode()

    renewal = renew(browser, row)

    assert Certificate.objects.get(pk=row.stored.pk).fingerprint == other.fingerprint
    assert (renewal.stored.pk != row.stored.pk, renewal.stored.name) == (True, "shop")


def test_renewing_twice_is_told(browser: Client, ca: CertificateAuthority, person: User) -> None:
    row = issued(ca, person)
    renewal = renew(browser, row)
    assert not RenewalForm({"until": "renew"}, issued=row, user=person).is_valid()
    second = signed_in(user("bob")).post(path(row), {"until": "renew"})
    assert second.status_code == 422
    for answer in (second, browser.get(path(row))):
        page = answer.content.decode()
        assert f'href="{renewal.get_absolute_url()}"' in page
        assert 'by <span class="as-typed">ada</span>' in page
        assert ">Renew</button>" not in page
    assert IssuedCertificate.objects.count() == 2


def test_renewal_that_another_one_outran_is_told(ca: CertificateAuthority, person: User) -> None:
    row = issued(ca, person, Profile.SERVER)
    forms = [RenewalForm({"until": "renew"}, issued=row, user=person) for _ in range(2)]
    assert [form.is_valid() for form in forms] == [True, True]
    renewal = forms[0].save()
    with pytest.raises(IssuingError, match="renewed already"):
        forms[1].save()
    assert forms[1].later == renewal
    assert Certificate.objects.get(type="server").fingerprint == renewal.fingerprint


def test_renewal_does_not_outlive_the_ca(browser: Client, person: User) -> None:
    ca = authority(person, days=50)
    row = issued(ca, person, days=40)
    IssuedCertificate.objects.filter(pk=row.pk).update(not_before=row.not_before - timedelta(days=50))
    page = browser.get(path(row)).content.decode()
    assert "It was valid for 90 days, but no certificate outlives its CA." in page
    renewal = renew(browser, row)
    assert renewal.not_after == ca.not_after


def test_ended_certificate_is_not_reissued(browser: Client, ca: CertificateAuthority, person: User) -> None:
    row = issued(ca, person)
    age(row, days=101)
    answer = browser.post(path(row), {"until": "reissue"})
    assert (answer.status_code, answer.context["form"].errors.keys()) == (422, {"until"})
    assert renew(browser, row).not_after > timezone.now()


def test_ca_without_its_key_says_what_to_do(browser: Client, ca: CertificateAuthority, person: User) -> None:
    row = issued(ca, person)
    ca.remove_key()
    there = reverse("authority_take_up", args=[ca.certificate_id])
    answers = [browser.get(path(row)), browser.post(path(row), {"until": "renew"})]
    assert [answer.status_code for answer in answers] == [200, 422]
    assert [f'href="{there}"' in answer.content.decode() for answer in answers] == [True, True]
    assert IssuedCertificate.objects.count() == 1


@pytest.mark.parametrize("until", ["", "\0", "x" * 1_000_000, "forever"])
def test_what_is_no_choice_is_refused(
    browser: Client, ca: CertificateAuthority, person: User, until: str
) -> None:
    answer = browser.post(path(issued(ca, person)), {"until": until})
    assert (answer.status_code, IssuedCertificate.objects.count()) == (422, 1)


def test_page_needs_a_login_and_a_certificate(
    browser: Client, ca: CertificateAuthority, person: User
) -> None:
    assert Client().post(path(issued(ca, person))).headers["Location"].startswith("/login/")
    assert browser.get(reverse("issued_renew", args=[10**30])).status_code == 404
