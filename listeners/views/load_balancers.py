"""Pages about load balancers: the list, one with its listeners, adding, editing, deleting."""

from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from console.http import Request, page_or_dialog, redirect
from console.stamps import StampForm
from listeners.drain import Drain, closing
from listeners.forms import DeleteForm, LoadBalancerForm
from listeners.forms.changes import DrainForm
from listeners.models import GuidedSetup, Listener, ListenerDraft, LoadBalancer
from listeners.views.edits import accepted, posting, status_of, tell
from listeners.views.live import listener_table, part_or_nothing

LISTENERS_SHOWN = 5


@require_safe
def load_balancer_list(request: Request) -> HttpResponse:
    load_balancers = LoadBalancer.objects.annotate(count=Count("listeners"))
    first = Listener.objects.first_of_each(LISTENERS_SHOWN)
    context = {
        "load_balancers": [(one, first[one.pk]) for one in load_balancers],
        "has_no_listeners": not any(first.values()),
        "has_setups": GuidedSetup.objects.filter(created_by=request.user).exists(),
    }
    return render(request, "listeners/load_balancer_list.html", context)


@require_safe
def load_balancer_detail(request: Request, pk: int) -> HttpResponse:
    load_balancer = get_object_or_404(LoadBalancer, pk=pk)
    context = {
        "load_balancer": load_balancer,
        "tab": "listeners",
        "table": listener_table(load_balancer, request.GET.get("page", "")),
        "drafts": ListenerDraft.objects.filter(load_balancer=load_balancer, created_by=request.user),
    }
    return render(request, "listeners/load_balancer_detail.html", context)


@require_safe
def load_balancer_summary(request: Request, pk: int) -> HttpResponse:
    context = {"load_balancer": get_object_or_404(LoadBalancer, pk=pk), "tab": "summary"}
    return render(request, "listeners/load_balancer_summary.html", context)


@require_safe
def load_balancer_listeners(request: Request, pk: int) -> HttpResponse:
    """The table alone, for a page that asks again and again."""
    table = listener_table(get_object_or_404(LoadBalancer, pk=pk), request.GET.get("page", ""))
    return part_or_nothing(request, "listeners/_listener_table.html", table, {"table": table})


def load_balancer_add(request: Request) -> HttpResponse:
    with posting(request) as posted:
        form = LoadBalancerForm(posted)
        if accepted(form):
            load_balancer = form.save()
            tell(request, "Load balancer {} was added. Next, add a listener to it.", load_balancer)
            return redirect(request, load_balancer)
    return page_or_dialog(
        request,
        "listeners/load_balancer_add.html",
        "listeners/_load_balancer_add.html",
        {"form": form},
        status_of(request),
    )


def load_balancer_edit(request: Request, pk: int) -> HttpResponse:
    with posting(request) as posted:
        load_balancer = get_object_or_404(LoadBalancer, pk=pk)
        name = load_balancer.name
        form = LoadBalancerForm(posted, instance=load_balancer)
        stamp = StampForm(form.initial, posted)
        consent = DrainForm(_moving(load_balancer, form), posted)
        if accepted(stamp, form) and accepted(consent):
            form.save()
            tell(request, f"Load balancer {{}} was saved. {consent.change.report}", load_balancer)
            return redirect(request, load_balancer)
    return page_or_dialog(
        request,
        "listeners/load_balancer_edit.html",
        "listeners/_load_balancer_edit.html",
        {"form": form, "stamp": stamp, "load_balancer": load_balancer, "name": name, "consent": consent},
        status_of(request),
    )


def _moving(load_balancer: LoadBalancer, form: LoadBalancerForm) -> Drain:
    """What a new address drains: every listener is opened there and closed where it was."""
    if "address" not in form.changed_data:
        return Drain()
    return closing(load_balancer.listeners.select_related("load_balancer"))


def load_balancer_delete(request: Request, pk: int) -> HttpResponse:
    with posting(request) as posted:
        load_balancer = get_object_or_404(LoadBalancer, pk=pk)
        count = load_balancer.listeners.count()
        obstacle = f"It still has {count} listener{'s' * (count != 1)}. Delete them first." if count else ""
        form = DeleteForm(posted, obstacle=obstacle)
        if accepted(form):
            load_balancer.delete()
            tell(request, "Load balancer {} was deleted.", load_balancer)
            return redirect(request, "load_balancer_list")
    return page_or_dialog(
        request,
        "listeners/load_balancer_delete.html",
        "listeners/_load_balancer_delete.html",
        {"form": form, "load_balancer": load_balancer, "obstacle": obstacle},
        status_of(request),
    )
