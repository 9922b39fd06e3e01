"""What people fill in about load balancers, listeners and backend servers."""

from listeners.forms.backends import (
    BACKEND_SERVER_FORMS,
    BLANK_ROW,
    MOST_SERVERS,
    BackendServerForm,
    BackendServerForms,
    backend_server_rows,
    backend_servers,
    posted_rows,
    rows_after,
)
from listeners.forms.deletion import DeleteForm
from listeners.forms.listener import ListenerEditForm, ListenerForm, shown
from listeners.forms.load_balancer import LoadBalancerForm
from listeners.forms.routing import RoutingForm

__all__ = [
    "BACKEND_SERVER_FORMS",
    "BLANK_ROW",
    "MOST_SERVERS",
    "BackendServerForm",
    "BackendServerForms",
    "DeleteForm",
    "ListenerEditForm",
    "ListenerForm",
    "LoadBalancerForm",
    "RoutingForm",
    "backend_server_rows",
    "backend_servers",
    "posted_rows",
    "rows_after",
    "shown",
]
