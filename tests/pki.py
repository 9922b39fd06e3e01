"""Certificates and keys for tests, made by the openssl command; cryptography makes what openssl cannot."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

PASSWORD = "guide-password"

GUIDE_CONFIGURATION = """\
[ req ]
distinguished_name     = req_distinguished_name
prompt                 = no

[ req_distinguished_name ]
 O                      = ELB
"""
GUIDE_COMMON_NAME = " CN                     = www.test.com\n"

# The guide's commands, letter for letter, by the directory that each runs in.
GUIDE_COMMANDS = {
    "ca": (
        "openssl genrsa -out ca.key 2048",
        "openssl req -out ca.csr -key ca.key -new -config ./ca_cert.conf",
        "openssl x509 -req -in ca.csr -out ca.crt -sha1 -days 5000 -signkey ca.key",
    ),
    "server": (
        "openssl genrsa -out server.key 2048",
        "openssl req -out server.csr -key server.key -new -config ./server_cert.conf",
        "openssl x509 -req -in server.csr -out server.crt -sha1 -CAcreateserial -days 5000 "
        "-CA ../ca/ca.crt -CAkey ../ca/ca.key",
    ),
    "client": (
        "openssl genrsa -out client.key 2048",
        "openssl req -out client.csr -key client.key -new -config ./client_cert.conf",
        "openssl x509 -req -in client.csr -out client.crt -sha1 -CAcreateserial -days 5000 "
        "-CA ../ca/ca.crt -CAkey ../ca/ca.key",
        "openssl pkcs12 -export -clcerts -in client.crt -inkey client.key -out client.p12",
    ),
}

CA_EXTENSIONS = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
SERVER_EXTENSIONS = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth",
    "subjectAltName=DNS:www.test.com,IP:127.0.0.1,IP:::1",
)
CLIENT_EXTENSIONS = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=clientAuth",
)

KEY_OPTIONS = {
    "RSA-1024": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
    "RSA-2048": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "RSA-PSS": ("-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
    "P-224": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"),
    "P-256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "P-384": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "P-521": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"),
    "secp256k1": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"),
    "P-256 explicit": (
        *("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-pkeyopt", "ec_param_enc:explicit"),
    ),
    "Ed25519": ("-algorithm", "ED25519"),
    "Ed448": ("-algorithm", "ED448"),
}


@dataclass(frozen=True)
class KeyPair:
    """Paths of a certificate and of its private key, both PEM."""

    certificate: Path
    key: Path

    @property
    def certificate_pem(self) -> str:
        return self.certificate.read_text()

    @property
    def key_pem(self) -> str:
        return self.key.read_text()


@dataclass(frozen=True)
class CertificateSet:
    """What the guide makes: a CA, a server and a client under it, and the client for browsers."""

    ca: KeyPair
    server: KeyPair
    client: KeyPair
    client_p12: Path
    password: str = PASSWORD


def guide_set(directory: Path) -> CertificateSet:
    """Runs the guide's commands as they are written: RSA 2048, SHA-1, X.509 version 1, no SAN."""
    for name, commands in GUIDE_COMMANDS.items():
        folder = directory / name
        folder.mkdir(parents=True)
        common_name = "" if name == "ca" else GUIDE_COMMON_NAME
        (folder / f"{name}_cert.conf").write_text(GUIDE_CONFIGURATION + common_name)
        for command in commands:
            # Only the last command asks: for the export password, twice.
            run(shlex.split(command), folder, answers=f"{PASSWORD}\n{PASSWORD}\n")
    ca, server, client = (
        KeyPair(directory / name / f"{name}.crt", directory / name / f"{name}.key") for name in GUIDE_COMMANDS
    )
    return CertificateSet(ca, server, client, client_p12=directory / "client" / "client.p12")


def modern_set(directory: Path) -> CertificateSet:
    """The same set as of today: ECDSA P-256, SHA-256, version 3, SAN www.test.com, 127.0.0.1 and ::1."""
    ca = authority(directory, "ca")
    server = issue(directory, "server", ca, extensions=SERVER_EXTENSIONS)
    client = issue(directory, "client", ca, subject="/O=ELB/CN=client", extensions=CLIENT_EXTENSIONS)
    return CertificateSet(ca, server, client, pkcs12(client))


def authority(
    directory: Path,
    name: str,
    subject: str = "/O=ELB",
    *,
    key: str = "P-256",
    digest: str = "sha256",
    extensions: Sequence[str] = CA_EXTENSIONS,
) -> KeyPair:
    """A self-signed CA. Another directory with the same name and subject makes a foreign CA."""
    return issue(directory, name, None, subject=subject, key=key, digest=digest, extensions=extensions)


