"""Sealed private keys: rotation, and everything that must not open."""

import base64
import os

import pytest

from certificates.keyring import Keyring, KeyringError, UnsealError

SECRET = "-----BEGIN PRIVATE KEY-----\nnever shown\n-----END PRIVATE KEY-----\n"


def master_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def test_seal_opens_in_its_own_context() -> None:
    keyring = Keyring.parse(master_key())

    assert keyring.unseal(keyring.seal(SECRET, "row 1"), "row 1") == SECRET


def test_seal_hides_the_secret_and_never_repeats_itself() -> None:
    keyring = Keyring.parse(master_key())

    first, second = keyring.seal(SECRET, "row 1"), keyring.seal(SECRET, "row 1")

    assert first != second
    assert "never shown" not in first
    assert base64.urlsafe_b64encode(SECRET.encode()).decode()[:24] not in first


def test_rotation_opens_old_seals_and_seals_with_the_newest_key() -> None:
    old, new = master_key(), master_key()
    sealed_before = Keyring.parse(old).seal(SECRET, "row 1")

    rotated = Keyring.parse(f"{new}, {old}")

    assert rotated.unseal(sealed_before, "row 1") == SECRET
    assert Keyring.parse(new).unseal(rotated.seal(SECRET, "row 1"), "row 1") == SECRET


def test_key_that_was_removed_opens_nothing() -> None:
    sealed = Keyring.parse(master_key()).seal(SECRET, "row 1")

    with pytest.raises(UnsealError, match="is not configured"):
        Keyring.parse(master_key()).unseal(sealed, "row 1")


def test_seal_moved_to_another_row_is_refused() -> None:
    keyring = Keyring.parse(master_key())

    with pytest.raises(UnsealError, match="belongs to another certificate"):
        keyring.unseal(keyring.seal(SECRET, "row 1"), "row 2")


def test_every_damaged_character_is_refused() -> None:
    keyring = Keyring.parse(master_key())
    sealed = keyring.seal("short", "row 1")

    for place, character in enumerate(sealed):
        damaged = sealed[:place] + ("A" if character != "A" else "B") + sealed[place + 1 :]
        with pytest.raises(UnsealError):
            keyring.unseal(damaged, "row 1")


@pytest.mark.parametrize(
    "keep", ["", "v1", "v1.", "v1.{id}", "v1.{id}.", "v1.{id}.AAAA", "v1.{id}.é", "v2.{id}.AAAA"]
)
def test_anything_else_is_refused(keep: str) -> None:
    keyring = Keyring.parse(master_key())

    with pytest.raises(UnsealError):
        keyring.unseal(keep.format(id=keyring.keys[0].id), "row 1")


@pytest.mark.parametrize("separator", [",", ", ", " ", "\n", " ,\n"])
def test_parse_takes_several_keys_with_or_without_padding(separator: str) -> None:
    first, second = master_key(), master_key()

    keyring = Keyring.parse(f"{first.rstrip('=')}{separator}{second}\n")

    assert keyring.keys == Keyring.parse(first).keys + Keyring.parse(second).keys


SHORT = base64.urlsafe_b64encode(b"only 16 octets..").decode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There is no master key."),
        (" ,\n", "There is no master key."),
        ("pass phrase!", "Master key 1 is not 32 bytes in URL-safe base64."),
        (SHORT, "Master key 1 is not 32 bytes in URL-safe base64."),
        (f"{'A' * 43}= {SHORT}", "Master key 2 is not 32 bytes in URL-safe base64."),
        ("é" * 43, "Master key 1 is not 32 bytes in URL-safe base64."),
    ],
)
def test_parse_refuses_nonsense_without_showing_it(text: str, sentence: str) -> None:
    with pytest.raises(KeyringError) as refused:
        Keyring.parse(text)

    assert str(refused.value) == sentence


def test_repr_hides_the_secret() -> None:
    text = master_key()
    secret = base64.urlsafe_b64decode(text)

    shown = repr(Keyring.parse(text))

    assert shown.startswith("Keyring(keys=(MasterKey(id=")
    for form in (text.rstrip("="), secret.hex(), repr(secret)[2:-1]):
        assert form not in shown
