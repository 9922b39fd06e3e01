"""What a page shows of a listener's form beside its fields: lists to choose from, and findings so far."""

from collections.abc import Mapping
from functools import cached_property

from django import forms

from certificates.models import Certificate
from listeners.forms.admission import read_certificates, read_entries
from listeners.forms.pickers import CertificateSource, HttpsListenerSource, Picker, Source
from listeners.forms.security_policy import PolicyChoice, SecurityPolicyField, value_of
from listeners.forms.trials import Trial, trials
from listeners.forms.trust import Trust, authorities, trust
from listeners.models import Listener
from listeners.models.sni import ServedName, served_names, sni_faults, sni_remarks
from listeners.policy_use import PolicyEntry, entry_of

SERVER = CertificateSource(Certificate.Type.SERVER)
SNI = CertificateSource(Certificate.Type.SERVER, is_named=True)
CA = CertificateSource(Certificate.Type.CA)

CHOSEN = ("ca_certificates", "sni_certificates")
ADVANCED = (
    "security_policy",
    "http2",
    "sends_ca_names",
    "idle_timeout",
    "request_timeout",
    "response_timeout",
    "description",
)
RARE = frozenset({Listener.Authentication.OPTIONAL, Listener.Authentication.UNVERIFIED})


class Findings(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """Of a form whose `initial` may hold what was posted, in order to show it without checking it."""

    instance: Listener

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
        vouching = authorities(self._chosen_cas) if tried else []
        return [] if self.is_bound else faults, trials(entries, tried, vouching)

    @cached_property
    def trust(self) -> Trust | None:
        """What is worth knowing of the CA certificates chosen so far."""
        return trust(self._chosen_cas)

    @property
    def _chosen_cas(self) -> list[int]:
        return [option.value for option in self.pickers["ca_certificates"].chosen]

    @property
    def served_names(self) -> list[ServedName]:
        """Which certificate is for which name. Of a valid form, as the next three."""
        return served_names(self.instance.chosen("sni_certificates"))

    @property
    def chosen_policy(self) -> PolicyEntry:
        return entry_of(self.instance)

    def _posted(self, name: str) -> str:
        given = self.data if self.is_bound else self.initial
        return str(given.get(name) or "")


def _text(value: object) -> str:
    """A value as a form posts it."""
    if isinstance(value, bool):
        return "on" if value else ""
    return "" if value is None else str(value)
