"""The master keys that seal what is stored here."""

from django.conf import settings

from certificates.keyring import Keyring, KeyringError


def keyring() -> Keyring:
    """This deployment's master keys: those in their file now, so that a new one needs no restart, and
    behind them those that were there at the start.
    """
    at_start = Keyring.parse(settings.ELB_MASTER_KEY)
    if settings.ELB_MASTER_KEY_FILE is None:
        return at_start
    try:
        return Keyring.parse(settings.ELB_MASTER_KEY_FILE.read_text()).then(at_start)
    except (OSError, UnicodeDecodeError, KeyringError):
        return at_start  # a damaged file is for the next start to refuse
