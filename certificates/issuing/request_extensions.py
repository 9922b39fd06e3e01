"""What the extensions of a request ask for: its names are taken, the profile sets the rest."""

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from certificates import alternative_names
from certificates.alternative_names import MOST_NAMES, AlternativeName
from certificates.issuing.errors import IssuingError

NAMES = {
    ExtensionOID.BASIC_CONSTRAINTS: "basicConstraints",
    ExtensionOID.KEY_USAGE: "keyUsage",
    ExtensionOID.EXTENDED_KEY_USAGE: "extendedKeyUsage",
}


def read_extensions(
    extensions: Iterable[x509.Extension[x509.ExtensionType]],
) -> tuple[tuple[AlternativeName, ...], list[str]]:
    """The names, and a sentence on everything that is left out.

    Raises `IssuingError` for what makes a CA: who asks for that is not given something less instead.
    """
    names: tuple[AlternativeName, ...] = ()
    left_out: list[str] = []
    for extension in extensions:
        value = extension.value
        match value:
            case x509.SubjectAlternativeName():
                count = len(list(value))
                if count > MOST_NAMES:
                    raise IssuingError(
                        f"The request asks for {count:,} names; at most {MOST_NAMES} are issued in one "
                        "certificate.",
                        "request",
                    )
                names, sentences = alternative_names.of_extension(value)
                left_out += sentences
            case x509.BasicConstraints() if value.ca:
                raise IssuingError(
                    "The request asks for a CA certificate (basicConstraints CA:TRUE), with which its holder "
                    "could let in anybody. Make it anew without.",
                    "request",
                )
            case x509.KeyUsage() if value.key_cert_sign or value.crl_sign:
                raise IssuingError(
                    "The request asks to sign certificates or CRLs (keyUsage), which is for CAs. Make it "
                    "anew without.",
                    "request",
                )
            case x509.NameConstraints():
                raise IssuingError(
                    "The request asks for nameConstraints, which are for CAs. Make it anew without.",
                    "request",
                )
            case x509.BasicConstraints() | x509.KeyUsage() | x509.ExtendedKeyUsage():
                left_out.append(f"Its {NAMES[extension.oid]} is replaced by what the profile sets.")
            case _:
                left_out.append(f"Its extension {_called(extension)} is left out.")
    return names, left_out


def _called(extension: x509.Extension[x509.ExtensionType]) -> str:
    name = extension.oid._name
    return name if name != "Unknown OID" else extension.oid.dotted_string
