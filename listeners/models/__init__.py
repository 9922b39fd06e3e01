"""Load balancers, their listeners, and the backend servers that listeners forward to."""

from listeners.models.addresses import validate_backend_address, validate_listening_address
from listeners.models.backend_server_group import BackendServer, BackendServerGroup
from listeners.models.guided_setup import GuidedSetup
from listeners.models.listener import Listener
from listeners.models.listener_certificates import ListenerCaCertificate, ListenerSniCertificate
from listeners.models.listener_draft import ListenerDraft
from listeners.models.load_balancer import LoadBalancer
from listeners.models.seen_client import SeenClient
from listeners.models.tls_security_policy import TlsSecurityPolicy

__all__ = [
    "BackendServer",
    "BackendServerGroup",
    "GuidedSetup",
    "Listener",
    "ListenerCaCertificate",
    "ListenerDraft",
    "ListenerSniCertificate",
    "LoadBalancer",
    "SeenClient",
    "TlsSecurityPolicy",
    "validate_backend_address",
    "validate_listening_address",
]
