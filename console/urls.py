"""Where everything is mounted."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from console.first_administrator import first_administrator
from console.sign_in import sign_in

handler400 = "console.http.bad_request"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="load_balancer_list")),
    path("login/", sign_in, name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("setup/<str:token>/", first_administrator, name="first_administrator"),
    path("certificates/", include("certificates.urls")),
    path("", include("listeners.urls")),
    path("admin/", admin.site.urls),
]
