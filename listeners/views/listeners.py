"""Pages about one listener: what it is, what the data plane says of it, editing, deleting."""

from django.http import HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from console.http import Request, page_or_dialog, redirect
from console.stamps import StampForm
from listeners.drain import closing, listening
from listeners.forms import (
    BackendServerForms,
    DeleteForm,
    backend_server_rows,
    backend_servers,
    posted_rows,
    rows_after,
)
from listeners.forms.editing import ListenerEdit, is_search
from listeners.issued import clients_seen
from listeners.models import BackendServerGroup, Listener
from listeners.proof import proof_commands
from listeners.rendered import rendered_configuration
from listeners.views.edits import accepted, posting, status_of, taken, tell
from listeners.views.live import live_listener, part_or_nothing


@require_safe
def listener_detail(request: Request, pk: int) -> HttpResponse:
    listener = get_object_or_404(Listener.objects.with_relations(), pk=pk)
    host, _ = split_domain_port(request.get_host())
    context = {
        "listener": listener,
        "live": live_listener(listener),
        "proof_commands": proof_commands(listener, host),
        "configuration": rendered_configuration(listener),
        "clients_seen": clients_seen(listener),
    }
    return render(request, "listeners/listener_detail.html", context)


@require_safe
def listener_status(request: Request, pk: int) -> HttpResponse:
    """The changing part alone, for a page that asks again and again."""
    live = live_listener(get_object_or_404(Listener.objects.with_relations(), pk=pk))
    return part_or_nothing(request, "listeners/_listener_live.html", live, {"live": live, "alone": True})


def listener_edit(request: Request, pk: int) -> HttpResponse:
    rows = Listener.objects.with_relations()
    if is_search(request.POST):
        listener = get_object_or_404(rows, pk=pk)
        return _edit_page(request, ListenerEdit.repeated(listener, request.POST), listener.name, 200)
    with posting(request) as posted:
        listener = get_object_or_404(rows, pk=pk)
        name = listener.name
        edit = ListenerEdit(listener, posted)
        if accepted(edit):
            change = edit.save()
            tell(request, f"Listener {{}} was saved. {change.report}", listener)
            return redirect(request, listener)
    return _edit_page(request, edit, name, status_of(request))


def _edit_page(request: Request, edit: ListenerEdit, name: str, status: int) -> HttpResponse:
    context = {"edit": edit, "form": edit.form, "listener": edit.listener, "name": name}
    context["open_now"] = listening([edit.listener])
    return render(request, "listeners/listener_edit.html", context, status=status)


def listener_backends(request: Request, pk: int) -> HttpResponse:
    rows = posted_rows(request.POST)
    action = request.POST.get("action", "")
    changed = rows_after(action, rows)
    # A listener that redirects has no servers.
    listeners = Listener.objects.with_relations().filter(backend_server_group__isnull=False)
    if changed is not None:
        listener = get_object_or_404(listeners, pk=pk)
        formset = backend_server_rows(changed, action)
        return _backends_page(request, listener, formset, request.POST.get("stamp", ""))
    with posting(request) as posted:
        listener = get_object_or_404(listeners, pk=pk)
        group = get_object_or_404(BackendServerGroup, listeners=listener)
        stored = list(group.servers.values("address", "port", "weight"))
        formset = backend_server_rows(stored) if posted is None else backend_servers(rows)
        stamp = StampForm(stored, posted)
        if accepted(stamp, formset):
            refusals = taken(lambda: group.hold(formset.servers()))
            if not refusals:
                done = "The backend servers of {} were saved. No open connection is drained."
                tell(request, done, listener)
                return redirect(request, listener)
            formset.refuse(refusals)
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
    context["sharing"] = listener.sharing
    return render(request, "listeners/listener_backends.html", context, status=status)


def listener_delete(request: Request, pk: int) -> HttpResponse:
    with posting(request) as posted:
        rows = Listener.objects.select_related("load_balancer", "backend_server_group")
        listener = get_object_or_404(rows, pk=pk)
        redirecting = list(listener.redirecting_listeners.all())
        form = DeleteForm(posted, obstacle="Other listeners redirect to it." if redirecting else "")
        change = closing([listener])
        if accepted(form):
            listener.delete()
            tell(request, f"Listener {{}} was deleted. {change.report}", listener)
            return redirect(request, listener.load_balancer)
    return page_or_dialog(
        request,
        "listeners/listener_delete.html",
        "listeners/_listener_delete.html",
        {
            "form": form,
            "listener": listener,
            "redirecting": redirecting,
            "sharing": listener.sharing,
            "change": change,
        },
        status_of(request),
    )
