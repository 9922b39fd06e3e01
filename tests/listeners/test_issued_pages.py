"""The pages about CAs that issue here and what they have issued: which listeners it opens, who was seen."""

import re
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from certificates.models import Certificate, CertificateAuthority, IssuedCertificate, KeyDownload
from listeners.issued import clients_seen
from listeners.models import Listener
from listeners.openings import openings, trusting
from tests import factories, issued_rows
from tests.conftest import Pki
from tests.console_client import words

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOSTILE = ["<script>alert(1)</script>", '" onload="x', "\u202eevil\u202c", "Ｗ" * 64]


@pytest.fixture
def authority() -> CertificateAuthority:
    return issued_rows.authority(intermediate=True)


@pytest.fixture
def listener(pki: Pki, authority: CertificateAuthority) -> Listener:
    """A mutual one that trusts the CA."""
    server = factories.server_certificate(pki.modern.server)
    return factories.listener(server_certificate=server, ca_certificate=authority.certificate, name="shop")


def changed(listener: Listener, **fields: object) -> None:
    Listener.objects.filter(pk=listener.pk).update(**fields)


def verdicts(issued: IssuedCertificate) -> list[tuple[str, str]]:
    """The words and the reason of each listener that trusts the CA."""
    found = openings(issued, trusting([issued.authority]).get(issued.authority_id, ()))
    return [(one.verdict[0], one.sentence) for one in found]


