"""The one bridge from rows to specs: what the database asks for, as frozen values."""

from collections.abc import Collection, Iterable, Sequence

from django.db.models import Prefetch

from certificates.keyring import UnsealError
from certificates.models import Certificate
from console.models import ConfigurationChange, ConfigurationRevision
from console.moments import one_moment
from listeners.models import BackendServer, BackendServerGroup, Listener
from listeners.servable import usable_key_types
from listeners.spec import (
    AllowedClientSpec,
    BackendServerGroupSpec,
    BackendServerSpec,
    CaBundleSpec,
    ChangesSpec,
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
from listeners.trust_store import chain_limits

DEMANDS = {
    Listener.Authentication.MUTUAL.value: ClientDemand.REQUIRED,
    Listener.Authentication.OPTIONAL.value: ClientDemand.OPTIONAL,
    Listener.Authentication.UNVERIFIED.value: ClientDemand.UNVERIFIED,
}


# The relations by which a listener depends on an object, by the kind under which its changes are noted.
DEPENDENCIES = {
    "listeners.listener": ("pk", "redirect_to"),
    "listeners.loadbalancer": ("load_balancer",),
    "listeners.backendservergroup": ("backend_server_group",),
    "listeners.tlssecuritypolicy": ("custom_tls_policy",),
    "certificates.certificate": ("server_certificate", "ca_certificates", "sni_certificates"),
}


def changes(since: int | None) -> ChangesSpec | None:
    """The listeners that a change may have made other than they were; None when nothing has changed.

    Of what a change refers to, what is stored now decides: a listener that has let go of it, or has taken
    it up, has changed as well. To be called before the configuration is read: a change that comes in between
    is then seen at once, and once more at its own place.
    """
    noted = ConfigurationChange.objects.since(since)
    if noted is None:
        return None
    if noted.objects is None or any(kind not in DEPENDENCIES for kind, _ in noted.objects):
        return ChangesSpec(noted.position, None)
    found = {id for kind, id in noted.objects if kind == "listeners.listener"}  # those that are gone, too
    for kind, relations in DEPENDENCIES.items():
        ids = {id for one, id in noted.objects if one == kind}
        for relation in relations if ids else ():
            found.update(Listener.objects.filter(**{f"{relation}__in": ids}).values_list("pk", flat=True))
    return ChangesSpec(noted.position, frozenset(found))


def configuration(asked: Collection[int] | None = None) -> ConfigurationSpec:
    """What there is to serve: of the listeners asked for, by id; None: of all."""
    # A listener's old list of clients beside its new CA would let in whom neither version did.
    with one_moment():
        revision = ConfigurationRevision.objects.number()
        rows = listener_rows(asked)
        used = list(Certificate.objects.filter(pk__in={id for row in rows for id in certificate_ids(row)}))
    problems: dict[int, str] = {}
    server_certificates: dict[int, ServerCertificateSpec] = {}
    ca_bundles: dict[int, CaBundleSpec] = {}
    broken: dict[int, str] = {}
    for certificate in used:
        try:
            if certificate.type == Certificate.Type.SERVER:
                server_certificates[certificate.pk] = server_certificate_spec(certificate)
            else:
                ca_bundles[certificate.pk] = ca_bundle_spec(certificate)
        except (SpecError, UnsealError) as error:
            broken[certificate.pk] = str(error)
    listeners = []
    for row in rows:
        try:
            for id in certificate_ids(row):
                if id in broken:
                    raise SpecError(broken[id])
            spec = listener_spec(row)
            _check_certificates_are_there(spec, server_certificates, ca_bundles)
            listeners.append(spec)
        except SpecError as error:
            problems[row.pk] = str(error)
    return ConfigurationSpec(revision, tuple(listeners), server_certificates, ca_bundles, problems)


def _check_certificates_are_there(
    spec: ListenerSpec, servers: Collection[int], bundles: Collection[int]
) -> None:
    """Raises `SpecError`: one listener that nothing can be made of is not to stand in the way of the rest."""
    if spec.tls is None:
        return
    shown = {spec.tls.server_certificate, *(one.certificate for one in spec.tls.sni)}
    trusted = set(spec.tls.client.ca_bundles) if spec.tls.client else set()
    for missing in sorted((shown - set(servers)) | (trusted - set(bundles))):
        raise SpecError(f"Certificate {missing} of listener {spec.id} is not there, or of another type.")


def listener_rows(asked: Collection[int] | None) -> list[Listener]:
    """Those that are enabled, with what their specs are made from, in four queries."""
    names = Certificate.objects.only("type", "server_names", "key")
    rows = Listener.objects.filter(is_enabled=True, load_balancer__is_enabled=True)
    return list(
        (rows if asked is None else rows.filter(pk__in=asked))
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


def listener_spec(row: Listener, servers: Sequence[BackendServer] | None = None) -> ListenerSpec:
    """Raises `SpecError` where the row asks for something that may not be served.

    `servers` are those of a group that is not stored yet, as the row itself may not be.
    """
    return ListenerSpec(
        id=row.pk or 0,
        address=row.load_balancer.address,
        port=row.port,
        action=action_spec(row) if servers is None else BackendServerGroupSpec(0, server_specs(servers)),
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
        sni_algorithm=sni_algorithm(row),
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


def sni_algorithm(row: Listener) -> SniAlgorithm:
    try:
        return SniAlgorithm(row.sni_matching)
    except ValueError:
        raise SpecError(f"The SNI matching of listener {row.pk} cannot be read.") from None


def key_type(certificate: Certificate) -> KeyType:
    try:
        return KeyType.of(certificate.key)
    except ValueError:
        raise SpecError(f"Certificate {certificate.pk} has a key of an unknown kind.") from None


def tls_policy(row: Listener) -> TlsPolicy:
    try:
        policy = row.policy
        # Given no suite, Envoy would choose some itself.
        is_usable = bool(policy.versions and usable_key_types(policy))
    except (KeyError, TypeError, ValueError):
        raise SpecError(f"The TLS policy of listener {row.pk} cannot be read.") from None
    if not is_usable:
        raise SpecError(f"Envoy can serve nothing of the TLS policy of listener {row.pk}.")
    return policy


def group_spec(group: BackendServerGroup) -> BackendServerGroupSpec:
    return BackendServerGroupSpec(group.pk, server_specs(group.servers.all()))


def server_specs(servers: Iterable[BackendServer]) -> tuple[BackendServerSpec, ...]:
    return tuple(BackendServerSpec(server.address, server.port, server.weight) for server in servers)


def server_certificate_spec(certificate: Certificate) -> ServerCertificateSpec:
    """With the private key in clear: for the control plane alone. Raises `SpecError`, `UnsealError`."""
    return ServerCertificateSpec(certificate.pk, certificate.content, certificate.private_key())


def ca_bundle_spec(certificate: Certificate) -> CaBundleSpec:
    """Raises `SpecError`."""
    bundle = CaBundleSpec(certificate.pk, certificate.content)
    try:
        chain_limits((bundle.certificates,))  # as the renderer will, for all listeners at once
    except ValueError as error:
        raise SpecError(f"The stored CA certificate {certificate.pk} cannot be read: {error}") from error
    return bundle
