"""The one bridge from rows to specs: what the database asks for, in four queries, as frozen values."""

from collections.abc import Iterable

from certificates.keyring import UnsealError
from certificates.models import Certificate
from console.models import ConfigurationRevision
from listeners.models import BackendServerGroup, Listener
from listeners.spec import (
    BackendServerGroupSpec,
    BackendServerSpec,
    CaBundleSpec,
    ConfigurationSpec,
    ListenerSpec,
    ServerCertificateSpec,
    SpecError,
    TlsSpec,
)


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
    wanted = {id for row in rows for id in (row.server_certificate_id, row.ca_certificate_id) if id}
    for certificate in Certificate.objects.filter(pk__in=wanted):
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
            for id in (row.server_certificate_id, row.ca_certificate_id):
                if id in broken:
                    raise SpecError(broken[id])
            listeners.append(listener_spec(row))
        except SpecError as error:
            problems[row.pk] = str(error)
    return ConfigurationSpec(revision, tuple(listeners), server_certificates, ca_bundles, problems)


def listener_rows() -> list[Listener]:
    return list(
        Listener.objects.select_related("load_balancer", "backend_server_group")
        .prefetch_related("backend_server_group__servers")
        .order_by("pk")
    )


def listener_spec(row: Listener) -> ListenerSpec:
    """Raises `SpecError` where the row asks for something that may not be served."""
    return ListenerSpec(
        id=row.pk,
        address=row.load_balancer.address,
        port=row.port,
        group=group_spec(row.backend_server_group),
        tls=tls_spec(row),
    )


def tls_spec(row: Listener) -> TlsSpec | None:
    if row.protocol == Listener.Protocol.HTTP:
        return None
    if row.server_certificate_id is None:
        raise SpecError(f"Listener {row.pk} is HTTPS and has no server certificate.")
    if row.authentication == Listener.Authentication.ONE_WAY:
        return TlsSpec(row.server_certificate_id)
    # Anything but one-way requires a client certificate; without a CA there is nothing to serve (F1).
    if row.ca_certificate_id is None:
        raise SpecError(f"Listener {row.pk} requires client certificates and has no CA certificate.")
    return TlsSpec(row.server_certificate_id, row.ca_certificate_id)


def group_spec(group: BackendServerGroup) -> BackendServerGroupSpec:
    servers: Iterable[BackendServerSpec] = (
        BackendServerSpec(server.address, server.port, server.weight) for server in group.servers.all()
    )
    return BackendServerGroupSpec(group.pk, tuple(servers))


def server_certificate_spec(certificate: Certificate) -> ServerCertificateSpec:
    """With the private key in clear: for the control plane alone. Raises `SpecError`, `UnsealError`."""
    return ServerCertificateSpec(certificate.pk, certificate.content, certificate.private_key())