def text(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return words(answer.content.decode())


def row_of(client: Client, issued: IssuedCertificate) -> str:
    page = client.get(issued.authority.get_absolute_url()).content.decode()
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    return next(words(one) for one in rows if f'href="{issued.get_absolute_url()}"' in one)


@pytest.mark.parametrize(
    ("change", "word", "reason"),
    [
        ({}, "May enter", ""),
        ({"is_enabled": False}, "Refused", "The listener is disabled."),
        ({"authentication": "optional"}, "May enter", "So may a client without a certificate"),
        ({"authentication": "unverified"}, "May enter", "So may every client, whatever it shows"),
        (
            {"admission": "listed", "allowed_clients": [["dns", "ada.test.com"]]},
            "May enter",
            "It is on the list",
        ),
        (
            {"admission": "listed", "allowed_clients": [["dns", "bob.test.com"]]},
            "Refused",
            "It is not on the list",
        ),
        ({"admission": "listed", "allowed_clients": [["nonsense", "x"]]}, "Refused", "It is not on the list"),
    ],
)
def test_listener_opens_as_it_is_configured(
    authority: CertificateAuthority, listener: Listener, change: dict[str, object], word: str, reason: str
) -> None:
    changed(listener, **change)

    [(said, why)] = verdicts(issued_rows.client(authority, names="dns: ada.test.com"))

    assert (said, why.startswith(reason), bool(why)) == (word, True, bool(reason))


def test_disabled_load_balancer_opens_nothing(authority: CertificateAuthority, listener: Listener) -> None:
    listener.load_balancer.switch(False)

    assert verdicts(issued_rows.client(authority)) == [("Refused", "Its load balancer is disabled.")]


@pytest.mark.parametrize(
    ("authentication", "word"),
    [("mutual", "Refused"), ("optional", "Refused"), ("unverified", "Not verified")],
)
@pytest.mark.parametrize(
    ("period", "reason"),
    [
        ({"not_after": timezone.now() - DAY}, "It expired on"),
        ({"not_before": timezone.now() + DAY}, "It is not valid before"),
    ],
)
def test_certificate_outside_its_period_verifies_nowhere(
    authority: CertificateAuthority,
    listener: Listener,
    authentication: str,
    word: str,
    period: dict[str, object],
    reason: str,
) -> None:
    changed(listener, authentication=authentication)

    [(said, why)] = verdicts(issued_rows.client(authority, **period))

    assert (said, why.startswith(reason)) == (word, True)


def test_root_above_vouches_as_well_and_a_stranger_does_not(
    pki: Pki, authority: CertificateAuthority, listener: Listener
) -> None:
    issued = issued_rows.client(authority)
    parent = authority.parent
    assert parent

    listener.choose(ca_certificates=[parent.certificate]).save()
    assert verdicts(issued) == [("May enter", "")]

    listener.choose(ca_certificates=[factories.ca_certificate(pki.modern.ca)]).save()
    assert verdicts(issued) == []

    listener.choose(ca_certificates=[authority.certificate]).save()
    assert verdicts(issued_rows.client(parent)) == [("May enter", "")], (
        "the root is in the intermediate's bundle"
    )


def test_bundle_of_a_ca_that_was_brought_here_tells_what_is_above_it(
    authority: CertificateAuthority, listener: Listener
) -> None:
    parent = authority.parent
    assert parent
    listener.choose(ca_certificates=[parent.certificate]).save()
    CertificateAuthority.objects.filter(pk=authority.pk).update(parent=None)
    authority.refresh_from_db()

    assert verdicts(issued_rows.client(authority)) == [("May enter", "")]


def test_chain_that_the_ca_certificate_does_not_allow_opens_nothing(
    authority: CertificateAuthority, listener: Listener
) -> None:
    parent = authority.parent
    assert parent
    # The root once more, of the same name and key, that allows no other CA below itself.
    root = x509.load_pem_x509_certificate(parent.content.encode())
    builder = x509.CertificateBuilder(
        root.issuer, root.subject, root.public_key(), 1, root.not_valid_before_utc, root.not_valid_after_utc
    ).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    strict = builder.sign(load_pem_private_key(parent.private_key().encode(), None), hashes.SHA256())
    content = strict.public_bytes(Encoding.PEM).decode()
    stored = factories.listing_certificate(type=Certificate.Type.CA, content=content)
    listener.choose(ca_certificates=[stored]).save()

    assert verdicts(issued_rows.client(authority)) == [
        (
            "Refused",
            "Its chain is too long: 1 CA stands between it and the listener's CA certificate, which allows "
            "none.",
        )
    ]
    assert verdicts(issued_rows.client(parent)) == [("May enter", "")]


def test_server_certificate_opens_nothing_and_says_who_serves_it(
    signed_in: Client, authority: CertificateAuthority, listener: Listener
) -> None:
    issued = issued_rows.server(authority)
    assert verdicts(issued) == []
    assert "which no listener uses" in text(signed_in, issued.get_absolute_url())

    listener.server_certificate = issued.stored
    listener.save()
    assert "shop HTTPS/" in text(signed_in, issued.get_absolute_url()).partition("Served by")[2]

    renewal = issued_rows.server(authority, renewal_of=issued)
    assert renewal.stored == issued.stored
    page = text(signed_in, issued.get_absolute_url())
    assert "holds another certificate by now" in page
    assert "Replaced by a renewal" in page
    assert "shop HTTPS/" in text(signed_in, renewal.get_absolute_url())


def test_list_of_a_ca_names_what_a_certificate_opens_and_where_it_was_seen(
    signed_in: Client, authority: CertificateAuthority, listener: Listener
) -> None:
    issued, other = issued_rows.client(authority, "laptop"), issued_rows.client(authority, "other")
    IssuedCertificate.objects.filter(pk=other.pk).update(not_after=timezone.now() - DAY)
    second = factories.listener(listener.load_balancer, name="second")
    issued_rows.seen(listener, issued, 3, days=2)
    last = issued_rows.seen(second, issued, 4, days=1).last_seen

    assert f"HTTPS/{listener.port}" in row_of(signed_in, issued)
    assert f"{last:%Y-%m-%d %H:%M} UTC at second ; 7 connections at 2 listeners" in row_of(signed_in, issued)
    assert "No listener Not yet" in row_of(signed_in, other)
    page = text(signed_in, issued.get_absolute_url())
    assert f"second {last - DAY:%Y-%m-%d %H:%M:%S} UTC {last:%Y-%m-%d %H:%M:%S} UTC 4" in page
    assert "Not seen yet" in text(signed_in, other.get_absolute_url())


def test_listener_shows_the_clients_that_it_saw_last(
    signed_in: Client, authority: CertificateAuthority, listener: Listener
) -> None:
    ours = issued_rows.client(authority, "laptop")
    issued_rows.seen(listener, ours, 5)
    for number in range(10):
        issued_rows.seen(listener, f"{number:064x}", days=number + 1)

    found = clients_seen(listener)

    assert [(one.issued, one.seen.fingerprint) for one in found] == [
        (ours, ours.fingerprint),
        *((None, f"{number:064x}") for number in range(9)),
    ]
    page = signed_in.get(listener.get_absolute_url()).content.decode()
    assert f'<a class="as-typed name-short" href="{ours.get_absolute_url()}">laptop</a>' in page
    listener.authentication = Listener.Authentication.ONE_WAY
    listener.choose(ca_certificates=[]).save()
    assert "Clients seen" not in text(signed_in, listener.get_absolute_url())


def test_page_tells_what_became_of_the_key(signed_in: Client, authority: CertificateAuthority) -> None:
    issued = issued_rows.client(authority)
    url = issued.get_absolute_url()
    download = reverse("issued_download", args=[issued.pk])
    assert "Waits for its one download until" in text(signed_in, url)
    assert f'href="{download}"' in signed_in.get(url).content.decode()

    IssuedCertificate.objects.update(sealed_private_key="")
    assert "Gone: nobody downloaded it until" in text(signed_in, url)
    assert f'href="{download}"' not in signed_in.get(url).content.decode()

    KeyDownload.objects.note("x", "PKCS#12 for Windows", factories.user("ada"), issued=issued)
    assert "Downloaded by ada at" in text(signed_in, url)

    IssuedCertificate.objects.update(key_origin=IssuedCertificate.KeyOrigin.REQUEST)
    assert "Never here" in text(signed_in, url)


def test_page_of_a_ca_tells_what_it_may_and_who_has_its_key(
    signed_in: Client, authority: CertificateAuthority, listener: Listener
) -> None:
    parent = authority.parent
    assert parent
    KeyDownload.objects.note("x", "PKCS#8 PEM", factories.user("ada"), authority=parent)

    page = text(signed_in, parent.get_absolute_url())

    for part in (
        "Root (self-signed)",
        "At most 1 (path length 1)",
        "Below it Clients",
        "ada PKCS#8 PEM",
        "Nothing issued yet",
    ):
        assert part in page
    below = text(signed_in, authority.get_absolute_url())
    assert "None: it issues to servers and clients alone" in below
    assert f"shop HTTPS/{listener.port} Clients Mutual authentication: all its clients" in below
    assert "Nobody has downloaded the private key" in below


def test_ca_without_its_key_offers_to_bring_it(signed_in: Client, authority: CertificateAuthority) -> None:
    url = authority.get_absolute_url()
    issuing = [
        reverse(name, args=[authority.pk])
        for name in ("client_issue", "server_issue", "authority_key_remove")
    ]
    bringing = reverse("authority_take_up", args=[authority.certificate_id])
    page = signed_in.get(url).content.decode()
    assert [one in page for one in [*issuing, bringing]] == [True, True, True, False]

    authority.remove_key()

    page = signed_in.get(url).content.decode()
    assert [one in page for one in [*issuing, bringing]] == [False, False, False, True]


@pytest.mark.parametrize("asked", [{"state": "nonsense"}, {"profile": "x"}, {"q": "a\0b"}, {"sort": "name"}])
def test_choice_that_is_none_is_refused(
    signed_in: Client, authority: CertificateAuthority, asked: dict[str, str]
) -> None:
    for url in (authority.get_absolute_url(), reverse("issued_list")):
        answer = signed_in.get(url, asked)
        assert answer.status_code == 422
        assert "Show every certificate" in answer.content.decode()


@pytest.mark.parametrize("name", ["authority_detail", "issued_detail"])
@pytest.mark.parametrize("number", [0, 7, 10**18])
def test_what_is_not_there_is_not_found(signed_in: Client, name: str, number: int) -> None:
    assert signed_in.get(reverse(name, args=[number])).status_code == 404


@pytest.mark.parametrize("harmful", HOSTILE)
def test_pages_escape_what_stands_in_certificates(
    signed_in: Client, authority: CertificateAuthority, listener: Listener, harmful: str
) -> None:
    issued = issued_rows.client(authority, common_name=harmful, subject=harmful, organization=harmful)
    changed(listener, name=harmful)
    issued_rows.seen(listener, issued)
    stranger = issued_rows.seen(listener, "00" * 32)
    type(stranger).objects.filter(pk=stranger.pk).update(subject=harmful, issuer=harmful)
    shown = harmful.translate({60: "&lt;", 62: "&gt;", 34: "&quot;"})

    for url in (authority, issued, listener):
        page = signed_in.get(url.get_absolute_url()).content.decode()
        assert page.count(shown) >= 3
        assert shown == harmful or harmful not in page


def test_no_page_shows_a_key_sealed_or_not(
    signed_in: Client, authority: CertificateAuthority, listener: Listener
) -> None:
    issued = issued_rows.client(authority)
    keys = [
        authority.private_key(),
        issued.private_key(),
        authority.sealed_private_key,
        issued.sealed_private_key,
    ]
    lines = [
        line for key in keys for line in key.splitlines() if len(line) > 20 and "PRIVATE KEY" not in line
    ]
    assert len(lines) >= 4

    for url in (
        authority.get_absolute_url(),
        issued.get_absolute_url(),
        reverse("issued_list"),
        listener.get_absolute_url(),
    ):
        page = signed_in.get(url).content.decode()
        assert "PRIVATE KEY" not in page
        assert [line for line in lines if line in page] == []


@pytest.mark.parametrize("name", ["authority_detail", "issued_list", "issued_detail", "listener_detail"])
def test_page_costs_as_much_with_many_as_with_few(
    signed_in: Client, authority: CertificateAuthority, listener: Listener, name: str
) -> None:
    issued = issued_rows.client(authority)
    issued_rows.seen(listener, issued)
    numbers = {
        "authority_detail": [authority.pk],
        "issued_detail": [issued.pk],
        "listener_detail": [listener.pk],
    }
    url = reverse(name, args=numbers.get(name, []))
    counts = []

    for more in (0, 8):
        for number in range(more):
            other = factories.listener(
                listener.load_balancer,
                server_certificate=listener.server_certificate,
                ca_certificate=authority.certificate,
            )
            issued_rows.seen(other, issued)
            issued_rows.seen(listener, f"{number:064x}")
        for number in range(min(more, 3)):
            issued_rows.many(issued_rows.authority(f"Others {number}"), 4)
        issued_rows.many(authority, 25 * bool(more))
        signed_in.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert signed_in.get(url).status_code == 200
        counts.append(len(queries))

    assert counts[1] - counts[0] in (0, 1), "the number of rows is asked for where there is a second page"
    assert counts[0] <= 25
