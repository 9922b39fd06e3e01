"""What was issued, as files: a client's key with its certificate once, the certificate alone at any time."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from certificates.forms.downloads import DownloadForm, file_stem
from certificates.issuing.targets import GUIDES
from certificates.models import IssuedCertificate
from console.http import Request, page_or_dialog

PAGE, FRAGMENT = "certificates/issued_download.html", "certificates/_issued_download.html"
GONE = 410


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def issued_download(request: Request, pk: int) -> HttpResponse:
    """The file answers a form of the page itself: what htmx gets, it puts into the page."""
    issued = _issued(pk)
    form = DownloadForm(request.POST if request.method == "POST" else None, user=request.user, issued=issued)
    status = 200
    if form.is_bound:
        status = 422 if issued.is_key_here else GONE
        if issued.is_key_here and form.is_valid():
            try:
                content = form.take()
            except IssuedCertificate.DoesNotExist:
                raise Http404 from None
            if content is not None:
                name = f"{file_stem(issued)}.{form.chosen_form.suffix}"
                return _file(content, form.chosen_form.media_type, name)
            issued = _issued(pk)
            status = 422 if issued.is_key_here else GONE
    context = {
        "issued": issued,
        "form": form,
        "guides": {target.value: guide.at(file_stem(issued)) for target, guide in GUIDES.items()},
        "download": issued.key_downloads.first(),
        "renewal": issued.renewals.first(),
        "cancel_url": issued.get_absolute_url(),
    }
    return page_or_dialog(request, PAGE, FRAGMENT, context, status)


@require_safe
def issued_pem(request: Request, pk: int) -> HttpResponse:
    issued = _issued(pk)
    return _file(
        issued.chain.encode("ascii"), "application/x-pem-file", f"{file_stem(issued)}-certificate.pem"
    )


def _issued(pk: int) -> IssuedCertificate:
    rows = IssuedCertificate.objects.select_related("authority__certificate", "authority__parent", "stored")
    return get_object_or_404(rows, pk=pk)


def _file(content: bytes, media_type: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=media_type, headers=headers)
