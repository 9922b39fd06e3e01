"""The two forms by which a CA issues: to servers and to clients."""

from crispy_forms.layout import Div
from django import forms

from certificates import alternative_names
from certificates.alternative_names import AlternativeName, NameFaultError, NameKind
from certificates.forms.certificate import suggested_name
from certificates.forms.issuing_form import AskedField, IssuingForm, KeySource, NamesField
from certificates.issuing import IssuingError, Profile, Subject
from certificates.issuing.subject import LONGEST_COMMON_NAME

__all__ = ["ClientForm", "KeySource", "ServerForm", "offered_names"]

LONGEST_OFFER = 10_000  # characters of an address
NO_SERVER_NAME = "Write at least one name that clients open the server by, such as www.test.com or 192.0.2.1."
NO_CLIENT_NAME = (
    "Write at least one name, such as email: ada@test.com or dns: laptop-7.test.com. A client's certificate "
    "has to have one, and this holder is neither a DNS name nor an e-mail address."
)


class ServerForm(IssuingForm):
    profile = Profile.SERVER
    days_help = "Apple's systems take 825 days at most from any CA, browsers 398 from public ones."
    request_help = (
        "The certificate alone is issued: its key is elsewhere, and so no listener here can serve it."
    )
    first_fields = ("names",)
    last_fields = (Div("name", data_show_when=f"source={KeySource.HERE}"), "days", "organization")
    subject_fields = frozenset({"names", "organization"})

    names = NamesField(
        is_needed=True,
        label="Names",
        help_text="What clients open the server by, one a line: DNS names such as www.test.com or "
        "*.test.com, and IP addresses.",
    )
    name = AskedField(
        label="Certificate Name",
        max_length=255,
        initial=suggested_name,
        help_text="What it is called among the certificates.",
    )
    organization = AskedField(label="Organization")

    def entered_names(self) -> tuple[AlternativeName, ...]:
        if not self.cleaned_data["names"]:
            raise NameFaultError(NO_SERVER_NAME)
        return alternative_names.entered(self.cleaned_data["names"], wildcards=True)

    def entered_subject(self) -> Subject:
        """The common name is for people and old programs: clients read the names alone (RFC 9525)."""
        ordered = sorted(self.chosen_names, key=lambda name: name.kind is not NameKind.DNS)
        fitting = [name.value for name in ordered if len(name.value) <= LONGEST_COMMON_NAME]
        organization = self.cleaned_data["organization"]
        if not fitting and not organization:
            raise IssuingError(
                f"None of the names fits into a common name ({LONGEST_COMMON_NAME} characters). Write an "
                "organization, so that the certificate says whose it is.",
                "organization",
            )
        return Subject(fitting[0] if fitting else "", organization)


class ClientForm(IssuingForm):
    profile = Profile.CLIENT
    days_help = "Until then it lets in whoever has it and its key, lost or stolen as well."
    request_help = (
        "What the client has made for its own key, which never leaves it; by `openssl req -new`, say."
    )
    first_fields = ("common_name", "organization", "names")
    last_fields = ("days",)
    subject_fields = frozenset({"common_name", "organization"})

    common_name = AskedField(
        is_needed=True,
        label="Holder",
        help_text="A person, program or device, such as ada@test.com or laptop-7.test.com.",
        widget=forms.TextInput(attrs={"maxlength": LONGEST_COMMON_NAME, "autocomplete": "off"}),
    )
    organization = AskedField(label="Organization")
    names = NamesField(
        label="Alternative Names",
        help_text="One a line, such as email: ada@test.com, dns: laptop-7.test.com or uri: "
        "spiffe://test.com/shop; listeners can tell clients apart by them. Left empty: the holder, where "
        "that is a DNS name or an e-mail address.",
    )

    def entered_names(self) -> tuple[AlternativeName, ...]:
        text = self.cleaned_data["names"]
        if text:
            return alternative_names.entered(text)
        holder = self.cleaned_data.get("common_name", "")
        if not holder:
            return ()
        try:
            names = alternative_names.entered(holder)
        except NameFaultError:
            names = ()
        if len(names) != 1:
            raise NameFaultError(NO_CLIENT_NAME)
        self._show_again(names=str(names[0]))
        return names

    def entered_subject(self) -> Subject:
        holder = self.cleaned_data["common_name"]
        if not holder:
            raise IssuingError("Write who the certificate is for.", "common_name")
        return Subject(holder, self.cleaned_data["organization"])


def offered_names(text: str) -> str:
    """Names of a server out of an address, one a line; what is none is passed over."""
    offered: dict[str, None] = {}
    for part in text[:LONGEST_OFFER].split(",")[: alternative_names.MOST_NAMES]:
        try:
            names = alternative_names.entered(part, wildcards=True)
        except NameFaultError:
            continue
        offered |= {name.value: None for name in names if name.kind in {NameKind.DNS, NameKind.IP}}
    return "\n".join(offered)
