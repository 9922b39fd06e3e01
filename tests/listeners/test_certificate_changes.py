"""Certificates that listeners use are changed: what becomes of open connections, in words."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.listeners.test_views import words
from tests.pki import SERVER_EXTENSIONS, issue

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("names", "use", "drains"),
    [
        ("www.test.com", "sni", False),
        ("", "sni", True),
        ("127.0.0.1.invalid", "sni", None),
        ("shop.test.com", "sni", True),
        ("shop.test.com", "disabled sni", False),
        ("shop.test.com", "server", False),
    ],
)
def test_changed_certificate_says_whether_connections_are_drained(
    signed_in: Client, tmp_path: Path, names: str, use: str, drains: bool | None
) -> None:
    extensions = (*SERVER_EXTENSIONS[:3], "subjectAltName=DNS:www.test.com,DNS:shop.test.com")
    certificate = factories.server_certificate(
        issue(tmp_path, "server", None, extensions=extensions), server_names="www.test.com"
    )
    other = factories.server_certificate(
        issue(tmp_path, "other", None, extensions=SERVER_EXTENSIONS), "other"
    )
    row = factories.listener(server_certificate=certificate if use == "server" else other)
    if use != "server":
        row.choose(sni_certificates=[certificate]).save()
    if use == "disabled sni":
        row.switch(False)
    url = reverse("certificate_edit", args=[certificate.pk])
    page = signed_in.get(url)
    assert ("drain their open connections" in words(page.content)) == (use != "server")

    fields = {"name": "renamed", "content": certificate.content, "server_names": names}
    answer = signed_in.post(url, {**fields, "stamp": page.context["stamp"].current}, follow=True)

    text = words(answer.content)
    said = ("no open connection is drained" in text, "the listeners that pick it by its names" in text)
    assert said == (drains is False, drains is True)
    assert answer.status_code == (422 if drains is None else 200)
