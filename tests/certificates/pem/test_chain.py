"""The order of a chain, strangers in it, and who trusts it."""

from datetime import timedelta
from itertools import permutations

import pytest

from certificates.pem import is_trusted
from tests import pki as make
from tests.certificates.pem.pasted import ALONE, NOW, codes, refused, server
from tests.conftest import Pki
from tests.pki import KeyPair


@pytest.fixture(scope="session")
def three_levels(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyPair, KeyPair, KeyPair]:
    folder = tmp_path_factory.mktemp("levels")
    root = make.authority(folder, "root", "/CN=root")
    middle = make.issue(folder, "middle", root, subject="/CN=middle", extensions=make.CA_EXTENSIONS)
    return make.issue(folder, "leaf", middle, extensions=make.SERVER_EXTENSIONS), middle, root


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_chain_is_put_in_order(
    order: tuple[int, ...], three_levels: tuple[KeyPair, KeyPair, KeyPair]
) -> None:
    right = "".join(pair.certificate_pem for pair in three_levels)

    verdict = server(three_levels[0], "".join(three_levels[place].certificate_pem for place in order))

    assert verdict.material is not None
    assert verdict.material.content == right
    assert codes(verdict) == ([] if order == (0, 1, 2) else ["reordered"])


def test_duplicates_are_dropped_and_lost_newlines_do_not_matter(
    three_levels: tuple[KeyPair, KeyPair, KeyPair],
) -> None:
    leaf, middle, _ = (pair.certificate_pem.strip() for pair in three_levels)

    verdict = server(three_levels[0], leaf + middle + leaf + middle)

    assert verdict.material is not None
    assert verdict.material.content == f"{leaf}\n{middle}\n"
    assert codes(verdict) == ["duplicates", *ALONE]


def test_root_without_its_intermediate_is_a_stranger(three_levels: tuple[KeyPair, KeyPair, KeyPair]) -> None:
    leaf, _, root = three_levels

    verdict = server(leaf, leaf.certificate_pem + root.certificate_pem)

    assert refused(verdict) == ["stranger"]
    assert "Certificate 2 of 2 (CN=root) did not issue" in verdict.findings[0].message


def test_ca_of_the_same_name_and_another_key_is_a_stranger(pki: Pki) -> None:
    pair = pki.modern.server

    verdict = server(pair, pair.certificate_pem + pki.guide.ca.certificate_pem)

    assert refused(verdict) == ["stranger"]


def test_of_two_servers_the_one_with_the_key_is_the_leaf(pki: Pki) -> None:
    modern = pki.modern

    verdict = server(modern.server, modern.client.certificate_pem + modern.server.certificate_pem)

    assert refused(verdict) == ["stranger"]
    assert "Certificate 1 of 2 (CN=client,O=ELB)" in verdict.findings[0].message


def test_trust_follows_signatures_not_names(pki: Pki, three_levels: tuple[KeyPair, KeyPair, KeyPair]) -> None:
    leaf, middle, root = (pair.certificate_pem for pair in three_levels)
    guide, modern = pki.guide, pki.modern

    assert is_trusted(guide.server.certificate_pem, guide.ca.certificate_pem, NOW)
    assert is_trusted(modern.server.certificate_pem, modern.ca.certificate_pem, NOW)
    assert is_trusted(modern.server.certificate_pem, root + modern.ca.certificate_pem, NOW)
    assert not is_trusted(modern.server.certificate_pem, guide.ca.certificate_pem, NOW)
    assert is_trusted(leaf + middle, root, NOW)
    assert is_trusted(leaf, root + middle, NOW)
    assert not is_trusted(leaf, root, NOW)
    assert not is_trusted(leaf, middle, NOW)
    assert not is_trusted(leaf + middle, root, NOW + timedelta(days=3650))
