"""How Envoy asks clients for certificates, checks them, and tells backend servers what came of it.

Envoy fails open in several ways when it is left to guard alone: where a certificate is required, no
connection without a verified one passes the network filters, and no route is there for it either.
"""

from collections.abc import Mapping

from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, HeaderValueOption
from envoy.config.core.v3.config_source_pb2 import ConfigSource
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.rbac.v3.rbac_pb2 import RBAC as RbacRules
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy, Principal
from envoy.config.route.v3.route_components_pb2 import Route, RouteMatch
from envoy.extensions.filters.network.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.rbac.principals.mtls_authenticated.v3.mtls_authenticated_pb2 import (
    Config as MtlsAuthenticated,
)
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.api.expr.v1alpha1.syntax_pb2 import Constant, Expr
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from listeners.identity_headers import VERDICT_HEADER
from listeners.rendering.envoy.packing import extension, network_filter
from listeners.spec import (
    AllowedClientSpec,
    CaBundleSpec,
    ClientAuthenticationSpec,
    ClientDemand,
    IdentityKind,
    TlsSpec,
)
from listeners.trust_store import most_intermediates

SUCCESS, FAILED, NONE = "SUCCESS", "FAILED", "NONE"

MTLS_AUTHENTICATED = "envoy.rbac.principals.mtls_authenticated"
# Matches nobody where Envoy has verified nothing, as it does when its trusted CA is missing.
VERIFIED = Principal(
    custom=extension(MTLS_AUTHENTICATED, MtlsAuthenticated(any_validated_client_certificate=True))
)
SAN_TYPES = {
    IdentityKind.DNS: SubjectAltNameMatcher.DNS,
    IdentityKind.EMAIL: SubjectAltNameMatcher.EMAIL,
    IdentityKind.URI: SubjectAltNameMatcher.URI,
    IdentityKind.IP: SubjectAltNameMatcher.IP_ADDRESS,
}


def trust_name(client: ClientAuthenticationSpec) -> str:
    """Of the secret by which client certificates are checked: what makes it another is in its name."""
    flags = []
    if client.demand == ClientDemand.UNVERIFIED:
        flags.append("unverified")
    if not client.sends_ca_names:
        flags.append("unnamed")
    return "-".join(["ca", *map(str, client.ca_bundles), *flags])


def trust_message(client: ClientAuthenticationSpec, bundles: Mapping[int, CaBundleSpec]) -> Secret:
    """`bundles` by id; those that `client` names are there."""
    texts = tuple(bundles[id].certificates for id in client.ca_bundles)
    certificates = "".join(texts)
    if not client.sends_ca_names:
        # Envoy has no field for it. It reads this label (OpenSSL's own) when it looks for what to trust,
        # and not when it lists the names that are sent to clients.
        for end in ("BEGIN", "END"):
            certificates = certificates.replace(
                f"-----{end} CERTIFICATE-----", f"-----{end} TRUSTED CERTIFICATE-----"
            )
    context = CertificateValidationContext(
        trusted_ca=DataSource(inline_string=certificates),
        max_verify_depth=UInt32Value(value=_verify_depth(most_intermediates(texts))),
    )
    if client.demand == ClientDemand.UNVERIFIED:
        context.trust_chain_verification = CertificateValidationContext.ACCEPT_UNTRUSTED
    return Secret(name=trust_name(client), validation_context=context)


def _verify_depth(intermediates: int) -> int:
    """Envoy lets a client in without an intermediate at 0, with one at 2, with two at 3 (measured)."""
    return intermediates + 1 if intermediates else 0


def demand(
    context: DownstreamTlsContext, client: ClientAuthenticationSpec, secret_source: ConfigSource | None
) -> None:
    """Has a TLS context ask for certificates; `secret_source` as for `listener_message`."""
    context.common_tls_context.validation_context_sds_secret_config.CopyFrom(
        SdsSecretConfig(name=trust_name(client), sds_config=secret_source)
    )
    context.require_client_certificate.value = client.demand == ClientDemand.REQUIRED
    # A resumed session is not verified again: an expired or removed client would stay in (B1, B2).
    context.disable_stateless_session_resumption = True
    context.disable_stateful_session_resumption = True


