"""TLS of a listener, and the secrets that hold its server certificates."""

from collections.abc import Sequence

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.core.v3.config_source_pb2 import ConfigSource
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate, TlsParameters
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext

from listeners.rendering.envoy.client_authentication import demand
from listeners.rendering.envoy.names import server_certificate_name
from listeners.servable import served_suites
from listeners.spec import ServerCertificateSpec, TlsSpec
from listeners.tls_policies import TlsVersion

TLS_VERSIONS = {
    TlsVersion.TLS_1_0: TlsParameters.TLSv1_0,
    TlsVersion.TLS_1_1: TlsParameters.TLSv1_1,
    TlsVersion.TLS_1_2: TlsParameters.TLSv1_2,
    TlsVersion.TLS_1_3: TlsParameters.TLSv1_3,
}


def tls_context(
    tls: TlsSpec, certificates: Sequence[int], http2: bool, secret_source: ConfigSource | None
) -> DownstreamTlsContext:
    """`certificates` are ids; of several, a client is shown one that it can use."""
    suites = served_suites(tls.policy)
    # Without a list Envoy would serve suites of its own choice before TLS 1.3.
    minimum = tls.policy.minimum if suites else TlsVersion.TLS_1_3
    common = CommonTlsContext(
        tls_params=TlsParameters(
            tls_minimum_protocol_version=TLS_VERSIONS[minimum],
            tls_maximum_protocol_version=TLS_VERSIONS[tls.policy.maximum],
            cipher_suites=suites,
        ),
        alpn_protocols=["h2", "http/1.1"] if http2 else ["http/1.1"],
        tls_certificate_sds_secret_configs=[
            SdsSecretConfig(name=server_certificate_name(one), sds_config=secret_source)
            for one in certificates
        ],
    )
    context = DownstreamTlsContext(common_tls_context=common)
    if len(certificates) > 1:
        # Envoy compares the name asked for with the certificates' own once more; where a star stands for
        # several labels they differ, and without this it would take the first for every client.
        context.full_scan_certs_on_sni_mismatch.value = True
    if tls.client:
        demand(context, tls.client, secret_source)
    return context


def server_certificate_message(spec: ServerCertificateSpec) -> Secret:
    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_string=spec.chain),
        private_key=DataSource(inline_string=spec.private_key),
    )
    return Secret(name=server_certificate_name(spec.id), tls_certificate=certificate)
