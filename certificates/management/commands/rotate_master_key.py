"""`manage.py rotate_master_key`: every stored private key, sealed again under the newest master key."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from certificates.keyring import Keyring, KeyringError, add_master_key
from certificates.models import keyring, sealed_key_drafts, sealed_private_keys
from certificates.sealed import SealedRows


class Command(BaseCommand):
    help = (
        "Seals every stored private key again under the first master key. It may be stopped and run again "
        "at any time, beside a running console. Where the master keys are in a file, --make-key puts a new "
        "one in front, and the running console uses it at once. Where they are in ELB_MASTER_KEY itself, "
        "put the new key in front there, restart the console, and then run this."
    )
    # It is what mends a missing master key, which the checks refuse.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--make-key", action="store_true", help="first put a new master key in front of those in the file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["make_key"]:
            self._make_key()
        try:
            keys = keyring()
        except KeyringError as error:
            raise CommandError(f"{error} Make one with --make-key.") from error
        try:
            rows = (*sealed_private_keys(), sealed_key_drafts())
            problems = [sentence for one in rows for sentence in self._seal_again(one, keys)]
        except KeyboardInterrupt:
            raise CommandError("Stopped. What is done stays done; run the command again to go on.") from None
        if problems:
            raise CommandError(
                "\n".join(problems)
                + "\nThe other private keys are sealed by the first master key. Keep every earlier one, put "
                "back the one that is missing, or upload these private keys again; the certificate of a "
                "client whose key is lost is issued anew."
            )
        self._say_what_is_next(keys)

    def _make_key(self) -> None:
        path = settings.ELB_MASTER_KEY_FILE
        if path is None:
            raise CommandError(
                "The master keys are in the variable ELB_MASTER_KEY, not in a file. Put a new one in front "
                "there (openssl rand -base64 32 | tr '+/' '-_'), with a comma behind it, restart the "
                "console, and run this command without --make-key."
            )
        try:
            add_master_key(path)
            settings.ELB_MASTER_KEY = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"No new master key could be put into {path}: {error}") from error
        self.stdout.write(f"A new master key stands first in {path}.")

    def _seal_again(self, rows: SealedRows, keys: Keyring) -> list[str]:
        """Sentences about those that do not open."""
        total = rows.to_seal_again(keys).count()
        self.stdout.write(f"{total:,} {rows.what} are to be sealed by master key {keys.first_id}.")
        done, problems = 0, dict[Any, str]()
        while True:
            before = done
            for batch in rows.seal_again(keys):
                done += batch.sealed
                problems |= batch.problems
                self.stdout.write(f"  {done:,} of {total:,}")
            # Once more: a form that was being saved may have sealed by the key before.
            if done == before:
                return [f"{rows.what}, number {pk}: {problem}" for pk, problem in problems.items()]

    def _say_what_is_next(self, keys: Keyring) -> None:
        self.stdout.write(f"Every stored private key is sealed by master key {keys.first_id}.")
        earlier = [key.id for key in keys.keys[1:]]
        if not earlier:
            return
        place = settings.ELB_MASTER_KEY_FILE or "the variable ELB_MASTER_KEY"
        self.stdout.write(
            f"Next: remove the earlier master key ({', '.join(earlier)}) from {place}; the first one stays. "
            "A backup of the database made before now opens with the earlier key only: keep that with it, "
            "apart from the console."
        )
