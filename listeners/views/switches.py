"""Disabling and enabling: a page that says what it does, and a button."""

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


def listener_switch(request: Request, pk: int, is_enabled: bool) -> HttpResponse:
    with posting(request) as posted:
        listener = get_object_or_404(Listener.objects.with_relations(), pk=pk)
        change = Drain() if is_enabled else closing([listener])
        form = SwitchForm(posted, _obstacles([listener]) if is_enabled and not listener.is_enabled else ())
        if accepted(form):
            listener.switch(is_enabled)
            tell(request, f"Listener {{}} was {_done(is_enabled, change)}", listener)
            return redirect(request, listener)
    context = {"listener": listener, "redirecting": listener.redirecting_listeners.all()}
    return _page(request, "listener_switch", form, is_enabled, change, context)


def load_balancer_switch(request: Request, pk: int, is_enabled: bool) -> HttpResponse:
    with posting(request) as posted:
        load_balancer = get_object_or_404(LoadBalancer, pk=pk)
        listeners = list(load_balancer.listeners.filter(is_enabled=True).select_related("load_balancer"))
        change = Drain() if is_enabled else closing(listeners)
        is_new = is_enabled and not load_balancer.is_enabled
        form = SwitchForm(posted, _taken_sockets(listeners) if is_new else ())
        if accepted(form):
            load_balancer.switch(is_enabled)
            tell(request, f"Load balancer {{}} was {_done(is_enabled, change)}", load_balancer)
            return redirect(request, load_balancer)
    context = {"load_balancer": load_balancer, "listeners": listeners}
    return _page(request, "load_balancer_switch", form, is_enabled, change, context)


def _obstacles(listeners: list[Listener]) -> list[str]:
    """What has come in the way meanwhile: another program at the port, say, or a certificate's key."""
    found = _taken_sockets(listeners)
    return found or [sentence for row in listeners if (sentence := objection(row)[1])]


def _taken_sockets(listeners: list[Listener]) -> list[str]:
    refusals = (socket_refusal(row.load_balancer.address, row.port) for row in listeners)
    return [sentence for sentence in refusals if sentence]


def _done(is_enabled: bool, change: Drain) -> str:
    return "enabled." if is_enabled else f"disabled. {change.report}"


def _page(
    request: Request, name: str, form: SwitchForm, is_enabled: bool, change: Drain, context: dict[str, Any]
) -> HttpResponse:
    context |= {"form": form, "verb": "Enable" if is_enabled else "Disable", "change": change}
    page, fragment = f"listeners/{name}.html", f"listeners/_{name}.html"
    return page_or_dialog(request, page, fragment, context, status_of(request))
