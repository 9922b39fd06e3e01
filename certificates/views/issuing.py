"""The pages on which a CA issues to servers and clients, and on which what it has issued is renewed."""

from django.contrib import messages
from django.http import HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from certificates.forms.issuing import ClientForm, ServerForm, offered_names
from certificates.forms.renewal import RenewalForm
from certificates.issuing import IssuingError
from certificates.keyring import UnsealError
from certificates.models import CertificateAuthority, IssuedCertificate
from console.http import Request, page_or_dialog, page_to_return_to, redirect

# The name stands alone: a right-to-left mark in it must not turn the words around it.
NAMED = 'The certificate of <b class="as-typed">{}</b> was {}.'


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def server_issue(request: Request, pk: int) -> HttpResponse:
    authority = _authority(pk)
    form = ServerForm(*_posted(request), authority=authority, user=request.user, initial=_offer(request))
    return _issued_or_form(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def client_issue(request: Request, pk: int) -> HttpResponse:
    form = ClientForm(*_posted(request), authority=_authority(pk), user=request.user)
    return _issued_or_form(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
def issued_renew(request: Request, pk: int) -> HttpResponse:
    rows = IssuedCertificate.objects.select_related("authority__certificate", "stored", "renewal_of")
    issued = get_object_or_404(rows, pk=pk)
    form = RenewalForm(*_posted(request), issued=issued, user=request.user)
    row = _saved(form) if form.is_valid() else None
    if row:
        messages.success(request, format_html(NAMED, row, "issued anew"))
        return redirect(request, row)
    page, fragment = "certificates/issued_renew.html", "certificates/_issued_renew.html"
    context = {"form": form, "issued": issued, "cancel_url": issued.get_absolute_url()}
    return page_or_dialog(request, page, fragment, context, 422 if form.errors else 200)


def _issued_or_form(request: Request, form: ServerForm | ClientForm) -> HttpResponse:
    back = page_to_return_to(request)
    row = _saved(form) if form.is_valid() and not form.is_preview else None
    if row:
        done = "issued by this form already, and not a second time" if form.issued_before else "issued"
        messages.success(request, format_html(NAMED, row, done))
        is_server = isinstance(form, ServerForm)
        return redirect(request, (is_server and back) or (is_server and row.stored) or row)
    cancel_url = back or form.authority.get_absolute_url()
    context = {"form": form, "authority": form.authority, "cancel_url": cancel_url}
    page, fragment = "certificates/issue.html", "certificates/_issue.html"
    return page_or_dialog(request, page, fragment, context, 422 if form.errors else 200)


def _saved(form: ServerForm | ClientForm | RenewalForm) -> IssuedCertificate | None:
    """None, and an error in the form, where something has come in between."""
    try:
        return form.save()
    except (IssuingError, UnsealError) as error:
        form.refuse(error)
        return None


def _authority(pk: int) -> CertificateAuthority:
    rows = CertificateAuthority.objects.select_related("certificate", "parent")
    authority: CertificateAuthority = get_object_or_404(rows, pk=pk)
    return authority


def _posted(request: Request) -> tuple[object, ...]:
    return (request.POST, request.FILES) if request.method == "POST" else ()


def _offer(request: Request) -> dict[str, str]:
    """Names that the address carries; for the very first server, the host that this console is opened by."""
    names = offered_names(request.GET.get("names", ""))
    if not names and not IssuedCertificate.objects.filter(profile=IssuedCertificate.Profile.SERVER).exists():
        names = offered_names(split_domain_port(request.get_host())[0])
    return {"names": names, "name": names.partition("\n")[0]} if names else {}
