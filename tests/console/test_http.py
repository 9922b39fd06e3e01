import pytest
from django.http import HttpResponse
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from console.http import bodiless_to_head, page_or_dialog, page_to_return_to, redirect
from tests.factories import user

HTMX = {"HX-Request": "true"}


def test_redirect_leaves_the_dialog() -> None:
    plain = redirect(RequestFactory().get("/"), "certificate_detail", 7)
    in_dialog = redirect(RequestFactory().get("/", headers=HTMX), "certificate_detail", 7)

    assert (plain.status_code, plain.headers["Location"]) == (302, "/certificates/7/")
    assert (in_dialog.status_code, in_dialog.headers["HX-Redirect"]) == (204, "/certificates/7/")


@pytest.mark.parametrize(("method", "content"), [("head", b""), ("get", b"page"), ("post", b"page")])
def test_head_is_answered_without_a_body(method: str, content: bytes) -> None:
    answer = bodiless_to_head(lambda _: HttpResponse(b"page", headers={"Content-Length": "4"}))
    response = answer(getattr(RequestFactory(), method)("/"))
    assert (response.content, response.headers["Content-Length"]) == (content, "4")


@pytest.mark.parametrize(("headers", "title"), [({}, "500"), (HTMX, "404")])
def test_page_or_dialog_by_who_asks(headers: dict[str, str], title: str) -> None:
    request = RequestFactory().get("/", headers=headers)

    answer = page_or_dialog(request, "500.html", "404.html", {"user": None}, status=422)

    assert (answer.status_code, answer.headers["Vary"]) == (422, "HX-Request")
    assert f'<p class="error-number">{title}</p>' in answer.content.decode()


def test_error_page_needs_nothing_to_be_drawn() -> None:
    page = render_to_string("500.html")

    assert "Something went wrong" in page
    assert "Sign Out" not in page


def test_unknown_address_is_a_page_of_the_console(client: Client) -> None:
    answer = client.get("/nowhere/")

    assert answer.status_code == 404
    assert "Page not found" in answer.content.decode()


def test_unknown_host_is_refused(client: Client) -> None:
    answer = client.get("/login/", headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert "ELB_ALLOWED_HOSTS" in answer.content.decode()


@pytest.mark.django_db
def test_form_without_its_token_is_refused_with_a_page() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user())

    answer = client.post("/certificates/add/", {"name": "web"})

    assert answer.status_code == 403
    assert "could not be matched to your session" in answer.content.decode()


def test_policy_forbids_inline_script_and_style(client: Client) -> None:
    policy = client.get("/nowhere/").headers["Content-Security-Policy"]

    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(policy.split("; "))


@pytest.mark.django_db
def test_sign_in_sets_cookies_that_scripts_and_other_sites_do_not_get(client: Client) -> None:
    user("ada", password="s")
    client.get("/login/")

    answer = client.post("/login/", {"username": "ada", "password": "s"})

    flags = {name: (cookie["httponly"], cookie["samesite"]) for name, cookie in client.cookies.items()}
    assert flags == {"sessionid": (True, "Lax"), "csrftoken": (True, "Lax")}
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert client.get("/login/").headers["Location"] == "/load-balancers/"


@pytest.mark.django_db
def test_pages_are_kept_by_no_cache(client: Client) -> None:
    client.force_login(user())

    assert "no-store" in client.get("/certificates/").headers["Cache-Control"]


@pytest.mark.parametrize(
    ("target", "page"),
    [
        ("/load-balancers/1/?x=1", "/load-balancers/1/?x=1"),
        ("https://example.com/", ""),
        ("//example.com/", ""),
        ("/\\example.com/", ""),
        ("javascript:alert(1)", ""),
        ("relative/", ""),
        ("", ""),
    ],
)
def test_only_pages_of_this_console_are_returned_to(target: str, page: str) -> None:
    assert page_to_return_to(RequestFactory().get("/", {"next": target})) == page
