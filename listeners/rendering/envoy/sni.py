"""Which certificates clients are shown by the name that they ask for."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import ServerNameInput
from google.protobuf.wrappers_pb2 import StringValue
from xds.core.v3.extension_pb2 import TypedExtensionConfig
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.regex_pb2 import RegexMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from listeners.rendering.envoy.packing import packed
from listeners.spec import SniAlgorithm, TlsSpec
from listeners.tls_policies import KeyType

STAR = "*."
# Envoy shows ECDSA to clients that can use it, and to the others the first of what is left: Ed25519 would
# lock most of them out.
ORDER = (KeyType.ECDSA, KeyType.RSA, KeyType.ED25519)


@dataclass(frozen=True)
class Chain:
    """The clients that are shown one set of certificates, by their ids: those who ask for one of `names`.

    The default chain has beside its own names everything that is no other chain's.
    """

    certificates: tuple[int, ...]
    names: tuple[str, ...]
    is_default: bool = False

    def name(self, listener: str) -> str:
        return listener if self.is_default else "-".join([listener, "sni", *map(str, self.certificates)])


def chains(tls: TlsSpec) -> tuple[Chain, ...]:
    """The default chain first."""
    shown: dict[str, list[int]] = defaultdict(list)
    for one in sorted(tls.sni, key=lambda one: (ORDER.index(one.key_type), one.certificate)):
        for name in one.names:
            shown[name].append(one.certificate)
    names: dict[tuple[int, ...], list[str]] = {(tls.server_certificate,): []}
    for name in sorted(shown):
        names.setdefault(tuple(shown[name]), []).append(name)
    default, *others = (Chain(certificates, tuple(found)) for certificates, found in names.items())
    return Chain(default.certificates, default.names, is_default=True), *others


def chain_matcher(listener: str, chains: Sequence[Chain], algorithm: SniAlgorithm) -> Matcher:
    """Chooses by the name in the client's hello, which Envoy has in lower case; the first match wins.

    Envoy's own `server_names` would let a star stand for any number of labels.
    """
    owners = {name: chain.name(listener) for chain in chains for name in chain.names}
    # A list and not a map: maps have no order by which what Envoy shows could be compared with what it got.
    matchers = [
        Matcher.MatcherList.FieldMatcher(
            predicate=Matcher.MatcherList.Predicate(
                single_predicate=Matcher.MatcherList.Predicate.SinglePredicate(
                    input=_server_name(), value_match=_pattern(name, algorithm)
                )
            ),
            on_match=_goes_to(owners[name]),
        )
        for name in sorted(owners, key=_precedence)
    ]
    default = next(chain.name(listener) for chain in chains if chain.is_default)
    return Matcher(matcher_list=Matcher.MatcherList(matchers=matchers), on_no_match=_goes_to(default))


def _precedence(name: str) -> tuple[bool, int, str]:
    """Exact names before stars, longer stars before shorter ones."""
    return name.startswith(STAR), -len(name), name


def _pattern(name: str, algorithm: SniAlgorithm) -> StringMatcher:
    if not name.startswith(STAR):
        return StringMatcher(exact=name)
    suffix = name.removeprefix("*")
    if algorithm == SniAlgorithm.LONGEST_SUFFIX:
        return StringMatcher(suffix=suffix)
    one_label = RegexMatcher(google_re2=RegexMatcher.GoogleRE2(), regex="[^.]+" + re.escape(suffix))
    return StringMatcher(safe_regex=one_label)


def _server_name() -> TypedExtensionConfig:
    return TypedExtensionConfig(name="server-name", typed_config=packed(ServerNameInput()))


def _goes_to(chain: str) -> Matcher.OnMatch:
    action = TypedExtensionConfig(name=chain, typed_config=packed(StringValue(value=chain)))
    return Matcher.OnMatch(action=action)
