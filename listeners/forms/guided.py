"""What the steps of a guided setup ask; what is made goes through the forms that make it elsewhere."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from django import forms
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from certificates import alternative_names
from certificates.alternative_names import NameFaultError
from certificates.forms.authority import AuthorityForm
from certificates.forms.issuing import ClientForm, ServerForm, offered_names
from certificates.forms.issuing_form import KeySource
from certificates.models import Certificate, CertificateAuthority
from listeners.forms.backends import BackendServerForms, backend_server_rows, posted_rows
from listeners.forms.editing import ListenerEdit, Posted
from listeners.forms.listener import ListenerForm
from listeners.forms.pickers import CertificateSource, ChoiceField, Option, Picker, Source
from listeners.forms.wizard import WizardForms, new_listener
from listeners.models import GuidedSetup, Listener, ListenerDraft, LoadBalancer
from listeners.models.listener_draft import fields_of, proposed_group
from listeners.models.sockets import overlap
from listeners.reach import socket_refusal
from listeners.spec import IdentityKind

FIRST_PORTS = (443, *range(8443, 8543))
ASKED = ("name", "port")  # of a listener's form; the setup knows the rest
CERTIFICATES = CertificateSource(Certificate.Type.SERVER)


@dataclass(frozen=True)
class AuthoritySource:
    """The CAs that can issue here."""

    def rows(self) -> QuerySet[CertificateAuthority]:
        rows = CertificateAuthority.objects.filter(not_after__gt=timezone.now())
        rows = rows.exclude(sealed_private_key="").defer("sealed_private_key")
        return rows.select_related("certificate").order_by("-pk")

    def found(self, rows: QuerySet[CertificateAuthority], text: str) -> QuerySet[CertificateAuthority]:
        return rows.filter(Q(certificate__name__icontains=text) | Q(subject__icontains=text))

    def option(self, row: CertificateAuthority, is_chosen: bool) -> Option:
        return Option(row, row.subject, row.get_absolute_url(), is_chosen)


class ChoosingForm(forms.Form):
    """One of what is there already; what is proposed is chosen already, so that a click goes on."""

    chosen = ChoiceField(label="", gone="This is no longer there.")

    def __init__(
        self, source: Source, label: str, held: Any, posted: QueryDict | None = None, *, search: str = ""
    ) -> None:
        super().__init__(posted, initial={"chosen": held.pk if held else None})
        self.source, self.search = source, search
        self.fields["chosen"].label = label
        self.fields["chosen"].queryset = source.rows()  # type: ignore[attr-defined]

    @cached_property
    def picker(self) -> Picker:
        return Picker(self["chosen"], self.source, self.search, is_many=False)

    def clean_chosen(self) -> Any:
        chosen = self.cleaned_data["chosen"]
        if chosen is None:
            raise forms.ValidationError("Choose one.")
        return chosen

    def save(self) -> Any:
        return self.cleaned_data["chosen"]


def choosing_authority(
    setup: GuidedSetup, posted: QueryDict | None = None, search: str = ""
) -> ChoosingForm | None:
    """None where there is none to choose."""
    source = AuthoritySource()
    held = setup.authority if setup.authority and setup.authority.has_key else source.rows().first()
    return ChoosingForm(source, "CA", held, posted, search=search) if held else None


def choosing_certificate(
    setup: GuidedSetup, posted: QueryDict | None = None, search: str = ""
) -> ChoosingForm | None:
    has_any = CERTIFICATES.rows().exists()
    held = setup.server_certificate
    return ChoosingForm(CERTIFICATES, "Server Certificate", held, posted, search=search) if has_any else None


def keyless_certificates() -> QuerySet[Certificate]:
    """CA certificates that could issue here if somebody brought their keys."""
    keyless = Q(authority=None) | Q(authority__sealed_private_key="")
    rows = Certificate.objects.filter(keyless, type=Certificate.Type.CA, not_after__gt=timezone.now())
    return rows.only("name", "subject").order_by("name")


def creating_authority(user: User, posted: QueryDict | None = None) -> AuthorityForm:
    return AuthorityForm(posted, user=user)


def creating_certificate(
    authority: CertificateAuthority, user: User, console_host: str, posted: QueryDict | None = None
) -> ServerForm:
    """For what clients of this machine are likely to open a listener by."""
    addresses = LoadBalancer.objects.values_list("address", flat=True)[:10]
    hosts = ["127.0.0.1" if one in {"0.0.0.0", "::"} else one for one in addresses]
    names = offered_names(",".join(["localhost", console_host.strip("[]"), *hosts]))
    return ServerForm(_made_here(posted), authority=authority, user=user, initial={"names": names})


def creating_client(
    authority: CertificateAuthority, setup: GuidedSetup, user: User, posted: QueryDict | None = None
) -> ClientForm:
    proposal = dict(_client_proposal(setup, user))
    return ClientForm(_made_here(posted), authority=authority, user=user, initial=proposal)


def _made_here(posted: QueryDict | None) -> QueryDict | None:
    """The key of a guided setup's certificate is made here: the last step asks in its holder's name."""
    if posted is None:
        return None
    data = posted.copy()
    data["source"] = KeySource.HERE
    return data


def _client_proposal(setup: GuidedSetup, user: User) -> Iterator[tuple[str, str]]:
    """The first name that the listener admits, where it admits listed clients alone."""
    holder = f"{user.get_username()}-client"
    yield "common_name", holder if len(holder) <= 64 and holder.isprintable() else "first-client"
    for kind, value in setup.listener.allowed if setup.listener else ():
        if kind in {IdentityKind.DNS, IdentityKind.EMAIL, IdentityKind.URI, IdentityKind.IP}:
            yield "names", f"{kind}: {value}"
            return
    yield "names", _client_name(holder)


def _client_name(holder: str) -> str:
    try:
        return str(alternative_names.alternative_name(alternative_names.NameKind.DNS, holder))
    except NameFaultError:
        return "dns: first-client"


class PlaceForm(forms.Form):
    load_balancer = forms.ModelChoiceField(
        LoadBalancer.objects.all(),
        label="Load Balancer",
        empty_label=None,
        error_messages=dict.fromkeys(
            ("required", "invalid_choice", "null_characters_not_allowed"), "Choose a load balancer."
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field: Any = self.fields["load_balancer"]
        field.label_from_instance = lambda row: f"{row.name} ({row.address})"


class GuidedListener:
    """A new listener, by the wizard's own forms; of what they ask, the setup knows the most."""

    def __init__(
        self, setup: GuidedSetup, user: User, first: LoadBalancer, posted: QueryDict | None = None
    ) -> None:
        self.setup, self.posted = setup, posted
        self.place = PlaceForm(posted, initial={"load_balancer": first})
        where = self.place.cleaned_data["load_balancer"] if posted and self.place.is_valid() else first
        self.draft = ListenerDraft(load_balancer=where, created_by=user, steps=self._steps(posted))
        self.wizard = WizardForms(self.draft, is_final=True)
        self.listener_form, self.backends = self._forms(where, posted)

    def _steps(self, posted: QueryDict | None) -> dict[str, object]:
        """As the wizard's steps would have been posted."""
        if posted is None:
            return {}
        setup = self.setup
        configure = {name: posted.getlist(name) for name in ASKED} | {
            "protocol": [Listener.Protocol.HTTPS.value],
            "authentication": [Listener.Authentication.MUTUAL.value],
            "server_certificate": [str(setup.server_certificate_id or "")],
            "ca_certificates": [str(setup.authority.certificate_id)] if setup.authority else [],
        }
        return {"configure": configure, "routing": proposed_group(), "backends": posted_rows(posted)}

    @classmethod
    def of(cls, setup: GuidedSetup, user: User, posted: QueryDict | None = None) -> Self | None:
        """None where there is no load balancer to put it on."""
        first = LoadBalancer.objects.first()
        return cls(setup, user, first, posted) if first else None

    def _forms(
        self, where: LoadBalancer, posted: QueryDict | None
    ) -> tuple[ListenerForm, BackendServerForms]:
        if posted is not None:
            return self.wizard.configure, self.wizard.backends
        initial = {"name": f"listener-{secrets.token_hex(2)}", "port": free_port(where)}
        listener_form = ListenerForm(initial=initial, instance=new_listener(self.draft))
        # The focus is where there is something to type: in the one row that was added.
        return listener_form, backend_server_rows([], "add")

    def show_rows(self, rows: list[dict[str, str]], action: str) -> None:
        """As it was posted, nothing checked, with a row of backend servers more or less."""
        posted = self.posted or QueryDict()
        initial = {name: posted.get(name, "") for name in (*ASKED, "load_balancer")}
        self.place = PlaceForm(initial=initial)
        self.listener_form = ListenerForm(initial=initial, instance=new_listener(self.draft))
        self.backends = backend_server_rows(rows, action)

    @property
    def is_bound(self) -> bool:
        return self.posted is not None

    def is_valid(self) -> bool:
        # Each is asked, so that one answer shows every error; Envoy is asked last.
        verdicts = [self.place.is_valid(), self.listener_form.is_valid(), self.backends.is_valid()]
        return all(verdicts) and self.wizard.is_valid()

    @property
    def elsewhere(self) -> list[str]:
        """What is wrong with things that this page does not ask."""
        return errors_elsewhere(self.listener_form, ASKED)

    def save(self) -> Listener:
        """Raises ValidationError."""
        return self.wizard.open()


