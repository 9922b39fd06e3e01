"""What has expired or soon will: the overview of the list, and the command for cron."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from certificates.models import Certificate
from tests.factories import listener, listing_certificate

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def overview(browser: Client) -> str:
    text = browser.get(reverse("certificate_list")).content.decode()
    return text.partition('aria-labelledby="expiry-overview"')[2].partition("</section>")[0]


def ending(days: float, name: str = "web") -> Certificate:
    return listing_certificate(name=name, not_after=timezone.now() + days * DAY)


def printed(*arguments: str) -> tuple[str, int]:
    """What the command prints, and its exit code."""
    out = StringIO()
    code = 0
    try:
        call_command("expiring_certificates", *arguments, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return out.getvalue(), code


def test_overview_counts_and_names_the_listeners_concerned(browser: Client) -> None:
    ending(-1, "unused")
    expired, soon, later = ending(-2, "expired"), ending(10.5, "soon"), ending(40, "later")
    listeners = [listener(server_certificate=one) for one in (expired, soon, later)]

    text = overview(browser)

    assert "<b>2</b> expired" in text
    assert "<b>1</b> within 30 days" in text
    assert "10 days left" in text
    assert [one.get_absolute_url() in text for one in listeners] == [True, True, False]
    assert text.index(">expired</a>") < text.index(">soon</a>")
    assert "unused" not in text


def test_overview_leads_to_what_it_counts(browser: Client) -> None:
    ending(-1, "expired")
    ending(1, "soon")

    for asked, name in (("expired", "expired"), ("soon", "soon")):
        assert f"?expiry={asked}&amp;sort=expires" in overview(browser)
        page = browser.get(reverse("certificate_list"), {"expiry": asked, "sort": "expires"}).context["page"]
        assert [row.certificate.name for row in page.rows] == [name]


def test_overview_shows_five_and_leads_to_the_others(browser: Client) -> None:
    for number in range(6):
        listener(server_certificate=ending(number, f"soon-{number}"))

    text = overview(browser)

    assert [f">soon-{number}</a>" in text for number in range(6)] == [True] * 5 + [False]
    assert "?expiry=attention&amp;use=used&amp;sort=expires" in text


def test_overview_is_quiet_when_nothing_expires(browser: Client) -> None:
    ending(31)

    assert "Nothing has expired or will within 30 days" in overview(browser)


def test_overview_stays_away_from_a_search(browser: Client) -> None:
    ending(1)

    text = browser.get(reverse("certificate_list"), {"q": "web"}).content.decode()

    assert "expiry-overview" not in text


def test_command_prints_what_expires_and_fails() -> None:
    ending(40, "later")
    soon, expired = ending(10.5, "soon"), ending(-3.5, "expired")
    used_by = listener(server_certificate=soon)

    text, code = printed()

    users = f"{used_by.name} (HTTPS/{used_by.port}) of {used_by.load_balancer.name}"
    assert text.splitlines() == [
        f"{expired.not_after:%Y-%m-%d %H:%M} UTC  expired 3 days ago  expired (ID {expired.pk})  not used",
        f"{soon.not_after:%Y-%m-%d %H:%M} UTC  10 days left  soon (ID {soon.pk})  used by {users}",
    ]
    assert code == 1


@pytest.mark.parametrize(("days", "code"), [("30", 0), ("41", 1), ("0", 0), ("-5", 0), (str(10**9), 1)])
def test_command_looks_as_far_ahead_as_it_is_told(days: str, code: int) -> None:
    ending(40)

    assert printed(f"--days={days}")[1] == code


def test_command_is_content_with_an_empty_console() -> None:
    assert printed() == ("No certificate has expired or will within 30 days.\n", 0)


def test_command_prints_names_harmlessly() -> None:
    ending(-1, "a\x1b[2Jb\nc\u202ed")

    text, _ = printed()

    assert "a\\x1b[2Jb\\nc\\u202ed" in text
    assert len(text.splitlines()) == 1
