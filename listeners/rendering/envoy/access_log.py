"""What Envoy tells the control plane of each connection to an HTTPS listener: once, when it has ended, and of
those that it refused as well.

The log is the same to the letter for all listeners, which differ by their metadata: Envoy makes a sender with
a timer and a connection of its own for each log that differs, and keeps it when the listener has gone.
"""

from datetime import timedelta
from functools import cache

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter, ExtensionFilter
from envoy.config.core.v3.base_pb2 import Metadata
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.rbac.v3.rbac_pb2 import RBAC as RbacRules
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson
from xds.type.v3.typed_struct_pb2 import TypedStruct

from listeners.rendering.envoy.client_authentication import VERIFIED
from listeners.rendering.envoy.names import CONTROL_PLANE, listener_name
from listeners.rendering.envoy.packing import network_filter, packed
from listeners.spec import ListenerSpec

FLUSH_INTERVAL = timedelta(seconds=0.5)
NAMESPACE, LISTENER = "elb", "listener"
RBAC_NAME = "envoy.filters.network.rbac"
# By what the control plane reads; what Envoy has no value for it writes as "-".
ATTRIBUTES = {
    "listener": f"%METADATA(LISTENER:{NAMESPACE}:{LISTENER})%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "duration": "%DURATION%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "name": "%REQUESTED_SERVER_NAME%",
    "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    "issuer": "%DOWNSTREAM_PEER_ISSUER%",
    "serial": "%DOWNSTREAM_PEER_SERIAL%",
    "fingerprint": "%DOWNSTREAM_PEER_FINGERPRINT_256%",
    "end": "%DOWNSTREAM_PEER_CERT_V_END(%s)%",
    "failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "termination": "%CONNECTION_TERMINATION_DETAILS%",
    "handshake": "%DOWNSTREAM_HANDSHAKE_DURATION%",
    "verified": f"%DYNAMIC_METADATA({RBAC_NAME}:shadow_engine_result)%",
}
# A struct, because the messages of Python's package know the deprecated fields of this log alone: Envoy would
# write a warning for each listener, and will refuse them one day.
LOG_TYPE = (
    "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"
)
# Where nobody is asked for a certificate, those who got in are of no interest and by far the most.
FAILURES = "connection.transport_failure_reason != ''"


def access_log(spec: ListenerSpec) -> AccessLog:
    """Of an HTTPS listener."""
    log = AccessLog(name="envoy.access_loggers.open_telemetry", typed_config=_log())
    if spec.tls and not spec.tls.client:
        log.filter.CopyFrom(
            AccessLogFilter(
                extension_filter=ExtensionFilter(
                    name="envoy.access_loggers.extension_filters.cel",
                    typed_config=packed(ExpressionFilter(expression=FAILURES)),
                )
            )
        )
    return log


def listener_metadata(spec: ListenerSpec) -> Metadata:
    """By which the log tells listeners apart."""
    metadata = Metadata()
    metadata.filter_metadata[NAMESPACE][LISTENER] = listener_name(spec.id)
    return metadata


def verification_note(stat_prefix: str) -> Filter:
    """Notes for the log whether the client's certificate was verified, at the first byte after a handshake
    that has come to its end. It keeps nobody out: the filters that do stand behind it.
    """
    policy = Policy(permissions=[Permission(any=True)], principals=[VERIFIED])
    rules = RbacRules(action=RbacRules.ALLOW, policies={"verified": policy})
    return network_filter(RBAC_NAME, RBAC(stat_prefix=stat_prefix, shadow_rules=rules))


@cache
def _log() -> Any:
    """Made once: a struct takes far longer to put together than the rest of a listener."""
    interval = Duration()
    interval.FromTimedelta(FLUSH_INTERVAL)
    log = TypedStruct(type_url=LOG_TYPE)
    log.value.update(
        {
            "log_name": "connections",
            "grpc_service": {"envoy_grpc": {"cluster_name": CONTROL_PLANE}},
            "buffer_flush_interval": MessageToJson(interval).strip('"'),
            "attributes": {
                "values": [{"key": key, "value": {"string_value": text}} for key, text in ATTRIBUTES.items()]
            },
        }
    )
    return packed(log)
