"""Private keys: one, in clear, whole, consistent, and the certificate's own."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certificates.pem import Field
from tests import pki as make
from tests.certificates.pem.pasted import KEYS, refused, server
from tests.conftest import Pki
from tests.pki import KeyPair


@pytest.mark.parametrize("case", KEYS)
def test_wrong_private_key_is_refused_at_its_field(case: str, pki: Pki) -> None:
    key, code, words = KEYS[case]

    verdict = server(pki.guide.server, private_key=key(pki))

    assert refused(verdict) == [code]
    finding = verdict.findings[0]
    assert finding.field is Field.PRIVATE_KEY
    assert words in finding.sentence


def test_key_of_the_ca_in_the_chain_is_named(pki: Pki) -> None:
    guide = pki.guide

    verdict = server(guide.server, guide.server.certificate_pem + guide.ca.certificate_pem, guide.ca.key_pem)

    assert refused(verdict) == ["key_mismatch"]
    assert "is that of the CA certificate" in verdict.findings[0].message


def pkcs1(*numbers: int) -> str:
    """An RSA key as RFC 8017 writes it: version, n, e, d, p, q, dmp1, dmq1, iqmp."""

    def element(tag: bytes, octets: bytes) -> bytes:
        length = len(octets)
        if length < 128:
            return tag + bytes([length]) + octets
        size = (length.bit_length() + 7) // 8
        return tag + bytes([128 | size]) + length.to_bytes(size) + octets

    integers = (element(b"\x02", number.to_bytes(number.bit_length() // 8 + 1)) for number in numbers)
    body = base64.encodebytes(element(b"\x30", b"\x02\x01\x00" + b"".join(integers))).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\n"


def rsa_numbers(pair: KeyPair) -> dict[str, int]:
    key = load_pem_private_key(pair.key.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    private = key.private_numbers()
    public = private.public_numbers
    names = ("d", "p", "q", "dmp1", "dmq1", "iqmp")
    return {"n": public.n, "e": public.e} | {name: getattr(private, name) for name in names}


def test_rsa_key_put_together_from_its_numbers_is_taken(pki: Pki) -> None:
    key = pkcs1(*rsa_numbers(pki.guide.server).values())

    assert refused(server(pki.guide.server, private_key=key)) == []


@pytest.mark.parametrize("number", ["d", "p", "q", "dmp1", "dmq1", "iqmp"])
@pytest.mark.parametrize("wrong", ["two more", "another key's", "one", "zero"])
def test_rsa_key_with_a_private_number_that_does_not_fit_is_refused(
    number: str, wrong: str, pki: Pki
) -> None:
    numbers, foreign = rsa_numbers(pki.guide.server), rsa_numbers(pki.guide.client)
    replaced = {"two more": numbers[number] + 2, "another key's": foreign[number], "one": 1, "zero": 0}[wrong]

    verdict = server(pki.guide.server, private_key=pkcs1(*(numbers | {number: replaced}).values()))

    assert refused(verdict)[0] in {"key_inconsistent", "key_unreadable"}


def test_huge_rsa_key_is_refused_before_any_arithmetic(pki: Pki) -> None:
    huge = 2**16384 - 1

    assert refused(server(pki.guide.server, private_key=pkcs1(huge, 65537, huge, huge, 3, 5, 7, 9))) == [
        "key_too_large"
    ]


def test_ec_key_whose_scalar_does_not_fit_its_point_is_refused(pki: Pki) -> None:
    traditional = make.run(["openssl", "pkey", "-in", str(pki.modern.server.key), "-traditional"])
    der = bytearray(base64.b64decode("".join(traditional.splitlines()[1:-1])))
    der[10] ^= 1  # SEQUENCE { INTEGER 1, OCTET STRING of 32 from place 7

    body = base64.encodebytes(bytes(der)).decode()
    key = f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"

    assert refused(server(pki.modern.server, private_key=key))[0] in {"key_inconsistent", "key_unreadable"}
