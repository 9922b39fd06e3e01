"""The settings tests run under: the console's own, with a data directory that lives as long as the run."""

import atexit
import os
import secrets
import shutil
import tempfile

# A person's own deployment must neither steer the tests nor be touched by them.
for name in [name for name in os.environ if name.startswith(("ELB_", "DJANGO_SUPERUSER_"))]:
    del os.environ[name]
os.environ["ELB_DATA_DIR"] = tempfile.mkdtemp(prefix="elb-tests-")
# In the variable itself, not in a file, so that a test may put other keys in its place.
os.environ["ELB_MASTER_KEY"] = secrets.token_urlsafe(32)
atexit.register(shutil.rmtree, os.environ["ELB_DATA_DIR"], ignore_errors=True)
# Playwright's synchronous interface keeps an event loop in this thread, which Django would take for
# asynchronous code and refuse the database to.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

from console.env import private_directory  # noqa: E402
from console.settings import *  # noqa: E402, F403

# Static files are served as they lie in the tree; WhiteNoise warns where nothing has been collected.
STATIC_ROOT = private_directory(ELB_DATA_DIR / "static")  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
