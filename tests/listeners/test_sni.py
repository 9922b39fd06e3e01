"""What a choice of SNI certificates is refused for, and what is said about overlapping names."""

import pytest

from certificates.models import Certificate
from listeners.models.sni import served_names, sni_faults, sni_remarks
from tests import factories

pytestmark = pytest.mark.django_db


def certificate(name: str, names: str, key: str = "RSA 2048") -> Certificate:
    return factories.listing_certificate(name=name, server_names=names, key=key)


def test_names_are_looked_up_exact_ones_first() -> None:
    one = certificate("one", "*.example.com,Example.com", "RSA 2048")
    other = certificate("other", "example.com,a.example.com", "ECDSA P-256")
    assert [(served.name, served.certificates) for served in served_names([one, other])] == [
        ("a.example.com", (other,)),
        ("example.com", (other, one)),
        ("*.example.com", (one,)),
    ]


def test_name_with_one_key_of_each_kind_is_fine_and_explained() -> None:
    rsa, ecdsa = certificate("rsa", "a.example.com"), certificate("ec", "a.example.com", "ECDSA P-256")
    assert sni_faults([rsa, ecdsa]) == []
    assert sni_remarks(None, [rsa, ecdsa]) == [
        "a.example.com: clients that can use ECDSA see ec, all others rsa with its RSA key."
    ]


def test_same_names_with_keys_of_one_kind_are_refused_once_a_pair() -> None:
    one, other = (
        certificate("one", "a.test.com,b.test.com,x.test.com"),
        certificate("other", "b.test.com,A.test.com"),
    )
    assert sni_faults([one, other]) == [
        "one and other both have a.test.com, b.test.com with a key of the same type (RSA), so it is open "
        "which of them clients see. Leave one of the two out."
    ]


def test_exact_name_beside_its_star_is_explained() -> None:
    exact, star = certificate("exact", "a.example.com"), certificate("star", "*.example.com,*.other.com")
    assert sni_remarks(None, [exact, star]) == [
        "a.example.com also falls under *.example.com: the exact name counts, so clients that ask for it see "
        "exact and not star."
    ]
    both = certificate("both", "b.example.com,*.example.com")
    assert sni_remarks(None, [both]) == []


def test_name_of_the_server_certificate_is_explained() -> None:
    server, sni = certificate("server", "a.example.com,b.example.com"), certificate("sni", "a.example.com")
    assert sni_remarks(server, [sni]) == [
        "The server certificate server has a.example.com, too: clients that ask for it see sni."
    ]
    assert sni_remarks(server, [server]) == []


@pytest.mark.parametrize(
    ("count", "names", "fault"),
    [
        (50, 4, ""),
        (51, 1, "These are 51 certificates; choose at most 50."),
        (41, 5, "These certificates have 205 names; 200 are the most for a listener."),
    ],
)
def test_certificates_and_names_are_counted(count: int, names: int, fault: str) -> None:
    rows = [
        certificate(f"c{number}", ",".join(f"n{name}.c{number}.test.com" for name in range(names)))
        for number in range(count)
    ]
    assert sni_faults(rows) == ([fault] if fault else [])


def test_certificate_without_a_name_is_refused() -> None:
    assert sni_faults([certificate("bare", "")]) == [
        "bare has no domain name to be picked by. Enter one at the certificate, or leave it out."
    ]
