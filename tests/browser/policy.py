"""Chromium's managed policies, which it reads from a directory of the system alone."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FILE = "elb-console-tests.json"


@contextmanager
def managed_policy(executable: str, policy: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yields a program to run instead of `executable`: the same Chromium under this policy.

    As root the policy lies in the system's directory meanwhile. Anybody else's Chromium runs in a mount
    namespace of its own that has the directory; `folder` takes the files for that.
    """
    root = _directory(executable)
    if os.geteuid() == 0:
        made = [path for path in (root, *root.parents) if not path.exists()]
        root.mkdir(parents=True, exist_ok=True)
        file = root / FILE
        file.write_text(json.dumps(policy))
        try:
            yield executable
        finally:
            file.unlink()
            for path in made:
                path.rmdir()
        return
    source = folder / FILE
    source.write_text(json.dumps(policy))
    wrapper = folder / "chromium-under-policy"
    wrapper.write_text(_wrapper(executable, root, source))
    wrapper.chmod(0o700)
    trial = subprocess.run([wrapper, "--version"], capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        pytest.fail(
            "Chromium's policy needs root, or a user namespace, which this machine does not allow: "
            f"{trial.stderr.strip()}. Run the tests as root, or set kernel.unprivileged_userns_clone=1."
        )
    yield str(wrapper)


def _directory(executable: str) -> Path:
    """Where this build looks: Debian's Chromium, Google's Chrome, or Playwright's Chrome for Testing."""
    vendor = {"google-chrome": "opt/chrome", "chrome": "opt/chrome_for_testing"}
    return Path("/etc", vendor.get(Path(executable).name, "chromium"), "policies", "managed")


def _wrapper(executable: str, root: Path, source: Path) -> str:
    # The nearest directory that is there is covered by an empty one, in this process's sight alone.
    cover = next(path for path in root.parents if path.is_dir())
    assert cover != Path("/etc"), f"{root} has no parent of its own in /etc to mount over."
    inside = " && ".join(
        [
            f"mount -t tmpfs tmpfs {shlex.quote(str(cover))}",
            f"mkdir -p {shlex.quote(str(root))}",
            f"cp {shlex.quote(str(source))} {shlex.quote(str(root))}",
            f'exec {shlex.quote(executable)} "$@"',
        ]
    )
    unshare = shutil.which("unshare") or "unshare"
    return (
        "#!/bin/sh\n"
        f"exec {unshare} --user --map-root-user --mount "
        f'sh -c {shlex.quote(inside)} chromium --no-sandbox "$@"\n'
    )
