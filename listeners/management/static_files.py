"""The static files of the pages, collected when they have changed since the last time.

Collecting writes files anew that another console of the same source tree may be serving just then, so it
happens as seldom as it can, and never twice at once.
"""

import fcntl
import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

NOTE = ".collected"  # in their directory: it is gone when they are


def collect_static_files() -> None:
    directory = Path(settings.STATIC_ROOT)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / NOTE, "a+") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        note.seek(0)
        sources = _sources()
        if note.read() == sources:
            return
        note.truncate(0)
        call_command("collectstatic", interactive=False, verbosity=0)
        note.write(sources)


def _sources() -> str:
    """A hash over the names, sizes and times of all files that would be collected."""
    found = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            path = storage.path(name)
            file = Path(path).stat()
            found.update(f"{path}\0{file.st_size}\0{file.st_mtime_ns}\0".encode())
    return found.hexdigest()
