"""One Envoy as a process: which one may be adopted, and which one is lost."""

import os
import socket
from pathlib import Path

import psutil
import pytest
from pytest_django import Settings

from listeners.dataplane import envoy_process
from listeners.dataplane.envoy_process import EnvoySettings
from listeners.management.commands import serve
from tests.envoy_lab import envoy_lab
from tests.waiting import eventually


def envoy_settings(binary: Path, bootstrap: str = "{}") -> EnvoySettings:
    folder = binary.parent
    return EnvoySettings(binary, bootstrap, folder, folder / "log", folder / "health", folder / "admin", 1, 1)


def test_arguments_tell_bootstrap_and_program_apart(tmp_path: Path) -> None:
    program, other, link = tmp_path / "envoy", tmp_path / "other", tmp_path / "link"
    program.write_text("1.40")
    other.write_text("1.40")
    link.symlink_to(program)
    first = envoy_settings(program)
    same = [envoy_settings(program), envoy_settings(link)]
    different = [envoy_settings(program, "{ }"), envoy_settings(other)]

    assert {one.arguments[2] for one in same} == {first.arguments[2]}
    assert first.arguments[2] not in {one.arguments[2] for one in different}
    program.write_text("1.41.0")  # an upgrade in place
    assert envoy_settings(program).arguments[2] != first.arguments[2]


def test_envoy_without_its_administration_socket_is_ended_and_a_busy_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(envoy_process, "UNREACHABLE_LIMIT", 0)
    with envoy_lab() as lab:
        assert lab.envoy.pid
        eventually(lab.is_connected, "Envoy is live")
        process = psutil.Process(lab.envoy.pid)
        process.suspend()
        lab.envoy.end_if_lost()
        process.resume()
        busy = lab.envoy.is_running()
        lab.admin.unlink()
        lab.envoy.end_if_lost()
        assert (busy, lab.envoy.is_running()) == (True, False)


def test_web_server_is_ready_when_it_listens_itself(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.ELB_CONSOLE_PORT = server.getsockname()[1]
        assert [serve._web_server_is_ready(pid) for pid in (os.getpid(), os.getppid())] == [True, False]