def client_filters(client: ClientAuthenticationSpec, stat_prefix: str) -> list[Filter]:
    """What stands before the HTTP connection manager: nothing where a connection needs no certificate.

    One policy for each client that is listed; each demands that the certificate was verified as well.
    """
    if client.demand != ClientDemand.REQUIRED:
        return []
    if client.allowed is None:
        policies = {"verified": _policy(VERIFIED)}
    else:
        policies = {f"allowed-{place}": _admission(one) for place, one in enumerate(client.allowed)}
    rules = RbacRules(action=RbacRules.ALLOW, policies=policies)
    return [network_filter("envoy.filters.network.rbac", RBAC(stat_prefix=stat_prefix, rules=rules))]


def _admission(allowed: AllowedClientSpec) -> Policy:
    if allowed.kind == IdentityKind.SUBJECT:
        return _policy(VERIFIED, _equality("subject_peer_certificate", allowed.value))
    if allowed.kind == IdentityKind.FINGERPRINT:
        return _policy(VERIFIED, _equality("sha256_peer_certificate_digest", allowed.value))
    named = MtlsAuthenticated(
        san_matcher=SubjectAltNameMatcher(
            san_type=SAN_TYPES[allowed.kind],
            matcher=StringMatcher(safe_regex=RegexMatcher(regex=_pattern(allowed))),
        )
    )
    both = Principal.Set(ids=[VERIFIED, Principal(custom=extension(MTLS_AUTHENTICATED, named))])
    return _policy(Principal(and_ids=both))


def _policy(principal: Principal, condition: Expr | None = None) -> Policy:
    return Policy(permissions=[Permission(any=True)], principals=[principal], condition=condition)


def _pattern(allowed: AllowedClientSpec) -> str:
    """A regular expression, not an exact match: Envoy would let the name *.test.com pass for a.test.com."""
    local, at, host = allowed.value.rpartition("@")
    if allowed.kind == IdentityKind.DNS:
        return f"^(?i:{_literal(allowed.value)})$"
    if allowed.kind == IdentityKind.EMAIL:
        return f"^{_literal(local + at)}(?i:{_literal(host)})$"
    return f"^{_literal(allowed.value)}$"


def _literal(text: str) -> str:
    return "".join(one if one.isalnum() else f"\\x{{{ord(one):x}}}" for one in text)


def _equality(attribute: str, value: str) -> Expr:
    """`connection.<attribute> == value` in Envoy's expression language, as the tree that it is parsed to."""
    connection = Expr(ident_expr=Expr.Ident(name="connection"))
    selected = Expr(select_expr=Expr.Select(operand=connection, field=attribute))
    constant = Expr(const_expr=Constant(string_value=value))
    return Expr(call_expr=Expr.Call(function="_==_", args=[selected, constant]))


def verdict_routes(tls: TlsSpec | None, route: Route) -> list[Route]:
    """`route` once for each verdict that a connection of the listener can have, with the header that says it.

    Where a certificate is required there is no route for a connection without a verified one.
    """
    if tls is None or tls.client is None:
        return [_with_verdict(route, NONE)]
    verified = _with_verdict(route, SUCCESS, presented=True, validated=True)
    if tls.client.demand == ClientDemand.REQUIRED:
        return [verified]
    return [
        verified,
        _with_verdict(route, FAILED, presented=True, validated=False),
        _with_verdict(route, NONE, presented=False),
    ]


def _with_verdict(
    route: Route, verdict: str, *, presented: bool | None = None, validated: bool | None = None
) -> Route:
    copy = Route()
    copy.CopyFrom(route)
    if presented is not None:
        options = RouteMatch.TlsContextMatchOptions(presented=BoolValue(value=presented))
        if validated is not None:
            options.validated.value = validated
        copy.match.tls_context.CopyFrom(options)
    copy.request_headers_to_add.append(
        HeaderValueOption(
            header=HeaderValue(key=VERDICT_HEADER, value=verdict),
            append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
    )
    return copy
