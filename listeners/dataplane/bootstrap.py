"""The bootstrap of an Envoy that this console feeds: where its control plane is, and nothing to serve."""

import ipaddress
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from envoy.config.bootstrap.v3.bootstrap_pb2 import Admin, Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.any_pb2 import Any

from listeners.rendering.envoy import ADS, CONTROL_PLANE, plain, runtime


@dataclass(frozen=True)
class MutualTls:
    """PEM files on the Envoy's machine with which it and the control plane know each other.

    `server_name` is a DNS name or an IP address that the control plane's certificate must carry.
    """

    certificate: Path
    private_key: Path
    ca: Path
    server_name: str


def bootstrap(node: str, control_plane: Address, admin: Path, tls: MutualTls | None = None) -> str:
    """JSON. `admin` is the path of Envoy's administration socket, mode 0600."""
    message = Bootstrap(
        admin=Admin(address=Address(pipe=Pipe(path=str(admin), mode=0o600))),
        static_resources=Bootstrap.StaticResources(clusters=[_cluster(control_plane, tls)]),
        dynamic_resources=Bootstrap.DynamicResources(
            ads_config=_ads_config(), cds_config=ADS, lds_config=ADS
        ),
        layered_runtime=runtime(),
    )
    message.node.id = node
    message.node.cluster = "elb"
    return json.dumps(plain(message), indent=2)


def unix_address(path: Path) -> Address:
    return Address(pipe=Pipe(path=str(path)))


def tcp_address(host: str, port: int) -> Address:
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def _ads_config() -> ApiConfigSource:
    service = GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=CONTROL_PLANE))
    # The default back-off leaves Envoy waiting for seconds after the control plane is back.
    back_off = service.envoy_grpc.retry_policy.retry_back_off
    back_off.base_interval.FromTimedelta(timedelta(seconds=0.1))
    back_off.max_interval.FromTimedelta(timedelta(seconds=1))
    return ApiConfigSource(
        api_type=ApiConfigSource.DELTA_GRPC, transport_api_version=ApiVersion.V3, grpc_services=[service]
    )


def _cluster(address: Address, tls: MutualTls | None) -> Cluster:
    http2 = HttpProtocolOptions(
        explicit_http_config=HttpProtocolOptions.ExplicitHttpConfig(
            http2_protocol_options=Http2ProtocolOptions()
        )
    )
    keepalive = http2.explicit_http_config.http2_protocol_options.connection_keepalive
    keepalive.interval.FromTimedelta(timedelta(seconds=10))
    keepalive.timeout.FromTimedelta(timedelta(seconds=5))
    cluster = Cluster(
        name=CONTROL_PLANE,
        type=Cluster.STRICT_DNS if _is_host_name(address) else Cluster.STATIC,
        load_assignment=ClusterLoadAssignment(
            cluster_name=CONTROL_PLANE,
            endpoints=[LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=Endpoint(address=address))])],
        ),
    )
    cluster.connect_timeout.FromTimedelta(timedelta(seconds=2))
    options = Any()
    options.Pack(http2)
    cluster.typed_extension_protocol_options[
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    ].CopyFrom(options)
    if tls:
        context = Any()
        context.Pack(_tls_context(tls))
        cluster.transport_socket.CopyFrom(
            TransportSocket(name="envoy.transport_sockets.tls", typed_config=context)
        )
    return cluster


def _tls_context(tls: MutualTls) -> UpstreamTlsContext:
    validation = CertificateValidationContext(trusted_ca=DataSource(filename=str(tls.ca)))
    name = validation.match_typed_subject_alt_names.add()
    is_address = _is_address(tls.server_name)
    name.san_type = name.IP_ADDRESS if is_address else name.DNS
    name.matcher.exact = tls.server_name
    return UpstreamTlsContext(
        sni="" if is_address else tls.server_name,
        common_tls_context=CommonTlsContext(
            tls_params=TlsParameters(tls_minimum_protocol_version=TlsParameters.TLSv1_2),
            tls_certificates=[
                TlsCertificate(
                    certificate_chain=DataSource(filename=str(tls.certificate)),
                    private_key=DataSource(filename=str(tls.private_key)),
                )
            ],
            validation_context=validation,
        ),
    )


def _is_host_name(address: Address) -> bool:
    return address.HasField("socket_address") and not _is_address(address.socket_address.address)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
