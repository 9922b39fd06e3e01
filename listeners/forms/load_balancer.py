"""What people fill in about a load balancer."""

from typing import Any

from django import forms

from certificates.pem_fields import WordsField
from listeners.forms.wording import description
from listeners.models import LoadBalancer
from listeners.reach import address_refusal, socket_refusal


class LoadBalancerForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    class Meta:
        model = LoadBalancer
        fields = ["name", "address", "description"]
        field_classes = {"name": WordsField, "description": WordsField}
        widgets = {"description": description()}
        error_messages = {
            "name": {"required": "Enter a name.", "unique": "Another load balancer has this name."},
            "address": {"required": "Enter the address to listen on, or 0.0.0.0 for all."},
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        address = cleaned.get("address")
        if address and "address" in self.changed_data and (sentence := self._refusal(address)):
            self.add_error("address", sentence)
        return cleaned

    def _refusal(self, address: str) -> str:
        """Why this machine's Envoy could not listen there, with the ports that are open now."""
        if (sentence := address_refusal(address)) or not self.instance.pk or not self.instance.is_enabled:
            return sentence
        ports = self.instance.listeners.filter(is_enabled=True).values_list("port", flat=True)
        return next(filter(None, (socket_refusal(address, port) for port in ports)), "")
