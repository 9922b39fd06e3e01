"""The admin as it comes, and once more with as many rows a page as the console's list has."""

import os

from django.contrib import admin
from django.urls import path
from django_x509.admin import CertAdmin
from django_x509.models import Ca, Cert

same_rows = admin.AdminSite("same-rows")
same_rows.register(Ca, type(admin.site.get_model_admin(Ca)))
same_rows.register(Cert, CertAdmin, list_per_page=int(os.environ["BENCH_ROWS_A_PAGE"]))

urlpatterns = [path("admin/", admin.site.urls), path("same-rows/", same_rows.urls)]
