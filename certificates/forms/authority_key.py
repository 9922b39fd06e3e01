"""What is asked before the key of a CA leaves this machine, goes for good, or comes to it."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db import IntegrityError

from certificates import pem
from certificates.forms.password_again import PasswordAgainForm
from certificates.forms.typed_name import TypedNameForm
from certificates.issuing import IssuingError
from certificates.models import Certificate, CertificateAuthority
from certificates.pem_fields import FilePasswordField, PrivateKeyField

SHORTEST_PASSPHRASE, LONGEST_PASSPHRASE = 12, 256
KEY_GONE = "The key of this CA is not on this machine any more; somebody has removed it meanwhile."


class KeyDownloadForm(PasswordAgainForm):
    """The passphrase that the key is to be encrypted with, and the person's password."""

    passphrase = forms.CharField(
        label="Passphrase for the file",
        strip=False,
        min_length=SHORTEST_PASSPHRASE,
        max_length=LONGEST_PASSPHRASE,
        help_text=(
            f"At least {SHORTEST_PASSPHRASE} characters. Without it the file is worthless, and nobody can "
            "find it out for you: keep it apart from the file."
        ),
        error_messages={
            "required": f"Choose a passphrase of at least {SHORTEST_PASSPHRASE} characters.",
            "min_length": f"This is too short. Choose at least {SHORTEST_PASSPHRASE} characters.",
            "max_length": f"This is too long. Choose at most {LONGEST_PASSPHRASE} characters.",
        },
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    passphrase_again = forms.CharField(
        label="Passphrase again",
        strip=False,
        error_messages={"required": "Type the same passphrase once more."},
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    field_order = ["passphrase", "passphrase_again", "account_password"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        passphrase, again = cleaned.get("passphrase"), cleaned.get("passphrase_again")
        if passphrase and again and passphrase != again:
            self.add_error("passphrase_again", "This is not the same passphrase. Type it twice alike.")
        return cleaned


class KeyRemovalForm(TypedNameForm):
    without_copy = forms.BooleanField(
        label="Remove it although no copy was downloaded: I know that nothing brings it back",
        error_messages={"required": "Download the key first, or tick this as well."},
    )

    def __init__(self, *args: Any, authority: CertificateAuthority, **options: Any) -> None:
        super().__init__(*args, name=str(authority), **options)
        self.is_downloaded = authority.key_downloads.exists()
        if self.is_downloaded:
            del self.fields["without_copy"]


class TakeUpForm(forms.Form):
    """The private key of a stored CA certificate. A refused form keeps no key: it is asked for again."""

    private_key = PrivateKeyField(
        "the CA's key",
        label="Private Key",
        help_text="PEM, DER or PKCS#12, encrypted or not. It is sealed before it is stored and never shown.",
    )
    password = FilePasswordField()

    def __init__(self, *args: Any, certificate: Certificate, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.certificate, self.user = certificate, user
        self.known = CertificateAuthority.objects.filter(certificate=certificate).first()
        self.found: pem.CaKey | None = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        content = self.known.content if self.known else self.certificate.content
        verdict = pem.examine_ca_key(content, cleaned["private_key"], cleaned["password"], self._owner)
        if isinstance(verdict, pem.CaKey):
            self.found = verdict
            self._refuse_elsewhere(verdict)
            return cleaned
        for finding in verdict:
            again = " Hand in the key again, too: it was not kept." if finding.field == "password" else ""
            field = finding.field.value if finding.field.value in self.fields else "private_key"
            self.add_error(field, finding.sentence + again)
        return cleaned

    def save(self) -> CertificateAuthority | None:
        """None, with an error, where the key signs nothing here or has come elsewhere meanwhile."""
        if self.found is None:
            raise ValueError("The form is not valid.")
        own, key = self.found.certificate.pem, self.found.private_key
        try:
            return CertificateAuthority.objects.take_up(self.certificate, own, key, self.user)
        except IssuingError as error:
            self.add_error("private_key", str(error))
            return None
        except IntegrityError:
            self._refuse_elsewhere(self.found)
            if not self.errors:
                self.add_error(
                    "private_key", "Another key was brought to this CA meanwhile. Look at it again."
                )
            return None

    def _refuse_elsewhere(self, key: pem.CaKey) -> None:
        others = CertificateAuthority.objects.exclude(certificate=self.certificate)
        other = others.filter(public_key_hash=key.certificate.public_key_hash).first()
        if other:
            sentence = (
                f"This is the key of the CA {pem.quoted(str(other))}, which is here already. Use that one."
            )
            self.add_error("private_key", sentence)

    def _owner(self, public_key_hash: str) -> str:
        """Another stored certificate that has this key, so that a wrong key can be said to be its."""
        others = Certificate.objects.filter(public_key_hash=public_key_hash).exclude(pk=self.certificate.pk)
        return str(others.first() or "")
