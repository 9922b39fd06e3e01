"""The one door through which certificates are written: examined, sealed, stored; or refused, nothing lost."""

import secrets
from typing import Any
from uuid import UUID

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Div, Layout
from django import forms
from django.contrib.auth.models import User
from django.utils import timezone

from certificates import pem
from certificates.keyring import UnsealError
from certificates.models import Certificate, KeyDraft
from certificates.pem_fields import PemField, PrivateKeyField, WordsField
from console.models import ConfigurationRevision

CA_WITH_KEY = (
    "A CA certificate is stored without its private key, which is not needed here and should stay "
    "where it is. Leave this field empty."
)

CHANGED_MEANWHILE = (
    "Somebody else has changed this since you opened the page, so nothing was saved. "
    "Look at what is stored now, then save again to put what you entered in its place."
)

KEY_IS_SEALED = "Without a passphrase. It is sealed before it is stored and is never shown again."
KEY_IS_STORED = "A key is stored and is not shown. Leave this empty to keep it; a new one replaces it."


def suggested_name() -> str:
    return f"cert-{secrets.token_hex(2)}"


class CertificateForm(forms.ModelForm):  # type: ignore[type-arg]  # takes none at run time
    """Adds a certificate, or changes one whose type then stays.

    After a refusal, `keep_private_key` seals the key that came with the form, and `draft` is what is kept.
    """

    content = PemField(
        "the certificate",
        label="Certificate Content",
        help_text="A server certificate comes first, then the CAs between it and its root.",
    )
    private_key = PrivateKeyField("the key", label="Private Key", help_text=KEY_IS_SEALED)
    key_draft = forms.Field(required=False)  # rendered beside the sentence that says what is kept
    stamp = forms.Field(required=False)  # tells one editor of the other; rendered beside what it says

    class Meta:
        model = Certificate
        fields = ["name", "type", "description"]
        field_classes = {"name": WordsField, "description": WordsField}
        widgets = {
            "type": forms.RadioSelect,
            "description": forms.Textarea(attrs={"rows": 2, "maxlength": 255}),
        }
        error_messages = {"name": {"required": "Enter a name."}}

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        self.draft: KeyDraft | None = None
        self.pasted_content = self.pasted_key = ""
        self.key_was_in_content = False
        self.verdict: pem.Verdict | None = None
        if not self.instance.pk:
            self.initial["name"] = suggested_name()
            del self.fields["stamp"]
        else:
            del self.fields["type"]
            self.fields["content"].initial = self.instance.content
            self.fields["private_key"] = PrivateKeyField(
                "the key", is_needed=False, label="Private Key", help_text=KEY_IS_STORED
            )
            if not self.is_server:
                del self.fields["private_key"]

    @property
    def is_server(self) -> bool:
        kind = self.cleaned_data.get("type") if "type" in self.fields else self.instance.type
        return kind == Certificate.Type.SERVER

    @property
    def current_stamp(self) -> str:
        certificate: Certificate = self.instance
        return certificate.updated_at.isoformat()

    @property
    def helper(self) -> FormHelper:
        helper = FormHelper()
        helper.form_tag = False
        helper.disable_csrf = True
        kept = HTML("{% include 'certificates/_kept_key.html' %}")
        key = Div("private_key", kept, data_show_when="type=server")
        kind = "type" if "type" in self.fields else HTML("{% include 'certificates/_fixed_type.html' %}")
        parts = ["name", kind, "content", *([key] if "private_key" in self.fields else []), "description"]
        stamp = [HTML("{% include 'certificates/_stamp.html' %}")] if "stamp" in self.fields else []
        helper.layout = Layout(*stamp, *parts)
        return helper

    def clean_stamp(self) -> str:
        stamp: str = self.cleaned_data["stamp"]
        if stamp != self.current_stamp:
            raise forms.ValidationError(CHANGED_MEANWHILE)
        return stamp

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        # Kept aside: an error at a field takes its value out of the cleaned data.
        self.pasted_content = content = cleaned.get("content", "")
        self.pasted_key = private_key = cleaned.get("private_key", "")
        self.draft = self._draft(cleaned["key_draft"] or "")
        if self.errors.keys() & {"type", "content", "private_key"}:
            return cleaned
        if not self.is_server and private_key.strip():
            self.add_error("private_key", CA_WITH_KEY)
        elif not content.strip():
            self.add_error("content", "Paste the certificate or choose its file: PEM, the leaf first.")
        elif not self._is_stored_already(content, private_key):
            self._examine(content, private_key)
        return cleaned

    def keep_private_key(self) -> None:
        """Seals the private key of a refused form, in the place of one that was kept before."""
        if not self.is_server:
            self.draft = None
            return
        pasted = pem.private_keys_in(self.pasted_key)
        if not self.pasted_key.strip():
            pasted = pem.private_keys_in(self.pasted_content)
            self.key_was_in_content = bool(pasted)
        if pasted:
            if self.draft:
                self.draft.delete()
            self.draft = KeyDraft.objects.keep(pasted, self.user)

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
        return [one.message for one in findings if one.severity is pem.Severity.WARN]

    def _is_stored_already(self, content: str, private_key: str) -> bool:
        """Whether only the name or the description may have changed; a browser turns newlines into CRLF."""
        if not self.instance.pk or private_key.strip() or self.cleaned_data["key_draft"]:
            return False
        return bool(content.replace("\r\n", "\n").strip() == self.instance.content.strip())

    def _examine(self, content: str, private_key: str) -> None:
        now = timezone.now()
        if self.is_server:
            private_key = private_key if private_key.strip() else self._private_key_from_elsewhere(content)
            if "private_key" in self.errors:
                return
            self.verdict = pem.examine_server(content, private_key, now)
        else:
            self.verdict = pem.examine_ca(content, now)
        for finding in self.verdict.findings:
            if finding.severity is pem.Severity.REFUSE:
                field = finding.field.value
                self.add_error(field if field in self.fields else "content", finding.message)

    def _private_key_from_elsewhere(self, content: str) -> str:
        """The key pasted along with the certificate, the one kept from before, or the stored one."""
        if in_content := pem.private_keys_in(content):
            return in_content
        try:
            if self.draft:
                return self.draft.private_key()
            if self.cleaned_data["key_draft"]:
                raise UnsealError("The private key that was kept for this form has expired.")
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
