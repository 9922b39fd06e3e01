"""Every finding is raised by what it is about, and by nothing beside it."""

import ast
import re
from pathlib import Path

import pytest

from certificates.pem import Severity, Verdict, examine_ca, examine_server
from tests.certificates.pem import containers
from tests.certificates.pem.containers import pem
from tests.certificates.pem.findings_table import CA, REFUSE, SERVER, Lab
from tests.certificates.pem.pasted import NOW, shows_key
from tests.conftest import Pki

ROOT = Path(__file__).resolve().parents[3]


def raised(verdict: Verdict) -> set[tuple[str, Severity]]:
    assert all(one.message and not one.message.endswith(" ") for one in verdict.findings)
    assert (verdict.material is None) == any(one.severity is REFUSE for one in verdict.findings)
    return {(one.code, one.severity) for one in verdict.findings}


@pytest.mark.parametrize("case", SERVER, ids=lambda case: "-".join(case))
def test_finding_of_a_server_certificate(case: tuple[str, Severity], pki: Pki, tmp_path: Path) -> None:
    raising, sparing = SERVER[case]

    assert case in raised(raising(Lab(pki, tmp_path / "raising")))
    assert case not in raised(sparing(Lab(pki, tmp_path / "sparing")))


@pytest.mark.parametrize("case", CA, ids=lambda case: "-".join(case))
def test_finding_of_a_ca_certificate(case: tuple[str, Severity], pki: Pki, tmp_path: Path) -> None:
    raising, sparing = CA[case]

    assert case in raised(raising(Lab(pki, tmp_path / "raising")))
    assert case not in raised(sparing(Lab(pki, tmp_path / "sparing")))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (" ", "empty"),
        ("x" * 2**20 + "y", "too_long"),
        ("ca.crt", "not_pem"),
        (pem("X509 CRL", containers.sequence()), "not_a_certificate"),
        ("-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n", "damaged"),
        (pem("CERTIFICATE", containers.sequence(containers.sequence())), "unreadable"),
        (pem("PKCS7", containers.sequence(containers.oid("1.2.3"))), "container_unreadable"),
        (pem("PKCS12", containers.pfx(containers.plain())), "container_empty"),
    ],
)
def test_finding_of_the_input_is_the_same_for_a_ca(content: str, code: str) -> None:
    assert (code, REFUSE) in raised(examine_ca(content, NOW))
    assert (code, REFUSE) in raised(examine_server(content, "", NOW))


def codes_in_source() -> set[str]:
    """The first argument of every call that makes a finding."""
    makers = {"refusal", "warning", "note", "key_refusal"}
    found = set()
    for path in (ROOT / "certificates" / "pem").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def test_every_finding_has_its_cases_and_its_place_in_the_documentation() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "certificates.md").read_text(), re.MULTILINE)

    assert {code for code, _ in (*SERVER, *CA)} == codes_in_source()
    assert set(documented) == codes_in_source()


def test_owner_of_a_wrong_key_is_named_where_it_is_known(pki: Pki) -> None:
    guide, asked = pki.guide, []

    def whose(public_key_hash: str) -> str:
        asked.append(public_key_hash)
        return "mail\u202e <b>"

    verdict = examine_server(guide.server.certificate_pem, guide.client.key_pem, NOW, whose=whose)

    assert [len(one) for one in asked] == [64]
    assert "It is the key of the stored certificate \u2068mail  <b>\u2069." in verdict.findings[0].message
    assert not shows_key(repr(verdict), guide.client.key_pem)
