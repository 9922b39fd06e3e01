"""Addresses of the pages about load balancers and listeners."""

from django.urls import path

from listeners.views import drafts, listeners, load_balancers, served

urlpatterns = [
    path("load-balancers/", load_balancers.load_balancer_list, name="load_balancer_list"),
    path("load-balancers/add/", load_balancers.load_balancer_add, name="load_balancer_add"),
    path("load-balancers/<int:pk>/", load_balancers.load_balancer_detail, name="load_balancer_detail"),
    path(
        "load-balancers/<int:pk>/summary/",
        load_balancers.load_balancer_summary,
        name="load_balancer_summary",
    ),
    path(
        "load-balancers/<int:pk>/listeners/",
        load_balancers.load_balancer_listeners,
        name="load_balancer_listeners",
    ),
    path("load-balancers/<int:pk>/edit/", load_balancers.load_balancer_edit, name="load_balancer_edit"),
    path("load-balancers/<int:pk>/delete/", load_balancers.load_balancer_delete, name="load_balancer_delete"),
    path("load-balancers/<int:pk>/listeners/add/", drafts.listener_add, name="listener_add"),
    path("listeners/drafts/<uuid:pk>/<slug:step>/", drafts.listener_draft, name="listener_draft"),
    path("certificates/<int:pk>/served/", served.certificate_served, name="certificate_served"),
    path("listeners/<int:pk>/", listeners.listener_detail, name="listener_detail"),
    path("listeners/<int:pk>/status/", listeners.listener_status, name="listener_status"),
    path("listeners/<int:pk>/edit/", listeners.listener_edit, name="listener_edit"),
    path("listeners/<int:pk>/backends/", listeners.listener_backends, name="listener_backends"),
    path("listeners/<int:pk>/delete/", listeners.listener_delete, name="listener_delete"),
]
