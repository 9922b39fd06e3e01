"""How Django's admin presents itself here."""

from django.contrib import admin

admin.site.site_title = "ELB Console"
admin.site.site_header = "ELB Console administration"
admin.site.index_title = "Accounts and stored certificates"
admin.site.enable_nav_sidebar = False  # it takes the room that the table of certificates needs
admin.site.site_url = "/"
