"""Envoy as a target: protobuf messages built from specs, and the xDS resources made of them."""

from listeners.rendering.envoy.backends import cluster_message, endpoints_message
from listeners.rendering.envoy.changes import keeps_connections
from listeners.rendering.envoy.client_authentication import trust_name
from listeners.rendering.envoy.listener import listener_message
from listeners.rendering.envoy.names import (
    CONTROL_PLANE,
    group_name,
    listener_id,
    listener_name,
    server_certificate_name,
)
from listeners.rendering.envoy.packing import ADS
from listeners.rendering.envoy.resources import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    SECRET,
    Resource,
    ResourceKey,
    bootstrap_for_validation,
    content_version,
    listener_resources,
    plain,
    resources,
    secret_keys,
    server_certificate_resource,
    trust_resource,
)
from listeners.rendering.envoy.runtime import runtime

__all__ = [
    "ADS",
    "CLUSTER",
    "CONTROL_PLANE",
    "ENDPOINTS",
    "LISTENER",
    "SECRET",
    "Resource",
    "ResourceKey",
    "bootstrap_for_validation",
    "cluster_message",
    "content_version",
    "endpoints_message",
    "group_name",
    "keeps_connections",
    "listener_id",
    "listener_message",
    "listener_name",
    "listener_resources",
    "plain",
    "resources",
    "runtime",
    "secret_keys",
    "server_certificate_name",
    "server_certificate_resource",
    "trust_name",
    "trust_resource",
]
