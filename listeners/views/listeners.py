"""Pages about one listener: what it is, what the data plane says of it, editing, deleting."""

from django.http import HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from console.http import Request, page_or_dialog, redirect
from console.stamps import StampForm
from listeners.forms import (
    BackendServerForms,
    DeleteForm,
    ListenerEditForm,
    backend_server_rows,
    backend_servers,
    posted_rows,
    rows_after,
)
from listeners.models import Listener
from listeners.proof import proof_commands
from listeners.status import rendered_configuration
from listeners.views.edits import accepted, posting, status_of, tell
from listeners.views.live import live_listener


@require_safe
def listener_detail(request: Request, pk: int) -> HttpResponse:
    listener = get_object_or_404(Listener.objects.with_relations(), pk=pk)
    host, _ = split_domain_port(request.get_host())
    context = {
        "listener": listener,
        "live": live_listener(listener),
        "proof_commands": proof_commands(listener, host),
        "configuration": rendered_configuration(listener),
    }
    return render(request, "listeners/listener_detail.html", context)


@require_safe
def listener_status(request: Request, pk: int) -> HttpResponse:
    """The changing part alone, for a page that asks every other second; 204 while it shows what is so."""
    listener = get_object_or_404(Listener.objects.with_relations(), pk=pk)
    live = live_listener(listener)
    if request.GET.get("shown") == live.version:
        return HttpResponse(status=204)
    return render(request, "listeners/_listener_live.html", {"live": live, "alone": True})


def listener_edit(request: Request, pk: int) -> HttpResponse:
    with posting(request) as posted:
        listener = get_object_or_404(Listener.objects.select_related("load_balancer"), pk=pk)
        name = listener.name
        form = ListenerEditForm(posted, instance=listener)
        stamp = StampForm(form.initial, posted)
        if accepted(stamp, form):
            form.save()
            tell(request, "Listener {} was saved.", listener)
            return redirect(request, listener)
    return page_or_dialog(
        request,
        "listeners/listener_edit.html",
        "listeners/_listener_edit.html",
        {"form": form, "stamp": stamp, "listener": listener, "name": name},
        status_of(request),
    )


def listener_backends(request: Request, pk: int) -> HttpResponse:
    rows = posted_rows(request.POST)
    action = request.POST.get("action", "")
    changed = rows_after(action, rows)
    if changed is not None:
        listener = get_object_or_404(Listener.objects.select_related("load_balancer"), pk=pk)
        formset = backend_server_rows(changed, action)
        return _backends_page(request, listener, formset, request.POST.get("stamp", ""))
    with posting(request) as posted:
        listener = get_object_or_404(Listener.objects.select_related("load_balancer"), pk=pk)
        group = listener.backend_server_group
        stored = list(group.servers.values("address", "port", "weight"))
        formset = backend_server_rows(stored) if posted is None else backend_servers(rows)
        stamp = StampForm(stored, posted)
        if accepted(stamp, formset):
            group.hold(formset.servers())
            tell(request, "The backend servers of {} were saved.", listener)
            return redirect(request, listener)
    return _backends_page(request, listener, formset, stamp.current, stamp, status_of(request))


def _backends_page(
    request: Request,
    listener: Listener,
    formset: BackendServerForms,
    stamp_text: str,
    stamp: StampForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {"listener": listener, "formset": formset, "stamp_text": stamp_text, "stamp": stamp}
    return render(request, "listeners/listener_backends.html", context, status=status)


def listener_delete(request: Request, pk: int) -> HttpResponse:
    with posting(request) as posted:
        listener = get_object_or_404(Listener.objects.select_related("load_balancer"), pk=pk)
        form = DeleteForm(posted)
        if accepted(form):
            listener.delete()
            tell(request, "Listener {} was deleted.", listener)
            return redirect(request, listener.load_balancer)
    return page_or_dialog(
        request,
        "listeners/listener_delete.html",
        "listeners/_listener_delete.html",
        {"form": form, "listener": listener},
        status_of(request),
    )
