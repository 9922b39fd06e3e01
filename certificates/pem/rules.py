"""What is said of a certificate whatever it is used as: how it is called, its period, its signature."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from certificates.pem.facts import ParsedCertificate
from certificates.pem.findings import Finding, quoted, warning

SMALLEST_RSA_BITS = 2048
EXPIRES_SOON = timedelta(days=30)
WANTED_KEY = "Expected is RSA of 2048 bits or more, or ECDSA on P-256, P-384 or P-521."


def called(certificate: ParsedCertificate, place: int, count: int) -> str:
    if count == 1:
        return "The certificate"
    return f"Certificate {place} of {count} ({quoted(certificate.facts.subject) or 'no subject'})"


def period(certificate: ParsedCertificate, who: str, now: datetime, effect: str) -> Iterator[Finding]:
    facts = certificate.facts
    if facts.not_after < now:
        yield warning("expired", f"{who} expired on {facts.not_after:%Y-%m-%d}: {effect}.", "Renew it.")
    elif facts.not_before > now:
        yield warning(
            "not_yet_valid",
            f"{who} is not valid before {_moment(facts.not_before)}: {effect} until then.",
            "If that is in the past for you, set the clock of this machine.",
        )
    elif facts.not_after - now < EXPIRES_SOON:
        yield warning(
            "expires_soon", f"{who} expires on {_moment(facts.not_after)}: {effect} after that.", "Renew it."
        )


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
