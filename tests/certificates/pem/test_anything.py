"""Any input at all gives a verdict."""

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from certificates.pem import (
    Finding,
    Severity,
    Verdict,
    examine_ca,
    examine_server,
    private_keys_in,
    without_private_keys,
)
from tests.certificates.pem.pasted import NOW, server, shows_key
from tests.conftest import Pki


def assert_verdict(verdict: Verdict) -> None:
    assert (verdict.material is None) == any(one.severity is Severity.REFUSE for one in verdict.findings)
    assert all(isinstance(one, Finding) and one.message for one in verdict.findings)


PIECES = st.sampled_from(
    [
        *(
            "-----BEGIN CERTIFICATE-----",
            "-----END CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----",
            "-----",
            "\n",
        ),
        *(
            "-----END PRIVATE KEY-----",
            "-----BEGIN ",
            "END X509 CRL",
            "MIIC",
            "MAMCAQA=",
            "\ufeff",
            "\r",
            "=",
            "—",
        ),
        *("Proc-Type: 4,ENCRYPTED", "\ud800", "\0"),
    ]
)


@given(st.lists(PIECES | st.text(max_size=20)).map("".join))
def test_any_text_gives_a_verdict(text: str) -> None:
    assert_verdict(examine_server(text, text, NOW))
    assert_verdict(examine_ca(text, NOW))
    assert "-----BEGIN PRIVATE KEY" not in without_private_keys(text)
    assert isinstance(private_keys_in(text), str)


@given(st.binary(max_size=400))
def test_any_octets_give_a_verdict(octets: bytes) -> None:
    body = base64.encodebytes(octets).decode()
    content = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    key = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"

    assert_verdict(examine_server(content, key, NOW))
    assert_verdict(examine_ca(content, NOW))
    assert_verdict(examine_server(octets.decode("latin-1"), octets.decode(errors="replace"), NOW))


DAMAGE = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4)


def damaged(pem: str, damage: list[tuple[int, int]]) -> str:
    begin, *lines, end = pem.splitlines()
    octets = bytearray(base64.b64decode("".join(lines)))
    for place, octet in damage:
        octets[4 + place % (len(octets) - 4)] = octet
    return f"{begin}\n{base64.encodebytes(octets).decode()}{end}\n"


@settings(max_examples=300, deadline=None)
@given(in_certificate=DAMAGE, in_key=DAMAGE, is_guide=st.booleans())
def test_any_damage_inside_gives_a_verdict_that_shows_no_key(
    in_certificate: list[tuple[int, int]], in_key: list[tuple[int, int]], is_guide: bool, pki: Pki
) -> None:
    pair = pki.guide.server if is_guide else pki.modern.server
    content, key = damaged(pair.certificate_pem, in_certificate), damaged(pair.key_pem, in_key)

    for verdict in (server(pair, content), server(pair, private_key=key), examine_ca(content, NOW)):
        assert_verdict(verdict)
        assert not shows_key(repr(verdict), key)
