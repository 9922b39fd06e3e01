"""What Envoy says of a listener before it is stored, at the field that it speaks of.

Whatever cannot be asked now is left to the control plane, which asks the same before any Envoy gets it. It is
told what has passed, so that the same content is not tried twice.
"""

import re
from collections.abc import Sequence

from django.conf import settings

from certificates.keyring import UnsealError
from certificates.models import Certificate
from console.waking import tell
from listeners import snapshot
from listeners.dataplane.binary import BinaryError, envoy_binary
from listeners.dataplane.preflight import Preflight
from listeners.dataplane.reasons import explained
from listeners.models import BackendServer, Listener
from listeners.spec import CaBundleSpec, ConfigurationSpec, ServerCertificateSpec, SpecError

LIMIT = 5.0  # seconds; a person waits for it
# What Envoy's words are about, by the field of the form; the first that fits counts.
FIELDS = (
    (re.compile(r"trusted CA|CA certificate|trusted_ca", re.IGNORECASE), "ca_certificates"),
    (
        re.compile(r"certificate chain|private key|KEY_VALUES|RSA|ECDSA|P-256", re.IGNORECASE),
        "server_certificate",
    ),
    (re.compile(r"cipher", re.IGNORECASE), "security_policy"),
)


def objection(listener: Listener, servers: Sequence[BackendServer] | None = None) -> tuple[str, str]:
    """The field, "" for all of the listener, and a sentence; two empty texts where Envoy would take it.

    `servers` are those of a group that is not stored yet.
    """
    try:
        binary = envoy_binary(settings.ELB_ENVOY_BINARY)
        spec, certificates = snapshot.listener_spec(listener, servers), _certificates(listener)
        preflight = Preflight(binary, LIMIT)
        verdict = preflight.verdict(spec, certificates)
        if not verdict.reason and listener.pk:
            tell(preflight.voucher(spec, certificates).message)
    except (SpecError, UnsealError) as error:
        return "", str(error)
    except (BinaryError, OSError):
        return "", ""
    if not verdict.reason or not verdict.is_final:
        return "", ""
    field = next((name for pattern, name in FIELDS if pattern.search(verdict.reason)), "")
    return field, f"{explained(verdict.reason, str(binary)).sentence} Envoy's own words: {verdict.reason}"


def _certificates(listener: Listener) -> ConfigurationSpec:
    """The certificates that a listener uses, private keys included. Raises `SpecError`, `UnsealError`."""
    servers: dict[int, ServerCertificateSpec] = {}
    bundles: dict[int, CaBundleSpec] = {}
    for one in Certificate.objects.filter(pk__in=snapshot.certificate_ids(listener)):
        if one.type == Certificate.Type.SERVER:
            servers[one.pk] = snapshot.server_certificate_spec(one)
        else:
            bundles[one.pk] = CaBundleSpec(one.pk, one.content)
    return ConfigurationSpec(0, (), servers, bundles)
