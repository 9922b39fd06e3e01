"""The TLS Security Policies pages: what they show, make, change, refuse and delete."""

import html
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from certificates.models import Certificate
from console.models import ConfigurationRevision
from listeners.models import Listener, TlsSecurityPolicy
from listeners.policy_use import MOST_SHOWN, custom_entries, predefined_entries
from listeners.tls_policies import DEFAULT, PREDEFINED
from tests import factories
from tests import pki as make
from tests.conftest import Pki
from tests.html_forms import html_forms
from tests.listeners.test_views import stamp_of, words

pytestmark = pytest.mark.django_db

RSA_SUITE, ECDSA_SUITE = "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"
FIELDS = {
    "name": "shop",
    "versions": ["TLSv1.2"],
    "suites": [RSA_SUITE, ECDSA_SUITE],
    "description": "For it",
}
HTMX = {"HX-Request": "true"}


def policy(name: str = "shop", **fields: Any) -> TlsSecurityPolicy:
    row = TlsSecurityPolicy(**{**FIELDS, "name": name, **fields})
    row.full_clean()
    row.save()
    return row


def listener(own: TlsSecurityPolicy | None = None, **fields: Any) -> Listener:
    certificate = fields.pop("server_certificate", None) or factories.listing_certificate()
    return factories.listener(server_certificate=certificate, custom_tls_policy=own, **fields)


@pytest.mark.parametrize("name", ["tls_policy_list", "tls_policy_custom_list"])
def test_lists_are_for_reading(signed_in: Client, name: str) -> None:
    assert signed_in.post(reverse(name)).status_code == 405


@pytest.mark.parametrize("name", ["list", "custom_list", "add", "edit", "delete"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_page_is_for_those_who_signed_in(client: Client, name: str, method: str) -> None:
    url = reverse(f"tls_policy_{name}", args=[policy().pk] if name in {"edit", "delete"} else [])
    answer = getattr(client, method)(url)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{reverse('login')}?next={url}")


@pytest.mark.parametrize("name", ["edit", "delete"])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("number", [4_000_000, 10**30])
def test_policy_that_is_not_there_is_not_found(
    signed_in: Client, name: str, method: str, number: int
) -> None:
    answer = getattr(signed_in, method)(reverse(f"tls_policy_{name}", args=[number]))
    assert answer.status_code == 404


def test_default_policies_are_listed_with_what_is_left_out(signed_in: Client) -> None:
    answer = signed_in.get(reverse("tls_policy_list"))
    entries = answer.context["entries"]
    assert [entry.policy for entry in entries] == list(PREDEFINED)
    text = words(answer.content)
    for entry in entries:
        assert entry.policy.description in html.unescape(text)
    assert "hybrid-policy-1-0" in text
    assert entries[-1].left_out[-2:] == ("ECC-SM4-SM3", "ECDHE-SM4-SM3")
    assert "clients refuse TLS 1.0 and TLS 1.1" in text


def test_lists_name_the_listeners_that_use_a_policy(signed_in: Client) -> None:
    own = policy("<b>own</b>")
    listeners = [listener(own, port=9000 + number) for number in range(MOST_SHOWN + 2)]
    default, plain = listener(), factories.listener()
    (entry,) = custom_entries()
    first = {one.policy.name: one.users for one in predefined_entries()}
    assert (list(entry.users.shown), entry.users.others) == (listeners[:MOST_SHOWN], 2)
    # An HTTP listener has no use for the policy that is in its row.
    assert plain.tls_policy == DEFAULT.name
    assert (list(first[DEFAULT.name].shown), first[DEFAULT.name].count) == ([default], 1)
    assert {users.count for name, users in first.items() if name != DEFAULT.name} == {0}

    page = signed_in.get(reverse("tls_policy_custom_list")).content.decode()

    assert f'href="{listeners[0].get_absolute_url()}"' in page
    assert "and 2 more" in page
    assert "&lt;b&gt;own&lt;/b&gt;" in page
    assert "<b>own" not in page


@pytest.mark.parametrize("name", ["tls_policy_list", "tls_policy_custom_list"])
def test_lists_take_as_many_queries_however_long(
    signed_in: Client, name: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    listener(policy("first"))
    listener()
    with django_assert_num_queries(5 if name == "tls_policy_custom_list" else 4):
        signed_in.get(reverse(name))
    for number in range(8):
        own = policy(f"own {number}")
        for _ in range(number):
            listener(own)
            listener()
    with django_assert_num_queries(5 if name == "tls_policy_custom_list" else 4):
        signed_in.get(reverse(name))


def test_custom_list_without_policies_says_what_they_are_for(signed_in: Client) -> None:
    text = words(signed_in.get(reverse("tls_policy_custom_list")).content)
    assert "Choose Create Custom Security Policy above" in text


def test_policy_is_created(signed_in: Client) -> None:
    revision = ConfigurationRevision.objects.number()
    answer = signed_in.post(reverse("tls_policy_add"), {**FIELDS, "suites": FIELDS["suites"][::-1]})
    row = TlsSecurityPolicy.objects.get()
    assert answer.headers["Location"] == reverse("tls_policy_custom_list")
    assert (row.name, row.versions, row.description) == ("shop", ["TLSv1.2"], "For it")
    assert row.suites == [ECDSA_SUITE, RSA_SUITE]
    assert ConfigurationRevision.objects.number() > revision


def test_what_is_proposed_can_be_created(signed_in: Client) -> None:
    form = signed_in.get(reverse("tls_policy_add")).context["form"]
    assert signed_in.post(reverse("tls_policy_add"), form.initial).status_code == 302
    row = TlsSecurityPolicy.objects.get()
    assert row.versions == ["TLSv1.2", "TLSv1.3"]
    assert all(suite.startswith(("ECDHE-", "TLS_")) for suite in row.suites)


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"name": "taken"}, {"name"}),
        ({"name": "tls-1-2"}, {"name"}),
        ({"name": "x" * 256, "description": "x" * 256}, {"name", "description"}),
        ({"name": "a\0b"}, {"name"}),
        ({"name": "-----BEGIN PRIVATE KEY-----"}, {"name"}),
        ({"versions": []}, {"versions"}),
        ({"versions": ["TLSv1", "TLSv1.2"]}, {"versions"}),
        ({"versions": ["SSLv3"]}, {"versions"}),
        ({"versions": ["\0", "TLSv1.2"]}, {"versions"}),
        ({"suites": []}, {"suites"}),
        ({"suites": ["ECC-SM4-SM3"]}, {"suites"}),
        ({"suites": ["ALL:@SECLEVEL=0"]}, {"suites"}),
        ({"suites": ["CAMELLIA128-SHA"]}, {"suites"}),
        ({"suites": ["TLS_AES_128_GCM_SHA256"]}, {"suites"}),
    ],
)
def test_policy_is_refused_at_the_field(signed_in: Client, fields: dict[str, Any], errors: set[str]) -> None:
    policy("taken")
    revision = ConfigurationRevision.objects.number()
    answer = signed_in.post(reverse("tls_policy_add"), {**FIELDS, **fields})
    assert (answer.status_code, set(answer.context["form"].errors)) == (422, errors)
    assert TlsSecurityPolicy.objects.count() == 1
    assert ConfigurationRevision.objects.number() == revision


