"""By what the list of certificates is narrowed and put in order, and the form that asks for it."""

from typing import Any

from django import forms
from django.db import models
from django.db.models import Q

from certificates.expiry import ExpiryState
from certificates.keyset import Ordering
from certificates.models import Certificate


class KeyType(models.TextChoices):
    RSA = "RSA", "RSA"
    ECDSA = "ECDSA", "ECDSA"
    EDWARDS = "Ed", "Ed25519 or Ed448"

    def condition(self, prefix: str = "") -> Q:
        """A range instead of LIKE, for which SQLite takes no index; the next letter ends it."""
        end = self.value[:-1] + chr(ord(self.value[-1]) + 1)
        return Q(**{f"{prefix}key__gte": self.value, f"{prefix}key__lt": end})


class Use(models.TextChoices):
    USED = "used", "Used by a listener"
    UNUSED = "unused", "Not used"


class Order(Ordering):
    NAME = "name", "Name"
    NAME_BACK = "-name", "Name, backwards"
    EXPIRES = "expires", "Expires soonest"
    EXPIRES_BACK = "-expires", "Expires last"
    CREATED_BACK = "-created", "Newest first"
    CREATED = "created", "Oldest first"


class SearchForm(forms.Form):
    """The search box of a list, and the filters that it adds; everything may be left out."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=255,
        error_messages={"max_length": "Search for 255 characters at most."},
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    sought = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["q"].widget.attrs["placeholder"] = self.sought
        for name, control in self.fields.items():
            control.widget.attrs["class"] = "form-control" if name == "q" else "form-select"


class ListForm(SearchForm):
    sought = "Name, domain, fingerprint, serial number or subject"

    type = forms.ChoiceField(
        label="Type", required=False, choices=[("", "Every type"), *Certificate.Type.choices]
    )
    expiry = forms.ChoiceField(
        label="Expiry", required=False, choices=[("", "Any expiry"), *ExpiryState.choices]
    )
    key = forms.ChoiceField(label="Key", required=False, choices=[("", "Every key"), *KeyType.choices])
    use = forms.ChoiceField(label="In use", required=False, choices=[("", "Used or not"), *Use.choices])
    sort = forms.ChoiceField(label="Sort by", required=False, choices=Order.choices)
