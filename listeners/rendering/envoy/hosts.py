"""Which hosts a connection may ask for: those that its client was shown the certificates of (RFC 9110, 7.4).

A browser that reuses a connection for another name takes the 421 and connects anew.
"""

import re
from collections.abc import Sequence

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteMatch,
    VirtualHost,
)
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from listeners.rendering.envoy.client_authentication import verdict_routes
from listeners.rendering.envoy.sni import STAR, Chain
from listeners.spec import SniAlgorithm, TlsSpec

BAD_REQUEST, MISDIRECTED = 400, 421
PORT = "(:[0-9]+)?"
LABEL = "[a-z0-9_-]+"
# A star takes in whatever stands before it; "user@www.test.com" is not to pass for a name of its own.
PLAIN_HOST = rf"({LABEL}(\.{LABEL})*|\[[0-9a-f:.]+\]){PORT}"


def virtual_hosts(
    tls: TlsSpec | None, forward: Route, chain: Chain | None, chains: Sequence[Chain]
) -> list[VirtualHost]:
    """The hosts of `chain`, which is one of `chains`, go to `forward`; every other is answered with 421."""
    if tls is None or chain is None or len(chains) < 2:
        routes = [_with_several_hosts(), *verdict_routes(tls, forward)]
        return [VirtualHost(name="all", domains=["*"], routes=routes)]
    names = {name: one == chain for one in chains for name in one.names if _can_come(name, chain)}
    exact = [(name, is_own) for name, is_own in names.items() if not name.startswith(STAR)]
    found = [
        VirtualHost(
            name="own", domains=[n for n, is_own in exact if is_own], routes=verdict_routes(tls, forward)
        ),
        VirtualHost(
            name="elsewhere", domains=[n for n, is_own in exact if not is_own], routes=[_misdirected()]
        ),
    ]
    stars = [(name, is_own) for name, is_own in names.items() if name.startswith(STAR)]
    for number, (name, is_own) in enumerate(stars, 1):
        routes = _star_routes(tls, forward, name, is_own, chain.is_default)
        found.append(VirtualHost(name=f"star-{number}", domains=[name], routes=routes))
    rest = verdict_routes(tls, _matching(forward, PLAIN_HOST)) if chain.is_default else []
    found.append(VirtualHost(name="rest", domains=["*"], routes=[*rest, _misdirected()]))
    return [one for one in found if one.domains]


def _can_come(name: str, chain: Chain) -> bool:
    """Whether a connection of the chain needs to know the name: else it falls to the rest by itself."""
    stars = tuple(own.removeprefix("*") for own in chain.names if own.startswith(STAR))
    return chain.is_default or name in chain.names or name.endswith(stars)


def _star_routes(tls: TlsSpec, forward: Route, name: str, is_own: bool, is_default: bool) -> list[Route]:
    one_label = LABEL + re.escape(name.removeprefix("*")) + PORT
    is_deep = tls.sni_algorithm == SniAlgorithm.LONGEST_SUFFIX
    routes: list[Route] = []
    if is_own:
        # More labels than the star stands for belong to the default chain.
        pattern = PLAIN_HOST if is_deep or is_default else one_label
        routes += verdict_routes(tls, _matching(forward, pattern))
    elif is_default and not is_deep:
        routes.append(_matching(_misdirected(), one_label))
        routes += verdict_routes(tls, _matching(forward, PLAIN_HOST))
    return [*routes, _misdirected()]


def _matching(route: Route, host: str) -> Route:
    copy = Route()
    copy.CopyFrom(route)
    whole = RegexMatcher(regex=f"(?i){host}")
    copy.match.headers.append(HeaderMatcher(name=":authority", string_match=StringMatcher(safe_regex=whole)))
    return copy


def _with_several_hosts() -> Route:
    """Envoy joins several Host lines by commas; a backend server may read one of them (RFC 9112, 3.2)."""
    joined = HeaderMatcher(name=":authority", string_match=StringMatcher(contains=","))
    return _answer(BAD_REQUEST, "A request has one host.\n", RouteMatch(prefix="/", headers=[joined]))


def _misdirected() -> Route:
    return _answer(MISDIRECTED, "This connection is not for this host.\n", RouteMatch(prefix="/"))


def _answer(status: int, sentence: str, match: RouteMatch) -> Route:
    body = DataSource(inline_string=sentence)
    return Route(match=match, direct_response=DirectResponseAction(status=status, body=body))
