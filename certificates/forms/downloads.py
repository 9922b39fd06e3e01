"""The form by which a client's private key leaves, once."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Div, Layout
from django import forms
from django.db import transaction

from certificates.forms.password_again import PasswordAgainForm
from certificates.issuing import bundles
from certificates.issuing.bundles import BundleForm
from certificates.issuing.targets import Target
from certificates.keyring import UnsealError
from certificates.models import IssuedCertificate, KeyDownload
from certificates.pem_fields import WordsField

ENDS = (
    f"{bundles.SHORTEST_PASSWORD} to {bundles.LONGEST_PASSWORD} letters, digits and signs of ASCII, without "
    "blanks: programs read others in different ways."
)
PASSWORD_HELP = (
    "Who imports the file is asked for it. Copy it now: it is not kept here, and without it the file cannot "
    f"be opened. Your own has {ENDS}"
)
SUITS = "The one that suits it (recommended)"
FORMAT_HELP = "Change it only when the program asks for another."


def file_stem(issued: IssuedCertificate) -> str:
    return f"{issued.profile}-{issued.pk}"


def holding(issued: IssuedCertificate, private_key: str) -> bundles.Holding:
    authority = issued.authority
    known = [authority.content, *authority.above, authority.certificate.content]
    return bundles.Holding(
        certificate=issued.content,
        private_key=private_key,
        authorities=bundles.chain_of(issued.content, known),
        name=bundles.harmless(str(issued), issued.pk),
        file=file_stem(issued),
    )


class DownloadForm(PasswordAgainForm):
    """Valid with the password of `user`; `take` gives the file, the first time."""

    target = forms.ChoiceField(
        label="Where it will be used",
        choices=[(one.value, one.label) for one in Target],
        widget=forms.RadioSelect,
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose where it will be used."),
    )
    format = forms.ChoiceField(
        label="Format",
        required=False,
        choices=[
            ("", SUITS),
            *((one.value, one.label) for one in BundleForm),
        ],
        help_text=FORMAT_HELP,
        error_messages={"invalid_choice": "Choose one of the formats."},
    )
    file_password = WordsField(
        label="Password for the file",
        required=False,
        strip=False,
        max_length=1024,
        initial=bundles.new_password,
        help_text=PASSWORD_HELP,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "class": "mono"}
        ),
    )

    field_order = ("target", "format", "file_password", "account_password")

    def __init__(self, *args: Any, issued: IssuedCertificate, **options: Any) -> None:
        super().__init__(*args, **options)
        self.issued = issued
        self.initial.setdefault("target", Target.WINDOWS.value)

    @property
    def helper(self) -> FormHelper:
        helper = FormHelper()
        helper.form_tag = False
        helper.disable_csrf = True
        copy = HTML("{% include 'certificates/_issued_download_copy.html' %}")
        helper.layout = Layout(
            "target",
            "format",
            Div("file_password", copy, data_show_unless=f"format={BundleForm.PEM_PLAIN.value}"),
            "account_password",
        )
        return helper

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "format" not in cleaned or "target" not in cleaned or "file_password" not in cleaned:
            return cleaned
        if self.chosen_form.has_password and not bundles.PASSWORD.fullmatch(cleaned["file_password"]):
            self.add_error("file_password", f"The file needs a password of {ENDS}")
        return cleaned

    @property
    def chosen_target(self) -> Target:
        return Target(self.cleaned_data["target"])

    @property
    def chosen_form(self) -> BundleForm:
        chosen = self.cleaned_data["format"]
        return BundleForm(chosen) if chosen else self.chosen_target.form

    def take(self) -> bytes | None:
        """The file, with a key that from now on is nowhere else; None when it had gone already.

        The key is kept where the file cannot be made, and the form then has an error.
        """
        form, issued = self.chosen_form, self.issued
        try:
            with transaction.atomic():
                private_key = IssuedCertificate.objects.take_key(issued.pk)
                if not private_key:
                    return None
                made = bundles.bundle(form, holding(issued, private_key), self.cleaned_data["file_password"])
                what = f"{issued.subject}, SHA-256 {issued.fingerprint}"
                KeyDownload.objects.note(
                    what, f"{form.label}, for {self.chosen_target.label}", self.user, issued=issued
                )
        except UnsealError as error:
            self.add_error(None, str(error))
            return None
        return made
