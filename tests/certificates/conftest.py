"""What tests of certificates may ask for: a person, their browser, and a CA that was made here."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from certificates.models import CertificateAuthority
from tests.certificates import issuing_pages
from tests.factories import user
from tests.live import PASSWORD


@pytest.fixture
def person() -> User:
    return user("ada", password=PASSWORD)


@pytest.fixture
def browser(person: User) -> Client:
    return issuing_pages.signed_in(person)


@pytest.fixture
def ca(person: User) -> CertificateAuthority:
    return issuing_pages.authority(person)
