"""What a set of CAs comes to in the handshake: the size of its names, the chains that it allows."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from listeners.trust_store import chain_limits, most_intermediates, names_size

KEY = ec.generate_private_key(ec.SECP256R1())
CA = tuple[str, str, int | None]


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def bundle(*cas: CA) -> str:
    """CAs by subject, issuer and path length; nothing here looks at signatures."""
    now = datetime.now(UTC)
    return "".join(
        x509.CertificateBuilder(
            name(issuer), name(subject), KEY.public_key(), number + 1, now, now + timedelta(days=1)
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        .sign(KEY, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
        for number, (subject, issuer, length) in enumerate(cas)
    )


def test_names_are_counted_once_with_their_lengths() -> None:
    one, other = bundle(("a", "a", None)), bundle(("a", "a", 0), ("bcd", "bcd", None))
    # SEQUENCE, SET, SEQUENCE, the OID of CN and a string: 13 octets around one letter.
    assert names_size((one,)) == 2 + 13 + 1
    assert names_size((one, other)) == (2 + 14) + (2 + 16)


@pytest.mark.parametrize(
    ("cas", "limits"),
    [
        ([("root", "root", None)], (9,)),
        ([("root", "root", 0)], (0,)),
        ([("root", "root", 12)], (12,)),
        ([("root", "root", 10_000)], (99,)),
        ([("root", "root", 2), ("sub", "root", None)], (1, 2)),
        ([("root", "root", 0), ("sub", "root", None), ("below", "sub", 5)], (0,)),
        ([("root", "root", None), ("sub", "root", 0)], (0, 9)),
        ([("sub", "a root elsewhere", 1)], (1,)),
        # Of two roots with one name the more generous counts for what is below.
        ([("root", "root", 0), ("root", "root", 5), ("sub", "root", None)], (0, 4, 5)),
        # Each other's issuers, and of no root that is there.
        ([("a", "b", 3), ("b", "a", None)], (3, 9)),
    ],
)
def test_limits_of_chains(cas: list[CA], limits: tuple[int, ...]) -> None:
    assert chain_limits((bundle(*cas),)) == limits
    assert chain_limits(tuple(bundle(one) for one in reversed(cas))) == limits
    assert most_intermediates((bundle(*cas),)) == limits[-1]


def test_many_cas_that_vouch_for_each_other_take_no_time() -> None:
    cas = [(letter, other, None) for letter, other in ("ab", "ba") for _ in range(200)]
    assert chain_limits((bundle(("b", "b", 7), *cas),)) == (5, 6, 7)
