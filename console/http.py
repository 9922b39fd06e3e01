"""How the console answers: a page to a browser, and to htmx the part of it that its dialog shows."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect as plain_redirect
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme


class Request(HttpRequest):
    """A request of a user who has signed in, which LoginRequiredMiddleware sees to."""

    user: User


def is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def page_or_dialog(
    request: HttpRequest,
    page: str,
    fragment: str,
    context: Mapping[str, Any],
    status: int = 200,
) -> HttpResponse:
    """The template `page`, which includes `fragment`; or `fragment` alone for the dialog.

    `in_dialog` tells the fragment which of the two it is.
    """
    in_dialog = is_htmx(request)
    response = render(
        request, fragment if in_dialog else page, {**context, "in_dialog": in_dialog}, status=status
    )
    # One address has two bodies: a browser going back must not be shown the bare fragment.
    patch_vary_headers(response, ["HX-Request"])
    return response


def redirect(request: HttpRequest, to: Any, *args: Any) -> HttpResponse:
    """A redirect that leaves the dialog, too: htmx would follow a plain one inside it."""
    if not is_htmx(request):
        return plain_redirect(to, *args)
    return HttpResponse(status=204, headers={"HX-Redirect": resolve_url(to, *args)})


def page_to_return_to(request: HttpRequest) -> str:
    """The path that the address carries as `next`, when it is one of this console; else nothing."""
    target = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, None) and target.startswith("/")
    return target if safe else ""


def kept_by_no_cache(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: after signing out, the browser's Back shows nothing of what was there."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = answer(request)
        patch_cache_control(response, no_store=True)
        return response

    return middleware


def bodiless_to_head(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The web server sends what it is given, and a client would take a body for its next answer's beginning.

    RFC 9110, 9.3.2.
    """

    def bodiless(request: HttpRequest) -> HttpResponse:
        response = answer(request)
        if request.method == "HEAD" and not response.streaming:
            response.content = b""
        return response

    return bodiless


class BoundedMemoryUploadHandler(MemoryFileUploadHandler):
    """Keeps uploads in memory and refuses a request that is too large for that.

    Django's own handler leaves large files to the next one, and they would vanish without a word.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, str],
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        super().handle_raw_input(input_data, META, content_length, boundary, encoding)
        if not self.activated:
            raise RequestDataTooBig("The upload exceeds FILE_UPLOAD_MAX_MEMORY_SIZE.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler of requests that cannot be read; those that are too large are told so."""
    if isinstance(exception, RequestDataTooBig):
        return render(request, "413.html", status=413)
    return render(request, "400.html", status=400)
