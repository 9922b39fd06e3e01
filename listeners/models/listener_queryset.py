"""How listeners are opened, with their backend servers, and read with all that a page names."""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models.functions import RowNumber

from certificates.models import Certificate
from console.models import ConfigurationRevision, RevisedQuerySet
from listeners.models.backend_server_group import BackendServer, BackendServerGroup

if TYPE_CHECKING:
    from listeners.models.listener import Listener


class ListenerQuerySet(RevisedQuerySet["Listener"]):
    def open(
        self, listener: "Listener", servers: Sequence[BackendServer] = (), group_name: str = ""
    ) -> "Listener":
        """Stores a new listener; with servers, in a new backend server group of that name.

        Raises ValidationError.
        """
        with ConfigurationRevision.objects.change():
            if servers:
                group = BackendServerGroup(name=group_name or f"server_group-{secrets.token_hex(2)}")
                group.full_clean()
                group.save()
                group.hold(servers)
                listener.backend_server_group = group
            listener.full_clean()
            listener.save(force_insert=True)
        return listener

    def first_of_each(self, most: int) -> Mapping[int, "list[Listener]"]:
        """The first few listeners of each load balancer, by its id, in one query; no other is read."""
        place = models.Window(RowNumber(), partition_by=models.F("load_balancer_id"), order_by=["port", "pk"])
        first: dict[int, list[Listener]] = defaultdict(list)
        for row in self.alias(place=place).filter(place__lte=most).order_by("port", "pk"):
            first[row.load_balancer_id].append(row)
        return first

    def with_relations(self) -> Self:
        """With all that a page names, and without the sealed private keys, which none does."""
        certificates = Certificate.objects.defer("sealed_private_key")
        return (
            self.select_related(
                "load_balancer",
                "backend_server_group",
                "created_by",
                "server_certificate",
                "custom_tls_policy",
                "redirect_to",
            )
            .prefetch_related(
                "backend_server_group__servers",
                models.Prefetch("ca_certificates", certificates),
                models.Prefetch("sni_certificates", certificates),
            )
            .defer("server_certificate__sealed_private_key")
        )
