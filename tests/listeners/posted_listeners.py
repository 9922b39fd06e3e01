"""What a browser posts of a listener."""

from django.utils.datastructures import MultiValueDict

from listeners.forms import ListenerForm
from listeners.models import Listener, LoadBalancer
from tests import factories
from tests.conftest import Pki

Fields = dict[str, str | list[str]]


def posted(fields: Fields) -> MultiValueDict[str, str]:
    return MultiValueDict(
        {name: [value] if isinstance(value, str) else value for name, value in fields.items()}
    )


def listener_fields(pki: Pki, **fields: str | list[str]) -> Fields:
    """A mutual HTTPS listener as posted; `fields` override."""
    server = factories.server_certificate(pki.modern.server)
    ca = factories.ca_certificate(pki.modern.ca)
    return {
        "name": "listener-1",
        "protocol": "HTTPS",
        "port": "8443",
        "authentication": "mutual",
        "server_certificate": str(server.pk),
        "ca_certificates": [str(ca.pk)],
        "description": "",
        **fields,
    }


def listener_form(fields: Fields, on: LoadBalancer | None = None) -> ListenerForm:
    return ListenerForm(posted(fields), instance=Listener(load_balancer=on or factories.load_balancer()))
