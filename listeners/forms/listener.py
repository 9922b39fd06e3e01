"""What people fill in about a listener, but its backend servers: the same for a new one and for editing."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.datastructures import MultiValueDict

from certificates.pem_fields import WordsField
from listeners.forms.admission import AllowedClientsField, TriedCertificatesField
from listeners.forms.findings import CHOSEN, Findings
from listeners.forms.pickers import ChoiceField, ChoicesField
from listeners.forms.security_policy import SecurityPolicyField, value_of
from listeners.forms.wording import IDLE, PORT, TIMEOUT, description, errors_of_number, number
from listeners.models import Listener
from listeners.reach import socket_refusal

# What may be left out of what is posted, since pages do not send what they hide, but may not be emptied.
ASKED = {
    "admission": "Choose who may enter.",
    "sni_matching": "Choose what a star stands for.",
    "idle_timeout": IDLE,
    "request_timeout": TIMEOUT,
    "response_timeout": TIMEOUT,
    "security_policy": "Choose a policy.",
}
SWITCHES = ("redirects", "has_sni", "sends_ca_names", "http2")
# Where the model speaks of a field by another name than the form's.
SHOWN_AT = {"tls_policy": "security_policy", "custom_tls_policy": "security_policy"}
HTTPS_ONLY = (
    "authentication",
    "server_certificate",
    "ca_certificates",
    "sends_ca_names",
    "admission",
    "allowed_clients",
    "tried_certificates",
    "has_sni",
    "sni_certificates",
    "sni_matching",
    "security_policy",
    "http2",
)
# What a listener has that does not use a field, where that is not what the model drops anyway.
EMPTIED: Mapping[str, Any] = {"redirect_to": None, "ca_certificates": [], "sni_certificates": []}


class ListenerForm(Findings):
    """`initial` may hold what was posted, in order to show it without checking it."""

    redirects = forms.BooleanField(
        label="Redirect",
        required=False,
        help_text="Answer every request with a redirect (301) to an HTTPS listener.",
    )
    redirect_to = ChoiceField(label="Redirected to", gone="This listener is no longer there.")
    server_certificate = ChoiceField(label="Server Certificate")
    ca_certificates = ChoicesField(label="CA Certificate")
    allowed_clients = AllowedClientsField()
    tried_certificates = TriedCertificatesField()
    has_sni = forms.BooleanField(
        label="Enable SNI",
        required=False,
        help_text="Several domain names, each with a certificate of its own, on one listener.",
    )
    sni_certificates = ChoicesField(label="SNI Certificate")
    security_policy = SecurityPolicyField()

    class Meta:
        model = Listener
        # The two relations with several certificates are set by `Listener.choose`, never by the form.
        fields = [
            "name",
            "protocol",
            "port",
            "redirect_to",
            "authentication",
            "server_certificate",
            "sends_ca_names",
            "admission",
            "allowed_clients",
            "sni_matching",
            "http2",
            "idle_timeout",
            "request_timeout",
            "response_timeout",
            "description",
        ]
        field_classes = {"name": WordsField, "description": WordsField}
        widgets = {
            "protocol": forms.RadioSelect,
            "port": number(1, 65535),
            "authentication": forms.RadioSelect,
            "admission": forms.RadioSelect,
            "sni_matching": forms.RadioSelect,
            "idle_timeout": number(0, 4000),
            "request_timeout": number(1, 300),
            "response_timeout": number(1, 300),
            "description": description(),
        }
        labels = {"sni_matching": "SNI Matching Algorithm"}
        help_texts = {
            "port": "1 to 65535",
            "idle_timeout": "0 to 4000",
            "request_timeout": "1 to 300",
            "response_timeout": "1 to 300",
        }
        error_messages = {
            "name": {"required": "Enter a name."},
            "protocol": dict.fromkeys(("required", "invalid_choice"), "Choose HTTPS or HTTP."),
            "authentication": {"invalid_choice": "Choose how clients are authenticated."},
            "admission": {"invalid_choice": ASKED["admission"]},
            "sni_matching": {"invalid_choice": ASKED["sni_matching"]},
            "port": errors_of_number(PORT),
            "idle_timeout": errors_of_number(IDLE),
            "request_timeout": errors_of_number(TIMEOUT),
            "response_timeout": errors_of_number(TIMEOUT),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        chosen = {name: [one.pk for one in self.instance.chosen(name)] for name in CHOSEN}
        stored = {
            **chosen,
            "redirects": self.instance.redirect_to_id is not None,
            "has_sni": bool(chosen["sni_certificates"]),
            "security_policy": value_of(self.instance),
        }
        self.initial = {**stored, **self.initial}
        for name, picker in self.pickers.items():
            self.fields[name].queryset = picker.source.rows()  # type: ignore[attr-defined]
        if "security_policy" in self.fields:
            self.fields["security_policy"].ask()  # type: ignore[attr-defined]
        for name in (*ASKED, "authentication"):
            if name in self.fields:
                self.fields[name].required = False

    def clean_authentication(self) -> str:
        chosen: str = self.cleaned_data["authentication"]
        if not chosen and self.cleaned_data.get("protocol") != Listener.Protocol.HTTP:
            raise ValidationError("Choose how clients are authenticated.")
        return chosen or Listener.Authentication.ONE_WAY

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._keep_what_was_not_asked(cleaned)
        self._forget_what_is_not_used(cleaned)
        if cleaned.get("redirects") and not cleaned.get("redirect_to"):
            self._refuse("redirect_to", "Choose the HTTPS listener to redirect to, or switch Redirect off.")
        if cleaned.get("has_sni") and not cleaned.get("sni_certificates"):
            self._refuse("sni_certificates", "Choose at least one SNI certificate, or switch SNI off.")
        self.instance.choose(**{name: cleaned.get(name) or [] for name in CHOSEN if name in self.fields})
        if policy := cleaned.get("security_policy"):
            self.instance.custom_tls_policy = policy.row
            self.instance.tls_policy = "" if policy.row else policy.value
        return cleaned

    def _keep_what_was_not_asked(self, cleaned: dict[str, Any]) -> None:
        for name in SWITCHES:
            if name in self.fields and name not in self.data:
                cleaned[name] = bool(self.get_initial_for_field(self.fields[name], name))
        for name, sentence in ASKED.items():
            if name in self.data and cleaned.get(name) in ("", None):
                self._refuse(name, sentence)

    def _forget_what_is_not_used(self, cleaned: dict[str, Any]) -> None:
        """What belongs to a choice that was not made is neither checked nor kept, whatever it is."""
        protocol = cleaned.get("protocol") or self.instance.protocol
        unused = set(HTTPS_ONLY) if protocol == Listener.Protocol.HTTP else {"redirects", "redirect_to"}
        authentication = cleaned.get("authentication")
        if not cleaned.get("redirects"):
            unused.add("redirect_to")
        if not cleaned.get("has_sni"):
            unused |= {"sni_certificates", "sni_matching"}
        if authentication == Listener.Authentication.ONE_WAY:
            unused |= {"ca_certificates", "sends_ca_names"}
        if authentication != Listener.Authentication.MUTUAL:
            unused |= {"admission", "tried_certificates"}
        if "admission" in unused or cleaned.get("admission") != Listener.Admission.LISTED:
            unused |= {"allowed_clients", "tried_certificates"}
        for name in unused & self.fields.keys():
            self.errors.pop(name, None)
            cleaned.pop(name, None)
        for name in unused & EMPTIED.keys() & self.fields.keys():
            cleaned[name] = EMPTIED[name]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # the stubs leave it out
        listener: Listener = self.instance
        if "port" not in self.fields or "port" in self.errors or not listener.load_balancer_id:
            return
        if sentence := socket_refusal(listener.load_balancer.address, listener.port):
            self.add_error("port", sentence)

    def _update_errors(self, errors: ValidationError) -> None:
        """The model's errors, each at a field that is there, and none beside one that says more."""
        found = errors.error_dict if hasattr(errors, "error_dict") else {NON_FIELD_ERRORS: errors.error_list}
        placed: dict[str, list[ValidationError]] = {}
        for name, reasons in found.items():
            place = SHOWN_AT.get(name, name)
            if place in self.errors and place != NON_FIELD_ERRORS:
                continue
            placed.setdefault(place if place in self.fields else NON_FIELD_ERRORS, []).extend(reasons)
        if placed:
            super()._update_errors(ValidationError(placed))  # type: ignore[misc]

    def _refuse(self, name: str, sentence: str) -> None:
        if name in self.fields and name not in self.errors:
            self.add_error(name, sentence)


class ListenerEditForm(ListenerForm):
    """What can change while a listener runs: its protocol and port cannot."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        is_http = self.instance.protocol == Listener.Protocol.HTTP
        for name in ("protocol", "port", *(HTTPS_ONLY if is_http else ("redirects", "redirect_to"))):
            self.fields.pop(name, None)


def shown(posted: MultiValueDict[str, str]) -> dict[str, Any]:
    """What was posted as a form's `initial`: to be shown again without being checked."""
    return {name: values if name in CHOSEN else values[-1] for name, values in posted.lists() if values}
