"""The named TLS policies: which protocol versions and cipher suites a listener offers."""

from dataclasses import dataclass
from enum import StrEnum


class TlsVersion(StrEnum):
    TLS_1_2 = "TLSv1.2"
    TLS_1_3 = "TLSv1.3"


@dataclass(frozen=True)
class TlsPolicy:
    """`ciphers` are the TLS 1.2 suites in order of preference; those of TLS 1.3 are fixed."""

    name: str
    minimum: TlsVersion
    maximum: TlsVersion
    ciphers: tuple[str, ...]


DEFAULT = TlsPolicy(
    name="tls-1-2-fs-with-1-3",
    minimum=TlsVersion.TLS_1_2,
    maximum=TlsVersion.TLS_1_3,
    ciphers=(
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
)
