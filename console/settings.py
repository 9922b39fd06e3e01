"""Django's settings; every deployment choice is an environment variable (README, "Settings")."""

from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF

from console.env import (
    env_address,
    env_bool,
    env_int,
    env_list,
    env_path,
    env_secret,
    env_secret_file,
    env_sockets,
    env_str,
    private_directory,
)

BASE_DIR = Path(__file__).resolve().parent.parent

ELB_DATA_DIR = private_directory(env_path("ELB_DATA_DIR", None) or BASE_DIR / "data")
ELB_RUN_DIR = private_directory(ELB_DATA_DIR / "run")
ELB_LOG_DIR = private_directory(ELB_DATA_DIR / "log")
ELB_CONSOLE_HOST, ELB_CONSOLE_PORT = env_address("ELB_CONSOLE_ADDRESS", "127.0.0.1:8000")
# A master key is made at the very first start only: later, a new one would open nothing.
ELB_MASTER_KEY = env_secret(
    "ELB_MASTER_KEY",
    ELB_DATA_DIR / "master.key",
    traces=[ELB_DATA_DIR / "secret.key", ELB_DATA_DIR / "console.sqlite3"],
)
ELB_MASTER_KEY_FILE = env_secret_file("ELB_MASTER_KEY", ELB_DATA_DIR / "master.key")
ELB_KEY_DRAFT_SECONDS = env_int("ELB_KEY_DRAFT_SECONDS", 3600, minimum=60, maximum=86400)
# How long the key of a client that was issued here waits for its one download.
ELB_CLIENT_KEY_SECONDS = env_int("ELB_CLIENT_KEY_SECONDS", 86_400, minimum=60, maximum=30 * 86_400)

ELB_ENVOY_BINARY = env_path("ELB_ENVOY_BINARY", None)
ELB_ENVOY_CONCURRENCY = env_int("ELB_ENVOY_CONCURRENCY", 0, minimum=0, maximum=1024)
ELB_NODE_ID = env_str("ELB_NODE_ID", "local")
ELB_DRAIN_SECONDS = env_int("ELB_DRAIN_SECONDS", 10, minimum=1, maximum=3600)
# Client certificates that are remembered as seen, over all listeners; the longest unseen go first.
ELB_SEEN_CLIENTS = env_int("ELB_SEEN_CLIENTS", 10_000, minimum=100, maximum=1_000_000)
ELB_STATUS_SECONDS = env_int("ELB_STATUS_SECONDS", 3, minimum=1, maximum=60)

# Off where every Envoy is on another machine: this one can then not tell what they may open.
ELB_CHECK_SOCKETS = env_bool("ELB_CHECK_SOCKETS", True)
# Backend servers that are refused otherwise: link-local and metadata addresses, the console itself.
ELB_ALLOWED_BACKENDS = env_sockets("ELB_ALLOWED_BACKENDS")

# xDS over TCP for Envoys on other machines, always with mutual TLS; off while no address is set.
ELB_XDS_ADDRESS = env_str("ELB_XDS_ADDRESS", "")
ELB_XDS_HOST, ELB_XDS_PORT = env_address("ELB_XDS_ADDRESS", "") if ELB_XDS_ADDRESS else ("", 0)
ELB_XDS_CERTIFICATE_FILE = env_path("ELB_XDS_CERTIFICATE_FILE", None)
ELB_XDS_KEY_FILE = env_path("ELB_XDS_KEY_FILE", None)
ELB_XDS_CLIENT_CA_FILE = env_path("ELB_XDS_CLIENT_CA_FILE", None)

SECRET_KEY = env_secret("ELB_SECRET_KEY", ELB_DATA_DIR / "secret.key")
DEBUG = env_bool("ELB_DEBUG", False)
ELB_ALLOWED_HOSTS = env_list("ELB_ALLOWED_HOSTS", [])
ALLOWED_HOSTS = [*ELB_ALLOWED_HOSTS, "localhost", "127.0.0.1", "[::1]"]
if ELB_CONSOLE_HOST not in {"0.0.0.0", "::"}:
    ALLOWED_HOSTS.append(f"[{ELB_CONSOLE_HOST}]" if ":" in ELB_CONSOLE_HOST else ELB_CONSOLE_HOST)
CSRF_TRUSTED_ORIGINS = env_list("ELB_CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "console",
    "listeners",
    "certificates",
    "crispy_forms",
    "crispy_bootstrap5",
    "csp",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
]

MIDDLEWARE = [
    "console.http.bodiless_to_head",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "console.http.kept_by_no_cache",  # below WhiteNoise: static files may be kept
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": dj_database_url.config(
        env="DATABASE_URL", default=f"sqlite:///{ELB_DATA_DIR / 'console.sqlite3'}"
    )
}
# Connections are kept, for the control plane looks for changes ten times a second.
DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets readers go on while one writes; an immediate transaction waits for its turn at BEGIN,
    # where the busy timeout applies, instead of failing at its first write.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "load_balancer_list"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = env_str("ELB_TIME_ZONE", "UTC")
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# One paste is at most 1 MiB; above this the answer is 413, before a form sees the data.
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024
# A private key in a large upload must never be spooled to disk in clear.
FILE_UPLOAD_HANDLERS = ["console.http.BoundedMemoryUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = DATA_UPLOAD_MAX_MEMORY_SIZE

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # Bootstrap's form controls are data: images
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
SECURE_COOKIES = env_bool("ELB_SECURE_COOKIES", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"
FORM_RENDERER = "console.forms.Renderer"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {"httpx": {"level": "WARNING"}},  # a line for every question to Envoy otherwise
    "root": {"handlers": ["stderr"], "level": env_str("ELB_LOG_LEVEL", "INFO")},
}
