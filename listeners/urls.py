"""Addresses of the pages about load balancers and listeners."""

from django.urls import path

from listeners.views import (
    copies,
    drafts,
    guided,
    issued,
    listeners,
    load_balancers,
    served,
    switches,
    tls_policies,
)

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
    path(
        "load-balancers/<int:pk>/disable/",
        switches.load_balancer_switch,
        {"is_enabled": False},
        name="load_balancer_disable",
    ),
    path(
        "load-balancers/<int:pk>/enable/",
        switches.load_balancer_switch,
        {"is_enabled": True},
        name="load_balancer_enable",
    ),
    path("load-balancers/<int:pk>/delete/", load_balancers.load_balancer_delete, name="load_balancer_delete"),
    path("load-balancers/<int:pk>/listeners/add/", drafts.listener_add, name="listener_add"),
    path("listeners/drafts/<uuid:pk>/<slug:step>/", drafts.listener_draft, name="listener_draft"),
    path("certificates/authorities/<int:pk>/", issued.authority_detail, name="authority_detail"),
    path("certificates/issued/", issued.issued_list, name="issued_list"),
    path("certificates/issued/<int:pk>/", issued.issued_detail, name="issued_detail"),
    path("certificates/<int:pk>/served/", served.certificate_served, name="certificate_served"),
    path("listeners/<int:pk>/", listeners.listener_detail, name="listener_detail"),
    path("listeners/<int:pk>/status/", listeners.listener_status, name="listener_status"),
    path("listeners/<int:pk>/served/", served.listener_served, name="listener_served"),
    path("listeners/<int:pk>/edit/", listeners.listener_edit, name="listener_edit"),
    path("listeners/<int:pk>/backends/", listeners.listener_backends, name="listener_backends"),
    path("listeners/<int:pk>/copy/", copies.listener_copy, name="listener_copy"),
    path(
        "listeners/<int:pk>/disable/",
        switches.listener_switch,
        {"is_enabled": False},
        name="listener_disable",
    ),
    path(
        "listeners/<int:pk>/enable/", switches.listener_switch, {"is_enabled": True}, name="listener_enable"
    ),
    path("listeners/<int:pk>/delete/", listeners.listener_delete, name="listener_delete"),
    path("guided/", guided.guided_start, name="guided_start"),
    path("guided/<uuid:pk>/", guided.guided_setup, name="guided_setup"),
    path("guided/<uuid:pk>/<slug:step>/", guided.guided_step, name="guided_step"),
    path("tls-policies/", tls_policies.tls_policy_list, name="tls_policy_list"),
    path("tls-policies/custom/", tls_policies.tls_policy_custom_list, name="tls_policy_custom_list"),
    path("tls-policies/add/", tls_policies.tls_policy_add, name="tls_policy_add"),
    path("tls-policies/<int:pk>/edit/", tls_policies.tls_policy_edit, name="tls_policy_edit"),
    path("tls-policies/<int:pk>/delete/", tls_policies.tls_policy_delete, name="tls_policy_delete"),
]
