"""A row of the certificate list, as HTML.

Written here and not in a template: the list has many rows, and a template took more than half of the
page's time for them (docs/bench.md). `format_html` escapes whatever is put in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from certificates.models import Certificate
from console.templatetags.console import expiry

# Beyond so many listeners the row only leads to the page that has them all.
LISTENERS_SHOWN = 5
NAMES_SHOWN = 3
SUBJECT_LENGTH = 80

ROW = """<tr>
<td class="cell-tick" data-label="Selected"><input class="form-check-input" type="checkbox" form="batch" \
name="certificate" value="{number}" aria-label="Select {name}"></td>
<td class="cell-name" data-label="Name/ID"><div><a class="as-typed" href="{url}">{name}</a>\
<span class="cell-id">ID {number}</span></div></td>
<td class="cell-type" data-label="Type">{type}</td>
<td class="cell-domains" data-label="Domain Name"><div>{names}</div></td>
<td data-label="Listener"><div>{listeners}</div></td>
<td data-label="Expires">{expiry}</td>
<td class="cell-short" data-label="Key">{key}</td>
<td class="cell-date" data-label="Created"><div>{day}<span class="cell-id">{time}</span></div></td>
<td data-label="Operation"><div class="operations">
<a href="{url}edit/" hx-get="{url}edit/" hx-target="#dialog">Modify\
<span class="visually-hidden"> {name}</span></a>
<a class="link-danger" href="{url}delete/" hx-get="{url}delete/" hx-target="#dialog">Delete\
<span class="visually-hidden"> {name}</span></a>
</div></td>
</tr>
"""
LINES = '<ul class="cell-lines">{}{}</ul>'
MANY_LISTENERS = '<a href="{}#used-by">View All ({})<span class="visually-hidden"> listeners of {}</span></a>'
LISTENER = '<li><a class="as-typed" href="{}">{}</a> ({}/{})</li>'


@dataclass(frozen=True)
class Row:
    certificate: Certificate
    listeners: list[Any]

    @property
    def html(self) -> SafeString:
        certificate = self.certificate
        url, name = certificate.get_absolute_url(), str(certificate)
        created = timezone.localtime(certificate.created_at)
        return format_html(
            ROW,
            number=certificate.pk,
            name=name,
            url=url,
            type=certificate.get_type_display(),
            names=_names(certificate),
            listeners=self._listeners(url, name),
            expiry=expiry(certificate),
            key=certificate.key,
            day=f"{created:%Y-%m-%d}",
            time=f"{created:%H:%M %Z}",
        )

    def _listeners(self, url: str, name: str) -> str:
        if not self.listeners:
            return "--"
        if len(self.listeners) > LISTENERS_SHOWN:
            return format_html(MANY_LISTENERS, url, len(self.listeners), name)
        links: Iterable[tuple[Any, ...]] = (
            (one.get_absolute_url(), str(one), one.protocol, one.port) for one in self.listeners
        )
        return format_html(LINES, format_html_join("", LISTENER, links), "")


def _names(certificate: Certificate) -> SafeString:
    names = certificate.server_names.split(",") if certificate.server_names else certificate.names
    if not names:
        subject = certificate.subject
        short = subject if len(subject) <= SUBJECT_LENGTH else f"{subject[: SUBJECT_LENGTH - 1]}…"
        return format_html('--<span class="cell-id as-typed">{}</span>', short)
    items = format_html_join("", '<li class="as-typed">{}</li>', ([name] for name in names[:NAMES_SHOWN]))
    left_out = len(names) - NAMES_SHOWN
    more = format_html('<li class="muted">and {} more</li>', left_out) if left_out > 0 else ""
    return format_html(LINES, items, more)
