"""The pages about CAs that issue here: what there is, a new one, and what becomes of its key."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import BooleanField, Case, Count, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from certificates import pem
from certificates.forms.authority import AuthorityForm
from certificates.forms.authority_key import KEY_GONE, KeyDownloadForm, KeyRemovalForm, TakeUpForm
from certificates.issuing import IssuingError
from certificates.issuing.protected_keys import protected
from certificates.keyring import UnsealError
from certificates.models import Certificate, CertificateAuthority, IssuedCertificate, KeyDownload
from console.http import Request, page_or_dialog, page_to_return_to, redirect
from console.models import ConfigurationRevision

ROWS = 25
MADE = (
    'CA <b class="as-typed">{}</b> is made. Next: issue a server or a client certificate with it below, '
    "choose it at a listener as the CA of the clients, and download its key, so that it is elsewhere as well."
)
TAKEN_UP = 'The key of <b class="as-typed">{}</b> is here, sealed. Certificates can be issued with it now.'
REMOVED = (
    'The key of <b class="as-typed">{}</b> is no longer on this machine. What it has issued stays valid; '
    "to issue or renew with it, bring the key back."
)
KEY_FILE = "PKCS#8 PEM under a passphrase"


@require_safe
def authority_list(request: Request) -> HttpResponse:
    issued = IssuedCertificate.objects.filter(authority=OuterRef("pk")).order_by().values("authority")
    rows = CertificateAuthority.objects.select_related("certificate", "parent__certificate").annotate(
        issued_count=Coalesce(Subquery(issued.annotate(count=Count("pk")).values("count")), 0),
        is_key_here=Case(
            When(sealed_private_key="", then=Value(False)), default=Value(True), output_field=BooleanField()
        ),
    )
    rows = rows.defer(
        *("sealed_private_key", "certificate__content", "certificate__sealed_private_key"),
        *("parent__sealed_private_key", "parent__content"),
        *("parent__certificate__content", "parent__certificate__sealed_private_key"),
    )
    page = Paginator(rows, ROWS).get_page(request.GET.get("page"))
    authorities = [(row, pem.stored_facts(row.content)[0].key) for row in page]
    context = {"page": page, "authorities": authorities}
    return render(request, "certificates/authority_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def authority_add(request: Request) -> HttpResponse:
    back = page_to_return_to(request)
    form = AuthorityForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_valid():
        try:
            authority = form.save()
        except IssuingError as error:
            form.refuse(error)
        else:
            messages.success(request, format_html(MADE, authority))
            return redirect(request, back or authority.get_absolute_url())
    context = {"form": form, "cancel_url": back or reverse("authority_list")}
    page, fragment = "certificates/authority_add.html", "certificates/_authority_form.html"
    return page_or_dialog(request, page, fragment, context, 422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def authority_key_download(request: Request, pk: int) -> HttpResponse:
    authority = get_object_or_404(CertificateAuthority.objects.select_related("certificate"), pk=pk)
    form = KeyDownloadForm(request.POST if request.method == "POST" else None, user=request.user)
    if authority.has_key and form.is_valid():
        try:
            return _key_file(authority, form.cleaned_data["passphrase"], request)
        except (UnsealError, CertificateAuthority.DoesNotExist) as error:
            form.add_error(None, str(error) if isinstance(error, UnsealError) else KEY_GONE)
    status = 422 if request.method == "POST" else 200
    context = {"authority": authority, "form": form, "cancel_url": authority.get_absolute_url()}
    return render(request, "certificates/authority_key_download.html", context, status=status)


def _key_file(authority: CertificateAuthority, passphrase: str, request: Request) -> HttpResponse:
    """Raises `UnsealError`, and DoesNotExist for a key that was removed since it was looked for."""
    file = protected(authority.private_key(), passphrase)
    facts = pem.stored_facts(authority.content)[0]
    with transaction.atomic():
        here = CertificateAuthority.objects.exclude(sealed_private_key="").select_for_update()
        KeyDownload.objects.note(
            f"{facts.subject} ({facts.fingerprint})",
            KEY_FILE,
            request.user,
            authority=here.get(pk=authority.pk),
        )
    headers = {"Content-Disposition": f'attachment; filename="ca-{authority.pk}-key.pem"'}
    return HttpResponse(file, content_type="application/x-pem-file", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
def authority_key_remove(request: Request, pk: int) -> HttpResponse:
    authority = get_object_or_404(CertificateAuthority.objects.select_related("certificate"), pk=pk)
    posted = request.POST if request.method == "POST" else None
    form = KeyRemovalForm(posted, authority=authority)
    if not authority.has_key and form.is_bound:
        messages.info(request, KEY_GONE)
        return redirect(request, authority)
    if form.is_valid():
        with ConfigurationRevision.objects.change():
            authority.remove_key()
        messages.success(request, format_html(REMOVED, authority))
        return redirect(request, authority)
    context = {"authority": authority, "form": form, "cancel_url": authority.get_absolute_url()}
    page, fragment = "certificates/authority_key_remove.html", "certificates/_authority_key_remove.html"
    return page_or_dialog(request, page, fragment, context, 422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def authority_take_up(request: Request, pk: int) -> HttpResponse:
    certificate = get_object_or_404(Certificate, pk=pk, type=Certificate.Type.CA)
    data, files = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = TakeUpForm(data, files, certificate=certificate, user=request.user)
    if form.is_valid() and (authority := form.save()):
        messages.success(request, format_html(TAKEN_UP, certificate))
        return redirect(request, authority)
    context = {
        "certificate": certificate,
        "form": form,
        "cancel_url": (form.known or certificate).get_absolute_url(),
    }
    page, fragment = "certificates/authority_take_up.html", "certificates/_authority_take_up.html"
    return page_or_dialog(request, page, fragment, context, 422 if form.is_bound else 200)
