"""What people fill in about a listener, but its backend servers: the same for a new one and for editing."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.datastructures import MultiValueDict

from certificates.models import Certificate
from listeners import tls_policies
from listeners.forms.admission import (
    AllowedClientsField,
    Trial,
    TriedCertificatesField,
    read_certificates,
    read_entries,
    trials,
)
from listeners.forms.pickers import (
    CertificateSource,
    ChoiceField,
    ChoicesField,
    HttpsListenerSource,
    Picker,
    Source,
)
from listeners.forms.security_policy import PolicyChoice, SecurityPolicyField, value_of
from listeners.forms.wording import IDLE, PORT, TIMEOUT, description, errors_of_number, number
from listeners.models import Listener
from listeners.models.listener import ca_names_size
from listeners.models.sni import ServedName, served_names, sni_faults, sni_remarks
from listeners.reach import socket_refusal
from listeners.servable import left_out
from listeners.tls_policies import TlsPolicy
from listeners.trust_store import LARGEST_NAMES

SERVER = CertificateSource(Certificate.Type.SERVER)
SNI = CertificateSource(Certificate.Type.SERVER, is_named=True)
CA = CertificateSource(Certificate.Type.CA)

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
ADVANCED = (
    "security_policy",
    "http2",
    "sends_ca_names",
    "idle_timeout",
    "request_timeout",
    "response_timeout",
    "description",
)
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
CHOSEN = ("ca_certificates", "sni_certificates")
# What a listener has that does not use a field, where that is not what the model drops anyway.
EMPTIED: Mapping[str, Any] = {"redirect_to": None, "ca_certificates": [], "sni_certificates": []}
RARE = frozenset({Listener.Authentication.OPTIONAL, Listener.Authentication.UNVERIFIED})


class ListenerForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
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
            "protocol": {"required": "Choose HTTPS or HTTP."},
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

    @cached_property
    def pickers(self) -> Mapping[str, Picker]:
        """The lists to choose from, by field."""
        sources: dict[str, Source] = {
            "server_certificate": SERVER,
            "ca_certificates": CA,
            "sni_certificates": SNI,
        }
        if self.instance.load_balancer_id:
            sources["redirect_to"] = HttpsListenerSource(self.instance.load_balancer)
        return {
            name: Picker(self[name], source, self._posted(f"search-{name}"), is_many=name in CHOSEN)
            for name, source in sources.items()
            if name in self.fields
        }

    @property
    def offers_https(self) -> bool:
        return "server_certificate" in self.fields

    @property
    def offers_http(self) -> bool:
        return "redirects" in self.fields

    @property
    def opens_advanced(self) -> bool:
        """Whether something in Advanced Settings is wrong or is not as it is proposed."""
        names = [name for name in ADVANCED if name in self.fields]
        if self.is_bound and any(name in self.errors for name in names):
            return True
        usual = Listener()
        proposed = {name: getattr(usual, name, value_of(usual)) for name in names}
        return self.has_rare_authentication or any(
            _text(self[name].value()) != _text(proposed[name]) for name in names
        )

    @property
    def has_rare_authentication(self) -> bool:
        return "authentication" in self.fields and self["authentication"].value() in RARE

    @property
    def policies(self) -> list[PolicyChoice]:
        field = self.fields.get("security_policy")
        return list(field.offered.values()) if isinstance(field, SecurityPolicyField) else []

    @property
    def sni_findings(self) -> tuple[list[str], list[str]]:
        """What is wrong with the SNI certificates chosen so far, and what is worth knowing."""
        server, sni = (
            [option.row for option in self.pickers[name].chosen]
            for name in ("server_certificate", "sni_certificates")
        )
        # What was refused is said at the field.
        faults = [] if self.is_bound else sni_faults(sni)
        return faults, sni_remarks(server[0] if server else None, sni)

    @cached_property
    def admission_findings(self) -> tuple[list[str], list[Trial]]:
        """What is wrong with the list of clients so far, and what becomes of the certificates tried."""
        if "admission" not in self.fields or self["admission"].value() != Listener.Admission.LISTED:
            return [], []
        field = self.fields["allowed_clients"]
        entries, faults = read_entries(str(field.prepare_value(self["allowed_clients"].value()) or ""))
        tried = read_certificates(str(self["tried_certificates"].value() or ""))
        return [] if self.is_bound else faults, trials(entries, tried)

    @cached_property
    def ca_names_size(self) -> "NamesSize | None":
        """How much the names of the chosen CAs are; None when there are none."""
        chosen = [option.value for option in self.pickers["ca_certificates"].chosen]
        size = ca_names_size(chosen) if chosen else None
        return NamesSize(size) if size is not None else None

    @property
    def served_names(self) -> list[ServedName]:
        """Which certificate is for which name. Of a valid form, as the next three."""
        return served_names(self.instance.chosen("sni_certificates"))

    @property
    def chosen_policy(self) -> TlsPolicy:
        custom = self.instance.custom_tls_policy
        return custom.policy if custom else tls_policies.BY_NAME[self.instance.tls_policy]

    @property
    def left_out_suites(self) -> tuple[str, ...]:
        return left_out(self.chosen_policy)

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

    def _posted(self, name: str) -> str:
        given = self.data if self.is_bound else self.initial
        return str(given.get(name) or "")


class ListenerEditForm(ListenerForm):
    """What can change while a listener runs: its protocol and port cannot."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        is_http = self.instance.protocol == Listener.Protocol.HTTP
        for name in ("protocol", "port", *(HTTPS_ONLY if is_http else ("redirects", "redirect_to"))):
            self.fields.pop(name, None)


@dataclass(frozen=True)
class NamesSize:
    """In octets, as people read numbers."""

    size: int

    @property
    def octets(self) -> str:
        return f"{self.size:,}"

    @property
    def limit(self) -> str:
        return f"{LARGEST_NAMES:,}"

    @property
    def is_too_much(self) -> bool:
        return self.size > LARGEST_NAMES


def shown(posted: MultiValueDict[str, str]) -> dict[str, Any]:
    """What was posted as a form's `initial`: to be shown again without being checked."""
    return {name: values if name in CHOSEN else values[-1] for name, values in posted.lists() if values}


def _text(value: object) -> str:
    """A value as a form posts it."""
    if isinstance(value, bool):
        return "on" if value else ""
    return "" if value is None else str(value)
