"""From when until when a certificate is valid, within the CA above it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from certificates.issuing.errors import IssuingError

# Clocks that are a little slow take the certificate at once all the same.
BACKDATED = timedelta(minutes=5)
# RFC 5280, 4.1.2.5: the last second counts as well. With it, 825 days would be 826 to Apple.
LAST = timedelta(seconds=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Validity:
    start: datetime
    end: datetime


def validity(
    end: datetime | int, longest: int, now: datetime, above: x509.Certificate | None = None
) -> Validity:
    """`end` is the last moment, or a number of days in full. Raises `IssuingError`.

    No certificate outlives the CA above it: clients would refuse it from then on, with no word why.
    """
    start = _start_below(above, now) if above else _start(now)
    last = start + end * DAY - LAST if isinstance(end, int) and 0 < end <= longest else end
    if isinstance(last, int) or not now < last <= start + longest * DAY - LAST:
        raise IssuingError(f"Choose a number of days from 1 to {longest:,}.", "days")
    if above and last > above.not_valid_after_utc:
        most = days_left(above, now)
        wish = f"Choose at most {most:,} {'day' if most == 1 else 'days'}." if most else "Make a new CA."
        raise IssuingError(
            f"This CA itself ends at {_moment(above.not_valid_after_utc)}, and nothing that it issues is "
            f"valid for longer. {wish}",
            "days",
        )
    return Validity(start, last.replace(microsecond=0))


def days_left(above: x509.Certificate, now: datetime) -> int:
    """The longest that something issued now by this CA can be valid for; 0 where it cannot issue."""
    try:
        return max(0, (above.not_valid_after_utc + LAST - _start_below(above, now)) // DAY)
    except IssuingError:
        return 0


def _start_below(above: x509.Certificate, now: datetime) -> datetime:
    first, last = above.not_valid_before_utc, above.not_valid_after_utc
    if last <= now:
        raise IssuingError(f"This CA has expired ({_moment(last)}). Make a new one.")
    if first > now:
        raise IssuingError(f"This CA is not valid before {_moment(first)}. Issue with it from then on.")
    return max(first, _start(now))


def _start(now: datetime) -> datetime:
    return (now - BACKDATED).replace(microsecond=0)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
