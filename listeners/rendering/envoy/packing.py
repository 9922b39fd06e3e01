"""What messages of every kind are put together with: extensions, addresses, where resources come from."""

from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_components_pb2 import Filter
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

ADS = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)


def packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message, deterministic=True)
    return packed


def extension(name: str, config: Message) -> TypedExtensionConfig:
    return TypedExtensionConfig(name=name, typed_config=packed(config))


def network_filter(name: str, config: Message) -> Filter:
    return Filter(name=name, typed_config=packed(config))


def socket_address(address: str, port: int) -> Address:
    # "::" takes IPv4 connections as well, as the console says and as the overlap rule assumes.
    return Address(
        socket_address=SocketAddress(address=address, port_value=port, ipv4_compat=address == "::")
    )
