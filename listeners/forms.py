"""What people fill in about load balancers, listeners and backend servers."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from django import forms
from django.utils import timezone

from certificates.models import Certificate
from listeners.models import BackendServer, Listener, LoadBalancer

# Below Django's limit of 1,000 posted fields, at three a server.
MOST_SERVERS = 200
ROWS = "servers"
BLANK_ROW = {"address": "", "port": "", "weight": "1"}

PORT = "Enter a port from 1 to 65535."
WEIGHT = "Enter a weight from 0 to 100."
PORT_WIDGET = forms.NumberInput(attrs={"min": 1, "max": 65535})
DESCRIPTION_WIDGET = forms.Textarea(attrs={"rows": 3, "maxlength": 255})


def errors_of_number(sentence: str) -> dict[str, str]:
    return dict.fromkeys(("required", "invalid", "min_value", "max_value"), sentence)


class LoadBalancerForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    class Meta:
        model = LoadBalancer
        fields = ["name", "address", "description"]
        widgets = {"description": DESCRIPTION_WIDGET}
        error_messages = {
            "name": {"required": "Enter a name.", "unique": "Another load balancer has this name."},
            "address": {"required": "Enter the address to listen on, or 0.0.0.0 for all."},
        }


class CertificateField(forms.ModelChoiceField):  # type: ignore[type-arg]  # takes none at run time
    """A stored certificate, told apart by its name, whom it is for and how long it lasts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "empty_label": "Select a certificate"})

    def label_from_instance(self, obj: Any) -> str:
        names = obj.domain_names.split(",")
        whom = f"{names[0]} and {len(names) - 1} more" if len(names) > 2 else ", ".join(names)
        verb = "expired" if obj.not_after <= timezone.now() else "expires"
        return f"{obj} · {whom or obj.subject} · {verb} {obj.not_after:%Y-%m-%d}"


class ListenerForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """All of a new listener but its backend servers."""

    class Meta:
        model = Listener
        fields = [
            "name",
            "protocol",
            "port",
            "authentication",
            "server_certificate",
            "ca_certificates",
            "description",
        ]
        widgets = {
            "protocol": forms.RadioSelect,
            "port": PORT_WIDGET,
            "authentication": forms.RadioSelect,
            "description": DESCRIPTION_WIDGET,
        }
        field_classes = {"server_certificate": CertificateField}
        help_texts = {"port": "1 to 65535"}
        error_messages = {
            "name": {"required": "Enter a name."},
            "protocol": {"required": "Choose HTTPS or HTTP."},
            "port": errors_of_number(PORT),
            "server_certificate": {"invalid_choice": "This certificate is no longer there."},
            "ca_certificates": {"invalid_choice": "This certificate is no longer there."},
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        facts = ("name", "type", "domain_names", "subject", "not_after")
        for name, type in (
            ("server_certificate", Certificate.Type.SERVER),
            ("ca_certificates", Certificate.Type.CA),
        ):
            field = self.fields.get(name)
            if isinstance(field, CertificateField):
                field.queryset = Certificate.objects.filter(type=type).only(*facts)
        if "authentication" in self.fields:
            # HTTP has none, so its page does not send it; clean_authentication asks for it otherwise.
            self.fields["authentication"].required = False

    def clean_authentication(self) -> str:
        chosen: str = self.cleaned_data["authentication"]
        if not chosen and self.cleaned_data.get("protocol") != Listener.Protocol.HTTP:
            raise forms.ValidationError("Choose how clients are authenticated.")
        return chosen or Listener.Authentication.ONE_WAY


class ListenerEditForm(ListenerForm):
    """What can change while a listener runs: its protocol and port cannot."""

    class Meta(ListenerForm.Meta):
        fields = ["name", "authentication", "server_certificate", "ca_certificates", "description"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.protocol == Listener.Protocol.HTTP:
            for name in ("authentication", "server_certificate", "ca_certificates"):
                del self.fields[name]


class BackendServerForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    class Meta:
        model = BackendServer
        fields = ["address", "port", "weight"]
        widgets = {
            "address": forms.TextInput(attrs={"placeholder": "192.0.2.10"}),
            "port": forms.NumberInput(attrs={"min": 1, "max": 65535, "placeholder": "8080"}),
            "weight": forms.NumberInput(attrs={"min": 0, "max": 100}),
        }
        help_texts = {"weight": ""}
        error_messages = {
            "address": {"required": "Enter the server's IP address."},
            "port": errors_of_number(PORT),
            "weight": errors_of_number(WEIGHT),
        }


class BackendServerForms(forms.BaseFormSet):  # type: ignore[type-arg]  # takes none at run time
    """One row a server; rows left blank are passed over."""

    def clean(self) -> None:
        filled = [form for form in self.forms if form.has_changed()]
        if not filled:
            self.forms[0].add_error("address", "Add at least one backend server.")
        seen = set()
        for form in filled:
            place = (form.cleaned_data.get("address"), form.cleaned_data.get("port"))
            if None not in place and place in seen:
                form.add_error("address", "This address and port is listed twice.")
            seen.add(place)

    def servers(self) -> list[BackendServer]:
        return [form.instance for form in self.forms if form.has_changed()]


BACKEND_SERVER_FORMS = cast(
    type[BackendServerForms],
    forms.formset_factory(
        BackendServerForm,
        formset=BackendServerForms,
        extra=0,
        max_num=MOST_SERVERS,
        absolute_max=MOST_SERVERS + 1,
        validate_max=True,
    ),
)


def backend_servers(rows: Sequence[Mapping[str, str]]) -> BackendServerForms:
    """Rows as posted, to be checked."""
    rows = rows or [BLANK_ROW]
    fields = {
        f"{ROWS}-{index}-{name}": value for index, row in enumerate(rows) for name, value in row.items()
    }
    management = {f"{ROWS}-TOTAL_FORMS": str(len(rows)), f"{ROWS}-INITIAL_FORMS": "0"}
    return BACKEND_SERVER_FORMS(fields | management, prefix=ROWS)


def backend_server_rows(rows: Sequence[Mapping[str, Any]], action: str = "") -> BackendServerForms:
    """Rows to be filled in, nothing checked yet; at least one is shown, and one just added has the focus."""
    formset = BACKEND_SERVER_FORMS(prefix=ROWS, initial=rows or [BLANK_ROW])
    if action == "add":
        formset.forms[-1].fields["address"].widget.attrs["autofocus"] = True
    return formset


def posted_rows(posted: Mapping[str, str]) -> list[dict[str, str]]:
    """What was typed into the rows, whatever it is."""
    total = posted.get(f"{ROWS}-TOTAL_FORMS", "")
    count = min(int(total), MOST_SERVERS) if total.isascii() and total.isdigit() and len(total) < 5 else 0
    return [{name: posted.get(f"{ROWS}-{index}-{name}", "") for name in BLANK_ROW} for index in range(count)]


def rows_after(action: str, rows: Sequence[dict[str, str]]) -> list[dict[str, str]] | None:
    """The rows once `Add Row` or a `Remove` was pressed; None when the action is another."""
    verb, _, number = action.partition(":")
    if verb == "add":
        return [*rows, BLANK_ROW][:MOST_SERVERS]
    if verb == "remove":
        return [row for index, row in enumerate(rows) if str(index) != number] or [BLANK_ROW]
    return None


class DeleteForm(forms.Form):
    confirmation = forms.CharField(
        label="Type DELETE to confirm",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
        error_messages={"required": "Type DELETE in capital letters."},
    )

    def __init__(self, posted: Mapping[str, str] | None = None, obstacle: str = "") -> None:
        super().__init__(posted)
        self.obstacle = obstacle

    def clean(self) -> None:
        if self.obstacle:
            raise forms.ValidationError(self.obstacle)

    def clean_confirmation(self) -> str:
        word: str = self.cleaned_data["confirmation"]
        if word != "DELETE":
            raise forms.ValidationError("Type DELETE in capital letters.")
        return word