class GuidedEdit(ListenerEdit):
    """A listener that serves already comes to ask for certificates of the setup's CA, and stays as it is."""

    def __init__(self, listener: Listener, authority: CertificateAuthority, posted: QueryDict | None) -> None:
        self.authority = authority
        super().__init__(listener, _changed(listener, authority, posted) if posted is not None else None)

    @property
    def elsewhere(self) -> list[str]:
        return errors_elsewhere(self.form, ()) + errors_elsewhere(self.group, ())


def _changed(listener: Listener, authority: CertificateAuthority, posted: QueryDict) -> Posted:
    """As the edit page would have posted it."""
    fields = Posted(fields_of(listener) | {"name": [listener.name]})
    fields["authentication"] = Listener.Authentication.MUTUAL.value
    trusted = [*fields.getlist("ca_certificates"), str(authority.certificate_id)]
    fields.setlist("ca_certificates", list(dict.fromkeys(trusted)))
    for name in ("stamp", "drain"):
        fields[name] = posted.get(name, "")
    return fields


def errors_elsewhere(form: forms.BaseForm, asked: Iterable[str]) -> list[str]:
    """Errors of a form at fields that a page does not show, each with its field's name."""
    errors: Mapping[str, Any] = form.errors
    found = []
    for name, sentences in errors.items():
        if name not in asked:
            label = f"{form.fields[name].label}: " if name in form.fields else ""
            found += [f"{label}{sentence}" for sentence in sentences]
    return found


def free_port(load_balancer: LoadBalancer) -> int | None:
    """The first of the usual ports that can be opened there."""
    address = load_balancer.address
    free = (
        port
        for port in FIRST_PORTS
        if not overlap(address, port, but=None) and not socket_refusal(address, port)
    )
    return next(free, None)
