"""The one bridge from rows to specs: what the database asks for, as frozen values."""

from collections.abc import Iterable, Sequence

from django.db.models import Prefetch

from certificates.keyring import UnsealError
from certificates.models import Certificate
from console.models import ConfigurationRevision
from listeners import tls_policies
from listeners.models import BackendServerGroup, Listener
from listeners.spec import (
    AllowedClientSpec,
    BackendServerGroupSpec,
    BackendServerSpec,
    CaBundleSpec,
    ClientAuthenticationSpec,
    ClientDemand,
    ConfigurationSpec,
    ListenerSpec,
    RedirectSpec,
    ServerCertificateSpec,
    SniAlgorithm,
    SniCertificateSpec,
    SpecError,
    TimeoutsSpec,
    TlsSpec,
)
from listeners.tls_policies import KeyType, TlsPolicy

DEMANDS = {
    Listener.Authentication.MUTUAL.value: ClientDemand.REQUIRED,
    Listener.Authentication.OPTIONAL.value: ClientDemand.OPTIONAL,
    Listener.Authentication.UNVERIFIED.value: ClientDemand.UNVERIFIED,
}


def configuration() -> ConfigurationSpec:
    """Everything there is to serve.

    The revision is read first: a change that comes in between is seen now and once more at its number.
    """
    revision = ConfigurationRevision.objects.number()
    rows = listener_rows()
    problems: dict[int, str] = {}
    server_certificates: dict[int, ServerCertificateSpec] = {}
    ca_bundles: dict[int, CaBundleSpec] = {}
    broken: dict[int, str] = {}
    for certificate in Certificate.objects.filter(pk__in={id for row in rows for id in certificate_ids(row)}):
        try:
            if certificate.type == Certificate.Type.SERVER:
                server_certificates[certificate.pk] = server_certificate_spec(certificate)
            else:
                ca_bundles[certificate.pk] = CaBundleSpec(certificate.pk, certificate.content)
        except (SpecError, UnsealError) as error:
            broken[certificate.pk] = str(error)
    listeners = []
    for row in rows:
        try:
            for id in certificate_ids(row):
                if id in broken:
                    raise SpecError(broken[id])
            listeners.append(listener_spec(row))
        except SpecError as error:
            problems[row.pk] = str(error)
    return ConfigurationSpec(revision, tuple(listeners), server_certificates, ca_bundles, problems)


def listener_rows() -> list[Listener]:
    """Those that are enabled, with what their specs are made from, in six queries."""
    names = Certificate.objects.only("type", "server_names", "key")
    return list(
        Listener.objects.filter(is_enabled=True, load_balancer__is_enabled=True)
        .select_related("load_balancer", "backend_server_group", "custom_tls_policy", "redirect_to")
        .prefetch_related(
            "backend_server_group__servers",
            Prefetch("ca_certificates", names),
            Prefetch("sni_certificates", names),
        )
        .order_by("pk")
    )


def certificate_ids(row: Listener) -> list[int]:
    """Of every certificate that a listener uses."""
    chosen = [*row.chosen("ca_certificates"), *row.chosen("sni_certificates")]
    server = [row.server_certificate_id] if row.server_certificate_id else []
    return server + [one.pk for one in chosen]


def listener_spec(row: Listener) -> ListenerSpec:
    """Raises `SpecError` where the row asks for something that may not be served."""
    return ListenerSpec(
        id=row.pk,
        address=row.load_balancer.address,
        port=row.port,
        action=action_spec(row),
        tls=tls_spec(row),
        http2=row.http2,
        timeouts=TimeoutsSpec(row.idle_timeout, row.request_timeout, row.response_timeout),
    )


def action_spec(row: Listener) -> BackendServerGroupSpec | RedirectSpec:
    if row.redirect_to:
        return RedirectSpec(row.redirect_to.port)
    if row.backend_server_group is None:
        raise SpecError(f"Listener {row.pk} has no backend servers and redirects to no other listener.")
    return group_spec(row.backend_server_group)


def tls_spec(row: Listener) -> TlsSpec | None:
    if row.protocol == Listener.Protocol.HTTP:
        return None
    if row.server_certificate_id is None:
        raise SpecError(f"Listener {row.pk} is HTTPS and has no server certificate.")
    return TlsSpec(
        row.server_certificate_id,
        client=client_authentication_spec(row),
        policy=tls_policy(row),
        sni=sni_specs(row.chosen("sni_certificates")),
        sni_algorithm=SniAlgorithm(row.sni_matching),
    )


def client_authentication_spec(row: Listener) -> ClientAuthenticationSpec | None:
    if row.authentication == Listener.Authentication.ONE_WAY:
        return None
    # Anything but one-way asks for a client certificate; without a CA there is nothing to serve (F1).
    if row.authentication not in DEMANDS:
        raise SpecError(f"Listener {row.pk} authenticates its clients in an unknown way.")
    try:
        allowed = tuple(AllowedClientSpec(kind, value) for kind, value in row.allowed)
    except (TypeError, ValueError) as error:
        raise SpecError(f"The list of allowed clients of listener {row.pk} cannot be read.") from error
    return ClientAuthenticationSpec(
        tuple(sorted(one.pk for one in row.chosen("ca_certificates"))),
        DEMANDS[row.authentication],
        row.sends_ca_names,
        None if row.admission == Listener.Admission.ANY else allowed,
    )


def sni_specs(certificates: Sequence[Certificate]) -> tuple[SniCertificateSpec, ...]:
    return tuple(
        SniCertificateSpec(one.pk, tuple(filter(None, one.server_names.lower().split(","))), key_type(one))
        for one in sorted(certificates, key=lambda one: one.pk)
    )


def key_type(certificate: Certificate) -> KeyType:
    try:
        return KeyType(certificate.key.partition(" ")[0])
    except ValueError:
        raise SpecError(f"Certificate {certificate.pk} has a key of an unknown kind.") from None


def tls_policy(row: Listener) -> TlsPolicy:
    try:
        return row.custom_tls_policy.policy if row.custom_tls_policy else tls_policies.BY_NAME[row.tls_policy]
    except (KeyError, ValueError):
        raise SpecError(f"The TLS policy of listener {row.pk} cannot be read.") from None


def group_spec(group: BackendServerGroup) -> BackendServerGroupSpec:
    servers: Iterable[BackendServerSpec] = (
        BackendServerSpec(server.address, server.port, server.weight) for server in group.servers.all()
    )
    return BackendServerGroupSpec(group.pk, tuple(servers))


def server_certificate_spec(certificate: Certificate) -> ServerCertificateSpec:
    """With the private key in clear: for the control plane alone. Raises `SpecError`, `UnsealError`."""
    return ServerCertificateSpec(certificate.pk, certificate.content, certificate.private_key())
