"""A listener as Envoy's: its socket and its filter chains.

A misspelt field cannot be built, so nothing is left to a parser that would ignore it. Listener resources
name their secrets and hold no certificate material.
"""

from collections.abc import Sequence
from datetime import timedelta

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.config_source_pb2 import ConfigSource
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.wrappers_pb2 import BoolValue

from listeners.rendering.envoy.access_log import access_log, listener_metadata, verification_note
from listeners.rendering.envoy.client_authentication import client_filters
from listeners.rendering.envoy.http import http_connection_manager
from listeners.rendering.envoy.names import listener_name
from listeners.rendering.envoy.packing import network_filter, packed, socket_address
from listeners.rendering.envoy.sni import Chain, chain_matcher, chains
from listeners.rendering.envoy.tls import tls_context
from listeners.spec import ListenerSpec, TlsSpec

HANDSHAKE_TIMEOUT = timedelta(seconds=15)


def listener_message(spec: ListenerSpec, secret_source: ConfigSource | None) -> Listener:
    """`secret_source` is where Envoy fetches the secrets that are named; None: the bootstrap has them."""
    name = listener_name(spec.id)
    listener = Listener(
        name=name,
        address=socket_address(spec.address, spec.port),
        stat_prefix=name,
        # With it a second Envoy of the same user would share the port, each serving half of the clients.
        enable_reuse_port=BoolValue(value=False),
    )
    if spec.tls is None:
        chain = FilterChain(name=name, filters=[_http(http_connection_manager(spec))])
        listener.filter_chains.append(chain)
        return listener
    listener.access_log.append(access_log(spec))
    listener.metadata.CopyFrom(listener_metadata(spec))
    found = chains(spec.tls)
    listener.filter_chains.extend(_tls_chain(spec, spec.tls, chain, found, secret_source) for chain in found)
    if len(found) > 1:
        inspector = packed(TlsInspector())
        listener.listener_filters.append(
            ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=inspector)
        )
        listener.filter_chain_matcher.CopyFrom(chain_matcher(name, found, spec.tls.sni_algorithm))
    return listener


def _tls_chain(
    spec: ListenerSpec,
    tls: TlsSpec,
    chain: Chain,
    chains: Sequence[Chain],
    secret_source: ConfigSource | None,
) -> FilterChain:
    name = listener_name(spec.id)
    context = tls_context(tls, chain.certificates, spec.http2, secret_source)
    manager = http_connection_manager(spec, chain, chains)
    guards = [verification_note(name), *client_filters(tls.client, name)] if tls.client else []
    built = FilterChain(
        name=chain.name(name),
        transport_socket=TransportSocket(name="envoy.transport_sockets.tls", typed_config=packed(context)),
        filters=[*guards, _http(manager)],
    )
    built.transport_socket_connect_timeout.FromTimedelta(HANDSHAKE_TIMEOUT)
    return built


def _http(manager: HttpConnectionManager) -> Filter:
    return network_filter("envoy.filters.network.http_connection_manager", manager)
