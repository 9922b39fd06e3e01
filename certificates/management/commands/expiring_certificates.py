"""Prints what has expired or will soon, and ends with 1 when that is anything; for cron and monitoring."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from certificates.expiry import expiring, state_in_words
from certificates.models import Certificate
from console.templatetags.console import EXPIRES_SOON_DAYS

LARGEST_DAYS = 36_500


class Command(BaseCommand):
    help = (
        "Prints the certificates that have expired or will within some days, the soonest first, with the "
        "listeners that use them. The exit code is 1 when there are any, else 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, default=EXPIRES_SOON_DAYS, help=f"default: {EXPIRES_SOON_DAYS}"
        )

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        now = timezone.now()
        count = 0
        for certificate in expiring(now, min(max(days, 0), LARGEST_DAYS)).iterator(chunk_size=500):
            count += 1
            self.stdout.write(_line(certificate, state_in_words(certificate, now)))
        if not count:
            self.stdout.write(f"No certificate has expired or will within {days} days.")
            return
        sys.exit(1)


def _line(certificate: Certificate, state: str) -> str:
    when = timezone.localtime(certificate.not_after)
    users = ", ".join(
        f"{_plain(str(one))} ({one.protocol}/{one.port}) of {_plain(str(one.load_balancer))}"
        for one in certificate.listeners
    )
    name = f"{_plain(certificate.name)} (ID {certificate.pk})".strip()
    return f"{when:%Y-%m-%d %H:%M %Z}  {state}  {name}  {f'used by {users}' if users else 'not used'}"


def _plain(text: str) -> str:
    """Without what would steer a terminal or begin a line of its own."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
