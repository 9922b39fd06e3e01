"""Small parts that every page draws the same way: icons, states, expiry dates, the navigation."""

from datetime import datetime
from typing import Protocol

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

SPRITE = "vendor/bootstrap-icons.svg"
# A month is what ordering and installing a new certificate takes where people are careful.
EXPIRES_SOON_DAYS = 30
# What the names of the pages about CAs and what they issue begin with.
ISSUING = ("authority", "issued", "server_issue", "client_issue")


class Expiring(Protocol):
    not_before: datetime
    not_after: datetime


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """An icon of the sprite, for the eye alone: the words beside it say the same."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        classes,
        static(SPRITE),
        name,
    )


# These two are written here and not in templates of their own: a list has one of them in each row.
@register.simple_tag
def status_badge(word: str, tone: str) -> SafeString:
    """A dot and a word; `tone` is success, warning, danger, info or secondary."""
    return format_html(
        '<span class="status status-{}"><span class="status-dot" aria-hidden="true"></span>{}</span>',
        tone,
        word,
    )


@register.simple_tag
def expiry(certificate: Expiring) -> SafeString:
    """When a certificate ends, and how near that is, in words and in color."""
    ends = timezone.localtime(certificate.not_after)
    return format_html(
        '<span class="expiry"><time datetime="{}">{}</time> {}</span>',
        ends.isoformat(timespec="seconds"),
        f"{ends:%Y-%m-%d %H:%M %Z}",
        status_badge(*expiry_state(certificate)),
    )


def expiry_state(certificate: Expiring) -> tuple[str, str]:
    """A word and the tone of its badge."""
    now = timezone.now()
    if certificate.not_after <= now:
        return "Expired", "danger"
    if certificate.not_before > now:
        return "Not valid yet", "warning"
    days = (certificate.not_after - now).days
    word = f"{days} day{'s' * (days != 1)} left" if days else "Less than a day left"
    return word, "warning" if days <= EXPIRES_SOON_DAYS else "success"


@register.inclusion_tag("components/navigation.html", takes_context=True)
def navigation(context: template.Context) -> dict[str, object]:
    request: HttpRequest = context["request"]
    match = request.resolver_match
    here = (match.url_name or "") if match else ""
    balancing = here.startswith(("load_balancer", "listener", "guided"))
    items = [
        ("Load Balancers", reverse("load_balancer_list"), "diagram-3", balancing),
        ("Certificates", reverse("certificate_list"), "file-earmark-lock", here.startswith("certificate")),
        ("Certificate Authorities", reverse("authority_list"), "key", here.startswith(ISSUING)),
        ("TLS Security Policies", reverse("tls_policy_list"), "shield-lock", here.startswith("tls_policy")),
    ]
    if getattr(request.user, "is_staff", False):
        items.append(("Administration", reverse("admin:index"), "gear", False))
    return {"items": items}
