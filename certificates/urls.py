"""Addresses of the Certificates pages."""

from django.urls import path

from certificates import views

urlpatterns = [
    path("", views.certificate_list, name="certificate_list"),
    path("add/", views.certificate_add, name="certificate_add"),
    path("delete/", views.certificate_batch_delete, name="certificate_batch_delete"),
    path("<int:pk>/", views.certificate_detail, name="certificate_detail"),
    path("<int:pk>/edit/", views.certificate_edit, name="certificate_edit"),
    path("<int:pk>/delete/", views.certificate_delete, name="certificate_delete"),
    path("<int:pk>/download/", views.certificate_download, name="certificate_download"),
]
