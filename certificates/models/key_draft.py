"""Private keys of forms that were refused, kept for a while."""

import uuid
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from certificates.models.master_keys import keyring


class KeyDraftQuerySet(models.QuerySet["KeyDraft"]):
    def alive(self, user: User) -> Self:
        return self.filter(created_by=user, created_at__gt=timezone.now() - KeyDraft.lifetime())

    def expire(self) -> None:
        self.filter(created_at__lte=timezone.now() - KeyDraft.lifetime()).delete()

    def keep(self, private_key: str, user: User) -> "KeyDraft":
        """Seals a key that came with a refused form; older drafts that have expired go."""
        self.expire()
        draft = KeyDraft(id=uuid.uuid4(), created_by=user)
        draft.sealed = keyring().seal(private_key, str(draft.id))
        draft.save()
        return draft


class KeyDraft(models.Model):
    """A private key pasted into a form that was refused, sealed, so that it need not be pasted again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sealed = models.TextField()
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = KeyDraftQuerySet.as_manager()

    def __str__(self) -> str:
        return f"key draft {self.id}"

    @staticmethod
    def lifetime() -> timedelta:
        return timedelta(seconds=settings.ELB_KEY_DRAFT_SECONDS)

    @property
    def expires_at(self) -> datetime:
        return self.created_at + self.lifetime()

    def private_key(self) -> str:
        return keyring().unseal(self.sealed, str(self.id))
