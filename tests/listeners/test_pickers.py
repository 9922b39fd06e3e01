"""The certificates that a form offers: which, in which order, and how they are told apart."""

import pytest

from certificates.models import Certificate
from listeners.forms.pickers import CertificateSource
from tests import factories
from tests.conftest import Pki
from tests.listeners.wizard import untouched

pytestmark = pytest.mark.django_db


def test_picker_shows_what_is_chosen_first_and_fifty_more() -> None:
    factories.listing_certificates(70)
    last = Certificate.objects.filter(type="server").order_by("-name").first()
    assert last is not None
    form = untouched({"server_certificate": str(last.pk)})
    picker = form.pickers["server_certificate"]
    assert picker.options[0].row == last
    assert len(picker.options) == 51
    assert picker.has_more
    assert [option.is_chosen for option in picker.options].count(True) == 1


@pytest.mark.parametrize(
    ("text", "found"), [("host-000007", 1), ("HOST-000007", 1), ("row-000003", 1), ("zz", 0)]
)
def test_picker_finds_by_name_and_domain(text: str, found: int) -> None:
    factories.listing_certificates(9)
    form = untouched({"search-server_certificate": text})
    picker = form.pickers["server_certificate"]
    assert (len(picker.options), picker.finds_nothing) == (found, found == 0)


def test_sni_picker_offers_certificates_with_a_name_alone() -> None:
    named = factories.listing_certificate(server_names="a.example.com")
    factories.listing_certificate(server_names="", domain_names="")
    assert [option.row for option in untouched({}).pickers["sni_certificates"].options] == [named]


def test_certificate_is_told_apart_by_domains_and_key(pki: Pki) -> None:
    rows = [
        factories.server_certificate(pki.modern.server, "web"),
        factories.ca_certificate(pki.guide.ca, "guide"),
        factories.listing_certificate(server_names="a.test,b.test,c.test,d.test"),
    ]
    source = CertificateSource(Certificate.Type.SERVER)
    details = [source.option(row, False).detail for row in rows]
    assert details == [
        "www.test.com · ECDSA P-256",
        f"{rows[1].subject} · RSA 2048",
        "a.test, b.test and 2 more · RSA 2048",
    ]
