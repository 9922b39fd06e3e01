"""What tests of the issuing pages begin with: a CA made here, a browser, requests made by openssl."""

import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from certificates.issuing import KeyKind, Subject, new_root
from certificates.models import CertificateAuthority, NewAuthority
from tests.html_forms import html_forms
from tests.pki import run


def authority(person: User, organization: str = "ELB", days: int = 1000) -> CertificateAuthority:
    wanted = NewAuthority("clients", Subject("Clients CA", organization), KeyKind.P256, days)
    return CertificateAuthority.objects.create_root(wanted, person)


def ended_authority(person: User) -> CertificateAuthority:
    made = new_root(Subject("Ended CA"), KeyKind.P256, 1, timezone.now() - timedelta(days=2))
    return CertificateAuthority.objects.all()._store("ended", made, (), person)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def opened(browser: Client, page: str, authority: CertificateAuthority, query: str = "") -> dict[str, str]:
    """What the form of a page would send if nobody touched it."""
    answer = browser.get(reverse(page, args=[authority.pk]) + query)
    assert answer.status_code == 200
    return fields_of(answer)


def fields_of(answer: HttpResponse) -> dict[str, str]:
    forms = html_forms(answer.content.decode())
    return next(form.fields for form in forms if form.method == "post" and "days" in form.fields)


def request(folder: Path, subject: str, *extensions: str, key: Sequence[str] = ("ec:P-256",)) -> Path:
    """A request in PEM; its key lies beside it."""
    path = folder / "client.csr"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == ("ec:P-256",) else list(key)
    added = [word for extension in extensions for word in ("-addext", extension)]
    made = ["openssl", "req", "-new", "-nodes", *kind, "-keyout", str(folder / "client.key")]
    run([*made, "-subj", subject, *added, "-utf8", "-out", str(path)])
    return path


def read_by_openssl(content: str, *what: str) -> str:
    """What `openssl x509` says of a certificate, a line each."""
    command = ["openssl", "x509", "-noout", *what]
    return subprocess.run(command, input=content, capture_output=True, text=True, check=True).stdout.strip()


def verified_by_openssl(folder: Path, root: str, content: str, purpose: str) -> str:
    (folder / "root.pem").write_text(root)
    (folder / "leaf.pem").write_text(content)
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "root.pem", "leaf.pem"]
    return run(command, folder).strip()
