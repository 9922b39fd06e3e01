"""Which listener has a socket already: one address and port is for one listener alone."""

from typing import Any

from django.apps import apps

from listeners.spec import addresses_overlap


def overlap(address: str, port: int, but: int | None) -> str:
    """A sentence on the listener whose address overlaps on this port, "" for none; `but` is one's own id.

    A listener that is disabled keeps its socket, so that it can always be enabled again.
    """
    listeners: Any = apps.get_model("listeners", "Listener")
    others = listeners.objects.filter(port=port).exclude(pk=but).select_related("load_balancer")
    taken = next((one for one in others if addresses_overlap(one.load_balancer.address, address)), None)
    if taken is None:
        return ""
    where = taken.load_balancer
    if where.address == address:
        return (
            f"Port {port} of {address} is taken by listener {taken.name} ({where.name}). Choose another port."
        )
    return (
        f"Port {port} on {address} overlaps listener {taken.name} of {where.name}, which listens on "
        f"{where.address}. Choose another port, or give the two load balancers distinct addresses."
    )
