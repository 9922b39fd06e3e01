"""Half-filled Add Listener pages."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from console.forms import KEY_MARKER
from listeners.models.listener import Listener
from listeners.models.load_balancer import LoadBalancer

DRAFT_LIFETIME = timedelta(days=30)
# How the fields of drafts were called that were begun before a listener could have several CAs.
FORMER_NAMES = {"ca_certificate": "ca_certificates"}
COPIED = (
    "protocol",
    "authentication",
    "admission",
    "sni_matching",
    "idle_timeout",
    "request_timeout",
    "response_timeout",
    "description",
)

# What was posted: each field with its values, for a field may have several.
Posted = MultiValueDict[str, str]


class ListenerDraftQuerySet(models.QuerySet["ListenerDraft"]):
    def begin(self, load_balancer: LoadBalancer, user: User) -> "ListenerDraft":
        """A new draft with what the steps propose; drafts that nobody came back to go."""
        configure = {
            "name": [f"listener-{secrets.token_hex(2)}"],
            "protocol": [Listener.Protocol.HTTPS.value],
            "port": ["443"],
            "authentication": [Listener.Authentication.ONE_WAY.value],
        }
        return self._begin(load_balancer, user, {"configure": configure, "routing": proposed_group()})

    def begin_copy(self, listener: Listener, user: User) -> "ListenerDraft":
        """A draft with all that a listener has, but its name, and its port, which only one can have.

        Its backend servers are copied into a group of their own; using the same group is a choice away.
        """
        group = listener.backend_server_group
        servers = group.servers.all() if group else ()
        return self._begin(
            listener.load_balancer,
            user,
            {
                "configure": fields_of(listener) | {"name": [f"listener-{secrets.token_hex(2)}"]},
                "routing": proposed_group() | {"existing_group": _number(group.pk if group else None)},
                "backends": [
                    {"address": one.address, "port": str(one.port), "weight": str(one.weight)}
                    for one in servers
                ],
            },
        )

    def _begin(self, load_balancer: LoadBalancer, user: User, steps: Mapping[str, object]) -> "ListenerDraft":
        self.filter(updated_at__lt=timezone.now() - DRAFT_LIFETIME).delete()
        return self.create(load_balancer=load_balancer, created_by=user, steps=steps)


class ListenerDraft(models.Model):
    """A half-filled Add Listener page: what was posted at each step, kept until it is submitted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    load_balancer = models.ForeignKey(LoadBalancer, models.CASCADE, related_name="drafts")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    steps = models.JSONField(default=dict, help_text="step name: what was posted, as text")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ListenerDraftQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return self.fields("configure").get("name") or f"listener draft {self.id}"

    def fields(self, step: str) -> Posted:
        """The fields last posted at a step; none when it was not reached, or when the row is damaged."""
        kept = self._kept(step)
        if not isinstance(kept, dict):
            return MultiValueDict()
        values = {FORMER_NAMES.get(str(name), str(name)): _texts(value) for name, value in kept.items()}
        return MultiValueDict({name: texts for name, texts in values.items() if texts})

    @property
    def is_redirect(self) -> bool:
        """Whether it asks for a redirect, so that there is nothing to ask about backend servers."""
        fields = self.fields("configure")
        return fields.get("protocol") == Listener.Protocol.HTTP and bool(fields.get("redirects"))

    def rows(self, step: str) -> list[dict[str, str]]:
        """The rows of fields last posted at a step."""
        kept = self._kept(step)
        rows = [row for row in kept if isinstance(row, dict)] if isinstance(kept, list) else []
        return [{name: value for name, value in row.items() if isinstance(value, str)} for row in rows]

    def remember(self, step: str, posted: Posted | Sequence[Mapping[str, str]]) -> None:
        """Keeps a step as it was posted, right or wrong."""
        kept: object
        if isinstance(posted, MultiValueDict):
            kept = {name: [_storable(value) for value in values] for name, values in posted.lists()}
        else:
            kept = [{name: _storable(value) for name, value in row.items()} for row in posted]
        self.steps = {**(self.steps if isinstance(self.steps, dict) else {}), step: kept}
        self.save()

    def _kept(self, step: str) -> object:
        return self.steps.get(step) if isinstance(self.steps, dict) else None


def proposed_group() -> dict[str, list[str]]:
    """What the second step begins with."""
    return {"group": ["new"], "group_name": [f"server_group-{secrets.token_hex(2)}"]}


def fields_of(listener: Listener) -> dict[str, list[str]]:
    """A listener as its form would post it."""
    sni = listener.chosen("sni_certificates")
    policy = f"custom:{listener.custom_tls_policy_id}" if listener.custom_tls_policy_id else ""
    return {name: [str(getattr(listener, name))] for name in COPIED} | {
        "redirects": _switch(listener.redirect_to_id is not None),
        "redirect_to": _number(listener.redirect_to_id),
        "server_certificate": _number(listener.server_certificate_id),
        "ca_certificates": [str(one.pk) for one in listener.chosen("ca_certificates")],
        "sends_ca_names": _switch(listener.sends_ca_names),
        "allowed_clients": ["\n".join(f"{kind}: {value}" for kind, value in listener.allowed)],
        "has_sni": _switch(bool(sni)),
        "sni_certificates": [str(one.pk) for one in sni],
        "security_policy": [policy or listener.tls_policy],
        "http2": _switch(listener.http2),
    }


def _switch(is_on: bool) -> list[str]:
    return ["on" if is_on else ""]


def _number(number: int | None) -> list[str]:
    return [str(number)] if number is not None else []


def _texts(value: object) -> list[str]:
    """The values of a field; drafts of before kept one text for each."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _storable(text: str) -> str:
    # No field takes a private key, nor NUL, which PostgreSQL's JSON cannot hold.
    return "" if KEY_MARKER in text else text.replace("\0", "")
