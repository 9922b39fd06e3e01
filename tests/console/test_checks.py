"""Mistakes of a deployment are said before anything starts."""

import stat
from pathlib import Path

import pytest
from pytest_django import Settings

from certificates.models import keyring
from console import checks
from listeners.dataplane import binary
from tests.certificates.test_keyring import master_key
from tests.conftest import Pki
from tests.factories import ca_certificate, server_certificate


def test_good_settings_have_no_finding() -> None:
    found = [checks.master_key, checks.data_directory, checks.envoy, checks.socket_paths]
    found += [checks.allowed_hosts, checks.remote_control_plane]
    assert [one for check in found for one in check(None)] == []


@pytest.mark.parametrize("key", ["", "short", "é" * 43, "A" * 44])
def test_bad_master_key_is_refused_without_being_shown(settings: Settings, key: str) -> None:
    settings.ELB_MASTER_KEY = key
    (error,) = checks.master_key(None)
    assert (error.id, key in error.msg) == ("console.E001", key == "")


def test_lost_master_key_is_said(settings: Settings, tmp_path: Path) -> None:
    settings.ELB_MASTER_KEY, settings.ELB_MASTER_KEY_FILE = "", tmp_path / "master.key"
    (error,) = checks.master_key(None)
    assert (error.id, "The master key is missing" in error.msg) == ("console.E001", True)
    assert checks.stored_keys(None, databases=["default"]) == []  # once is enough


@pytest.mark.django_db
def test_other_master_key_than_the_one_that_sealed_is_said(settings: Settings, pki: Pki) -> None:
    assert checks.stored_keys(None, databases=["default"]) == []
    ca_certificate(pki.modern.ca)
    certificate = server_certificate(pki.modern.server)
    assert checks.stored_keys(None, databases=["default"]) == []
    sealed_by, text = keyring().first_id, certificate.sealed_private_key
    settings.ELB_MASTER_KEY = master_key()

    (error,) = checks.stored_keys(None, databases=["default"])

    assert (error.id, sealed_by in error.msg) == ("console.E007", True)
    assert settings.ELB_MASTER_KEY not in f"{error.msg}{error.hint}"
    assert checks.stored_keys(None) == []  # commands that do not ask for the database
    certificate.refresh_from_db()
    assert certificate.sealed_private_key == text


def test_deep_data_directory_is_refused(settings: Settings, tmp_path: Path) -> None:
    settings.ELB_RUN_DIR = tmp_path / ("deep" * 24)
    (error,) = checks.socket_paths(None)
    assert (error.id, "107 bytes" in error.msg) == ("console.E004", True)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_data_directory_that_others_may_enter_is_refused(
    settings: Settings, tmp_path: Path, mode: int
) -> None:
    settings.ELB_DATA_DIR = tmp_path
    tmp_path.chmod(mode)
    (error,) = checks.data_directory(None)
    assert (error.id, error.hint) == ("console.E008", f"Run: chmod 700 {tmp_path}")


@pytest.mark.parametrize(
    ("answer", "id"),
    [("envoy version: abc/1.39.9/Clean/RELEASE/BoringSSL", "console.E003"), ("hello", "console.E002")],
)
def test_old_or_strange_envoy_is_refused(settings: Settings, tmp_path: Path, answer: str, id: str) -> None:
    program = tmp_path / "envoy"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(stat.S_IRWXU)
    settings.ELB_ENVOY_BINARY = program
    assert [error.id for error in checks.envoy(None)] == [id]


def test_envoy_that_does_not_end_is_refused(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "VERSION_TIMEOUT", 0.1)
    program = tmp_path / "envoy"
    program.write_text("#!/bin/sh\nexec sleep 5\n")
    program.chmod(stat.S_IRWXU)
    settings.ELB_ENVOY_BINARY = program
    assert [error.id for error in checks.envoy(None)] == ["console.E002"]


def test_missing_envoy_is_refused(settings: Settings, tmp_path: Path) -> None:
    settings.ELB_ENVOY_BINARY = tmp_path / "nothing"
    assert [error.id for error in checks.envoy(None)] == ["console.E002"]


def test_console_on_every_address_must_know_its_names(settings: Settings) -> None:
    settings.ELB_CONSOLE_HOST, settings.ELB_ALLOWED_HOSTS = "0.0.0.0", []
    assert [error.id for error in checks.allowed_hosts(None)] == ["console.E005"]
    settings.ELB_ALLOWED_HOSTS = ["console.example.com"]
    assert checks.allowed_hosts(None) == []


def test_remote_control_plane_needs_its_files(settings: Settings, pki: Pki, tmp_path: Path) -> None:
    settings.ELB_XDS_ADDRESS = "127.0.0.1:18000"
    settings.ELB_XDS_CERTIFICATE_FILE = pki.modern.server.certificate
    settings.ELB_XDS_KEY_FILE = tmp_path / "missing.key"
    settings.ELB_XDS_CLIENT_CA_FILE = None
    named = [
        error.msg.split(" must name")[0].rpartition(" ")[2] for error in checks.remote_control_plane(None)
    ]
    assert named == ["ELB_XDS_KEY_FILE", "ELB_XDS_CLIENT_CA_FILE"]
