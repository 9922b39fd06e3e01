"""Half-filled Add Listener pages."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from listeners.models.listener import Listener
from listeners.models.load_balancer import LoadBalancer

DRAFT_LIFETIME = timedelta(days=30)


class ListenerDraftQuerySet(models.QuerySet["ListenerDraft"]):
    def begin(self, load_balancer: LoadBalancer, user: User) -> "ListenerDraft":
        """A new draft with what the first step proposes; drafts that nobody came back to go."""
        self.filter(updated_at__lt=timezone.now() - DRAFT_LIFETIME).delete()
        proposed = {
            "name": f"listener-{secrets.token_hex(2)}",
            "protocol": Listener.Protocol.HTTPS.value,
            "port": "443",
            "authentication": Listener.Authentication.ONE_WAY.value,
        }
        return self.create(load_balancer=load_balancer, created_by=user, steps={"configure": proposed})


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

    def fields(self, step: str) -> dict[str, str]:
        """The fields last posted at a step; none when it was not reached, or when the row is damaged."""
        kept = self.steps.get(step) if isinstance(self.steps, dict) else None
        return _texts(kept)

    def rows(self, step: str) -> list[dict[str, str]]:
        """The rows of fields last posted at a step."""
        kept = self.steps.get(step) if isinstance(self.steps, dict) else None
        return [_texts(row) for row in kept] if isinstance(kept, list) else []

    def remember(self, step: str, posted: Mapping[str, str] | Sequence[Mapping[str, str]]) -> None:
        """Keeps a step as it was posted, right or wrong."""
        kept = _without_nul(posted) if isinstance(posted, Mapping) else [_without_nul(row) for row in posted]
        self.steps = {**(self.steps if isinstance(self.steps, dict) else {}), step: kept}
        self.save()


def _texts(kept: object) -> dict[str, str]:
    if not isinstance(kept, dict):
        return {}
    return {name: value for name, value in kept.items() if isinstance(value, str)}


def _without_nul(fields: Mapping[str, str]) -> dict[str, str]:
    # PostgreSQL's JSON cannot hold NUL; no field takes it either.
    return {name: value.replace("\0", "") for name, value in fields.items()}