def issue(
    directory: Path,
    name: str,
    ca: KeyPair | None,
    *,
    subject: str = "/O=ELB/CN=www.test.com",
    key: str | KeyPair = "P-256",
    digest: str = "sha256",
    days: int = 365,
    extensions: Sequence[str] = (),
) -> KeyPair:
    """A certificate `name`.crt with `name`.key in `directory`, signed by `ca` or, without one, by itself.

    `key` is a name in `KEY_OPTIONS`, or a pair whose key is used again. `digest` "" is for keys that
    bring their own (Ed25519, Ed448). `extensions` are lines of an OpenSSL extension section; without
    any the certificate is of version 1 (OpenSSL 3.0).
    """
    directory.mkdir(parents=True, exist_ok=True)
    key_path = key.key if isinstance(key, KeyPair) else private_key(directory / f"{name}.key", key)
    pair = KeyPair(directory / f"{name}.crt", key_path)
    request = directory / f"{name}.csr"
    hashing = [f"-{digest}"] if digest else []
    run(
        [
            "openssl",
            "req",
            "-new",
            "-utf8",
            "-key",
            str(key_path),
            "-subj",
            subject,
            "-out",
            str(request),
            *hashing,
        ]
    )
    command = [
        "openssl",
        "x509",
        "-req",
        "-in",
        str(request),
        "-out",
        str(pair.certificate),
        "-days",
        str(days),
    ]
    if ca is None:
        command += ["-signkey", str(key_path)]
    else:
        command += ["-CA", str(ca.certificate), "-CAkey", str(ca.key), "-CAcreateserial"]
    if extensions:
        extension_file = directory / f"{name}.ext"
        extension_file.write_text("\n".join(extensions) + "\n")
        command += ["-extfile", str(extension_file)]
    run(command + hashing)
    return pair


def issue_between(
    directory: Path,
    name: str,
    ca: KeyPair | None,
    not_before: datetime,
    not_after: datetime,
    *,
    common_name: str | None = "www.test.com",
    subject: x509.Name | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> KeyPair:
    """An ECDSA P-256 certificate for any period and with any extension (pairs of extension, critical).

    `subject` instead of O=ELB and `common_name`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pair = KeyPair(directory / f"{name}.crt", directory / f"{name}.key")
    own_key = ec.generate_private_key(ec.SECP256R1())
    subject = subject or x509.Name(
        [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "ELB")]
        + ([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name is not None else [])
    )
    issuer = subject
    signing_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = own_key
    if ca is not None:
        issuer = x509.load_pem_x509_certificate(ca.certificate.read_bytes()).subject
        loaded = load_pem_private_key(ca.key.read_bytes(), password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        signing_key = loaded
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=own_key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=not_before,
        not_valid_after=not_after,
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    pair.certificate.write_bytes(builder.sign(signing_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    write_private(pair.key, own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pair


def expired_client(directory: Path, ca: KeyPair, name: str = "expired") -> KeyPair:
    now = datetime.now(UTC)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return issue_between(
        directory, name, ca, now - timedelta(days=30), now - timedelta(days=1), extensions=[(usage, False)]
    )


def short_lived_client(directory: Path, ca: KeyPair, lifetime: timedelta, name: str = "short") -> KeyPair:
    """A client certificate that expires `lifetime` from now (whole seconds)."""
    now = datetime.now(UTC)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return issue_between(
        directory, name, ca, now - timedelta(days=1), now + lifetime, extensions=[(usage, False)]
    )


def server_usage_client(directory: Path, ca: KeyPair, name: str = "server-usage") -> KeyPair:
    """Signed by the right CA, but for servers only (extendedKeyUsage serverAuth)."""
    return issue(directory, name, ca, extensions=["extendedKeyUsage=serverAuth"])


def foreign_client(directory: Path, subject: str = "/O=ELB") -> KeyPair:
    """A client whose CA has the subject of the right one and another key; made in its own directory."""
    ca = authority(directory / "foreign", "ca", subject)
    return issue(
        directory / "foreign", "client", ca, subject="/O=ELB/CN=client", extensions=CLIENT_EXTENSIONS
    )


def private_key(path: Path, key: str) -> Path:
    """Makes a private key of a kind named in `KEY_OPTIONS`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    run(["openssl", "genpkey", *KEY_OPTIONS[key], "-out", str(path)])
    return path


def encrypted_key(pair: KeyPair, *, traditional: bool = False) -> str:
    """The pair's key under `PASSWORD`: PKCS#8, or in the traditional form that has a Proc-Type line."""
    form = ["-traditional"] if traditional else []
    command = ["openssl", "pkey", "-in", str(pair.key), "-aes256", "-passout", f"pass:{PASSWORD}", *form]
    return run(command)


def pkcs12(pair: KeyPair, password: str = PASSWORD) -> Path:
    """The pair as the file that browsers import, beside its certificate."""
    path = pair.certificate.with_suffix(".p12")
    command = [
        "openssl",
        "pkcs12",
        "-export",
        "-clcerts",
        "-in",
        str(pair.certificate),
        "-inkey",
        str(pair.key),
    ]
    run([*command, "-out", str(path), "-passout", f"pass:{password}"])
    return path


def write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)


def run(command: Sequence[str], directory: Path | None = None, answers: str = "") -> str:
    """Runs openssl with its built-in configuration and returns its output; a failure shows its own words."""
    # In a session of its own there is no terminal, so openssl asks for passwords on its standard input.
    outcome = subprocess.run(
        command,
        cwd=directory,
        input=answers,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )
    assert outcome.returncode == 0, f"{shlex.join(command)}: {outcome.stderr}"
    return outcome.stdout


def many_authorities(count: int, label: str = "Authority") -> str:
    """Self-signed CAs with different names, as one PEM text; all have the same key, which nobody keeps."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = x509.CertificateBuilder(
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    found = []
    for number in range(count):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{label} {number:05}")])
        one = builder.subject_name(name).issuer_name(name).sign(key, hashes.SHA256())
        found.append(one.public_bytes(Encoding.PEM).decode())
    return "".join(found)
