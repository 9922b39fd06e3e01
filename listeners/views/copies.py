"""Copying a listener: a wizard that begins with all that another listener has."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from console.http import Request, redirect
from listeners.models import Listener, ListenerDraft


@require_POST
def listener_copy(request: Request, pk: int) -> HttpResponse:
    listener = get_object_or_404(Listener.objects.with_relations(), pk=pk)
    draft = ListenerDraft.objects.begin_copy(listener, request.user)
    return redirect(request, "listener_draft", draft.pk, "configure")
