"""Adding a listener step by step; what was entered is kept in a draft, so a reload loses nothing."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from console.http import Request, redirect
from listeners.forms import (
    BackendServerForms,
    ListenerForm,
    backend_server_rows,
    backend_servers,
    posted_rows,
    rows_after,
)
from listeners.models import Listener, ListenerDraft, LoadBalancer
from listeners.views.edits import accepted, posting, status_of, tell


def listener_add(request: Request, pk: int) -> HttpResponse:
    load_balancer = get_object_or_404(LoadBalancer, pk=pk)
    if request.method != "POST":
        # Signing in again in mid-way leads here; the page has the button, and earlier drafts.
        return redirect(request, load_balancer)
    draft = ListenerDraft.objects.begin(load_balancer, request.user)
    return _to_step(request, draft, "configure")


def listener_draft(request: Request, pk: UUID, step: str) -> HttpResponse:
    drafts = ListenerDraft.objects.select_related("load_balancer")
    draft = get_object_or_404(drafts, pk=pk, created_by=request.user)
    if step not in STEPS:
        raise Http404
    if request.POST.get("action") == "cancel":
        draft.delete()
        return redirect(request, draft.load_balancer)
    return STEPS[step](request, draft)


def _configure(request: Request, draft: ListenerDraft) -> HttpResponse:
    if request.method != "POST":
        return _configure_page(request, draft, ListenerForm(initial=draft.fields("configure")))
    # What the page hides it does not send: an earlier choice stays for when it is shown again.
    posted = {name: request.POST[name] for name in ListenerForm.Meta.fields if name in request.POST}
    draft.remember("configure", draft.fields("configure") | posted)
    if request.POST.get("action") == "add-certificate":
        back = urlencode({"next": request.path})
        return redirect(request, f"{reverse('certificate_add')}?{back}")
    form = _listener_form(draft)
    if form.is_valid():
        return _to_step(request, draft, "backends")
    return _configure_page(request, draft, form)


def _backends(request: Request, draft: ListenerDraft) -> HttpResponse:
    if request.method != "POST":
        return _backends_page(request, draft, backend_server_rows(draft.rows("backends")))
    action = request.POST.get("action", "")
    rows = posted_rows(request.POST)
    changed = rows_after(action, rows)
    draft.remember("backends", rows if changed is None else changed)
    if action == "previous":
        return _to_step(request, draft, "configure")
    if changed is not None:
        return _backends_page(request, draft, backend_server_rows(changed, action), status=200)
    formset = backend_servers(rows)
    if formset.is_valid():
        return _to_step(request, draft, "confirm")
    return _backends_page(request, draft, formset)


def _confirm(request: Request, draft: ListenerDraft) -> HttpResponse:
    if request.POST.get("action") == "previous":
        return _to_step(request, draft, "backends")
    with posting(request) as posted:
        # Read again: a second Submit of the same page waits for the first, and finds no draft.
        draft = get_object_or_404(ListenerDraft.objects.select_related("load_balancer"), pk=draft.pk)
        form, formset = _listener_form(draft), backend_servers(draft.rows("backends"))
        if posted is not None and accepted(form, formset):
            listener = Listener.objects.open(form.instance, formset.servers())
            draft.delete()
            tell(request, "Listener {} was added.", listener)
            return redirect(request, listener)
    if not form.is_valid():
        return _configure_page(request, draft, form, status=422)
    if not formset.is_valid():
        return _backends_page(request, draft, formset, status=422)
    context = {"listener": form.instance, "servers": formset.servers()}
    return _page(request, draft, "confirm", context, 200)


STEPS: Mapping[str, Callable[[Request, ListenerDraft], HttpResponse]] = {
    "configure": _configure,
    "backends": _backends,
    "confirm": _confirm,
}
TITLES = {"configure": "Configure Listener", "backends": "Add Backend Server", "confirm": "Confirm"}


def _listener_form(draft: ListenerDraft) -> ListenerForm:
    listener = Listener(load_balancer=draft.load_balancer, created_by_id=draft.created_by_id)
    return ListenerForm(draft.fields("configure"), instance=listener)


def _configure_page(
    request: Request, draft: ListenerDraft, form: ListenerForm, status: int | None = None
) -> HttpResponse:
    return _page(request, draft, "configure", {"form": form}, status)


def _backends_page(
    request: Request, draft: ListenerDraft, formset: BackendServerForms, status: int | None = None
) -> HttpResponse:
    return _page(request, draft, "backends", {"formset": formset}, status)


def _page(
    request: Request, draft: ListenerDraft, step: str, context: Mapping[str, Any], status: int | None
) -> HttpResponse:
    """The page of a step, which may not be the step that was asked for: errors lead back to theirs."""
    reached = list(STEPS).index(step)
    steps = [
        {"name": name, "title": title, "done": index < reached, "current": name == step}
        for index, (name, title) in enumerate(TITLES.items())
    ]
    context = {**context, "draft": draft, "step": step, "steps": steps}
    template = f"listeners/listener_draft_{step}.html"
    return render(request, template, context, status=status or status_of(request))


def _to_step(request: Request, draft: ListenerDraft, step: str) -> HttpResponse:
    return redirect(request, "listener_draft", draft.pk, step)
