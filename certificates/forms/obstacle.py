"""Why a CA cannot issue now, and for how long what it issues can be valid."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from certificates import issuing
from certificates.issuing import IssuingError
from certificates.keyring import UnsealError
from certificates.models import CertificateAuthority

CA_IS_GONE = "This CA was deleted meanwhile, so nothing was issued."


@dataclass(frozen=True)
class Obstacle:
    """`is_key` when the CA's key has to be brought; else it takes another CA."""

    sentence: str
    is_key: bool = True


def obstacle(authority: CertificateAuthority) -> Obstacle | None:
    try:
        _ = authority.signing
    except (IssuingError, UnsealError) as error:
        return Obstacle(str(error))
    if days_left(authority):
        return None
    if authority.not_before > timezone.now():
        return Obstacle(f"This CA is not valid before {moment(authority.not_before)}.", is_key=False)
    ends = "has expired" if authority.not_after <= timezone.now() else "ends within a day"
    return Obstacle(f"This CA {ends} ({moment(authority.not_after)}).", is_key=False)


def days_left(authority: CertificateAuthority) -> int:
    return issuing.most_days(authority.content, timezone.now())


def moment(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M %Z}"
