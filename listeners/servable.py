"""What Envoy 1.40 can serve of a TLS policy, and whether a listener's certificates fit it.

Models refuse and explain by it what the renderer would leave out.
"""

from collections.abc import Iterable, Mapping

from listeners.tls_policies import KeyType, TlsPolicy, TlsVersion, key_types

# As `envoy --mode validate` takes them, each by itself. Its TLS library has no AES-256 with a SHA-384 MAC,
# no AES with SHA-256 but these two, no finite-field Diffie-Hellman, DSS, Camellia, RC4 or SM.
_NEGOTIABLE = frozenset(
    {
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
    }
)
# Served together, in the library's own order, wherever TLS 1.3 is: none can be chosen or left out.
FIXED_TLS_1_3_SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
SERVABLE = frozenset({*_NEGOTIABLE, *FIXED_TLS_1_3_SUITES})

MOST_NAMED = 5


def served_suites(policy: TlsPolicy) -> tuple[str, ...]:
    """The suites up to TLS 1.2 that Envoy is given, in the policy's order.

    Those of TLS 1.3 are not among them: Envoy takes no list of these.
    """
    return tuple(suite for suite in policy.negotiable_suites if suite in _NEGOTIABLE)


def left_out(policy: TlsPolicy) -> tuple[str, ...]:
    """The suites of every version that the policy names and Envoy cannot serve, in the policy's order."""
    return tuple(suite for suite in policy.suites if suite not in SERVABLE)


def served(policy: TlsPolicy) -> tuple[str, ...]:
    """Every suite that clients can get, the ones before TLS 1.3 in the server's order."""
    newest = FIXED_TLS_1_3_SUITES if TlsVersion.TLS_1_3 in policy.versions else ()
    return (*served_suites(policy), *newest)


def remarks(policy: TlsPolicy) -> list[str]:
    """What a person should know before they choose it."""
    old = [version.label for version in policy.versions if version < TlsVersion.TLS_1_2]
    sentences = []
    if policy.maximum < TlsVersion.TLS_1_2:
        sentences.append(f"Today's clients refuse {' and '.join(old)}: none of them can connect.")
    elif old:
        sentences.append(f"Today's clients refuse {' and '.join(old)} and connect with a newer version.")
    unwanted = [suite for suite in served(policy) if suite not in policy.suites]
    if unwanted:
        sentences.append(
            f"Envoy serves its suites of TLS 1.3 together: {' and '.join(unwanted)} cannot be left out."
        )
    return sentences


def usable_key_types(policy: TlsPolicy) -> frozenset[KeyType]:
    """The keys of server certificates with which the policy, as Envoy serves it, lets anybody in."""
    if TlsVersion.TLS_1_3 in policy.versions:
        return frozenset(KeyType)
    usable = frozenset[KeyType]().union(*map(key_types, served_suites(policy)))
    # Ed25519 came with TLS 1.2 (RFC 8422, 5.10).
    return usable if TlsVersion.TLS_1_2 in policy.versions else usable - {KeyType.ED25519}


def unservable(
    policy: TlsPolicy, server: KeyType, names: Mapping[str, Iterable[KeyType]] | None = None
) -> list[str]:
    """Sentences on the names that nobody could reach under the policy; none when all is well.

    `server` is the key of the listener's own certificate; `names` maps each name of its SNI certificates
    to the keys that there are for it, of which one has to fit.
    """
    usable = usable_key_types(policy)
    called = f"policy {policy.name}" if policy.name else "the policy"
    if not usable:
        return [f"Envoy can serve none of the suites of {called}. Choose another policy."]
    wanted = " or ".join(sorted(usable))
    sentences = []
    if server not in usable:
        sentences.append(
            f"The server certificate has an {server} key, which no suite of {called} that Envoy can serve "
            f"takes. Choose a certificate with an {wanted} key, or another policy."
        )
    unreached = [name for name, keys in (names or {}).items() if not usable & set(keys)]
    if unreached:
        sentences.append(
            f"No suite of {called} that Envoy can serve takes the key of an SNI certificate for "
            f"{_listed(unreached)}. Add a certificate with an {wanted} key for it, or choose another policy."
        )
    return sentences


def _listed(names: list[str]) -> str:
    shown, others = names[:MOST_NAMED], len(names) - MOST_NAMED
    return ", ".join(shown) + (f" and {others} more" if others > 0 else "")
