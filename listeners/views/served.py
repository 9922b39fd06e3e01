"""What the listeners of a certificate really serve: a page, and a part of the certificate's own page."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from certificates.models import Certificate
from console.http import Request, is_htmx, page_or_dialog
from listeners.served import Outcome, servings
from listeners.spec import digest

# More handshakes than these would keep a person waiting; the others are a click away, at their listeners.
LISTENERS_ASKED = 50
TONES = {Outcome.STORED: "success", Outcome.ANOTHER: "warning", Outcome.NONE: "danger"}


@require_safe
def certificate_served(request: Request, pk: int) -> HttpResponse:
    """Asks again every other second until all is as stored; 204 while a page shows what is so."""
    rows = Certificate.objects.filter(type=Certificate.Type.SERVER).only("name", "fingerprint")
    certificate: Certificate = get_object_or_404(rows, pk=pk)
    listeners = list(certificate.server_listeners.with_relations()[: LISTENERS_ASKED + 1])
    found = servings(certificate, listeners[:LISTENERS_ASKED])
    version = digest(repr([(one.listener.pk, one.outcome, one.fingerprint, one.sentence) for one in found]))
    if is_htmx(request) and request.GET.get("shown") == version:
        return HttpResponse(status=204)
    context = {
        "certificate": certificate,
        "servings": [(one, TONES[one.outcome]) for one in found],
        "is_settled": all(one.outcome == Outcome.STORED for one in found),
        "has_more": len(listeners) > LISTENERS_ASKED,
        "version": version,
    }
    page, fragment = "listeners/certificate_served.html", "listeners/_certificate_served.html"
    return page_or_dialog(request, page, fragment, context)
