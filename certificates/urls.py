"""Addresses of the Certificates pages."""

from django.urls import path

from certificates.views import certificates

urlpatterns = [
    path("", certificates.certificate_list, name="certificate_list"),
    path("add/", certificates.certificate_add, name="certificate_add"),
    path("delete/", certificates.certificate_batch_delete, name="certificate_batch_delete"),
    path("<int:pk>/", certificates.certificate_detail, name="certificate_detail"),
    path("<int:pk>/edit/", certificates.certificate_edit, name="certificate_edit"),
    path("<int:pk>/delete/", certificates.certificate_delete, name="certificate_delete"),
    path("<int:pk>/download/", certificates.certificate_download, name="certificate_download"),
]
