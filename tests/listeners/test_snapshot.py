"""From rows to specs: what is asked for, at what cost, and that damaged rows never open anything (F1)."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from certificates.models import Certificate
from console.models import ConfigurationRevision
from listeners import snapshot
from listeners.models import Listener
from tests import factories
from tests.backend import Backend
from tests.conftest import Pki
from tests.curl import curl
from tests.envoy_lab import EnvoyLab
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.django_db


def mutual_listener(pki: Pki, backend: Backend) -> Listener:
    return factories.listener(
        port=free_port(),
        servers=[factories.backend_server("127.0.0.1", backend.port)],
        server_certificate=factories.server_certificate(pki.modern.server),
        ca_certificate=factories.ca_certificate(pki.modern.ca),
    )


def statuses(row: Listener, pki: Pki) -> tuple[int, int]:
    """HTTP status without a certificate and with a good one."""
    url, client = f"https://127.0.0.1:{row.port}/", pki.modern.client
    return (
        curl("-k", url).status,
        curl("-k", "--cert", client.certificate, "--key", client.key, url).status,
    )


DAMAGES = {
    "removed": lambda content: " ",
    "truncated": lambda content: content[: len(content) // 2],
    "emptied": lambda content: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "garbled": lambda content: content.replace("M", "N"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_ca_certificate_opens_nothing(lab: EnvoyLab, backend: Backend, pki: Pki, damage: str) -> None:
    """Applied to what runs, and then to an Envoy and a control plane that start with it."""
    row = mutual_listener(pki, backend)
    lab.apply(snapshot.configuration())
    eventually(lambda: statuses(row, pki) == (0, 200), "the listener works")
    content = Certificate.objects.get(pk=row.ca_certificate_id).content
    Certificate.objects.filter(pk=row.ca_certificate_id).update(content=DAMAGES[damage](content))

    damaged = snapshot.configuration()
    lab.apply(damaged)
    eventually(lambda: lab.reported_refusal(row.pk), "the control plane's refusal")
    running = statuses(row, pki)
    lab.stop_control_plane()
    lab.envoy.stop()
    lab.start_control_plane()
    lab.envoy.ensure()
    eventually(lambda: lab.is_connected(), "Envoy is back")
    restarted = statuses(row, pki)

    assert f"CA certificate {row.ca_certificate_id} cannot be read" in damaged.problems[row.pk]
    assert (running, restarted) == ((0, 200), (0, 0))


def test_row_that_asks_for_clients_but_names_no_ca_is_a_problem(pki: Pki) -> None:
    """The database refuses such a row; should one get past it, it is not served."""
    row = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    row.authentication = Listener.Authentication.MUTUAL
    with pytest.raises(snapshot.SpecError, match="no CA certificate"):
        snapshot.listener_spec(row)


def test_private_key_sealed_by_a_lost_master_key_is_a_problem_of_its_listeners_alone(pki: Pki) -> None:
    broken = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    whole = factories.listener()
    Certificate.objects.filter(pk=broken.server_certificate_id).update(sealed_private_key="v1.0000.AAAA")

    found = snapshot.configuration()

    assert [one.id for one in found.listeners] == [whole.pk]
    assert found.problems == {
        broken.pk: "The master key '0000' that sealed this private key is not configured."
    }


def test_number_of_queries_does_not_grow(pki: Pki) -> None:
    server, ca = factories.server_certificate(pki.modern.server), factories.ca_certificate(pki.modern.ca)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            snapshot.configuration()
        return len(captured)

    factories.listener(server_certificate=server, ca_certificate=ca)
    one = queries()
    for _ in range(5):
        factories.listener(server_certificate=server, ca_certificate=ca)

    assert queries() == one == 4


@pytest.mark.parametrize("change", ["save", "update", "delete", "bulk_create", "certificate", "server"])
def test_every_change_raises_the_revision(pki: Pki, change: str) -> None:
    row = factories.listener(server_certificate=factories.server_certificate(pki.modern.server))
    changes = {
        "save": row.save,
        "update": lambda: Listener.objects.filter(pk=row.pk).update(name="x"),
        "delete": lambda: Listener.objects.filter(pk=row.pk).delete(),
        "bulk_create": lambda: row.backend_server_group.servers.bulk_create(
            [
                type(row.backend_server_group.servers.get())(
                    group=row.backend_server_group, address="::1", port=1
                )
            ]
        ),
        "certificate": lambda: Certificate.objects.get(pk=row.server_certificate_id).save(),
        "server": lambda: row.backend_server_group.servers.get().delete(),
    }
    before = ConfigurationRevision.objects.number()

    changes[change]()

    assert ConfigurationRevision.objects.number() > before
