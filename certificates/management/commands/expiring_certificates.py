"""Prints what has expired or will soon, and ends with 1 when that is anything; for cron and monitoring."""

import sys
from collections.abc import Iterator
from heapq import merge
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from certificates.expiry import REPORTED_DAYS, expiring, expiring_issued, state_in_words
from certificates.models import Certificate, IssuedCertificate
from console.templatetags.console import EXPIRES_SOON_DAYS

LARGEST_DAYS = 36_500


class Command(BaseCommand):
    help = (
        "Prints the certificates that have expired or will within some days, the soonest first, with the "
        "listeners that use them, and among them what was issued here: unless it has been renewed, and for "
        f"{REPORTED_DAYS} days after its end. The exit code is 1 when there are any, else 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, default=EXPIRES_SOON_DAYS, help=f"default: {EXPIRES_SOON_DAYS}"
        )

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        now, ahead = timezone.now(), min(max(days, 0), LARGEST_DAYS)
        stored = expiring(now, ahead).iterator(chunk_size=500)
        issued = expiring_issued(now, ahead).iterator(chunk_size=500)
        both: Iterator[Certificate | IssuedCertificate] = merge(stored, issued, key=lambda one: one.not_after)
        count = 0
        for certificate in both:
            count += 1
            self.stdout.write(_line(certificate, state_in_words(certificate, now)))
        if not count:
            self.stdout.write(f"No certificate has expired or will within {days} days.")
            return
        sys.exit(1)


def _line(certificate: Certificate | IssuedCertificate, state: str) -> str:
    when = f"{timezone.localtime(certificate.not_after):%Y-%m-%d %H:%M %Z}"
    if isinstance(certificate, IssuedCertificate):
        holder, authority = _plain(str(certificate)), _plain(str(certificate.authority))
        purpose = certificate.get_profile_display().lower()
        return f"{when}  {state}  {holder} (issued ID {certificate.pk})  {purpose} certificate of {authority}"
    users = ", ".join(
        f"{_plain(str(one))} ({one.protocol}/{one.port}) of {_plain(str(one.load_balancer))}"
        for one in certificate.listeners
    )
    name = f"{_plain(certificate.name)} (ID {certificate.pk})".strip()
    return f"{when}  {state}  {name}  {f'used by {users}' if users else 'not used'}"


def _plain(text: str) -> str:
    """Without what would steer a terminal or begin a line of its own."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
