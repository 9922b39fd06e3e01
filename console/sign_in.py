"""Signing in: Django's view, in the console's manner of answering."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest
from django.http.response import HttpResponseBase

login_view = LoginView.as_view(redirect_authenticated_user=True)


@login_not_required
def sign_in(request: HttpRequest) -> HttpResponseBase:
    response = login_view(request)
    if request.method == "POST" and response.status_code == 200:
        response.status_code = 422
    return response
