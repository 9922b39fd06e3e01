"""Form fields for what is pasted, chosen or dropped; a private key is never written back to the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict

from certificates import pem
from console.forms import KEY_MARKER

MEBIBYTE = 1024 * 1024
JAVA_KEYSTORE = b"\xfe\xed\xfe\xed"


@dataclass(frozen=True)
class Handed:
    """What one field was given: text and files, which count together."""

    text: str
    files: Sequence["UploadedFile[bytes]"]


class PemInput(forms.Textarea):
    """A text area, and below it a place for any number of files."""

    template_name = "components/pem_input.html"
    needs_multipart_form = True

    def __init__(self, file_of: str, **options: Any) -> None:
        super().__init__(**options)
        self.file_of = file_of

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, value, attrs) | {
            "file_name": f"{name}_file",
            "file_of": self.file_of,
        }

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, "UploadedFile[bytes]"], name: str
    ) -> Handed:
        return Handed(data.get(name) or "", files.getlist(f"{name}_file"))


class PemField(forms.CharField):
    """Cleans to text, in which binary files stand as PEM. More than 1 MiB is refused at the field.

    Whether it may be empty is for the form to say; `is_needed` only marks its label. `stored` is what the
    page was shown with: files take its place, and are added to anything else.
    """

    def __init__(self, file_of: str, is_needed: bool = True, stored: str = "", **options: Any) -> None:
        self.is_needed = is_needed
        self.stored = stored
        attributes = {"rows": 5, "spellcheck": "false", "autocomplete": "off", "placeholder": "PEM encoded"}
        if stored:
            attributes["data-stored"] = ""
        widget = PemInput(file_of, attrs={"class": "pem", **attributes})
        super().__init__(strip=False, required=False, widget=widget, **options)

    def to_python(self, value: Any) -> str:
        return self._text(value)

    def bound_data(self, data: Any, initial: Any) -> str:
        """What a refused form shows again."""
        try:
            return pem.without_private_keys(self._text(data))
        except ValidationError:
            return ""

    def _text(self, handed: Handed) -> str:
        """Raises `ValidationError`."""
        _check_size(len(handed.text.encode(errors="replace")) + sum(file.size or 0 for file in handed.files))
        if "\0" in handed.text:
            raise ValidationError("This has NUL characters, which PEM never has. Copy the text again.")
        texts = [_file_text(file) for file in handed.files]
        if not texts:
            return handed.text
        is_stored = self.stored and same_text(handed.text, self.stored)
        return "\n".join(text for text in ("" if is_stored else handed.text, *texts) if text.strip())


class PrivateKeyField(PemField):
    def bound_data(self, data: Any, initial: Any) -> str:
        return ""


class FilePasswordField(forms.CharField):
    """What opens an encrypted key or file."""

    def __init__(self) -> None:
        super().__init__(
            label="Password",
            required=False,
            strip=False,
            max_length=1024,
            help_text=(
                "Only for an encrypted private key or a .p12 or .pfx file. It is used once and never stored."
            ),
            widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        )


class WordsField(forms.CharField):
    """A name or a description, in which a private key is refused."""

    def validate(self, value: str) -> None:
        super().validate(value)
        if KEY_MARKER in value:
            raise ValidationError("This is a private key. It belongs in Private Key, and nowhere else.")


def same_text(one: str, other: str) -> bool:
    """A browser turns newlines into CRLF."""
    return one.replace("\r\n", "\n").strip() == other.strip()


def _check_size(size: int) -> None:
    if size > pem.LONGEST_INPUT:
        raise ValidationError(
            f"This is {size / MEBIBYTE:.1f} MiB; at most 1 MiB is taken, and a certificate with its chain is "
            "a few kilobytes. Choose the certificate's own file."
        )


def _file_text(file: "UploadedFile[bytes]") -> str:
    """The file's text; of a binary file, the same as PEM. Raises `ValidationError`."""
    file.seek(0)  # it is read twice when the form is refused: to check it and to show it
    octets = file.read()
    name = pem.quoted(file.name or "The file")
    if octets.startswith(JAVA_KEYSTORE):
        raise ValidationError(
            f"{name} is a Java keystore (JKS). Convert it with `keytool -importkeystore -srckeystore FILE "
            "-destkeystore FILE.p12 -deststoretype PKCS12`, and choose the .p12 file."
        )
    if pem.is_whole_element(octets):
        if text := pem.armored(octets):
            return text
        raise ValidationError(f"{name} is binary, and neither a certificate nor a key that is known here.")
    try:
        # PowerShell writes UTF-16 with a byte order mark.
        utf_16 = octets.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = octets.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValidationError(
            f"{name} is neither text nor a whole certificate or key: it is damaged, or of another kind. "
            "Expected are PEM, DER, PKCS#7 (.p7b) and PKCS#12 (.p12, .pfx)."
        )
    return text
