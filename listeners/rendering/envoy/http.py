"""What a listener does with requests: the HTTP connection manager and its routes."""

import re
from collections.abc import Sequence
from datetime import timedelta

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions
from envoy.config.route.v3.route_components_pb2 import (
    RedirectAction,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutation as HeaderMutationFilter,
)
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import Mutations
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from listeners.identity_headers import IDENTITY_HEADERS
from listeners.rendering.envoy.hosts import virtual_hosts
from listeners.rendering.envoy.names import group_name, listener_name
from listeners.rendering.envoy.packing import extension, packed
from listeners.rendering.envoy.sni import Chain
from listeners.spec import BackendServerGroupSpec, ListenerSpec, RedirectSpec, TimeoutsSpec

HTTPS_PORT = 443
# A connection that has been idle for its time still takes a request that is on its way, and answers it.
CLOSING = timedelta(seconds=1)


def http_connection_manager(
    spec: ListenerSpec, chain: Chain | None = None, chains: Sequence[Chain] = ()
) -> HttpConnectionManager:
    """For the connections of `chain`, one of the listener's `chains`; an HTTP listener has none."""
    name = listener_name(spec.id)
    router = HttpFilter(
        name="envoy.filters.http.router", typed_config=packed(Router(suppress_envoy_headers=True))
    )
    has_hosts = len(chains) > 1
    manager = HttpConnectionManager(
        stat_prefix=name,
        codec_type=HttpConnectionManager.AUTO if spec.http2 else HttpConnectionManager.HTTP1,
        route_config=RouteConfiguration(
            name=name,
            virtual_hosts=virtual_hosts(spec.tls, _route(spec), chain, chains),
            # Ports are overlooked rather than stripped, for backends see the Host that the client sent.
            ignore_port_in_host_matching=has_hosts,
        ),
        strip_trailing_host_dot=has_hosts,
        http_filters=[router],
        server_header_transformation=HttpConnectionManager.PASS_THROUGH,
        use_remote_address=BoolValue(value=True),
        # Nobody's X-Envoy-* headers are obeyed, whatever network the client is in. An empty list would
        # mean the private networks; no client has the broadcast address.
        internal_address_config=HttpConnectionManager.InternalAddressConfig(
            cidr_ranges=[CidrRange(address_prefix="255.255.255.255", prefix_len=UInt32Value(value=32))]
        ),
        forward_client_cert_details=HttpConnectionManager.SANITIZE,
        # Filters of its own, so that other requests do not pay for its mutation.
        upgrade_configs=[
            HttpConnectionManager.UpgradeConfig(upgrade_type="websocket", filters=[_upgrade_alone(), router])
        ],
        early_header_mutation_extensions=[_without_identity_headers()],
    )
    if isinstance(spec.action, RedirectSpec):
        # With the client's port gone, the target's is named only where it has to be.
        manager.strip_any_host_port = True
    # CGI and WSGI fold "_" and "-" together, so X_Real_IP would pass for X-Real-IP (pitfall H3).
    options = manager.common_http_protocol_options
    options.headers_with_underscores_action = HttpProtocolOptions.DROP_HEADER
    _set_timeouts(manager, spec.timeouts)
    return manager


def _without_identity_headers() -> TypedExtensionConfig:
    """Takes away what only this load balancer may say, before a route adds what it does say.

    One look at each header that came: to look for each of the names (`request_headers_to_remove`) costs
    a fifth of what forwarding a request costs.
    """
    names = RegexMatcher(regex="|".join(re.escape(name.lower()) for name in IDENTITY_HEADERS))
    removal = HeaderMutation(
        remove_on_match=HeaderMutation.RemoveOnMatch(key_matcher=StringMatcher(safe_regex=names))
    )
    return extension(
        "envoy.http.early_header_mutation.header_mutation", EarlyHeaderMutation(mutations=[removal])
    )


def _upgrade_alone() -> HttpFilter:
    """Envoy passes Connection on with an upgrade and in no other request. A header that the client names
    there would be dropped by a proxy behind, the verdict among them (pitfall H2).
    """
    alone = HeaderValueOption(
        header=HeaderValue(key="Connection", value="Upgrade"),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS,
    )
    mutations = Mutations(request_mutations=[HeaderMutation(append=alone)])
    return HttpFilter(
        name="envoy.filters.http.header_mutation",
        typed_config=packed(HeaderMutationFilter(mutations=mutations)),
    )


def _set_timeouts(manager: HttpConnectionManager, timeouts: TimeoutsSpec) -> None:
    options = manager.common_http_protocol_options
    if timeouts.idle == 0:
        options.max_requests_per_connection.value = 1
    # To Envoy 0 means for ever, and somebody who connects and is silent has been answered nothing yet.
    options.idle_timeout.FromTimedelta(timedelta(seconds=timeouts.idle or timeouts.request))
    manager.drain_timeout.FromTimedelta(CLOSING)
    manager.request_headers_timeout.FromTimedelta(timedelta(seconds=timeouts.request))
    # Of either side of a request; the backend server's own bound is in its route.
    manager.stream_idle_timeout.FromTimedelta(timedelta(seconds=max(timeouts.request, timeouts.response)))


def _route(spec: ListenerSpec) -> Route:
    if isinstance(spec.action, RedirectSpec):
        return _redirect(spec.action)
    return _forward(spec.action, spec.timeouts)


def _redirect(target: RedirectSpec) -> Route:
    action = RedirectAction(
        https_redirect=True,
        port_redirect=0 if target.port == HTTPS_PORT else target.port,
        response_code=RedirectAction.MOVED_PERMANENTLY,
    )
    return Route(match=RouteMatch(prefix="/"), redirect=action)


def _forward(group: BackendServerGroupSpec, timeouts: TimeoutsSpec) -> Route:
    action = RouteAction(
        cluster=group_name(group.id),
        retry_policy=RetryPolicy(
            retry_on="connect-failure,refused-stream,reset-before-request",
            num_retries=UInt32Value(value=2),
            retry_host_predicate=[
                RetryPolicy.RetryHostPredicate(
                    name="envoy.retry_host_predicates.previous_hosts",
                    typed_config=packed(PreviousHostsPredicate()),
                )
            ],
            host_selection_retry_max_attempts=3,
        ),
    )
    action.retry_policy.per_try_idle_timeout.FromTimedelta(timedelta(seconds=timeouts.response))
    # This one would cut long downloads too.
    action.timeout.FromTimedelta(timedelta(0))
    return Route(match=RouteMatch(prefix="/"), route=action)
