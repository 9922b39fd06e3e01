"""Envoy's configuration as protobuf messages, built from specs and never written as text.

A misspelt field cannot be built, so nothing is left to a parser that would ignore it. Listener resources
name their secrets; only the two secret functions hold certificate material.
"""

from collections.abc import Mapping
from datetime import timedelta

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address, CidrRange, SocketAddress
from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.health_check_pb2 import DRAINING, HealthCheck
from envoy.config.core.v3.protocol_pb2 import HttpProtocolOptions
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.rbac.v3.rbac_pb2 import RBAC as RbacRules
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy, Principal
from envoy.config.route.v3.route_components_pb2 import (
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.rbac.principals.mtls_authenticated.v3.mtls_authenticated_pb2 import (
    Config as MtlsAuthenticated,
)
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from listeners.identity_headers import IDENTITY_HEADERS
from listeners.spec import (
    BackendServerGroupSpec,
    CaBundleSpec,
    ClientAuthenticationSpec,
    ListenerSpec,
    ServerCertificateSpec,
    TlsSpec,
)
from listeners.tls_policies import TlsVersion

ADS = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
TLS_VERSIONS = {
    TlsVersion.TLS_1_0: TlsParameters.TLSv1_0,
    TlsVersion.TLS_1_1: TlsParameters.TLSv1_1,
    TlsVersion.TLS_1_2: TlsParameters.TLSv1_2,
    TlsVersion.TLS_1_3: TlsParameters.TLSv1_3,
}
NO_LIMIT = UInt32Value(value=1_000_000)

# Defaults of the original console, in seconds.
IDLE_TIMEOUT = timedelta(seconds=60)
REQUEST_TIMEOUT = timedelta(seconds=60)
RESPONSE_TIMEOUT = timedelta(seconds=60)
CONNECT_TIMEOUT = timedelta(seconds=5)
HANDSHAKE_TIMEOUT = timedelta(seconds=15)


def listener_name(listener: int) -> str:
    return f"listener-{listener}"


def group_name(group: int) -> str:
    return f"group-{group}"


def server_certificate_name(certificate: int) -> str:
    return f"certificate-{certificate}"


def trust_name(client: ClientAuthenticationSpec) -> str:
    """Of the secret by which client certificates are checked: what makes it another is in its name."""
    return "-".join(["ca", *map(str, client.ca_bundles)])


def listener_message(spec: ListenerSpec, secret_source: ConfigSource | None) -> Listener:
    """`secret_source` is where Envoy fetches the secrets that are named; None: the bootstrap has them."""
    chain = FilterChain(name=listener_name(spec.id))
    if spec.tls:
        context = tls_context(spec.tls, secret_source)
        chain.transport_socket.CopyFrom(
            TransportSocket(name="envoy.transport_sockets.tls", typed_config=packed(context))
        )
        chain.transport_socket_connect_timeout.FromTimedelta(HANDSHAKE_TIMEOUT)
        if spec.tls.client:
            chain.filters.append(_filter("envoy.filters.network.rbac", client_certificate_guard()))
    manager = http_connection_manager(spec)
    chain.filters.append(_filter("envoy.filters.network.http_connection_manager", manager))
    return Listener(
        name=listener_name(spec.id),
        address=_address(spec.address, spec.port),
        filter_chains=[chain],
        stat_prefix=listener_name(spec.id),
        # With it a second Envoy of the same user would share the port, each serving half of the clients.
        enable_reuse_port=BoolValue(value=False),
    )


def tls_context(tls: TlsSpec, secret_source: ConfigSource | None) -> DownstreamTlsContext:
    common = CommonTlsContext(
        tls_params=TlsParameters(
            tls_minimum_protocol_version=TLS_VERSIONS[tls.policy.minimum],
            tls_maximum_protocol_version=TLS_VERSIONS[tls.policy.maximum],
            cipher_suites=tls.policy.negotiable_suites,
        ),
        alpn_protocols=["http/1.1"],
        tls_certificate_sds_secret_configs=[
            SdsSecretConfig(name=server_certificate_name(tls.server_certificate), sds_config=secret_source)
        ],
    )
    context = DownstreamTlsContext(common_tls_context=common)
    if tls.client:
        context.common_tls_context.validation_context_sds_secret_config.CopyFrom(
            SdsSecretConfig(name=trust_name(tls.client), sds_config=secret_source)
        )
        context.require_client_certificate.value = True
        # A resumed session is not verified again: an expired or removed client would stay in (B1, B2).
        context.disable_stateless_session_resumption = True
        context.disable_stateful_session_resumption = True
    return context


def client_certificate_guard() -> RBAC:
    """Closes a connection without a verified client certificate, should the TLS layer let one through.

    Envoy asks for a certificate but verifies nothing when its trusted CA is missing; this principal then
    matches nobody.
    """
    verified = MtlsAuthenticated(any_validated_client_certificate=True)
    principal = Principal(
        custom=TypedExtensionConfig(
            name="envoy.rbac.principals.mtls_authenticated", typed_config=packed(verified)
        )
    )
    policy = Policy(permissions=[Permission(any=True)], principals=[principal])
    return RBAC(
        stat_prefix="client_certificate_guard",
        rules=RbacRules(action=RbacRules.ALLOW, policies={"verified-client-certificate": policy}),
    )


def http_connection_manager(spec: ListenerSpec) -> HttpConnectionManager:
    name = listener_name(spec.id)
    router = HttpFilter(
        name="envoy.filters.http.router", typed_config=packed(Router(suppress_envoy_headers=True))
    )
    manager = HttpConnectionManager(
        stat_prefix=name,
        codec_type=HttpConnectionManager.HTTP1,
        route_config=RouteConfiguration(
            name=name,
            virtual_hosts=[
                VirtualHost(name="all", domains=["*"], routes=[_forward(spec.group)] if spec.group else [])
            ],
            request_headers_to_remove=IDENTITY_HEADERS,
        ),
        http_filters=[router],
        server_header_transformation=HttpConnectionManager.PASS_THROUGH,
        use_remote_address=BoolValue(value=True),
        # Nobody's X-Envoy-* headers are obeyed, whatever network the client is in. An empty list would
        # mean the private networks; no client has the broadcast address.
        internal_address_config=HttpConnectionManager.InternalAddressConfig(
            cidr_ranges=[CidrRange(address_prefix="255.255.255.255", prefix_len=UInt32Value(value=32))]
        ),
        forward_client_cert_details=HttpConnectionManager.SANITIZE,
        upgrade_configs=[HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
    )
    # CGI and WSGI fold "_" and "-" together, so X_Real_IP would pass for X-Real-IP (pitfall H3).
    options = manager.common_http_protocol_options
    options.headers_with_underscores_action = HttpProtocolOptions.DROP_HEADER
    options.idle_timeout.FromTimedelta(IDLE_TIMEOUT)
    manager.request_headers_timeout.FromTimedelta(REQUEST_TIMEOUT)
    manager.stream_idle_timeout.FromTimedelta(RESPONSE_TIMEOUT)
    return manager


def cluster_message(group: BackendServerGroupSpec) -> Cluster:
    cluster = Cluster(
        name=group_name(group.id),
        type=Cluster.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=ADS),
        lb_policy=Cluster.ROUND_ROBIN,
        common_lb_config=Cluster.CommonLbConfig(healthy_panic_threshold=Percent(value=0)),
        ignore_health_on_host_removal=True,
        circuit_breakers=CircuitBreakers(
            thresholds=[
                CircuitBreakers.Thresholds(
                    max_connections=NO_LIMIT, max_pending_requests=NO_LIMIT, max_requests=NO_LIMIT
                )
            ]
        ),
    )
    cluster.connect_timeout.FromTimedelta(CONNECT_TIMEOUT)
    check = group.health_check
    health = HealthCheck(
        tcp_health_check=HealthCheck.TcpHealthCheck(),
        healthy_threshold=UInt32Value(value=check.healthy_threshold),
        unhealthy_threshold=UInt32Value(value=check.unhealthy_threshold),
    )
    health.interval.FromTimedelta(timedelta(seconds=check.interval))
    health.no_traffic_interval.FromTimedelta(timedelta(seconds=check.interval))
    health.timeout.FromTimedelta(timedelta(seconds=check.timeout))
    cluster.health_checks.append(health)
    return cluster


def endpoints_message(group: BackendServerGroupSpec) -> ClusterLoadAssignment:
    endpoints = []
    for server in group.servers:
        endpoint = LbEndpoint(endpoint=Endpoint(address=_address(server.address, server.port)))
        if server.weight:
            endpoint.load_balancing_weight.value = server.weight
        else:
            # Envoy refuses the weight 0; a draining host gets no new requests either.
            endpoint.health_status = DRAINING
        endpoints.append(endpoint)
    return ClusterLoadAssignment(
        cluster_name=group_name(group.id), endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)]
    )


