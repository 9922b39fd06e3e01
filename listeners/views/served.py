"""What is really served: the listeners of a certificate, and the certificates of a listener.

Each is a page, and a part of another page that asks for it.
"""

from collections.abc import Iterable

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from certificates.models import Certificate
from console.http import Request, is_htmx, page_or_dialog
from listeners.models import Listener
from listeners.served import MOST_QUESTIONS, Outcome, Serving, listener_servings, servings
from listeners.spec import digest

# More handshakes than these would keep a person waiting; the others are a click away, at their listeners.
LISTENERS_ASKED = 50
# A listener's page asks so often for what it does not find; each time counts as a connection.
TRIES = 3
TONES = {
    Outcome.STORED: "success",
    Outcome.ANOTHER: "warning",
    Outcome.EITHER: "secondary",
    Outcome.NONE: "danger",
    Outcome.UNASKED: "secondary",
}


@require_safe
def certificate_served(request: Request, pk: int) -> HttpResponse:
    """Asks again every other second until all is as stored; 204 while a page shows what is so."""
    rows = Certificate.objects.filter(type=Certificate.Type.SERVER)
    certificate: Certificate = get_object_or_404(
        rows.only("name", "fingerprint", "server_names", "key"), pk=pk
    )
    users = Q(server_certificate=certificate) | Q(sni_certificates=certificate)
    listeners = list(Listener.objects.filter(users).distinct().with_relations()[: LISTENERS_ASKED + 1])
    found = servings(certificate, listeners[:LISTENERS_ASKED])
    version = digest(repr([(one.listener.pk, one.outcome, one.fingerprint, one.sentence) for one in found]))
    if is_htmx(request) and request.GET.get("shown") == version:
        return HttpResponse(status=204)
    context = {
        "certificate": certificate,
        "servings": _toned(found),
        "is_settled": all(one.is_settled for one in found),
        "has_more": len(listeners) > LISTENERS_ASKED,
        "version": version,
    }
    page, fragment = "listeners/certificate_served.html", "listeners/_certificate_served.html"
    return page_or_dialog(request, page, fragment, context)


@require_safe
def listener_served(request: Request, pk: int) -> HttpResponse:
    """One handshake for each certificate; the listener's page asks a few times for what is not so."""
    rows = Listener.objects.filter(protocol=Listener.Protocol.HTTPS).with_relations()
    listener = get_object_or_404(rows, pk=pk)
    found = listener_servings(listener)
    tries = request.GET.get("tries", "")
    number = int(tries) if tries.isascii() and tries.isdigit() and len(tries) < 3 else 1
    is_settled = all(one.is_settled for one in found)
    context = {
        "listener": listener,
        "servings": _toned(found),
        "asked_at": timezone.now(),
        "next_try": 0 if is_settled or number >= TRIES else number + 1,
        "has_more": len(listener.shown_certificates) > MOST_QUESTIONS,
    }
    page, fragment = "listeners/listener_served.html", "listeners/_listener_served.html"
    return page_or_dialog(request, page, fragment, context)


def _toned(found: Iterable[Serving]) -> list[tuple[Serving, str]]:
    return [(one, TONES[one.outcome]) for one in found]
