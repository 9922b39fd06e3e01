"""Who may open what: every route needs a login, but for those named here (pitfall K5)."""

import re
import uuid
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

OPEN = {
    "login/",
    "logout/",  # ends a session, and there is none
    "setup/<str:token>/",  # the token is the proof
    "admin/login/",  # leads to the console's own sign-in
}
EXAMPLES = {"int": "1", "uuid": str(uuid.uuid4()), "str": "x", "path": "x", "slug": "x"}


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def example(route: str, **examples: str) -> str:
    """A path of the route: `<int:pk>` and the like replaced by a value."""
    path = re.sub(r"\(\?P<app_label>[^)]*\)", "auth", route.replace("(?P<url>.*)", "x"))
    path = path.replace("^", "").replace("$", "")
    for kind, value in {**EXAMPLES, **examples}.items():
        before, _, rest = path.partition(f"<{kind}:")
        while rest:
            path = before + value + rest.partition(">")[2]
            before, _, rest = path.partition(f"<{kind}:")
    return "/" + path


ROUTES = sorted(set(routes(get_resolver().url_patterns)))


def test_the_open_routes_exist() -> None:
    assert OPEN - set(ROUTES) == set()


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head", "post"])
@pytest.mark.parametrize("route", [route for route in ROUTES if route not in OPEN])
def test_route_without_login_leads_to_the_sign_in(client: Client, route: str, method: str) -> None:
    answer = getattr(client, method)(example(route))
    assert (answer.status_code, answer.get("Location", "").partition("?")[0]) in {
        (302, "/login/"),
        (302, "/admin/login/"),
    }
