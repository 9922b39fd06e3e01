"""TLS policies: what is refused, for the row's own sake and for the listeners that use it."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from certificates.models import Certificate
from listeners import tls_policies
from listeners.models import Listener, TlsSecurityPolicy
from listeners.models.tls_security_policy import MOST_POLICIES
from listeners.servable import left_out, remarks, served, served_suites, unservable, usable_key_types
from listeners.tls_policies import CHOICES, PREDEFINED, KeyType, TlsPolicy, TlsVersion
from tests import factories

V10, V11, V12, V13 = TlsVersion
RSA_SUITE, ECDSA_SUITE = "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"
RSA_ONLY = TlsPolicy("rsa", (V12,), (RSA_SUITE,))
ECDSA_ONLY = TlsPolicy("ecdsa", (V12,), (ECDSA_SUITE, "ECDHE-RSA-AES256-SHA384"))


@pytest.mark.parametrize("policy", PREDEFINED, ids=lambda policy: policy.name)
def test_predefined_policy_serves_every_kind_of_certificate(policy: TlsPolicy) -> None:
    assert unservable(policy, KeyType.RSA, {"a.test": [KeyType.ECDSA]}) == []
    assert set(served_suites(policy)).isdisjoint(left_out(policy))
    assert policy.description


def test_default_policy_is_forward_secret() -> None:
    default = tls_policies.DEFAULT
    assert default.versions == (V12, V13)
    assert all(suite.startswith(("ECDHE-", "TLS_")) for suite in served(default))


def test_suites_are_served_left_out_and_fixed() -> None:
    policy = TlsPolicy("p", (V12, V13), ("AES128-SHA256", RSA_SUITE, "TLS_AES_256_GCM_SHA384", "RC4-SHA"))
    assert served_suites(policy) == (RSA_SUITE,)
    assert left_out(policy) == ("AES128-SHA256", "RC4-SHA")
    assert served(policy)[1:] == (
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    )
    assert remarks(policy) == [
        "Envoy serves its suites of TLS 1.3 together: TLS_AES_128_GCM_SHA256 and "
        "TLS_CHACHA20_POLY1305_SHA256 cannot be left out."
    ]


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ((V10, V11), "Today's clients refuse TLS 1.0 and TLS 1.1: none of them can connect."),
        ((V11, V12), "Today's clients refuse TLS 1.1 and connect with a newer version."),
        ((V12,), ""),
    ],
)
def test_old_versions_are_remarked_on(versions: tuple[TlsVersion, ...], sentence: str) -> None:
    assert "".join(remarks(TlsPolicy("p", versions, CHOICES))) == sentence


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (RSA_ONLY, {KeyType.RSA}),
        (ECDSA_ONLY, {KeyType.ECDSA, KeyType.ED25519}),
        (TlsPolicy("1.0", (V10,), ("ECDHE-ECDSA-AES128-SHA",)), {KeyType.ECDSA}),
        (TlsPolicy("1.3", (V13,), tls_policies.TLS_1_3_SUITES), set(KeyType)),
        (TlsPolicy("none", (V12,), ("CAMELLIA128-SHA",)), set()),
    ],
)
def test_keys_that_a_policy_serves(policy: TlsPolicy, expected: set[KeyType]) -> None:
    assert usable_key_types(policy) == expected


@pytest.mark.parametrize(
    ("policy", "server", "names", "found"),
    [
        (RSA_ONLY, KeyType.RSA, {}, []),
        (RSA_ONLY, KeyType.ECDSA, {}, ["server certificate has an ECDSA key"]),
        (RSA_ONLY, KeyType.RSA, {"a.test": [KeyType.ECDSA]}, ["SNI certificate for a.test"]),
        (RSA_ONLY, KeyType.RSA, {"a.test": [KeyType.ECDSA, KeyType.RSA]}, []),
        # Each name is judged by itself: another's certificate is no help to it.
        (
            ECDSA_ONLY,
            KeyType.RSA,
            {"a.test": [KeyType.ECDSA], "b.test": [KeyType.RSA], "c.test": [KeyType.RSA]},
            ["server certificate has an RSA key", "for b.test, c.test"],
        ),
        (
            RSA_ONLY,
            KeyType.RSA,
            {f"{number}.test": [KeyType.ECDSA] for number in range(7)},
            ["0.test, 1.test, 2.test, 3.test, 4.test and 2 more"],
        ),
        (TlsPolicy("none", (V12,), ("RC4-SHA",)), KeyType.RSA, {}, ["none of the suites of policy none"]),
    ],
)
def test_names_that_nobody_could_reach(
    policy: TlsPolicy, server: KeyType, names: dict[str, list[KeyType]], found: list[str]
) -> None:
    sentences = unservable(policy, server, names)
    assert [part in sentence for part, sentence in zip(found, sentences, strict=True)] == [True] * len(found)


def custom(name: str = "own", versions: Any = (V12,), suites: Any = (RSA_SUITE,)) -> TlsSecurityPolicy:
    row = TlsSecurityPolicy(name=name, versions=list(versions), suites=list(suites))
    row.full_clean()
    row.save()
    return row


@pytest.mark.django_db
def test_custom_policy_is_put_in_order_without_what_it_cannot_use() -> None:
    row = custom(versions=[V13, V12], suites=["TLS_AES_128_CCM_SHA256", "TLS_AES_128_GCM_SHA256", RSA_SUITE])
    row.refresh_from_db()
    assert row.policy.versions == (V12, V13)
    assert row.suites == [RSA_SUITE, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256"]

    row.versions = ["TLSv1.2"]
    row.full_clean()

    assert row.suites == [RSA_SUITE]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("versions", "suites", "field", "words"),
    [
        ([], CHOICES, "versions", "at least one"),
        ([V10, V12], CHOICES, "versions", "in between"),
        ([V12], [], "suites", "at least one"),
        ([V12], ["TLS_AES_128_GCM_SHA256"], "suites", "at least one"),
        ([V13], [RSA_SUITE], "suites", "at least one"),
        ([V12, V13], [RSA_SUITE], "suites", "TLS 1.3 is chosen and none of its suites"),
        ([V11, V12], [RSA_SUITE], "suites", "TLS 1.1 is chosen and none of its suites"),
        ([V12, V13], ["TLS_AES_128_GCM_SHA256"], "suites", "TLS 1.2 is chosen and none of its suites"),
        ([V12], ["CAMELLIA128-SHA", "AES128-SHA256"], "suites", "none of the suites chosen for TLS 1.2"),
        ([V13], ["TLS_AES_128_CCM_SHA256"], "suites", "none of the suites chosen for TLS 1.3"),
        ([V12], [RSA_SUITE, "NULL"], "", ""),
    ],
)
def test_custom_policy_is_refused_at_its_field(versions: Any, suites: Any, field: str, words: str) -> None:
    if not field:
        assert custom(versions=versions, suites=suites).suites == [RSA_SUITE]
        return
    with pytest.raises(ValidationError) as refusal:
        custom(versions=versions, suites=suites)
    assert list(refusal.value.message_dict) == [field]
    assert words in refusal.value.message_dict[field][0]


@pytest.mark.django_db
def test_names_of_custom_policies() -> None:
    nameless, other = custom(""), custom("")
    assert (str(nameless), str(other)) == (f"ID {nameless.pk}", f"ID {other.pk}")
    assert custom("x" * 255).name == "x" * 255
    for name in ("x" * 255, "x" * 256, "tls-1-2"):
        with pytest.raises(ValidationError):
            custom(name)


@pytest.mark.django_db
def test_fifty_custom_policies_are_the_most() -> None:
    rows = [custom("") for _ in range(MOST_POLICIES)]
    with pytest.raises(ValidationError, match="There are 50 custom policies already"):
        custom("")
    rows[0].full_clean()


def listener(key: str, **fields: Any) -> Listener:
    row = Listener(
        load_balancer=factories.load_balancer(),
        name=f"{key} listener",
        port=fields.pop("port", 8443),
        server_certificate=certificate(key),
        **fields,
    )
    return row


def certificate(key: str, names: str = "", **fields: Any) -> Certificate:
    return factories.listing_certificate(key=key, **({"server_names": names} if names else {}), **fields)


def opened(row: Listener) -> Listener:
    return Listener.objects.open(row, [factories.backend_server()])


@pytest.mark.django_db
def test_listener_refuses_a_policy_that_its_certificates_cannot_serve() -> None:
    policy = custom("rsa alone")
    row = listener("ECDSA P-256", custom_tls_policy=policy)
    with pytest.raises(ValidationError) as refusal:
        opened(row)
    assert list(refusal.value.message_dict) == ["tls_policy"]
    assert "The server certificate has an ECDSA key" in refusal.value.message_dict["tls_policy"][0]
    row.server_certificate = certificate("RSA 2048")
    assert opened(row).policy == policy.policy


@pytest.mark.django_db
def test_listener_is_judged_by_each_of_its_names() -> None:
    row = listener("RSA 2048", custom_tls_policy=custom())
    shop = certificate("ECDSA P-256", "shop.test")
    with pytest.raises(ValidationError, match=r"SNI certificate for shop\.test"):
        opened(row.choose(sni_certificates=[shop, certificate("RSA 2048", "web.test")]))
    assert opened(row.choose(sni_certificates=[shop, certificate("RSA 4096", "shop.test")])).pk


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["tls-9", "TLS-1-2", "x" * 32])
def test_listener_refuses_a_policy_that_is_not_there(name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        opened(listener("RSA 2048", tls_policy=name))
    assert list(refusal.value.message_dict) == ["tls_policy"]


@pytest.mark.django_db
def test_listener_for_http_keeps_no_policy() -> None:
    row = factories.listener()
    row.custom_tls_policy, row.tls_policy = custom(), ""
    row.full_clean()
    assert (row.custom_tls_policy, row.tls_policy) == (None, tls_policies.DEFAULT.name)


@pytest.mark.django_db
def test_custom_policy_in_use_keeps_what_its_listeners_need() -> None:
    policy = custom(suites=[RSA_SUITE, ECDSA_SUITE])
    opened(listener("RSA 2048", custom_tls_policy=policy))
    ecdsa = opened(listener("ECDSA P-256", port=8444, custom_tls_policy=policy))

    policy.suites = [RSA_SUITE]
    with pytest.raises(ValidationError) as refusal:
        policy.full_clean()

    (sentence,) = refusal.value.message_dict["suites"]
    assert sentence.startswith(f"Listener {ecdsa.name}: The server certificate has an ECDSA key")
    policy.suites, policy.versions = [RSA_SUITE, "TLS_AES_128_GCM_SHA256"], [V12, V13]
    policy.full_clean()


@pytest.mark.django_db
def test_certificate_is_not_replaced_by_one_that_a_policy_cannot_serve() -> None:
    row = opened(listener("RSA 2048", custom_tls_policy=custom()))
    stored = row.server_certificate
    assert stored is not None
    for key, count in (("RSA 4096", 0), ("ECDSA P-256", 1)):
        replacement = Certificate(pk=stored.pk, type=stored.type, key=key, server_names=stored.server_names)
        assert len(stored.objections(replacement)) == count