def test_policy_past_the_fiftieth_is_refused_in_words(signed_in: Client) -> None:
    for _ in range(50):
        policy("")
    answer = signed_in.post(reverse("tls_policy_add"), FIELDS)
    assert answer.status_code == 422
    assert "There are 50 custom policies already." in words(answer.content)


def test_policy_is_modified_for_all_its_listeners(signed_in: Client) -> None:
    row = policy()
    one = listener(row)
    url = reverse("tls_policy_edit", args=[row.pk])
    shown = words(signed_in.get(url).content)
    assert "1 listener uses this policy." in shown
    assert one.name in shown
    fields = {**FIELDS, "name": "", "versions": ["TLSv1.1", "TLSv1.2"], "stamp": stamp_of(signed_in, url)}
    fields["suites"] = [RSA_SUITE, "AES256-SHA"]

    answer = signed_in.post(url, fields)

    assert answer.headers["Location"] == reverse("tls_policy_custom_list")
    one.refresh_from_db()
    assert one.policy.versions == ("TLSv1.1", "TLSv1.2")
    assert (one.policy.name, one.policy.suites) == (f"ID {row.pk}", (RSA_SUITE, "AES256-SHA"))


def test_second_editor_is_told(signed_in: Client) -> None:
    row = policy()
    url = reverse("tls_policy_edit", args=[row.pk])
    stamp = stamp_of(signed_in, url)
    TlsSecurityPolicy.objects.filter(pk=row.pk).update(suites=[RSA_SUITE])

    answer = signed_in.post(url, {**FIELDS, "name": "mine", "stamp": stamp})

    assert answer.status_code == 422
    assert "Somebody else has changed this" in words(answer.content)
    row.refresh_from_db()
    assert (row.name, row.suites) == ("shop", [RSA_SUITE])
    again = stamp_of(signed_in, url)
    assert signed_in.post(url, {**FIELDS, "name": "mine", "stamp": again}).status_code == 302


