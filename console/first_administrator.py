"""How the first account comes to be: by a link that the console prints, or from the environment.

There is no default account. The link carries its own proof, signed and dated, so nothing is stored; it
is of use only while there is no administrator.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from console.models import ConfigurationRevision

LIFETIME = timedelta(hours=24)
SALT = "console.first_administrator"
PURPOSE = "create the first administrator"


def administrator_exists() -> bool:
    return User.objects.filter(is_superuser=True, is_active=True).exists()


def setup_link(base_url: str) -> str | None:
    """A link that works for 24 hours and creates one account; None when there is an administrator."""
    if administrator_exists():
        return None
    token = signing.dumps(PURPOSE, salt=SALT)
    return base_url.rstrip("/") + reverse("first_administrator", args=[token])


def ensure_superuser_from_environment(environ: Mapping[str, str] = os.environ) -> User | None:
    """Creates the account of DJANGO_SUPERUSER_USERNAME, _PASSWORD and _EMAIL.

    Returns it, or None when nothing was to be done: the variables are not set, the account is there, or
    there is an administrator.
    """
    username = environ.get("DJANGO_SUPERUSER_USERNAME", "")
    password = environ.get("DJANGO_SUPERUSER_PASSWORD", "")
    if not username and not password:
        return None
    if not username or not password:
        raise ImproperlyConfigured("Set DJANGO_SUPERUSER_USERNAME and DJANGO_SUPERUSER_PASSWORD together.")
    with ConfigurationRevision.objects.change():
        if administrator_exists() or User.objects.filter(username=username).exists():
            return None
        return User.objects.create_superuser(username, environ.get("DJANGO_SUPERUSER_EMAIL", ""), password)


class FirstAdministratorForm(BaseUserCreationForm):  # type: ignore[type-arg]  # takes none at run time
    email = forms.EmailField(label="Email address", required=False)

    class Meta:
        model = User
        fields = ["username", "email"]

    field_order = ["username", "email", "password1", "password2"]

    def create(self) -> User | None:
        """The new administrator; None when somebody else was first."""
        # The revision's row is the lock: of two people with the link, one writes.
        with ConfigurationRevision.objects.change():
            if administrator_exists():
                return None
            self.instance.is_staff = self.instance.is_superuser = True
            user: User = self.save()
            return user


@login_not_required
@sensitive_post_parameters("password1", "password2")
def first_administrator(request: HttpRequest, token: str) -> HttpResponse:
    if administrator_exists() or not _is_good(token):
        raise Http404
    form = FirstAdministratorForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        user = form.create()
        if user is None:
            raise Http404
        login(request, user)
        return redirect("load_balancer_list")
    context: dict[str, Any] = {"form": form}
    return render(request, "console/first_administrator.html", context, status=422 if form.is_bound else 200)


def _is_good(token: str) -> bool:
    try:
        return bool(signing.loads(token, salt=SALT, max_age=LIFETIME) == PURPOSE)
    except signing.BadSignature:
        return False
