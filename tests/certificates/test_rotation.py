"""Rotating the master key: every sealed key under the new one, whatever comes in between."""

import io
import stat
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import DjangoAssertNumQueries, Settings

from certificates import sealed
from certificates.keyring import Keyring, KeyringError, UnsealError, add_master_key
from certificates.models import (
    Certificate,
    CertificateAuthority,
    IssuedCertificate,
    KeyDraft,
    keyring,
    sealed_key_drafts,
    sealed_private_keys,
)
from certificates.sealed import SealedRows
from console.models import ConfigurationRevision
from tests import issued_rows
from tests.certificates.test_keyring import master_key
from tests.conftest import Pki
from tests.factories import ca_certificate, server_certificate, user

pytestmark = pytest.mark.django_db


def rotate(*arguments: str, stdout: io.StringIO | None = None) -> str:
    stdout = stdout or io.StringIO()
    call_command("rotate_master_key", *arguments, stdout=stdout)
    return stdout.getvalue()


def opened() -> list[str]:
    """Every stored private key in clear, with the keys that are configured."""
    models = (Certificate, CertificateAuthority, IssuedCertificate)
    rows = [row for model in models for row in model.objects.exclude(sealed_private_key="").order_by("pk")]
    return [row.private_key() for row in [*rows, *KeyDraft.objects.order_by("pk")]]


def master_keys_in_use() -> set[str]:
    return {id for rows in (*sealed_private_keys(), sealed_key_drafts()) for id in rows.master_key_ids()}


def of_certificates() -> SealedRows:
    return sealed_private_keys()[0]


class Interrupt(io.StringIO):
    """Ctrl-C as soon as a line of progress has been written."""

    def write(self, text: str) -> int:
        if text.startswith("  "):
            raise KeyboardInterrupt
        return super().write(text)


def test_rotation_seals_every_stored_key_again(settings: Settings, pki: Pki) -> None:
    server_certificate(pki.modern.server)
    ca_certificate(pki.modern.ca)
    issued_rows.client(issued_rows.authority(intermediate=True))
    KeyDraft.objects.keep(pki.modern.client.key_pem, user())
    before, revision, old = opened(), ConfigurationRevision.objects.number(), settings.ELB_MASTER_KEY
    assert len(before) == 5  # of a server, a root and an intermediate, a client, and a form
    new = master_key()
    settings.ELB_MASTER_KEY = f"{new},{old}"

    told = rotate()

    assert master_keys_in_use() == {Keyring.parse(new).first_id}
    assert f"remove the earlier master key ({Keyring.parse(old).first_id})" in told
    settings.ELB_MASTER_KEY = new
    assert (opened(), ConfigurationRevision.objects.number()) == (before, revision)
    assert "remove" not in rotate()


