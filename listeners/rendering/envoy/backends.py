"""Backend server groups as Envoy's clusters and their endpoints."""

from datetime import timedelta

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.health_check_pb2 import DRAINING, HealthCheck
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.health_check.event_sinks.file.v3.file_pb2 import HealthCheckEventFileSink
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from listeners.rendering.envoy.names import group_name, servers_name
from listeners.rendering.envoy.packing import ADS, extension, socket_address
from listeners.spec import BackendServerGroupSpec

NO_LIMIT = UInt32Value(value=1_000_000)
CONNECT_TIMEOUT = timedelta(seconds=5)
# Where Envoy writes when a server's health turns. The console's own Envoy has a file there.
HEALTH_LOG = HealthCheckEventFileSink(event_log_path="/dev/stdout")


def cluster_message(group: BackendServerGroupSpec) -> Cluster:
    cluster = Cluster(
        name=group_name(group.id),
        type=Cluster.EDS,
        # By these very servers: with others the cluster is another one for Envoy, which goes on with the
        # old one until each of the new servers has been checked once.
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=ADS, service_name=servers_name(group)),
        lb_policy=Cluster.ROUND_ROBIN,
        # A server that was found healthy is used at once: Envoy would wait a second for more such news,
        # with nobody to send requests to where all servers were exchanged.
        common_lb_config=Cluster.CommonLbConfig(
            healthy_panic_threshold=Percent(value=0), update_merge_window=Duration()
        ),
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
        event_logger=[extension("envoy.health_check.event_sink.file", HEALTH_LOG)],
    )
    health.interval.FromTimedelta(timedelta(seconds=check.interval))
    health.no_traffic_interval.FromTimedelta(timedelta(seconds=check.interval))
    health.timeout.FromTimedelta(timedelta(seconds=check.timeout))
    cluster.health_checks.append(health)
    return cluster


def endpoints_message(group: BackendServerGroupSpec) -> ClusterLoadAssignment:
    endpoints = []
    for server in group.servers:
        endpoint = LbEndpoint(endpoint=Endpoint(address=socket_address(server.address, server.port)))
        if server.weight:
            endpoint.load_balancing_weight.value = server.weight
        else:
            # Envoy refuses the weight 0; a draining host gets no new requests either.
            endpoint.health_status = DRAINING
        endpoints.append(endpoint)
    return ClusterLoadAssignment(
        cluster_name=servers_name(group), endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)]
    )
