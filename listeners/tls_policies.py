"""The named TLS policies: which protocol versions and cipher suites a listener offers.

Suites have OpenSSL's names. Source: Huawei Cloud ELB, "TLS Security Policies"; its published comparison
table has mistakes and was not followed where the API's own list differs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class TlsVersion(StrEnum):
    TLS_1_0 = "TLSv1"
    TLS_1_1 = "TLSv1.1"
    TLS_1_2 = "TLSv1.2"
    TLS_1_3 = "TLSv1.3"

    @property
    def label(self) -> str:
        """As people write it: TLS 1.2."""
        return f"TLS {self.removeprefix('TLSv')}" + (".0" if self == TlsVersion.TLS_1_0 else "")


class KeyType(StrEnum):
    """What a server certificate proves itself with."""

    RSA = "RSA"
    ECDSA = "ECDSA"
    ED25519 = "Ed25519"

    @classmethod
    def of(cls, key: str) -> "KeyType":
        """From what a key is called, such as "RSA 2048" or "ECDSA P-256". Raises ValueError."""
        return cls(key.partition(" ")[0])


# TLS 1.3 (RFC 8446, appendix B.4): they say nothing of the certificate's key.
TLS_1_3_SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)
_ECDSA_BASE = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
)
_ECDSA_SHA1 = ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA")
_RSA_FORWARD_GCM = ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256")
_RSA_FORWARD_CBC = ("ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384")
_RSA_GCM = ("AES128-GCM-SHA256", "AES256-GCM-SHA384")
_RSA_CBC = ("AES128-SHA256", "AES256-SHA256")
_RSA_FORWARD_SHA1 = ("ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA")
_RSA_SHA1 = ("AES128-SHA", "AES256-SHA")

BROAD = (
    *_ECDSA_BASE,
    *_ECDSA_SHA1,
    *_RSA_FORWARD_GCM,
    *_RSA_GCM,
    *_RSA_FORWARD_CBC,
    *_RSA_CBC,
    *_RSA_FORWARD_SHA1,
    *_RSA_SHA1,
)
STRICT = tuple(suite for suite in BROAD if not suite.endswith("-SHA"))
FORWARD_SECRET = tuple(suite for suite in STRICT if suite.startswith("ECDHE-"))
FORWARD_SECRET_WITHOUT_CBC = tuple(suite for suite in FORWARD_SECRET if "-GCM-" in suite)
INHERITED = (
    *BROAD,
    "DHE-RSA-AES128-SHA",
    "DHE-DSS-AES128-SHA",
    "CAMELLIA128-SHA",
    "EDH-RSA-DES-CBC3-SHA",
    "DES-CBC3-SHA",
    "ECDHE-RSA-RC4-SHA",
    "RC4-SHA",
    "DHE-RSA-AES256-SHA",
    "DHE-DSS-AES256-SHA",
    "DHE-RSA-CAMELLIA256-SHA",
    "DHE-DSS-CAMELLIA256-SHA",
    "CAMELLIA256-SHA",
    "EDH-DSS-DES-CBC3-SHA",
    "DHE-RSA-CAMELLIA128-SHA",
    "DHE-DSS-CAMELLIA128-SHA",
)
# What a custom policy can choose from.
CHOICES = (
    *BROAD,
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "CAMELLIA128-SHA",
    "CAMELLIA256-SHA",
    "DES-CBC3-SHA",
    *TLS_1_3_SUITES,
)


@dataclass(frozen=True)
class TlsPolicy:
    """`versions` in ascending order without a gap; `suites` in the server's order of preference.

    `suites` names those of every version; `description` is one line for a person.
    """

    name: str
    versions: tuple[TlsVersion, ...]
    suites: tuple[str, ...]
    description: str = ""

    @property
    def minimum(self) -> TlsVersion:
        return self.versions[0]

    @property
    def maximum(self) -> TlsVersion:
        return self.versions[-1]

    @property
    def negotiable_suites(self) -> tuple[str, ...]:
        """Those of TLS 1.2 and before; the ones of TLS 1.3 cannot be chosen singly in any data plane."""
        return tuple(suite for suite in self.suites if suite not in TLS_1_3_SUITES)


def key_types(suite: str) -> frozenset[KeyType]:
    """The kinds of server certificate that a suite can be used with."""
    if suite in TLS_1_3_SUITES:
        return frozenset(KeyType)
    if "ECDSA" in suite:
        return frozenset({KeyType.ECDSA, KeyType.ED25519})
    return frozenset() if "DSS" in suite else frozenset({KeyType.RSA})


def versions_of(suite: str) -> frozenset[TlsVersion]:
    """The versions in which a suite can be negotiated."""
    if suite in TLS_1_3_SUITES:
        return frozenset({TlsVersion.TLS_1_3})
    # MACs of SHA-2 and authenticated encryption came with TLS 1.2 (RFC 5246, RFC 5288).
    if suite.endswith("-SHA"):
        return frozenset({TlsVersion.TLS_1_0, TlsVersion.TLS_1_1, TlsVersion.TLS_1_2})
    return frozenset({TlsVersion.TLS_1_2})


_V10, _V11, _V12, _V13 = TlsVersion
_HIGH_COMPATIBILITY = "High compatibility, moderate security"

PREDEFINED = (
    TlsPolicy(
        "tls-1-0-inherit", (_V10, _V11, _V12), INHERITED, f"{_HIGH_COMPATIBILITY}; for the oldest clients"
    ),
    TlsPolicy("tls-1-0", (_V10, _V11, _V12), BROAD, _HIGH_COMPATIBILITY),
    TlsPolicy("tls-1-1", (_V11, _V12), BROAD, "Moderate compatibility, moderate security"),
    TlsPolicy("tls-1-2", (_V12,), BROAD, "Moderate compatibility, high security"),
    TlsPolicy("tls-1-2-strict", (_V12,), STRICT, "Low compatibility, ultra-high security"),
    TlsPolicy(
        "tls-1-2-fs", (_V12,), FORWARD_SECRET, "Moderate compatibility, ultra-high security: forward secrecy"
    ),
    TlsPolicy(
        "tls-1-0-with-1-3",
        (_V10, _V11, _V12, _V13),
        (*BROAD, *TLS_1_3_SUITES),
        "Ultra-high compatibility, low security",
    ),
    TlsPolicy(
        "tls-1-2-fs-with-1-3",
        (_V12, _V13),
        (*FORWARD_SECRET, *TLS_1_3_SUITES),
        "TLS 1.2 and 1.3 with forward secrecy: high compatibility, ultra-high security",
    ),
    TlsPolicy(
        "tls-1-2-strict-no-cbc",
        (_V12,),
        FORWARD_SECRET_WITHOUT_CBC,
        "Low compatibility, ultra-high security: forward secrecy, no CBC",
    ),
    TlsPolicy(
        "hybrid-policy-1-0",
        (_V11, _V12),
        (*BROAD, "ECC-SM4-SM3", "ECDHE-SM4-SM3"),
        "Moderate compatibility, moderate security; its SM suites are not served",
    ),
)
BY_NAME = {policy.name: policy for policy in PREDEFINED}
DEFAULT = BY_NAME["tls-1-2-fs-with-1-3"]


def is_gapless(versions: Iterable[TlsVersion]) -> bool:
    """Whether no version is left out between the lowest and the highest: data planes take bounds only."""
    places = [list(TlsVersion).index(version) for version in versions]
    return bool(places) and max(places) - min(places) + 1 == len(set(places))
