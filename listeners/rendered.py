"""What Envoy is given for a listener, as text for people: certificates and keys appear by name."""

import json
from typing import Any

from listeners import snapshot
from listeners.models import Listener
from listeners.rendering import envoy as rendering
from listeners.spec import CaBundleSpec, ClientAuthenticationSpec, SpecError


def rendered_configuration(listener: Listener) -> str:
    """JSON. Empty where the row asks for what may not be served; the listener's state says why."""
    secrets: list[dict[str, Any]] = []
    try:
        spec = snapshot.listener_spec(listener)
        trust = _trust(listener, spec.tls.client) if spec.tls and spec.tls.client else None
    except SpecError:
        return ""
    for certificate in listener.shown_certificates:
        name = rendering.server_certificate_name(certificate.pk)
        chain, key = f"[chain of certificate {certificate}]", f"[private key of certificate {certificate}]"
        secrets.append({"name": name, "tls_certificate": {"certificate_chain": chain, "private_key": key}})
    if trust:
        secrets.append(trust)
    shown: dict[str, Any] = {
        "listener": rendering.plain(rendering.listener_message(spec, rendering.ADS)),
        "secrets": secrets,
    }
    if spec.group:
        shown["cluster"] = rendering.plain(rendering.cluster_message(spec.group))
        shown["endpoints"] = rendering.plain(rendering.endpoints_message(spec.group))
    return json.dumps(shown, indent=2, ensure_ascii=False)


def _trust(listener: Listener, client: ClientAuthenticationSpec) -> dict[str, Any]:
    certificates = listener.chosen_ca_certificates
    bundles = {one.pk: CaBundleSpec(one.pk, one.content) for one in certificates}
    shown = rendering.plain(rendering.trust_resource(client, bundles).body)
    shown.pop("@type")
    shown["validation_context"]["trusted_ca"] = [f"[CA certificate {one}]" for one in certificates]
    return shown
