"""Form fields for PEM that is pasted or chosen as a file; a private key is never written back to the page."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict

from certificates import pem

LONGEST_BYTES = 1024 * 1024
DER_SEQUENCE = b"\x30"
KEY_MARKER = "PRIVATE KEY-----"


class PemInput(forms.Textarea):
    """A text area, and beside it a file chooser that counts while the text area is empty."""

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
    ) -> Any:
        text = data.get(name)
        chosen = files.get(f"{name}_file")
        return chosen if chosen and not (text or "").strip() else text


class PemField(forms.CharField):
    """Cleans to text. A file that is not text, or more than 1 MiB, is refused at the field.

    Whether it may be empty is for the form to say; `is_needed` only marks its label.
    """

    def __init__(self, file_of: str, is_needed: bool = True, **options: Any) -> None:
        self.is_needed = is_needed
        attributes = {"rows": 5, "spellcheck": "false", "autocomplete": "off", "placeholder": "PEM encoded"}
        widget = PemInput(file_of, attrs={"class": "pem", **attributes})
        super().__init__(strip=False, required=False, widget=widget, **options)

    def to_python(self, value: Any) -> str:
        return pem_text(value)

    def bound_data(self, data: Any, initial: Any) -> str:
        """What a refused form shows again."""
        try:
            return pem.without_private_keys(pem_text(data))
        except ValidationError:
            return ""


class PrivateKeyField(PemField):
    def bound_data(self, data: Any, initial: Any) -> str:
        return ""


class WordsField(forms.CharField):
    """A name or a description: a private key that lands there by mistake is refused and not shown again."""

    def validate(self, value: str) -> None:
        super().validate(value)
        if KEY_MARKER in value:
            raise ValidationError("This is a private key. It belongs in Private Key, and nowhere else.")

    def bound_data(self, data: Any, initial: Any) -> Any:
        return "" if KEY_MARKER in (data or "") else data


def pem_text(value: Any) -> str:
    """The text of a pasted or uploaded value. Raises `ValidationError`."""
    if isinstance(value, UploadedFile):
        _check_size(value.size or 0)
        value.seek(0)  # it is read twice when the form is refused: to check it and to show it
        return _checked(_decoded(value.read()))
    text = value or ""
    _check_size(len(text.encode(errors="replace")))
    return _checked(text)


def _check_size(size: int) -> None:
    if size > LONGEST_BYTES:
        raise ValidationError(
            f"This is {size / LONGEST_BYTES:.1f} MiB; at most 1 MiB is taken, and a certificate with its "
            "chain is a few kilobytes. Choose the PEM file itself."
        )


def _decoded(octets: bytes) -> str:
    try:
        # PowerShell writes UTF-16 with a byte order mark.
        utf_16 = octets.startswith((b"\xff\xfe", b"\xfe\xff"))
        return octets.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        pass
    if octets.startswith(DER_SEQUENCE):
        raise ValidationError(
            "This file is binary: DER or PKCS#12 (.p12, .pfx), where PEM was expected. Convert it with "
            "OpenSSL: openssl x509 -inform DER for a certificate, openssl pkey -inform DER for a key, "
            "openssl pkcs12 -nodes for a .p12 file."
        )
    raise ValidationError("This file is not text. A PEM file is text that begins with -----BEGIN.")


def _checked(text: str) -> str:
    if "\0" in text:
        raise ValidationError("This has NUL characters, which PEM never has. Export the file again as PEM.")
    return text
