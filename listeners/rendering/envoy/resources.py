"""Envoy's resources for a configuration: named, versioned by their content, each knowing what it needs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any as AnyValue

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from listeners.rendering.envoy.backends import cluster_message, endpoints_message
from listeners.rendering.envoy.client_authentication import trust_message, trust_name
from listeners.rendering.envoy.listener import listener_message
from listeners.rendering.envoy.names import (
    CONTROL_PLANE,
    group_name,
    listener_name,
    server_certificate_name,
    servers_name,
)
from listeners.rendering.envoy.packing import ADS, packed
from listeners.rendering.envoy.runtime import runtime
from listeners.rendering.envoy.tls import server_certificate_message
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
STRUCT = "type.googleapis.com/xds.type.v3.TypedStruct"

ResourceKey = tuple[str, str]

MOST_REMEMBERED = 10_000  # listeners; those that were deleted are among them for a while


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


# By the listener's id. Only what each was last: with many names that is hundreds of kilobytes.
_last_rendered: dict[int, tuple[ListenerSpec, tuple[Resource, ...]]] = {}


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


def listener_resources(spec: ListenerSpec) -> tuple[Resource, ...]:
    """The listener first, then its cluster and its endpoints: all that a listener is but for the secrets."""
    last, resources = _last_rendered.get(spec.id, (None, ()))
    if last != spec:
        resources = _rendered(spec)
        if len(_last_rendered) >= MOST_REMEMBERED:
            _last_rendered.clear()
        _last_rendered[spec.id] = spec, resources
    return resources


def _rendered(spec: ListenerSpec) -> tuple[Resource, ...]:
    body = packed(listener_message(spec, ADS))
    parts = _group_resources(spec.group) if spec.group else ()
    needs = frozenset((*(part.key for part in parts), *secret_keys(spec.tls)))
    name, socket = listener_name(spec.id), (spec.address, spec.port)
    return (Resource(LISTENER, name, digest(body.value), body, needs, socket), *parts)


def _group_resources(group: BackendServerGroupSpec) -> tuple[Resource, Resource]:
    endpoints = _resource(ENDPOINTS, servers_name(group), packed(endpoints_message(group)))
    needs = frozenset([endpoints.key])
    return _resource(CLUSTER, group_name(group.id), packed(cluster_message(group)), needs), endpoints


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
    body = packed(server_certificate_message(spec))
    return Resource(SECRET, server_certificate_name(spec.id), spec.version, body)


def trust_resource(client: ClientAuthenticationSpec, bundles: Mapping[int, CaBundleSpec]) -> Resource:
    """`bundles` by id; those that `client` names are there."""
    return _resource(SECRET, trust_name(client), packed(trust_message(client, bundles)))


def bootstrap_for_validation(
    listeners: tuple[ListenerSpec, ...], configuration: ConfigurationSpec
) -> Bootstrap:
    """A bootstrap whose static resources are these listeners with all they need, secrets included."""
    bootstrap = Bootstrap(layered_runtime=runtime())
    bootstrap.node.id = bootstrap.node.cluster = "preflight"
    static = bootstrap.static_resources
    # Where listeners send what they log; nobody connects while a configuration is only looked at.
    static.clusters.append(Cluster(name=CONTROL_PLANE, type=Cluster.STATIC))
    groups = {spec.group.id: spec.group for spec in listeners if spec.group}
    wanted = {key for spec in listeners for key in secret_keys(spec.tls)}
    static.listeners.extend(listener_message(spec, None) for spec in listeners)
    for group in groups.values():
        cluster = cluster_message(group)
        cluster.ClearField("eds_cluster_config")
        cluster.type = Cluster.STATIC
        cluster.load_assignment.CopyFrom(endpoints_message(group))
        static.clusters.append(cluster)
    for certificate in configuration.server_certificates.values():
        if (SECRET, server_certificate_name(certificate.id)) in wanted:
            static.secrets.append(server_certificate_message(certificate))
    for client in clients(listeners):
        static.secrets.append(trust_message(client, configuration.ca_bundles))
    return bootstrap


def plain(message: Message) -> dict[str, AnyValue]:
    """A message as the JSON object of Envoy's documentation, field names unchanged."""
    shown: dict[str, AnyValue] = _steady(MessageToDict(message, preserving_proto_field_name=True))
    return shown


def _steady(shown: AnyValue, *, is_struct: bool = False) -> AnyValue:
    """The same in every process: a struct is a map, whose keys come in another order each time."""
    if isinstance(shown, list):
        return [_steady(one, is_struct=is_struct) for one in shown]
    if not isinstance(shown, dict):
        return shown
    is_struct = is_struct or shown.get("@type") == STRUCT
    keys = sorted(shown) if is_struct else shown
    return {key: _steady(shown[key], is_struct=is_struct) for key in keys}


def content_version(body: dict[str, AnyValue]) -> str:
    """The version of a listener that Envoy shows, as JSON with its "@type"."""
    return digest(_ordered(ParseDict(body, Any())).value)


def _ordered(content: Any) -> Any:
    """With the keys of maps in order at every depth, as `packed` writes them and JSON's reader does not."""
    message = GetMessageClass(Default().FindMessageTypeByName(content.TypeName()))()
    content.Unpack(message)
    _order(message)
    return packed(message)


def _order(message: Message) -> None:
    for part, value in message.ListFields():
        if part.message_type is None:
            continue
        if part.message_type.GetOptions().map_entry:
            inners = value.values() if part.message_type.fields_by_name["value"].message_type else ()
        else:
            inners = value if part.is_repeated else [value]
        for inner in inners:
            if isinstance(inner, Any):
                inner.CopyFrom(_ordered(inner))
            else:
                _order(inner)


def _resource(type_url: str, name: str, body: Any, needs: frozenset[ResourceKey] = frozenset()) -> Resource:
    return Resource(type_url, name, digest(body.value), body, needs)
