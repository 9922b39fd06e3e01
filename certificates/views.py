"""The Certificates pages."""

from django.contrib import messages
from django.db.models import ProtectedError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from certificates import pem
from certificates.forms import CertificateForm
from certificates.models import Certificate
from console.http import Request, page_or_dialog, page_to_return_to, redirect

# Of the listeners that use a certificate, the list names this many; beyond, it leads to the detail page.
LISTENERS_SHOWN = 5
# The name stands alone: a right-to-left mark in it must not turn the words around it.
SENTENCE = 'Certificate <b class="as-typed">{}</b> was {}.'
USERS = ("server_listeners__load_balancer", "ca_listeners__load_balancer")


@require_safe
def certificate_list(request: Request) -> HttpResponse:
    certificates = Certificate.objects.defer("content", "sealed_private_key").prefetch_related(*USERS)
    context = {"certificates": certificates, "listeners_shown": LISTENERS_SHOWN}
    return render(request, "certificates/certificate_list.html", context)


@require_safe
def certificate_detail(request: Request, pk: int) -> HttpResponse:
    rows = Certificate.objects.select_related("created_by", "updated_by").prefetch_related(*USERS)
    certificate: Certificate = get_object_or_404(rows, pk=pk)
    context = {
        "certificate": certificate,
        "chain": pem.stored_facts(certificate.content),
        "findings": pem.stored_findings(certificate.type, certificate.content, timezone.now()),
    }
    return render(request, "certificates/certificate_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def certificate_add(request: Request) -> HttpResponse:
    return _form_page(request, Certificate(), "certificates/certificate_add.html")


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def certificate_edit(request: Request, pk: int) -> HttpResponse:
    return _form_page(request, get_object_or_404(Certificate, pk=pk), "certificates/certificate_edit.html")


@require_http_methods(["GET", "HEAD", "POST"])
def certificate_delete(request: Request, pk: int) -> HttpResponse:
    certificate = get_object_or_404(Certificate, pk=pk)
    status = 200
    if request.method == "POST":
        try:
            certificate.delete()
        except ProtectedError:
            status = 422
        else:
            messages.success(request, format_html(SENTENCE, certificate.name, "deleted"))
            return redirect(request, "certificate_list")
    page, fragment = "certificates/certificate_delete.html", "certificates/_certificate_delete.html"
    context = {"certificate": certificate, "cancel_url": certificate.get_absolute_url()}
    return page_or_dialog(request, page, fragment, context, status)


@require_safe
def certificate_download(request: Request, pk: int) -> HttpResponse:
    certificate = get_object_or_404(Certificate, pk=pk)
    headers = {"Content-Disposition": f'attachment; filename="certificate-{certificate.pk}.pem"'}
    return HttpResponse(certificate.content, content_type="application/x-pem-file", headers=headers)


def _form_page(request: Request, certificate: Certificate, page: str) -> HttpResponse:
    back = page_to_return_to(request)
    after = back or (certificate.get_absolute_url() if certificate.pk else reverse("certificate_list"))
    is_new = not certificate.pk
    data, files = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = CertificateForm(data, files, instance=certificate, user=request.user)
    if form.is_valid():
        form.save()
        messages.success(request, format_html(SENTENCE, certificate.name, "added" if is_new else "changed"))
        if form.warnings and is_new:  # what was changed is shown next with the warnings it has
            items = format_html_join("", "<li>{}</li>", ([warning] for warning in form.warnings))
            messages.warning(request, format_html("<ul>{}</ul>", items))
        return redirect(request, after)
    if form.is_bound:
        form.keep_private_key()
    context = {"form": form, "certificate": certificate, "cancel_url": after}
    status = 422 if form.is_bound else 200
    return page_or_dialog(request, page, "certificates/_certificate_form.html", context, status)
