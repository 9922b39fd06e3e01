"""What a certificate of each kind says of itself, and how it comes to be signed.

Sources: RFC 5280, section 4.2 (extensions and their criticality); CA/Browser Forum, Baseline Requirements
7.1 (key usage, serial numbers, server names); RFC 9525 (names are read from the subjectAltName alone).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from certificates.alternative_names import AlternativeName, NameKind
from certificates.issuing import constraints
from certificates.issuing.errors import IssuingError
from certificates.issuing.keys import KeyKind, PrivateKey, PublicKey, loaded, new_private_key, written
from certificates.issuing.subject import Subject
from certificates.pem import quoted

# Clocks that are a little slow take the certificate at once all the same.
BACKDATED = timedelta(minutes=5)
LONGEST_DAYS = {"ca": 36_500, "server": 825, "client": 36_500}


class Profile(StrEnum):
    """What is issued to others than CAs. Apple takes no server certificate of more than 825 days."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True)
class Authority:
    """A CA that signs: its own certificate in PEM, the key in PKCS#8 PEM, and the CAs above it."""

    certificate: str
    private_key: str = field(repr=False)
    above: tuple[str, ...] = ()

    @property
    def chain(self) -> tuple[str, ...]:
        """Its own certificate and those above it, the root last."""
        return (self.certificate, *self.above)


@dataclass(frozen=True)
class Issued:
    """PEM; `private_key` is "" where the key is the requester's."""

    certificate: str
    private_key: str = field(default="", repr=False)


def new_root(
    subject: Subject,
    kind: KeyKind,
    days: int,
    now: datetime,
    *,
    path_length: int = 0,
    permitted: Sequence[x509.GeneralName] = (),
) -> Issued:
    """A self-signed CA. Raises `IssuingError`."""
    key = new_private_key(kind)
    builder = _ca(subject, key, now, _end(days, now, "ca"), path_length, permitted)
    return Issued(_signed(builder.issuer_name(subject.name), key), written(key))


def new_intermediate(
    authority: Authority,
    subject: Subject,
    kind: KeyKind,
    days: int,
    now: datetime,
    *,
    permitted: Sequence[x509.GeneralName] = (),
) -> Issued:
    """A CA below another one, with none below itself. Raises `IssuingError`."""
    above = x509.load_pem_x509_certificate(authority.certificate.encode())
    limit = above.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    if limit == 0:
        raise IssuingError("This CA may not have others below it (its path length is 0).")
    if subject.name == above.subject:
        raise IssuingError("Its name has to be another than that of the CA above it.", "common_name")
    key = new_private_key(kind)
    end = _end_below(above, _end(days, now, "ca"), now)
    builder = _ca(subject, key, now, end, 0, permitted)
    return Issued(_issued(builder, above, loaded(authority.private_key)), written(key))


def issue(
    profile: Profile,
    authority: Authority,
    subject: Subject,
    names: Sequence[AlternativeName],
    key: KeyKind | PublicKey,
    end: datetime | int,
    now: datetime,
) -> Issued:
    """A certificate of a server or client, for a key that is made now or for a requester's public key.

    `end` is its last moment, or a number of days from now. Raises `IssuingError`.
    """
    _check_names(profile, names)
    above = x509.load_pem_x509_certificate(authority.certificate.encode())
    constraints.check(names, above)
    until = _end(end, now, profile.value) if isinstance(end, int) else end
    private_key = new_private_key(key) if isinstance(key, KeyKind) else None
    public_key = private_key.public_key() if private_key else key
    if isinstance(public_key, KeyKind):
        raise TypeError(public_key)
    builder = _builder(subject, public_key, now, _end_below(above, until, now))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    is_rsa_server = profile is Profile.SERVER and isinstance(public_key, rsa.RSAPublicKey)
    builder = builder.add_extension(_usage(key_encipherment=is_rsa_server), critical=True)
    purpose = {
        Profile.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
        Profile.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    }[profile]
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    alternatives = x509.SubjectAlternativeName(name.general for name in names)
    builder = builder.add_extension(alternatives, critical=False)
    signed = _issued(builder, above, loaded(authority.private_key))
    return Issued(signed, written(private_key) if private_key else "")


def _check_names(profile: Profile, names: Iterable[AlternativeName]) -> None:
    chosen = list(names)
    if not chosen:
        what = "that clients use for the server" if profile is Profile.SERVER else "of the client"
        raise IssuingError(f"Write at least one name {what}.", "names")
    for name in chosen:
        if profile is Profile.SERVER and name.kind not in {NameKind.DNS, NameKind.IP}:
            raise IssuingError(
                f"{quoted(name.value)} is no name of a server. Expected are DNS names and IP addresses.",
                "names",
            )
        if profile is Profile.CLIENT and "*" in name.value and name.kind is NameKind.DNS:
            raise IssuingError(f"{quoted(name.value)}: a client's name has no star.", "names")


def _ca(
    subject: Subject,
    key: PrivateKey,
    now: datetime,
    end: datetime,
    path_length: int,
    permitted: Sequence[x509.GeneralName],
) -> x509.CertificateBuilder:
    builder = _builder(subject, key.public_key(), now, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    if permitted:
        limits = x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)
        builder = builder.add_extension(limits, critical=True)
    return builder


def _builder(subject: Subject, key: PublicKey, now: datetime, end: datetime) -> x509.CertificateBuilder:
    # 159 random bits: unpredictable, positive and at most 20 octets long.
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(subject.name)
        .public_key(key)
        .not_valid_before((now - BACKDATED).replace(microsecond=0))
        .not_valid_after(end.replace(microsecond=0))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool = False, key_encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(builder: x509.CertificateBuilder, above: x509.Certificate, key: PrivateKey) -> str:
    try:
        identifier = above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        pointer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    except x509.ExtensionNotFound:
        pointer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return _signed(builder.issuer_name(above.subject).add_extension(pointer, critical=False), key)


def _signed(builder: x509.CertificateBuilder, key: PrivateKey) -> str:
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _end(days: int, now: datetime, what: str) -> datetime:
    longest = LONGEST_DAYS[what]
    if not 1 <= days <= longest:
        raise IssuingError(f"Choose a number of days from 1 to {longest:,}.", "days")
    return now + timedelta(days=days)


def _end_below(above: x509.Certificate, end: datetime, now: datetime) -> datetime:
    """No certificate outlives the CA above it: clients would refuse it from then on, with no word why."""
    last = above.not_valid_after_utc
    if last <= now:
        raise IssuingError(f"This CA has expired ({last:%Y-%m-%d %H:%M} UTC). Make a new one.")
    if end > last:
        whole = (last - now).days
        wish = f"Choose at most {whole:,} days." if whole else "Make a new CA."
        raise IssuingError(f"This CA itself ends at {last:%Y-%m-%d %H:%M} UTC. {wish}", "days")
    return end
