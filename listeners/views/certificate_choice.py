"""Lists of certificates in a form: searching them, and adding one without losing the rest of the form."""

from django.contrib import messages
from django.db.models import Max
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from certificates.models import Certificate
from console.http import Request
from listeners.forms.findings import CHOSEN
from listeners.forms.pickers import SEARCH
from listeners.models import ListenerDraft
from listeners.models.listener_draft import Posted

TYPES = {
    "server_certificate": Certificate.Type.SERVER,
    "ca_certificates": Certificate.Type.CA,
    "sni_certificates": Certificate.Type.SERVER,
}
ADDING = "adding"


def is_search(request: Request, before: Posted) -> bool:
    """Whether the form is only to be shown again, with other lists.

    Without scripts, Enter presses the form's own first button wherever it is; that the text in a search box
    has changed tells what is meant.
    """
    if request.POST.get("action") != "enter":
        return request.POST.get("action") == "search"
    searches = [name for name in request.POST if name.startswith(SEARCH)]
    return any(request.POST[name].strip() != (before.get(name) or "").strip() for name in searches)


def page_to_add_certificate(request: Request, draft: ListenerDraft, field: str) -> str:
    """The address of the page; it leads back, and what was added is then selected in `field`."""
    newest = Certificate.objects.aggregate(newest=Max("pk"))["newest"] or 0
    draft.remember(ADDING, Posted({"field": [field], "after": [str(newest)]}))
    parameters = {"next": request.path, "type": TYPES.get(field, Certificate.Type.SERVER).value}
    return f"{reverse('certificate_add')}?{urlencode(parameters)}"


def select_what_was_added(request: Request, draft: ListenerDraft) -> None:
    """Selects, in the field that it was added for, the certificate that this user added meanwhile."""
    adding = draft.fields(ADDING)
    field, after = adding.get("field", ""), adding.get("after", "")
    if field not in TYPES or not (after.isascii() and after.isdigit()):
        return
    mine = Certificate.objects.filter(type=TYPES[field], created_by=request.user, pk__gt=int(after))
    added = mine.only("name").order_by("-pk").first()
    # Once and no more: what is added later, elsewhere, is not for this listener.
    draft.remember(ADDING, Posted())
    if added is None:
        return
    fields = draft.fields("configure")
    others = fields.getlist(field) if field in CHOSEN else []
    fields.setlist(field, [*others, str(added.pk)])
    draft.remember("configure", fields)
    name = format_html('<b class="as-typed">{}</b>', added)
    messages.info(request, format_html("{} is selected below.", name))
