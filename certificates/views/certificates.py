"""The Certificates pages."""

from django.contrib import messages
from django.db import transaction
from django.db.models import ProtectedError
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.html import format_html, format_html_join
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from certificates import pem
from certificates.expiry import USERS, Overview
from certificates.filters import ListForm
from certificates.forms.certificate import CertificateForm
from certificates.forms.deletion import DeletionForm
from certificates.listing import Listing
from certificates.models import Certificate, CertificateAuthority
from console.http import Request, is_htmx, page_or_dialog, page_to_return_to, redirect
from console.models import ConfigurationRevision
from console.stamps import CHANGED_MEANWHILE, StampForm

# The name stands alone: a right-to-left mark in it must not turn the words around it.
SENTENCE = 'Certificate <b class="as-typed">{}</b> was {}.'

# By whether its names or the type of its key, by which listeners pick it, are other than before.
CHANGED = {
    False: "changed, and no open connection is drained",
    True: "changed. Open connections of the listeners that pick it by its names are drained",
}


@require_safe
def certificate_list(request: Request) -> HttpResponse:
    form = ListForm(request.GET)
    if not form.is_valid():
        return render(request, "certificates/certificate_list.html", {"form": form}, status=422)
    listing = Listing(form.cleaned_data)
    context = {
        "form": form,
        "listing": listing,
        "page": listing.page(request.GET),
        "overview": None if listing.is_narrowed else Overview.at(listing.now),
    }
    response = render(request, "certificates/certificate_list.html", context)
    if is_htmx(request):
        response.headers["HX-Replace-Url"] = request.path + listing.url()
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
def certificate_detail(request: Request, pk: int) -> HttpResponse:
    rows = Certificate.objects.select_related("created_by", "updated_by").prefetch_related(*USERS)
    certificate: Certificate = get_object_or_404(rows, pk=pk)
    context = {
        "certificate": certificate,
        "chain": pem.stored_facts(certificate.content),
        "findings": pem.stored_findings(certificate.type, certificate.content, timezone.now()),
        "authority": CertificateAuthority.objects.filter(certificate=certificate).first(),
        # The newest that was put here, unless something else has been put in its place.
        "issued": certificate.issued.filter(fingerprint=certificate.fingerprint).first(),
    }
    return render(request, "certificates/certificate_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def certificate_add(request: Request) -> HttpResponse:
    wanted = (
        Certificate.Type.CA if request.GET.get("type") == Certificate.Type.CA else Certificate.Type.SERVER
    )
    return _form_page(request, Certificate(type=wanted), "certificates/certificate_add.html")


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def certificate_edit(request: Request, pk: int) -> HttpResponse:
    return _form_page(request, get_object_or_404(Certificate, pk=pk), "certificates/certificate_edit.html")


@require_http_methods(["GET", "HEAD", "POST"])
def certificate_delete(request: Request, pk: int) -> HttpResponse:
    certificate = get_object_or_404(Certificate, pk=pk)
    form = DeletionForm(request.POST if request.method == "POST" else None, certificate=certificate)
    if form.is_valid():
        try:
            form.delete()
        except ProtectedError:
            pass  # the page says by what
        else:
            messages.success(request, format_html(SENTENCE, certificate, "deleted"))
            return redirect(request, "certificate_list")
    page, fragment = "certificates/certificate_delete.html", "certificates/_certificate_delete.html"
    context = {"certificate": certificate, "form": form, "cancel_url": certificate.get_absolute_url()}
    status = 422 if form.is_bound else 200
    return page_or_dialog(request, page, fragment, context, status)


@require_http_methods(["GET", "POST"])
def certificate_batch_delete(request: Request) -> HttpResponse:
    """Asks about the certificates that were ticked in the list; then says of each what became of it."""
    numbers = _numbers(request.POST if request.method == "POST" else request.GET)
    if not numbers:
        messages.info(
            request, "No certificate was selected. Tick those to delete, then choose Delete selected."
        )
        return redirect(request, "certificate_list")
    if request.method == "POST":
        removals = Certificate.objects.remove(numbers)
        return render(request, "certificates/certificate_batch_deleted.html", {"removals": removals})
    rows = Certificate.objects.filter(pk__in=numbers).defer("content", "sealed_private_key")
    certificates = list(rows.prefetch_related(*USERS))
    issuers = Certificate.objects.issuers(numbers)
    context = {
        "free": [one for one in certificates if not one.listeners and one.pk not in issuers],
        "used": [one for one in certificates if one.listeners],
        "issuers": [one for one in certificates if not one.listeners and one.pk in issuers],
        "missing": len(numbers) - len(certificates),
    }
    return render(request, "certificates/certificate_batch_delete.html", context)


@require_safe
def certificate_download(request: Request, pk: int) -> HttpResponse:
    certificate = get_object_or_404(Certificate, pk=pk)
    headers = {"Content-Disposition": f'attachment; filename="certificate-{certificate.pk}.pem"'}
    return HttpResponse(certificate.content, content_type="application/x-pem-file", headers=headers)


def _numbers(posted: QueryDict) -> list[int]:
    """The ids of the ticked certificates, each once; what is no id is passed over."""
    words = dict.fromkeys(posted.getlist("certificate"))
    return [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 19]


def _form_page(request: Request, certificate: Certificate, page: str) -> HttpResponse:
    back = page_to_return_to(request)
    after = back or (certificate.get_absolute_url() if certificate.pk else reverse("certificate_list"))
    is_new = not certificate.pk
    data, files = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    stamp = StampForm(_shown(certificate), data)
    form = CertificateForm(data, files, instance=certificate, user=request.user)
    is_preview = "preview" in request.POST
    if form.is_valid() and not is_preview and (is_new or stamp.is_valid()) and _is_saved(form, stamp):
        done = "added" if is_new else CHANGED[form.remakes_listeners]
        messages.success(request, format_html(SENTENCE, certificate, done))
        if form.warnings and is_new:  # what was changed is shown next with the warnings it has
            items = format_html_join("", "<li>{}</li>", ([warning] for warning in form.warnings))
            messages.warning(request, format_html("<ul>{}</ul>", items))
        return redirect(request, after)
    if form.is_bound:
        form.keep_private_key()
    context = {"form": form, "stamp": stamp, "certificate": certificate, "cancel_url": after}
    context["preview"] = form.verdict if is_preview else None
    status = 422 if form.is_bound and (form.errors or not is_preview) else 200
    return page_or_dialog(request, page, "certificates/_certificate_form.html", context, status)


def _shown(certificate: Certificate) -> object:
    """What the form shows as stored."""
    return certificate.name, certificate.description, certificate.server_names, certificate.content


def _is_saved(form: CertificateForm, stamp: StampForm) -> bool:
    """Saves it, unless somebody else's change has been stored while this one was examined."""
    with ConfigurationRevision.objects.change():
        stored = form.instance.pk and get_object_or_404(Certificate, pk=form.instance.pk)
        if stored and StampForm(_shown(stored)).current != stamp.current:
            stamp.add_error("stamp", CHANGED_MEANWHILE)
            transaction.set_rollback(True)
            return False
        form.save()
    return True
