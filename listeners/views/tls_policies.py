"""Pages about TLS security policies: the two lists, and custom ones made, changed and deleted."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.http import Request, page_or_dialog, redirect
from console.stamps import StampForm
from listeners.drain import Drain, closing, contents, drain
from listeners.forms.changes import DrainForm
from listeners.forms.tls_policies import TlsPolicyDeleteForm, TlsPolicyForm
from listeners.models import TlsSecurityPolicy
from listeners.models.tls_security_policy import MOST_POLICIES
from listeners.policy_use import custom_entries, open_listeners, predefined_entries, users_of
from listeners.views.edits import accepted, posting, status_of, tell


@require_safe
def tls_policy_list(request: Request) -> HttpResponse:
    context = {"entries": predefined_entries(), "tab": "default"}
    return render(request, "listeners/tls_policy_list.html", context)


@require_safe
def tls_policy_custom_list(request: Request) -> HttpResponse:
    context = {"entries": custom_entries(), "tab": "custom", "most": MOST_POLICIES}
    return render(request, "listeners/tls_policy_list.html", context)


def tls_policy_add(request: Request) -> HttpResponse:
    with posting(request) as posted:
        form = TlsPolicyForm(posted)
        if accepted(form):
            policy = form.save()
            tell(request, "Security policy {} was created. Listeners can now choose it.", policy)
            return redirect(request, "tls_policy_custom_list")
    return page_or_dialog(
        request,
        "listeners/tls_policy_add.html",
        "listeners/_tls_policy_add.html",
        {"form": form, "cancel_url": reverse("tls_policy_custom_list")},
        status_of(request),
    )


def tls_policy_edit(request: Request, pk: int) -> HttpResponse:
    with posting(request) as posted:
        policy = get_object_or_404(TlsSecurityPolicy, pk=pk)
        name, before = str(policy), open_listeners(policy)
        form = TlsPolicyForm(posted, instance=policy)
        stamp = StampForm(form.initial, posted)
        consent = DrainForm(Drain())
        if accepted(stamp, form):
            # Written, so that the rows are read with it, and given up again unless it may drain.
            form.save()
            consent = DrainForm(drain(contents(before), contents(open_listeners(policy))), posted)
            if accepted(consent):
                tell(request, f"Security policy {{}} was saved. {consent.change.report}", policy)
                return redirect(request, "tls_policy_custom_list")
    context = {"form": form, "stamp": stamp, "policy": policy, "name": name, "users": users_of(policy)}
    context |= {"consent": consent}
    return page_or_dialog(
        request,
        "listeners/tls_policy_edit.html",
        "listeners/_tls_policy_edit.html",
        {**context, "forecast": closing(before).forecast, "cancel_url": reverse("tls_policy_custom_list")},
        status_of(request),
    )


def tls_policy_delete(request: Request, pk: int) -> HttpResponse:
    with posting(request) as posted:
        policy = get_object_or_404(TlsSecurityPolicy, pk=pk)
        users = users_of(policy)
        form = TlsPolicyDeleteForm(posted, obstacle="Listeners use it." if users.count else "")
        if accepted(form):
            policy.delete()
            tell(request, "Security policy {} was deleted.", policy)
            return redirect(request, "tls_policy_custom_list")
    return page_or_dialog(
        request,
        "listeners/tls_policy_delete.html",
        "listeners/_tls_policy_delete.html",
        {"form": form, "policy": policy, "users": users, "cancel_url": reverse("tls_policy_custom_list")},
        status_of(request),
    )