def test_rotation_does_not_bring_back_a_key_that_is_removed_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is read, the key is removed, and only then the key that was read is written again."""
    row = issued_rows.authority()
    seal = Keyring.seal

    def removing(keys: Keyring, secret: str, context: str) -> str:
        CertificateAuthority.objects.update(sealed_private_key="")
        return seal(keys, secret, context)

    settings.ELB_MASTER_KEY = f"{master_key()},{settings.ELB_MASTER_KEY}"
    monkeypatch.setattr(Keyring, "seal", removing)

    rotate()

    row.refresh_from_db()
    assert row.sealed_private_key == ""


def test_rotation_that_is_interrupted_goes_on(
    settings: Settings, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "BATCH", 2)
    for _ in range(5):
        server_certificate(pki.modern.server)
    before, new = opened(), master_key()
    settings.ELB_MASTER_KEY = f"{new} {settings.ELB_MASTER_KEY}"

    with pytest.raises(CommandError, match="run the command again"):
        rotate(stdout=Interrupt())
    left = of_certificates().to_seal_again(keyring()).count()
    told = rotate()

    assert (left, "3 private keys of certificates are to be sealed" in told) == (3, True)
    assert [line for line in told.splitlines() if line.startswith("  ")][:2] == ["  2 of 3", "  3 of 3"]
    settings.ELB_MASTER_KEY = new
    assert opened() == before


def test_rotation_passes_over_what_does_not_open_and_says_so(settings: Settings, pki: Pki) -> None:
    good, damaged, lost = (server_certificate(pki.modern.server) for _ in range(3))
    old = settings.ELB_MASTER_KEY
    text = damaged.sealed_private_key
    Certificate.objects.filter(pk=damaged.pk).update(sealed_private_key=f"{text[:-8]}AAAAAAA=")
    stranger = Keyring.parse(master_key())
    text = stranger.seal("a key", lost.fingerprint)
    Certificate.objects.filter(pk=lost.pk).update(sealed_private_key=text)
    settings.ELB_MASTER_KEY = f"{master_key()},{old}"

    with pytest.raises(CommandError) as refused:
        rotate()

    assert f"number {damaged.pk}: The sealed key is damaged" in str(refused.value)
    assert f"number {lost.pk}: The master key {stranger.first_id!r}" in str(refused.value)
    good.refresh_from_db()
    assert good.sealed_private_key.split(".")[1] == keyring().first_id
    lost.refresh_from_db()
    assert lost.sealed_private_key == text


def test_rotation_makes_a_key_in_the_file_that_takes_effect_at_once(
    settings: Settings, pki: Pki, tmp_path: Path
) -> None:
    file = tmp_path / "master.key"
    file.write_text(f"{settings.ELB_MASTER_KEY}\n")
    settings.ELB_MASTER_KEY_FILE = file
    server_certificate(pki.modern.server)
    before, old = opened(), keyring().first_id

    rotate("--make-key")

    keys = Keyring.parse(file.read_text()).keys
    assert [key.id for key in keys][1:] == [old]
    assert master_keys_in_use() == {keys[0].id}
    assert (opened(), stat.S_IMODE(file.stat().st_mode)) == (before, 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_rotation_makes_no_key_where_a_variable_holds_them(settings: Settings) -> None:
    before = settings.ELB_MASTER_KEY
    with pytest.raises(CommandError, match="in the variable ELB_MASTER_KEY"):
        rotate("--make-key")
    assert before == settings.ELB_MASTER_KEY


def test_rotation_without_any_key_says_so(settings: Settings) -> None:
    settings.ELB_MASTER_KEY = ""
    with pytest.raises(CommandError, match=r"^There is no master key\. Make one with --make-key\.$"):
        rotate()


def test_file_of_keys_that_is_damaged_later_leaves_those_of_the_start(
    settings: Settings, tmp_path: Path
) -> None:
    settings.ELB_MASTER_KEY_FILE = tmp_path / "master.key"
    at_start = Keyring.parse(settings.ELB_MASTER_KEY)
    assert keyring() == at_start
    settings.ELB_MASTER_KEY_FILE.write_text("nonsense")
    assert keyring() == at_start


def test_key_that_is_removed_from_the_file_opens_until_the_next_start(
    settings: Settings, pki: Pki, tmp_path: Path
) -> None:
    certificate = server_certificate(pki.modern.server)
    file = tmp_path / "master.key"
    file.write_text(master_key())
    settings.ELB_MASTER_KEY_FILE = file
    assert certificate.private_key()
    settings.ELB_MASTER_KEY = file.read_text()
    with pytest.raises(UnsealError):
        certificate.private_key()


def test_new_keys_stand_in_front_of_the_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    for _ in range(3):
        before = file.read_text() if file.exists() else ""
        add_master_key(file)
        assert file.read_text().endswith(before)
    assert len({key.id for key in Keyring.parse(file.read_text()).keys}) == 3


def test_new_key_is_not_made_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        add_master_key(tmp_path / "missing" / "master.key")
    with pytest.raises(KeyringError):
        Keyring.parse("")


def test_master_keys_in_use_cost_one_look_each(
    settings: Settings, pki: Pki, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    expected = []
    for _ in range(3):
        expected.append(keyring().first_id)
        for _ in range(3):
            server_certificate(pki.modern.server)
        settings.ELB_MASTER_KEY = f"{master_key()},{settings.ELB_MASTER_KEY}"

    with django_assert_num_queries(4):
        found = of_certificates().master_key_ids()

    assert found == sorted(expected)
    rows = Certificate.objects.annotate(found=sealed.master_key_id("sealed_private_key"))
    assert "SEARCH" in (
        plan := rows.filter(found__gt="a").order_by("found").values_list("found")[:1].explain()
    )
    assert "certificate_master_key" in plan
