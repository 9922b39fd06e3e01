"""CAs and certificates as they are issued here, and requests as openssl makes them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from certificates.alternative_names import entered
from certificates.issuing import (
    Authority,
    Issued,
    KeyKind,
    Profile,
    Subject,
    entered_constraints,
    issue,
    new_intermediate,
    new_private_key,
    new_root,
    read_request,
)
from certificates.issuing.keys import PublicKey, loaded, written
from tests.pki import KeyPair, private_key, run, write_private

# The names of `tests.pki`, by which clients of the tests ask.
SERVER_NAMES = "www.test.com, 127.0.0.1, ::1"
CLIENT_NAMES = "client.test.com, ann@test.com, 192.0.2.1"


def authority(
    kind: KeyKind = KeyKind.P256,
    *,
    name: str = "Test CA",
    intermediate: bool = False,
    permitted: str = "",
    days: int = 3650,
    now: datetime | None = None,
) -> Authority:
    now = now or datetime.now(UTC)
    limits = entered_constraints(permitted)
    length = 1 if intermediate else 0
    root = new_root(Subject(name, "ELB"), kind, days, now, path_length=length, permitted=limits)
    if not intermediate:
        return Authority(root.certificate, root.private_key)
    above = Authority(root.certificate, root.private_key)
    below = new_intermediate(above, Subject(f"{name} Issuing", "ELB"), kind, days, now, permitted=limits)
    return Authority(below.certificate, below.private_key, (root.certificate,))


def unlimited(by: Authority) -> Authority:
    """The same name and key without name constraints: it issues what others are to refuse."""
    own = x509.load_pem_x509_certificate(by.certificate.encode())
    builder = x509.CertificateBuilder(
        own.issuer, own.subject, own.public_key(), 1, own.not_valid_before_utc, own.not_valid_after_utc
    )
    for one in own.extensions:
        if not isinstance(one.value, x509.NameConstraints):
            builder = builder.add_extension(one.value, one.critical)
    signed = builder.sign(loaded(by.private_key), hashes.SHA256())
    return Authority(signed.public_bytes(Encoding.PEM).decode(), by.private_key)


def leaf(
    profile: Profile,
    by: Authority,
    key: KeyKind | PublicKey = KeyKind.P256,
    *,
    subject: Subject | None = None,
    names: str = "",
    end: datetime | int = 397,
    now: datetime | None = None,
) -> Issued:
    usual = {Profile.SERVER: ("www.test.com", SERVER_NAMES), Profile.CLIENT: ("client", CLIENT_NAMES)}
    common_name, alternatives = usual[profile]
    return issue(
        profile,
        by,
        subject or Subject(common_name, "ELB"),
        entered(names or alternatives, wildcards=profile is Profile.SERVER),
        key,
        end,
        now or datetime.now(UTC),
    )


def request(key: Path, subject: str = "/CN=client", options: Sequence[str] = ()) -> str:
    """A request as openssl writes it for the key in that file."""
    return run(["openssl", "req", "-new", "-key", str(key), "-subj", subject, "-utf8", *options])


def requested(folder: Path, kind: KeyKind) -> tuple[PublicKey, Path]:
    """The public key of a request, and the file of its private key."""
    path = folder / f"{kind}.key"
    write_private(path, written(new_private_key(kind)).encode())
    return read_request(request(path)).public_key, path


def elsewhere(
    folder: Path,
    extensions: list[str],
    section: str = "",
    subject: str = "/O=ELB/CN=Elsewhere",
    key: str = "P-256",
) -> Authority:
    """A self-signed CA that openssl has made."""
    path, configuration = private_key(folder / "ca.key", key), folder / "ca.cnf"
    configuration.write_text(
        f"[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n{chr(10).join(extensions)}\n{section}\n"
    )
    command = ["openssl", "req", "-x509", "-new", "-sha256", "-days", "3650", "-config", str(configuration)]
    text = run([*command, "-key", str(path), "-subj", subject, "-multivalue-rdn", "-utf8"])
    return Authority(text, path.read_text())


def stored(folder: Path, name: str, chain: str, key: str) -> KeyPair:
    folder.mkdir(parents=True, exist_ok=True)
    pair = KeyPair(folder / f"{name}.crt", folder / f"{name}.key")
    pair.certificate.write_text(chain)
    write_private(pair.key, key.encode())
    return pair
