"""Envoy's error texts: which may be quoted, and what the usual ones mean in plain words."""

import re
from dataclasses import dataclass

LIMIT = 2000  # characters that are kept of one text
WITHHELD = "Envoy could not read this configuration; its answer quotes the configuration and is not shown."


@dataclass(frozen=True)
class Explanation:
    """`remedy` is a shell command that mends it, where there is one."""

    sentence: str
    remedy: str = ""


def quotes_configuration(text: str) -> bool:
    """Whether a text shows configuration, and so perhaps a private key; to be asked of the whole of it."""
    return any(mark in text for mark in ("PRIVATE KEY", "inline_string", "inline_bytes"))


def quotable(text: str) -> str:
    """Envoy's text, unless it quotes configuration."""
    return WITHHELD if quotes_configuration(text) else text[:LIMIT]


def explained(reason: str, binary: str) -> Explanation:
    """`binary` is the Envoy program that a remedy would give a capability to."""
    socket = re.search(r"cannot bind '(?P<socket>[^']+)'", reason)
    where = socket["socket"] if socket else "the address and port"
    if "Permission denied" in reason and socket:
        return Explanation(
            f"Envoy may not open {where}: ports below 1024 are reserved. Allow this Envoy to open them with "
            "the command below, then stop the console and start it again; or choose a port of 1024 or more.",
            f"sudo setcap cap_net_bind_service=+ep {binary}",
        )
    if "Address already in use" in reason:
        return Explanation(
            f"Another program on this machine already uses {where}. Stop that program or choose another "
            "port; Envoy is asked again every few seconds."
        )
    if "Cannot assign requested address" in reason:
        return Explanation(
            f"{where} is not an address of this machine. Change the load balancer's listening address."
        )
    if "duplicate address" in reason:
        return Explanation("Another listener in Envoy still has this address and port.")
    if "/dev/stdout" in reason:
        return Explanation(
            "This Envoy cannot open its standard output, to which it writes the health of backend servers. "
            "Start it with a file or a pipe there; for a service of systemd that is "
            "StandardOutput=append:/var/log/envoy-health.log."
        )
    if "certificate chain" in reason or "private key" in reason or "KEY_VALUES_MISMATCH" in reason:
        return Explanation(
            "Envoy cannot use the server certificate or its private key. Replace the certificate."
        )
    if "trusted CA" in reason or "CA certificate" in reason:
        return Explanation("Envoy cannot use the CA certificate. Replace the certificate.")
    return Explanation("Envoy refuses this listener; its own words are below.")
