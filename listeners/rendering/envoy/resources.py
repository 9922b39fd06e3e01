"""Envoy's resources for a configuration: named, versioned by their content, each knowing what it needs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any as AnyValue

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from listeners.rendering.envoy import messages
from listeners.rendering.envoy.messages import (
    ADS,
    group_name,
    listener_name,
    packed,
    server_certificate_name,
    trust_name,
)
from listeners.spec import (
    BackendServerGroupSpec,
    CaBundleSpec,
    ClientAuthenticationSpec,
    ConfigurationSpec,
    ListenerSpec,
    ServerCertificateSpec,
    TlsSpec,
    digest,
)

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type

ResourceKey = tuple[str, str]


@dataclass(frozen=True)
class Resource:
    """One xDS resource. `needs` are the (type URL, name) of what it refers to.

    `socket` is a listener's address and port, None for other types.
    """

    type_url: str
    name: str
    version: str
    body: Any = field(repr=False)
    needs: frozenset[ResourceKey] = frozenset()
    socket: tuple[str, int] | None = None

    @property
    def key(self) -> ResourceKey:
        return self.type_url, self.name


def resources(configuration: ConfigurationSpec) -> tuple[Resource, ...]:
    """Every resource of a configuration, each once."""
    found: dict[ResourceKey, Resource] = {}
    for spec in configuration.listeners:
        for resource in listener_resources(spec):
            found[resource.key] = resource
    for certificate in configuration.server_certificates.values():
        resource = server_certificate_resource(certificate)
        found[resource.key] = resource
    for client in clients(configuration.listeners):
        resource = trust_resource(client, configuration.ca_bundles)
        found[resource.key] = resource
    return tuple(found.values())


@lru_cache(maxsize=20_000)
def listener_resources(spec: ListenerSpec) -> tuple[Resource, ...]:
    """The listener first, then its cluster and its endpoints: all that a listener is but for the secrets."""
    body = packed(messages.listener_message(spec, ADS))
    parts = _group_resources(spec.group) if spec.group else ()
    needs = frozenset((*(part.key for part in parts), *secret_keys(spec.tls)))
    name, socket = listener_name(spec.id), (spec.address, spec.port)
    return (Resource(LISTENER, name, digest(body.value), body, needs, socket), *parts)


def _group_resources(group: BackendServerGroupSpec) -> tuple[Resource, Resource]:
    name = group_name(group.id)
    return (
        _resource(CLUSTER, name, packed(messages.cluster_message(group))),
        _resource(ENDPOINTS, name, packed(messages.endpoints_message(group))),
    )


def secret_keys(tls: TlsSpec | None) -> Iterator[ResourceKey]:
    if tls:
        for certificate in {tls.server_certificate, *(one.certificate for one in tls.sni)}:
            yield SECRET, server_certificate_name(certificate)
        if tls.client:
            yield SECRET, trust_name(tls.client)


def clients(listeners: Iterable[ListenerSpec]) -> list[ClientAuthenticationSpec]:
    """The ways to check client certificates, one for each secret of that kind."""
    found = {trust_name(one.tls.client): one.tls.client for one in listeners if one.tls and one.tls.client}
    return list(found.values())


def server_certificate_resource(spec: ServerCertificateSpec) -> Resource:
    body = packed(messages.server_certificate_message(spec))
    return Resource(SECRET, server_certificate_name(spec.id), spec.version, body)


def trust_resource(client: ClientAuthenticationSpec, bundles: Mapping[int, CaBundleSpec]) -> Resource:
    """`bundles` by id; those that `client` names are there."""
    return _resource(SECRET, trust_name(client), packed(messages.trust_message(client, bundles)))


def bootstrap_for_validation(
    listeners: tuple[ListenerSpec, ...], configuration: ConfigurationSpec
) -> Bootstrap:
    """A bootstrap whose static resources are these listeners with all they need, secrets included."""
    bootstrap = Bootstrap()
    bootstrap.node.id = bootstrap.node.cluster = "preflight"
    static = bootstrap.static_resources
    groups = {spec.group.id: spec.group for spec in listeners if spec.group}
    wanted = {key for spec in listeners for key in secret_keys(spec.tls)}
    static.listeners.extend(messages.listener_message(spec, None) for spec in listeners)
    for group in groups.values():
        cluster = messages.cluster_message(group)
        cluster.ClearField("eds_cluster_config")
        cluster.type = Cluster.STATIC
        cluster.load_assignment.CopyFrom(messages.endpoints_message(group))
        static.clusters.append(cluster)
    for certificate in configuration.server_certificates.values():
        if (SECRET, server_certificate_name(certificate.id)) in wanted:
            static.secrets.append(messages.server_certificate_message(certificate))
    for client in clients(listeners):
        static.secrets.append(messages.trust_message(client, configuration.ca_bundles))
    return bootstrap


def plain(message: Message) -> dict[str, AnyValue]:
    """A message as the JSON object of Envoy's documentation, field names unchanged."""
    return MessageToDict(message, preserving_proto_field_name=True)


def content_version(body: dict[str, AnyValue]) -> str:
    """The version of a listener that Envoy shows, as JSON with its "@type"."""
    return digest(ParseDict(body, Any()).value)


def _resource(type_url: str, name: str, body: Any) -> Resource:
    return Resource(type_url, name, digest(body.value), body)
