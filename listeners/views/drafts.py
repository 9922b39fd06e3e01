"""Adding a listener step by step; what was entered is kept in a draft, so a reload loses nothing."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render

from certificates.pem import without_private_keys
from console.http import Request, is_htmx, redirect
from listeners.forms import ListenerForm, RoutingForm, backend_server_rows, posted_rows, rows_after, shown
from listeners.forms.wizard import WizardForms, new_listener, routing_fields
from listeners.models import ListenerDraft, LoadBalancer
from listeners.models.listener_draft import Posted
from listeners.views.certificate_choice import is_search, page_to_add_certificate, select_what_was_added
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
        select_what_was_added(request, draft)
        return _configure_page(request, draft, _shown_form(draft, draft.fields("configure")))
    before = draft.fields("configure")
    # What the page hides it does not send: an earlier choice stays for when it is shown again.
    fields = Posted({**dict(before.lists()), **_posted(request, ListenerForm)})
    if is_htmx(request):
        # Part of a page that stays as it is; a late one must not undo what was sent meanwhile.
        return _configure_page(request, draft, _shown_form(draft, fields), status=200)
    draft.remember("configure", fields)
    action = request.POST.get("action", "")
    if action.startswith("add-certificate:"):
        return redirect(request, page_to_add_certificate(request, draft, action.partition(":")[2]))
    if is_search(request, before):
        return _configure_page(request, draft, _shown_form(draft, fields), status=200)
    wizard = WizardForms(draft)
    if wizard.configure.is_valid():
        return _to_step(request, draft, "confirm" if draft.is_redirect else "routing")
    return _configure_page(request, draft, wizard.configure)


def _routing(request: Request, draft: ListenerDraft) -> HttpResponse:
    if request.method != "POST":
        return _routing_page(request, draft, RoutingForm(initial=shown(routing_fields(draft))))
    before = routing_fields(draft)
    fields = Posted({**dict(before.lists()), **_posted(request, RoutingForm)})
    if is_htmx(request):
        return _routing_page(request, draft, RoutingForm(initial=shown(fields)), status=200)
    if not draft.is_redirect:
        draft.remember("routing", fields)
    if request.POST.get("action") == "previous":
        return _to_step(request, draft, "configure")
    if is_search(request, before):
        return _routing_page(request, draft, RoutingForm(initial=shown(fields)), status=200)
    wizard = WizardForms(draft)
    if draft.is_redirect or wizard.routing.is_valid():
        return _to_step(request, draft, "confirm" if draft.is_redirect else "backends")
    return _routing_page(request, draft, wizard.routing)


def _backends(request: Request, draft: ListenerDraft) -> HttpResponse:
    wizard, action = WizardForms(draft), request.POST.get("action", "")
    if draft.is_redirect or wizard.existing_group:
        if request.method != "POST":
            return _page(request, draft, "backends", {"group": wizard.existing_group}, None)
        back = "configure" if draft.is_redirect else "routing"
        return _to_step(request, draft, back if action == "previous" else "confirm")
    if request.method != "POST":
        return _backends_page(request, draft, backend_server_rows(draft.rows("backends")))
    rows = posted_rows(request.POST)
    changed = rows_after(action, rows)
    draft.remember("backends", rows if changed is None else changed)
    if action == "previous":
        return _to_step(request, draft, "routing")
    if changed is not None:
        return _backends_page(request, draft, backend_server_rows(changed, action), status=200)
    if wizard.backends.is_valid():
        return _to_step(request, draft, "confirm")
    return _backends_page(request, draft, wizard.backends)


def _confirm(request: Request, draft: ListenerDraft) -> HttpResponse:
    if request.POST.get("action") == "previous":
        return _to_step(request, draft, "configure" if draft.is_redirect else "backends")
    with posting(request) as posted:
        # Read again: a second Submit of the same page waits for the first, and finds no draft.
        draft = get_object_or_404(ListenerDraft.objects.select_related("load_balancer"), pk=draft.pk)
        wizard = WizardForms(draft, is_final=posted is not None)
        if posted is not None and accepted(wizard):
            listener = wizard.open()
            draft.delete()
            tell(request, "Listener {} was added.", listener)
            return redirect(request, listener)
    if wrong := wizard.wrong_step:
        return PAGES[wrong](request, draft, wizard.asked[wrong], 422)
    context = {"wizard": wizard, "form": wizard.configure, "listener": wizard.configure.instance}
    return _page(request, draft, "confirm", context, 200)


def _shown_form(draft: ListenerDraft, fields: Posted) -> ListenerForm:
    """The first step with what was entered, nothing checked."""
    return ListenerForm(initial=shown(fields), instance=new_listener(draft))


def _configure_page(
    request: Request, draft: ListenerDraft, form: ListenerForm, status: int | None = None
) -> HttpResponse:
    return _page(request, draft, "configure", {"form": form}, status)


def _routing_page(
    request: Request, draft: ListenerDraft, form: RoutingForm, status: int | None = None
) -> HttpResponse:
    configured = _shown_form(draft, draft.fields("configure"))
    return _page(request, draft, "routing", {"form": form, "configured": configured}, status)


def _backends_page(
    request: Request, draft: ListenerDraft, formset: Any, status: int | None = None
) -> HttpResponse:
    return _page(request, draft, "backends", {"formset": formset}, status)


Step = Callable[[Request, ListenerDraft], HttpResponse]
STEPS: Mapping[str, Step] = {
    "configure": _configure,
    "routing": _routing,
    "backends": _backends,
    "confirm": _confirm,
}
PAGES: Mapping[str, Callable[[Request, ListenerDraft, Any, int], HttpResponse]] = {
    "configure": _configure_page,
    "routing": _routing_page,
    "backends": _backends_page,
}
TITLES = {
    "configure": "Configure Listener",
    "routing": "Configure Routing Policy",
    "backends": "Add Backend Server",
    "confirm": "Confirm",
}


def _posted(request: Request, form: type[ListenerForm] | type[RoutingForm]) -> dict[str, list[str]]:
    """The fields of a form, and what its lists were searched for."""
    names = [*form.base_fields, *(f"search-{name}" for name in form.base_fields)]
    posted = {name: request.POST.getlist(name) for name in names if name in request.POST}
    if tried := posted.get("tried_certificates"):
        # A client's certificate often comes with its key, which has no business here.
        posted["tried_certificates"] = [without_private_keys(text) for text in tried]
    return posted


def _page(
    request: Request, draft: ListenerDraft, step: str, context: Mapping[str, Any], status: int | None
) -> HttpResponse:
    """The page of a step, which may not be the step that was asked for: errors lead back to theirs."""
    names = list(STEPS)
    reached = names.index(step)
    skipped = {"routing", "backends"} if draft.is_redirect else set()
    steps = [
        {"name": name, "title": TITLES[name], "done": index < reached, "current": name == step}
        | {"skipped": name in skipped}
        for index, name in enumerate(names)
    ]
    following = next((name for name in names[reached + 1 :] if name not in skipped), "")
    context = {
        **context,
        "draft": draft,
        "step": step,
        "steps": steps,
        "next_title": TITLES.get(following, ""),
    }
    template = f"listeners/listener_draft_{step}.html"
    return render(request, template, context, status=status or status_of(request))


def _to_step(request: Request, draft: ListenerDraft, step: str) -> HttpResponse:
    return redirect(request, "listener_draft", draft.pk, step)
