"""Disabling and enabling: a page that says what it does, and a button."""

from collections.abc import Collection
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404

from console.http import Request, page_or_dialog, redirect
from listeners.drain import Drain, closing
from listeners.forms.changes import SwitchForm
from listeners.models import Listener, LoadBalancer
from listeners.reach import socket_refusal
from listeners.trial import objection
from listeners.views.edits import accepted, posting, status_of, tell

MOST_TRIED = 20
MOST_EXPLAINED = 5


def listener_switch(request: Request, pk: int, is_enabled: bool) -> HttpResponse:
    with posting(request) as posted:
        listener = get_object_or_404(Listener.objects.with_relations(), pk=pk)
        change = Drain() if is_enabled else closing([listener])
        is_new = is_enabled and not listener.is_enabled
        form = SwitchForm(posted, _obstacles([listener]) if posted is not None and is_new else ())
        if accepted(form):
            listener.switch(is_enabled)
            tell(request, f"Listener {{}} was {_done(is_enabled, change)}", listener)
            return redirect(request, listener)
    context = {"listener": listener, "redirecting": listener.redirecting_listeners.all()}
    return _page(request, "listener_switch", form, is_enabled, change, context)


def load_balancer_switch(request: Request, pk: int, is_enabled: bool) -> HttpResponse:
    with posting(request) as posted:
        load_balancer = get_object_or_404(LoadBalancer, pk=pk)
        rows = load_balancer.listeners.filter(is_enabled=True)
        listeners = list(rows.select_related("load_balancer"))
        change = Drain() if is_enabled else closing(listeners)
        is_new = is_enabled and not load_balancer.is_enabled
        asked = listeners if len(listeners) > MOST_TRIED else rows.with_relations()
        form = SwitchForm(posted, _obstacles(asked) if posted is not None and is_new else ())
        if accepted(form):
            load_balancer.switch(is_enabled)
            tell(request, f"Load balancer {{}} was {_done(is_enabled, change)}", load_balancer)
            return redirect(request, load_balancer)
    context = {"load_balancer": load_balancer, "listeners": listeners}
    return _page(request, "load_balancer_switch", form, is_enabled, change, context)


def _obstacles(listeners: Collection[Listener]) -> list[str]:
    """What has come in the way meanwhile: another program at the port, say, or a certificate's key.

    Of more than `MOST_TRIED` only the ports are looked at: Envoy takes a moment for each of them, and is
    asked again before it gets any.
    """
    found = [(row, socket_refusal(row.load_balancer.address, row.port)) for row in listeners]
    if not any(sentence for _, sentence in found) and len(listeners) <= MOST_TRIED:
        found = [(row, objection(row)[1]) for row in listeners]
    return [f"Listener {row}: {sentence}" for row, sentence in found if sentence][:MOST_EXPLAINED]


def _done(is_enabled: bool, change: Drain) -> str:
    return "enabled." if is_enabled else f"disabled. {change.report}"


def _page(
    request: Request, name: str, form: SwitchForm, is_enabled: bool, change: Drain, context: dict[str, Any]
) -> HttpResponse:
    context |= {"form": form, "verb": "Enable" if is_enabled else "Disable", "change": change}
    page, fragment = f"listeners/{name}.html", f"listeners/_{name}.html"
    return page_or_dialog(request, page, fragment, context, status_of(request))
