"""The guided way to a verified mutual-TLS request: its start, and its steps, one page each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpResponse, QueryDict
from django.http.request import split_domain_port
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_safe

from certificates.forms.authority import AuthorityForm
from certificates.forms.issuing import ClientForm, ServerForm
from certificates.issuing import IssuingError
from certificates.keyring import UnsealError
from certificates.models import CertificateAuthority, IssuedCertificate
from console.http import Request, redirect
from listeners.drain import listening
from listeners.forms import posted_rows, rows_after
from listeners.forms.guided import (
    ChoosingForm,
    GuidedEdit,
    GuidedListener,
    choosing_authority,
    choosing_certificate,
    creating_authority,
    creating_certificate,
    creating_client,
    keyless_certificates,
)
from listeners.forms.pickers import LONGEST_SEARCH, SEARCH
from listeners.models import GuidedSetup, Listener
from listeners.views.edits import accepted, posting, status_of, tell
from listeners.views.guided_proof import proof_step

Step = GuidedSetup.Step
Creating = AuthorityForm | ServerForm | ClientForm
SHOWN_SETUPS = 50
KEYLESS_SHOWN = 20


def guided_start(request: Request) -> HttpResponse:
    """What is begun by a press of a button; where a link or signing in again leads, the page has it."""
    number = (request.POST if request.method == "POST" else request.GET).get("listener", "")
    with posting(request) as posted:
        listener = _https_listener(number) if number else None
        if posted is not None:
            return redirect(request, _at(GuidedSetup.objects.begin(request.user, listener)))
    setups = GuidedSetup.objects.filter(created_by=request.user).with_relations()[:SHOWN_SETUPS]
    context = {"listener": listener, "setups": setups, "steps": Step.choices}
    return render(request, "listeners/guided_start.html", context)


@require_safe
def guided_setup(request: Request, pk: UUID) -> HttpResponse:
    """To the step that it has come to."""
    return redirect(request, _at(_own(request, pk)))


@require_http_methods(["GET", "HEAD", "POST"])
def guided_step(request: Request, pk: UUID, step: str) -> HttpResponse:
    if step not in STEPS:
        raise Http404
    setup = _own(request, pk)
    if request.POST.get("action") == "discard":
        setup.delete()
        return redirect(request, "guided_start")
    if not setup.is_reached(step):
        return redirect(request, _at(setup))
    return STEPS[step](request, setup)


@dataclass(frozen=True)
class Making:
    """A step that makes a row or chooses one that is there, and the field of the setup that takes it."""

    step: str
    field: str
    creating: Callable[[GuidedSetup, Request, QueryDict | None], Creating]
    choosing: Callable[[GuidedSetup, QueryDict | None, str], ChoosingForm | None]


def _making(making: Making) -> Callable[[Request, GuidedSetup], HttpResponse]:
    def view(request: Request, setup: GuidedSetup) -> HttpResponse:
        if making.step == Step.CERTIFICATE and setup.listener is not None:
            # That is said, and changed, at the listener.
            return redirect(request, _at(setup)) if request.POST else _page(request, setup, making.step, {})
        action = request.POST.get("action", "")
        if action == "search":
            search = request.POST.get(f"{SEARCH}chosen", "")[:LONGEST_SEARCH]
            forms = making.creating(setup, request, None), making.choosing(setup, None, search)
            return _making_page(request, setup, making, *forms, status=200)
        with posting(request) as posted:
            setup = _own(request, setup.pk)
            if posted is not None and posted.get("held", "") != _held(setup, making):
                return redirect(request, _at(setup))  # sent again, or from a page of before
            create = making.creating(setup, request, posted if action == "create" else None)
            choose = making.choosing(setup, posted if action == "choose" else None, "")
            form = {"create": create, "choose": choose}.get(action)
            if form is not None and accepted(form) and (row := _saved(form)):
                setattr(setup, making.field, row)
                setup.proof = {}
                setup.save()
                return redirect(request, _at(setup))
        return _making_page(request, setup, making, create, choose)

    return view


def _making_page(
    request: Request,
    setup: GuidedSetup,
    making: Making,
    create: Creating,
    choose: ChoosingForm | None,
    status: int | None = None,
) -> HttpResponse:
    context: dict[str, Any] = {"create": create, "choose": choose, "held": _held(setup, making)}
    if making.step == Step.AUTHORITY:
        context["keyless"] = keyless_certificates()[:KEYLESS_SHOWN]
    return _page(request, setup, making.step, context, status)


def _held(setup: GuidedSetup, making: Making) -> str:
    """What the setup has of a step, by which a form that is sent again is known."""
    held = getattr(setup, f"{making.field}_id")
    return str(held) if held and (making.field != "client" or setup.is_done(Step.CLIENT)) else ""


def _saved(form: Creating | ChoosingForm) -> Any:
    """The row; None with an error in the form, when it only came out now that nothing can be made."""
    try:
        row = form.save()
    except (IssuingError, UnsealError) as error:
        transaction.set_rollback(True)
        if isinstance(error, IssuingError) and not isinstance(form, ChoosingForm):
            form.refuse(error)
        else:
            form.add_error(None, str(error))
        return None
    # The certificate of a server is used as a stored one.
    return row.stored if isinstance(row, IssuedCertificate) and isinstance(form, ServerForm) else row


def _listener(request: Request, setup: GuidedSetup) -> HttpResponse:
    if setup.is_done(Step.LISTENER) and request.method != "POST":
        return _page(request, setup, Step.LISTENER, {})
    if setup.listener is not None:
        return _changed_listener(request, setup)
    action, rows = request.POST.get("action", ""), posted_rows(request.POST)
    changed = rows_after(action, rows)
    if changed is not None:
        made = GuidedListener.of(setup, request.user, request.POST)
        if made:
            made.show_rows(changed, action)
        return _page(request, setup, Step.LISTENER, {"made": made}, 200)
    with posting(request) as posted:
        setup = _own(request, setup.pk)
        if posted is not None and setup.listener is not None:
            return redirect(request, _at(setup))  # sent again
        made = GuidedListener.of(setup, request.user, posted)
        if made and made.is_bound and accepted(made) and (listener := _opened(made)):
            setup.listener, setup.proof = listener, {}
            setup.save()
            tell(request, "Listener {} was added.", listener)
            return redirect(request, _at(setup))
    return _page(request, setup, Step.LISTENER, {"made": made})


def _changed_listener(request: Request, setup: GuidedSetup) -> HttpResponse:
    with posting(request) as posted:
        setup = _own(request, setup.pk)
        if posted is not None and (setup.listener is None or setup.is_done(Step.LISTENER)):
            return redirect(request, _at(setup))
        listener = get_object_or_404(Listener.objects.with_relations(), pk=setup.listener_id)
        before = list(listener.chosen_ca_certificates), listener.authentication
        if setup.authority is None:
            return redirect(request, _at(setup))
        edit = GuidedEdit(listener, setup.authority, posted)
        if edit.is_bound and accepted(edit):
            change = edit.save()
            tell(request, f"Listener {{}} was saved. {change.report}", listener)
            return redirect(request, _at(_own(request, setup.pk)))
    context = {"edit": edit, "cas_before": before[0], "authentication_before": before[1]}
    return _page(request, setup, Step.LISTENER, context | {"open_now": listening([listener])})


def _opened(made: GuidedListener) -> Listener | None:
    """The listener; None with errors in its form, when only the rows refuse it."""
    try:
        return made.save()
    except ValidationError as error:
        transaction.set_rollback(True)
        for sentence in error.messages:
            made.listener_form.add_error(None, sentence)
        return None


def _proof(request: Request, setup: GuidedSetup) -> HttpResponse:
    return proof_step(request, setup, _steps(setup, Step.PROOF))


STEPS: Mapping[str, Callable[[Request, GuidedSetup], HttpResponse]] = {
    Step.AUTHORITY: _making(
        Making(
            Step.AUTHORITY,
            "authority",
            lambda setup, request, posted: creating_authority(request.user, posted),
            choosing_authority,
        )
    ),
    Step.CERTIFICATE: _making(
        Making(
            Step.CERTIFICATE,
            "server_certificate",
            lambda setup, request, posted: creating_certificate(
                _authority(setup), request.user, _host(request), posted
            ),
            choosing_certificate,
        )
    ),
    Step.LISTENER: _listener,
    Step.CLIENT: _making(
        Making(
            Step.CLIENT,
            "client",
            lambda setup, request, posted: creating_client(_authority(setup), setup, request.user, posted),
            lambda setup, posted, search: None,
        )
    ),
    Step.PROOF: _proof,
}


def _page(
    request: Request, setup: GuidedSetup, step: str, context: Mapping[str, Any], status: int | None = None
) -> HttpResponse:
    context = {**context, "setup": setup, "step": step, "steps": _steps(setup, step)}
    template = f"listeners/guided_{step}.html"
    return render(request, template, context, status=status or status_of(request))


def _steps(setup: GuidedSetup, step: str) -> list[dict[str, object]]:
    return [
        {"name": name, "title": title, "done": setup.is_done(name), "current": name == step}
        | {"reached": setup.is_reached(name)}
        for name, title in Step.choices
    ]


def _own(request: Request, pk: UUID) -> GuidedSetup:
    setups = GuidedSetup.objects.with_relations()
    return get_object_or_404(setups, pk=pk, created_by=request.user)


def _at(setup: GuidedSetup) -> str:
    return setup.url_of(setup.open_step)


def _authority(setup: GuidedSetup) -> CertificateAuthority:
    """Of a setup that is past its first step; 404 when it was deleted just now."""
    if setup.authority is None:
        raise Http404
    return setup.authority


def _https_listener(number: str) -> Listener:
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise Http404
    rows = Listener.objects.filter(protocol=Listener.Protocol.HTTPS).with_relations()
    return get_object_or_404(rows, pk=int(number))


def _host(request: Request) -> str:
    return split_domain_port(request.get_host())[0]
