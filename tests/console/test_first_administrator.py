import re
import time
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from console import first_administrator
from console.first_administrator import (
    FirstAdministratorForm,
    ensure_superuser_from_environment,
    setup_link,
)
from tests.factories import user

pytestmark = pytest.mark.django_db

BASE_URL = "http://127.0.0.1:8000/"
PASSWORD = "correct horse battery staple"
ACCOUNT = {"username": "admin", "email": "", "password1": PASSWORD, "password2": PASSWORD}
ENVIRON = {"DJANGO_SUPERUSER_USERNAME": "root", "DJANGO_SUPERUSER_PASSWORD": PASSWORD}


class OldSigner(signing.TimestampSigner):
    """Signs as the console did some hours ago."""

    def __init__(self, hours: int) -> None:
        super().__init__(salt=first_administrator.SALT)
        self.hours = hours

    def timestamp(self) -> str:
        return signing.b62_encode(int(time.time()) - self.hours * 3600)


def link_path() -> str:
    link = setup_link(BASE_URL)
    assert link is not None
    assert link.startswith("http://127.0.0.1:8000/setup/")
    return urlsplit(link).path


def test_setup_link_creates_administrator_and_signs_in(client: Client) -> None:
    answer = client.post(link_path(), ACCOUNT)

    admin = User.objects.get()
    assert (admin.username, admin.is_superuser, admin.is_staff) == ("admin", True, True)
    assert admin.check_password(PASSWORD)
    assert answer.headers["Location"] == "/load-balancers/"
    assert client.session["_auth_user_id"] == str(admin.pk)


def test_setup_link_works_once(client: Client) -> None:
    path = link_path()
    client.post(path, ACCOUNT)

    other = Client()
    assert other.get(path).status_code == 404
    assert other.post(path, ACCOUNT | {"username": "second"}).status_code == 404
    assert User.objects.count() == 1


def test_setup_form_of_the_slower_of_two_creates_nothing() -> None:
    form = FirstAdministratorForm(ACCOUNT)
    assert form.is_valid()
    faster = user("faster", is_superuser=True)

    assert form.create() is None
    assert User.objects.get() == faster


def test_setup_link_none_while_an_administrator_is_active() -> None:
    admin = user("admin", is_superuser=True)
    assert setup_link(BASE_URL) is None

    admin.is_active = False
    admin.save()
    assert setup_link(BASE_URL) is not None


@pytest.mark.parametrize(
    "token",
    [
        "junk",
        signing.dumps("something else", salt=first_administrator.SALT),
        signing.dumps(first_administrator.PURPOSE, salt="another salt"),
        "a" * 2000,
        "%00",
    ],
    ids=["junk", "of something else", "for something else", "long", "NUL"],
)
def test_setup_link_forged_is_not_found(client: Client, token: str) -> None:
    assert client.get(f"/setup/{token}/").status_code == 404


@pytest.mark.parametrize(("hours", "status"), [(23, 200), (25, 404)])
def test_setup_link_expires(client: Client, hours: int, status: int) -> None:
    token = OldSigner(hours).sign_object(first_administrator.PURPOSE)

    assert client.get(f"/setup/{token}/").status_code == status


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"password2": "another one entirely"}, "password2"),
        ({"password1": "12345678", "password2": "12345678"}, "password2"),
        ({"username": "a\0b"}, "username"),
        ({"email": "nowhere"}, "email"),
    ],
)
def test_setup_form_invalid(client: Client, change: dict[str, str], field: str) -> None:
    answer = client.post(link_path(), ACCOUNT | change)

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert PASSWORD not in answer.content.decode()
    assert User.objects.count() == 0


def test_environment_creates_account() -> None:
    created = ensure_superuser_from_environment(ENVIRON | {"DJANGO_SUPERUSER_EMAIL": "root@example.com"})

    assert created == User.objects.get(username="root", email="root@example.com", is_superuser=True)
    assert created.check_password(PASSWORD)
    assert setup_link(BASE_URL) is None


@pytest.mark.parametrize("existing", [{"username": "root"}, {"username": "other", "is_superuser": True}])
def test_environment_leaves_existing_accounts_alone(existing: dict[str, str]) -> None:
    user(password="as it was", **existing)

    assert ensure_superuser_from_environment(ENVIRON) is None
    assert User.objects.get().check_password("as it was")


def test_environment_without_variables_creates_nothing() -> None:
    assert ensure_superuser_from_environment({}) is None
    assert User.objects.count() == 0


@pytest.mark.parametrize("missing", ["DJANGO_SUPERUSER_USERNAME", "DJANGO_SUPERUSER_PASSWORD"])
def test_environment_half_set_is_refused(missing: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="together"):
        ensure_superuser_from_environment({name: ENVIRON[name] for name in ENVIRON if name != missing})


def test_sign_in_wrong_password_is_invalid(client: Client) -> None:
    user("admin", password=PASSWORD)

    refused = client.post("/login/", {"username": "admin", "password": "wrong"})
    accepted = client.post("/login/?next=/certificates/", {"username": "admin", "password": PASSWORD})

    assert refused.status_code == 422
    notice = r'role="alert"><svg[^>]*>.*</svg><div>Please enter a correct username and password'
    assert re.search(notice, refused.content.decode())
    assert accepted.headers["Location"] == "/certificates/"


def test_sign_out_returns_to_sign_in(client: Client) -> None:
    client.force_login(user())

    assert client.post("/logout/").headers["Location"] == "/login/"
    assert client.get("/certificates/").headers["Location"] == "/login/?next=/certificates/"