def test_policy_keeps_what_a_listener_needs(signed_in: Client) -> None:
    row = policy()
    needy = listener(row, server_certificate=factories.listing_certificate(key="ECDSA P-256"))
    url = reverse("tls_policy_edit", args=[row.pk])
    fields = {**FIELDS, "suites": [RSA_SUITE], "stamp": stamp_of(signed_in, url)}

    answer = signed_in.post(url, fields)

    assert (answer.status_code, set(answer.context["form"].errors)) == (422, {"suites"})
    assert f"Listener {needy.name}: The server certificate has an ECDSA key" in words(answer.content)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_policy_in_use_is_not_deleted(signed_in: Client, headers: dict[str, str]) -> None:
    row = policy()
    user = listener(row)
    url = reverse("tls_policy_delete", args=[row.pk])
    for answer in (signed_in.get(url, headers=headers), signed_in.post(url, headers=headers)):
        assert answer.status_code == (200 if answer.request["REQUEST_METHOD"] == "GET" else 422)
        assert "cannot be deleted while listeners use it" in words(answer.content)
        assert f'href="{user.get_absolute_url()}"' in answer.content.decode()
    assert TlsSecurityPolicy.objects.get() == row


def test_policy_is_deleted(signed_in: Client) -> None:
    row, other = policy(), policy("other")
    url = reverse("tls_policy_delete", args=[row.pk])
    assert "No listener uses it" in words(signed_in.get(url).content)
    assert signed_in.post(url).headers["Location"] == reverse("tls_policy_custom_list")
    assert TlsSecurityPolicy.objects.get() == other


def test_certificate_is_not_replaced_by_one_that_the_policy_cannot_serve(
    signed_in: Client, pki: Pki, tmp_path: Path
) -> None:
    rsa = make.issue(tmp_path, "rsa", pki.modern.ca, key="RSA-2048", extensions=make.SERVER_EXTENSIONS)
    stored = factories.server_certificate(rsa, "web")
    user = listener(policy(suites=[RSA_SUITE]), server_certificate=stored)
    url = reverse("certificate_edit", args=[stored.pk])
    fields = {
        "name": "web",
        "content": pki.modern.server.certificate_pem,
        "private_key": pki.modern.server.key_pem,
        "server_names": "www.test.com",
        "stamp": stamp_of(signed_in, url),
    }

    answer = signed_in.post(url, fields)

    assert (answer.status_code, set(answer.context["form"].errors)) == (422, {"content"})
    assert f"Listener {user.name}: The server certificate has an ECDSA key" in words(answer.content)
    assert Certificate.objects.get().key == "RSA 2048"
    policy_row = TlsSecurityPolicy.objects.get()
    policy_row.suites = [RSA_SUITE, ECDSA_SUITE]
    policy_row.save()
    assert signed_in.post(url, fields).status_code == 302


@pytest.mark.parametrize("value", ["nope", "custom:4000000", "custom:", "custom:\0", "TLS-1-2", "x" * 5000])
def test_listener_refuses_a_policy_that_is_not_there_at_the_field(signed_in: Client, value: str) -> None:
    row = listener()
    answer = posted_listener(signed_in, row, value)
    assert (answer.status_code, set(answer.context["form"].errors)) == (422, {"security_policy"})


def test_listener_refuses_a_policy_that_its_certificate_cannot_serve_at_the_field(signed_in: Client) -> None:
    own = policy(suites=[ECDSA_SUITE])
    row = listener()
    answer = posted_listener(signed_in, row, f"custom:{own.pk}")
    assert (answer.status_code, set(answer.context["form"].errors)) == (422, {"security_policy"})
    assert "The server certificate has an RSA key" in words(answer.content)


def posted_listener(client: Client, row: Listener, security_policy: str) -> Any:
    """The answer to the listener's own form, sent as it is but for the policy."""
    url = reverse("listener_edit", args=[row.pk])
    page = client.get(url).content.decode()
    form = next(form for form in html_forms(page) if "security_policy" in form.fields)
    return client.post(url, form.filled({"security_policy": security_policy}))


def test_wizard_says_what_a_policy_does_to_clients(signed_in: Client) -> None:
    certificate = factories.listing_certificate()
    row = factories.listener(server_certificate=certificate)
    page = words(signed_in.get(reverse("listener_edit", args=[row.pk])).content)
    assert "Today's clients refuse TLS 1.0 and TLS 1.1 and connect with a newer version." in html.unescape(
        page
    )
