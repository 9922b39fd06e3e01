"""Addresses of the Certificates pages."""

from django.urls import path

from certificates.views import authorities, certificates, downloads, issuing

urlpatterns = [
    path("", certificates.certificate_list, name="certificate_list"),
    path("add/", certificates.certificate_add, name="certificate_add"),
    path("delete/", certificates.certificate_batch_delete, name="certificate_batch_delete"),
    path("<int:pk>/", certificates.certificate_detail, name="certificate_detail"),
    path("<int:pk>/edit/", certificates.certificate_edit, name="certificate_edit"),
    path("<int:pk>/delete/", certificates.certificate_delete, name="certificate_delete"),
    path("issued/<int:pk>/download/", downloads.issued_download, name="issued_download"),
    path("issued/<int:pk>/pem/", downloads.issued_pem, name="issued_pem"),
    path("<int:pk>/download/", certificates.certificate_download, name="certificate_download"),
    path("<int:pk>/key/", authorities.authority_take_up, name="authority_take_up"),
    path("authorities/", authorities.authority_list, name="authority_list"),
    path("authorities/add/", authorities.authority_add, name="authority_add"),
    path("authorities/<int:pk>/key/", authorities.authority_key_download, name="authority_key_download"),
    path("authorities/<int:pk>/key/remove/", authorities.authority_key_remove, name="authority_key_remove"),
    path("authorities/<int:pk>/server/", issuing.server_issue, name="server_issue"),
    path("authorities/<int:pk>/client/", issuing.client_issue, name="client_issue"),
    path("issued/<int:pk>/renew/", issuing.issued_renew, name="issued_renew"),
]