def server_certificate_message(spec: ServerCertificateSpec) -> Secret:
    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_string=spec.chain),
        private_key=DataSource(inline_string=spec.private_key),
    )
    return Secret(name=server_certificate_name(spec.id), tls_certificate=certificate)


def trust_message(client: ClientAuthenticationSpec, bundles: Mapping[int, CaBundleSpec]) -> Secret:
    """`bundles` by id; those that `client` names are there."""
    certificates = "".join(bundles[id].certificates for id in client.ca_bundles)
    context = CertificateValidationContext(trusted_ca=DataSource(inline_string=certificates))
    return Secret(name=trust_name(client), validation_context=context)


def _forward(group: BackendServerGroupSpec) -> Route:
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
    # The stream's idle timeout bounds the wait for an answer; this one would also cut long downloads.
    action.timeout.FromTimedelta(timedelta(0))
    return Route(match=RouteMatch(prefix="/"), route=action)


def _address(address: str, port: int) -> Address:
    # "::" takes IPv4 connections as well, as the console says and as the overlap rule assumes.
    return Address(
        socket_address=SocketAddress(address=address, port_value=port, ipv4_compat=address == "::")
    )


def _filter(name: str, config: Message) -> Filter:
    return Filter(name=name, typed_config=packed(config))


def packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message, deterministic=True)
    return packed
