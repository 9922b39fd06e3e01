"""The console as it is deployed, in the directory that ELB_DATA_DIR names."""

from console.settings import *  # noqa: F403
from console.settings import ELB_DATA_DIR

ALLOWED_HOSTS = ["testserver"]
# No collected files are needed to answer pages.
STATIC_ROOT = ELB_DATA_DIR
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
