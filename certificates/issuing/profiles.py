"""What a certificate of each kind says of itself, and how it comes to be signed.

Sources: RFC 5280, section 4.2 (extensions and their criticality); CA/Browser Forum, Baseline Requirements
7.1 (key usage, serial numbers, server names); RFC 9525 (names are read from the subjectAltName alone).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from certificates.alternative_names import AlternativeName
from certificates.issuing import constraints
from certificates.issuing.authority import Authority
from certificates.issuing.errors import IssuingError
from certificates.issuing.keys import KeyKind, PrivateKey, PublicKey, loaded, new_private_key, written
from certificates.issuing.names import Profile, check_names
from certificates.issuing.subject import Subject
from certificates.issuing.validity import Validity, validity

# Apple takes no server certificate of more than 825 days: https://support.apple.com/en-us/103769
LONGEST_DAYS = {"ca": 36_500, "server": 825, "client": 36_500}
PURPOSES = {
    Profile.SERVER: (ExtendedKeyUsageOID.SERVER_AUTH, "servers"),
    Profile.CLIENT: (ExtendedKeyUsageOID.CLIENT_AUTH, "clients"),
}


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
    period = validity(days, LONGEST_DAYS["ca"], now)
    key = new_private_key(kind)
    builder = _ca(subject, key, period, path_length, permitted)
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
    """A CA below one that was made here, with none below itself. Raises `IssuingError`."""
    above = x509.load_pem_x509_certificate(authority.certificate.encode())
    if above.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0:
        raise IssuingError("This CA may not have others below it (its path length is 0).")
    if subject.name == above.subject:
        raise IssuingError("Its name has to be another than that of the CA above it.", "common_name")
    period = validity(days, LONGEST_DAYS["ca"], now, above)
    key = new_private_key(kind)
    builder = _ca(subject, key, period, 0, permitted)
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

    `end` is its last moment, or a number of days. Raises `IssuingError`.
    """
    check_names(profile, names)
    chain = [x509.load_pem_x509_certificate(one.encode()) for one in authority.chain]
    above = chain[0]
    for one in chain:
        _check_purpose(profile, one)
        constraints.check(subject, names, one)
        if profile is Profile.CLIENT:
            constraints.check_addresses(names, one)
    period = validity(end, LONGEST_DAYS[profile], now, above)
    private_key = new_private_key(key) if isinstance(key, KeyKind) else None
    public_key = private_key.public_key() if private_key else key
    if isinstance(public_key, KeyKind):
        raise TypeError(public_key)
    builder = _builder(subject, public_key, period)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    # RSA key exchange of TLS 1.2 encrypts to the server's key; everything else signs.
    is_rsa_server = profile is Profile.SERVER and isinstance(public_key, rsa.RSAPublicKey)
    builder = builder.add_extension(_usage(key_encipherment=is_rsa_server), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([PURPOSES[profile][0]]), critical=False)
    alternatives = x509.SubjectAlternativeName(name.general for name in names)
    builder = builder.add_extension(alternatives, critical=False)
    signed = _issued(builder, above, loaded(authority.private_key))
    return Issued(signed, written(private_key) if private_key else "")


def _check_purpose(profile: Profile, above: x509.Certificate) -> None:
    """What a CA's extendedKeyUsage leaves out, OpenSSL, Go and Windows refuse below it."""
    try:
        allowed = above.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    purpose, whom = PURPOSES[profile]
    if purpose not in allowed and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in allowed:
        raise IssuingError(
            f"This CA is not for {whom}: its extendedKeyUsage leaves them out. Choose another CA."
        )


def _ca(
    subject: Subject,
    key: PrivateKey,
    period: Validity,
    path_length: int,
    permitted: Sequence[x509.GeneralName],
) -> x509.CertificateBuilder:
    builder = _builder(subject, key.public_key(), period)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    if permitted:
        limits = x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)
        builder = builder.add_extension(limits, critical=True)
    return builder


def _builder(subject: Subject, key: PublicKey, period: Validity) -> x509.CertificateBuilder:
    # 159 random bits: unpredictable, positive and at most 20 octets long.
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(subject.name)
        .public_key(key)
        .not_valid_before(period.start)
        .not_valid_after(period.end)
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
