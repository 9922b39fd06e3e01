"""The one door through which certificates are written: examined, sealed, stored; or refused, nothing lost."""

import secrets
from copy import copy
from typing import Any
from uuid import UUID

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Div, Layout
from django import forms
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from certificates import pem
from certificates.keyring import UnsealError
from certificates.models import Certificate, CertificateAuthority, KeyDraft
from certificates.pem_fields import FilePasswordField, PemField, PrivateKeyField, WordsField, same_text
from certificates.replacement import Losses, losses_of_ca, losses_of_server
from console.models import ConfigurationRevision

CA_WITH_KEY = (
    "A CA certificate is stored without its private key, which is not needed here and should stay "
    "where it is. Leave this field empty."
)

KEY_IS_SEALED = (
    "Not needed when the key is in one of the files above. It is sealed before it is stored and is never "
    "shown again."
)
KEY_IS_STORED = "A key is stored and is not shown. Leave this empty to keep it; a new one replaces it."


MUST_STAY = (
    "This CA issues certificates here, and its own certificate, {}, is missing: listeners would refuse "
    "whoever has one of them. Leave it in and put other certificates beside it; for another CA, add another "
    "certificate."
)
NAMES_HELP = "Names that a listener picks this certificate by (SNI). Left empty, those of the certificate."


def suggested_name() -> str:
    return f"cert-{secrets.token_hex(2)}"


class CertificateForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """Adds a certificate, or changes one whose type then stays.

    After a refusal, `keep_private_key` seals the key that came with the form, and `draft` is what is kept.
    """

    content = PemField(
        "the certificate",
        label="Certificate Content",
        help_text="With the CAs between it and its root, in any order: PEM, DER, PKCS#7 or PKCS#12.",
    )
    private_key = PrivateKeyField("the key", label="Private Key", help_text=KEY_IS_SEALED)
    password = FilePasswordField()
    key_draft = forms.Field(required=False)  # rendered beside the sentence that says what is kept
    accepted_losses = forms.CharField(required=False)  # rendered beside what they are

    class Meta:
        model = Certificate
        fields = ["name", "type", "server_names", "description"]
        field_classes = dict.fromkeys(("name", "server_names", "description"), WordsField)
        error_messages = {
            "type": dict.fromkeys(("required", "invalid_choice"), "Choose one of the two types.")
        }
        widgets = {
            "type": forms.RadioSelect,
            "server_names": forms.Textarea(attrs={"rows": 1, "spellcheck": "false", "autocomplete": "off"}),
            "description": forms.Textarea(attrs={"rows": 2, "maxlength": 255}),
        }
        help_texts = {"server_names": NAMES_HELP}

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        self.draft: KeyDraft | None = None
        self.pasted_content = self.pasted_key = self.given_password = ""
        self.key_was_in_content = self.key_is_stored = False
        self.verdict: pem.Verdict | None = None
        self.losses: Losses | None = None
        self.remakes_listeners = False
        if not self.instance.pk:
            self.initial["name"] = suggested_name()
        else:
            del self.fields["type"]
            self.fields["content"] = PemField(
                "the certificate",
                stored=self.instance.content,
                label="Certificate Content",
                help_text=self.fields["content"].help_text,
                initial=self.instance.content,
            )
            self.fields["private_key"] = PrivateKeyField(
                "the key", is_needed=False, label="Private Key", help_text=KEY_IS_STORED
            )
            if not self.is_server:
                del self.fields["private_key"], self.fields["server_names"]

    @property
    def is_server(self) -> bool:
        kind = self.cleaned_data.get("type") if "type" in self.fields else self.instance.type
        return kind == Certificate.Type.SERVER

    @property
    def helper(self) -> FormHelper:
        helper = FormHelper()
        helper.form_tag = False
        helper.disable_csrf = True
        kept = HTML("{% include 'certificates/_kept_key.html' %}")
        kind = "type" if "type" in self.fields else HTML("{% include 'certificates/_fixed_type.html' %}")
        parts = ["name", kind, "content"]
        if "private_key" in self.fields:
            parts.append(Div("private_key", data_show_when="type=server"))
        needed = {"data_needed": "yes"} if "password" in self.errors else {}
        parts += [kept, Div("password", data_password="", **needed)]
        if "server_names" in self.fields:
            parts.append(Div("server_names", data_show_when="type=server"))
        helper.layout = Layout(*parts, "description")
        return helper

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        # Kept aside: an error at a field takes its value out of the cleaned data.
        self.pasted_content = content = cleaned.get("content", "")
        self.pasted_key = private_key = cleaned.get("private_key", "")
        self.given_password = cleaned.get("password", "")
        self.draft = self._draft(cleaned["key_draft"] or "")
        if self.errors.keys() & {"type", "content", "private_key", "password"}:
            return cleaned
        if not self.is_server and private_key.strip():
            self.add_error("private_key", CA_WITH_KEY)
        elif "preview" in self.data or not self._is_stored_already(content, private_key):
            self._examine(content, private_key)
            self._keep_what_issues()
            self._look_for_losses()
        self._settle_names()
        self._ask_listeners()
        return cleaned

    def keep_private_key(self) -> None:
        """Seals the private key of a form that is shown again, in the place of one that was kept before.

        What a password opened is kept opened, so that it need not be typed again.
        """
        opened = self.verdict.opened_key if self.verdict else ""
        pasted = pem.private_keys_in(self.pasted_key)
        if not self.pasted_key.strip():
            pasted = pem.private_keys_in(self.pasted_content)
            self.key_was_in_content = bool(pasted)
        if opened and not self.key_is_stored and (pasted or (self.draft and self.given_password)):
            pasted = opened
        if not self.is_server:
            # A CA's own key stays where it is; a file that has not been opened may hold certificates alone.
            is_closed = "password" in self.errors and "PRIVATE KEY" not in pasted
            pasted, self.draft = (pasted, self.draft) if is_closed else ("", None)
        if pasted:
            if self.draft:
                self.draft.delete()
            self.draft = KeyDraft.objects.keep(pasted, self.user)
        self._show_again()

    def _show_again(self) -> None:
        """Puts what was read into the fields: certificates out of files, and the domain names."""
        data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict that was posted, or a dict
        revealed = self.verdict.revealed if self.verdict else ""
        shown = self["content"].value()
        data["content"] = f"{shown.rstrip()}\n{revealed}".lstrip() if revealed else shown
        self.files = MultiValueDict()
        if names := self.cleaned_data.get("server_names"):
            data["server_names"] = names.replace(",", ", ")
        self.data = data

    def save(self, commit: bool = True) -> Certificate:
        with ConfigurationRevision.objects.change():
            certificate: Certificate = self.instance
            if self.verdict and self.verdict.material:
                certificate.hold(self.verdict.material)
            if not certificate.pk:
                certificate.created_by = self.user
            certificate.updated_by = self.user
            certificate.save()
            if self.draft:
                self.draft.delete()
        return certificate

    @property
    def warnings(self) -> list[str]:
        findings = self.verdict.findings if self.verdict else ()
        return [one.sentence for one in findings if one.severity is pem.Severity.WARN]

    def _is_stored_already(self, content: str, private_key: str) -> bool:
        """Whether only the name, the domain names or the description may have changed."""
        if not self.instance.pk or private_key.strip() or self.cleaned_data["key_draft"]:
            return False
        return same_text(content, self.instance.content)

    def _examine(self, content: str, private_key: str) -> None:
        now = timezone.now()
        if self.is_server:
            private_key = private_key if private_key.strip() else self._private_key_from_elsewhere(content)
            if "private_key" in self.errors:
                return
            self.verdict = pem.examine_server(content, private_key, now, self.given_password, self._owner)
        else:
            kept = self.draft.private_key() if self.draft else ""
            self.verdict = pem.examine_ca(f"{content}\n{kept}", now, self.given_password)
        for finding in self.verdict.findings:
            if finding.severity is pem.Severity.REFUSE:
                field = finding.field.value
                self.add_error(field if field in self.fields else "content", finding.sentence)

    def _settle_names(self) -> None:
        """Domain names of a server certificate: those that were entered, else all that it has."""
        entered = pem.entered_names(self.cleaned_data.get("server_names") or "")
        if not self.is_server:
            self.cleaned_data["server_names"] = ""
            return
        before = pem.stored_facts(self.instance.content)[0] if self.instance.pk else None
        facts = self.verdict.certificates[0] if self.verdict and self.verdict.certificates else before
        if facts is None:
            return
        is_untouched = before is not None and entered == before.server_names
        names = facts.server_names if not entered or is_untouched else entered
        for fault in pem.name_faults(names, facts.names or (facts.common_name,)):
            self.add_error("server_names", fault)
        if "server_names" not in self.errors:
            self.cleaned_data["server_names"] = ",".join(names)

    def _owner(self, public_key_hash: str) -> str:
        """The stored certificate that has this key, so that a wrong key can be said to be its."""
        others = Certificate.objects.filter(public_key_hash=public_key_hash).exclude(pk=self.instance.pk)
        return str(others.first() or "")

    def _keep_what_issues(self) -> None:
        """Listeners would refuse what a CA issues here whose own certificate is no longer among their CAs."""
        material = self.verdict.material if self.verdict else None
        authority = CertificateAuthority.objects.filter(certificate=self.instance.pk or 0).first()
        if authority is None or material is None or authority.content in material.content:
            return
        self.add_error("content", MUST_STAY.format(pem.quoted(authority.subject)))

    def _look_for_losses(self) -> None:
        """Asks before a replacement takes something from the clients of the listeners that use it."""
        material = self.verdict.material if self.verdict else None
        if (
            not self.instance.pk
            or material is None
            or "content" in self.errors
            or not self.instance.listeners
        ):
            return
        if self.is_server:
            stored = self.instance
            self.losses = losses_of_server(stored.server_names, stored.names, material)
        else:
            self.losses = losses_of_ca(self.instance.content, material)
        if self.losses and self.cleaned_data["accepted_losses"] != self.losses.token:
            self.add_error("accepted_losses", "Confirm that it is to be replaced all the same.")

    def _ask_listeners(self) -> None:
        """A key of another kind, other names or CAs may not suit a listener that uses the certificate."""
        stored = self.instance
        if self.errors or not stored.pk:
            return
        replacement = copy(stored)
        if self.verdict and self.verdict.material:
            replacement.hold(self.verdict.material)
        if not self.is_server:
            for sentence in stored.objections(replacement) if replacement.content != stored.content else ():
                self.add_error("content", sentence)
            return
        replacement.server_names = self.cleaned_data["server_names"]
        is_other_kind = replacement.key.partition(" ")[0] != stored.key.partition(" ")[0]
        if not is_other_kind and replacement.server_names == stored.server_names:
            return
        self.remakes_listeners = any(one.is_open for one in stored.sni_listeners.all())
        for sentence in stored.objections(replacement):
            self.add_error("content" if is_other_kind else "server_names", sentence)

    def _private_key_from_elsewhere(self, content: str) -> str:
        """The key kept from before, or the stored one; "" when one was pasted along with the certificate."""
        if pem.private_keys_in(content):
            return ""
        try:
            if self.draft:
                return self.draft.private_key()
            if self.cleaned_data["key_draft"]:
                raise UnsealError("The private key that was kept for this form has expired.")
            self.key_is_stored = bool(self.instance.pk)
            return self.instance.private_key() if self.instance.pk else ""
        except UnsealError as error:
            self.draft = None
            self.add_error("private_key", f"{error} Paste or choose the private key again.")
            return ""

    def _draft(self, number: str) -> KeyDraft | None:
        """The key kept from an earlier refusal: this person's own, and not expired."""
        try:
            return KeyDraft.objects.alive(self.user).filter(pk=UUID(number)).first()
        except ValueError:
            return None
