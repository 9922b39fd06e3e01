"""Pages about CAs that issue here and what they have issued, beside the listeners that it concerns."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from certificates import pem
from certificates.expiry import USERS
from certificates.issued_listing import IssuedListForm, IssuedListing, IssuedRow
from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from console.http import Request, is_htmx
from listeners.issued import UNREAD, entries, issuers, limits, sightings
from listeners.openings import openings, trusting

DOWNLOADS_SHOWN = 20
LISTENERS_SHOWN = 50


@require_safe
def issued_list(request: Request) -> HttpResponse:
    """Of every CA."""
    context = _listed(request, None)
    return _list_page(request, "listeners/issued_list.html", context | {"action": reverse("issued_list")})


@require_safe
def authority_detail(request: Request, pk: int) -> HttpResponse:
    rows = CertificateAuthority.objects.select_related("certificate", "parent__certificate", "created_by")
    authority = get_object_or_404(rows, pk=pk)
    context = _listed(request, authority)
    trusts = context["trusts"].get(authority.pk, [])
    context |= {
        "authority": authority,
        "facts": pem.stored_facts(authority.content)[0],
        "limits": limits(authority),
        "intermediates": authority.intermediates.select_related("certificate").defer(*UNREAD),
        "trusts": trusts[:LISTENERS_SHOWN],
        "trusts_more": len(trusts[LISTENERS_SHOWN:]),
        "downloads": authority.key_downloads.all()[:DOWNLOADS_SHOWN],
        "action": authority.get_absolute_url(),
    }
    return _list_page(request, "listeners/authority_detail.html", context)


def _listed(request: Request, authority: CertificateAuthority | None) -> dict[str, Any]:
    """A page of what `authority` has issued, or all of them, and the listeners that trust each CA of it."""
    form = IssuedListForm(request.GET)
    if not form.is_valid():
        return {"form": form, "trusts": trusting([authority]) if authority else {}}
    listing = IssuedListing(form.cleaned_data, authority=authority)
    page = listing.page(request.GET)
    authorities = {authority.pk: authority} if authority else issuers(page.rows)
    trusts = trusting(list(authorities.values()))
    context = {"entries": entries(page.rows, authorities, trusts), "trusts": trusts}
    return context | {"form": form, "listing": listing, "page": page}


def _list_page(request: Request, name: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, name, context, status=422 if context["form"].errors else 200)
    if is_htmx(request) and "listing" in context:
        response.headers["HX-Replace-Url"] = request.path + context["listing"].url()
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
def issued_detail(request: Request, pk: int) -> HttpResponse:
    rows = IssuedCertificate.objects.select_related("authority__certificate", "renewal_of", "created_by")
    issued = get_object_or_404(rows, pk=pk)
    found = openings(issued, trusting([issued.authority]).get(issued.authority_id, ()))
    renewal = issued.renewals.first()
    context = {
        "issued": issued,
        "facts": pem.stored_facts(issued.content)[0],
        "row": IssuedRow(issued, renewal is not None, issued.key_kept_until if issued.is_key_here else None),
        "renewal": renewal,
        "downloads": issued.key_downloads.all()[:DOWNLOADS_SHOWN],
        **_stored(issued),
        "openings": found[:LISTENERS_SHOWN],
        "openings_more": len(found[LISTENERS_SHOWN:]),
        "seen": sightings(issued, LISTENERS_SHOWN),
    }
    return render(request, "listeners/issued_detail.html", context)


def _stored(issued: IssuedCertificate) -> dict[str, object]:
    """A server's stored certificate with the listeners that use it, and whether it still is this one."""
    rows = Certificate.objects.filter(pk=issued.stored_id or 0).defer("content", "sealed_private_key")
    stored = rows.prefetch_related(*USERS).first()
    return {"stored": stored, "serves_it": stored is not None and stored.fingerprint == issued.fingerprint}
