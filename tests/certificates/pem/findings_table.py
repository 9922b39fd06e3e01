"""For every finding, by role, an input that raises it and a neighbor of that input that does not."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certificates.pem import Severity, Verdict, examine_ca, examine_server
from tests import pki as make
from tests.certificates.pem import containers
from tests.certificates.pem.containers import pem
from tests.certificates.pem.pasted import DAY, NAMED, NOW, san, with_character
from tests.certificates.pem.test_containers import BOMBS
from tests.certificates.pem.test_private_keys import pkcs1, rsa_numbers
from tests.certificates.pem.test_rules import with_subject
from tests.conftest import Pki
from tests.pki import CA_EXTENSIONS, PASSWORD, SERVER_EXTENSIONS, KeyPair

ROOT = Path(__file__).resolve().parents[3]
REFUSE, WARN, NOTE = Severity.REFUSE, Severity.WARN, Severity.NOTE


@dataclass(frozen=True)
class Lab:
    """Makes what a case needs."""

    pki: Pki
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()

    def issue(self, ca: KeyPair | None = None, name: str = "pair", **options: Any) -> KeyPair:
        return make.issue(self.folder, name, ca, **({"extensions": SERVER_EXTENSIONS} | options))

    def ca(self, name: str = "ca", **options: Any) -> KeyPair:
        return make.authority(self.folder, name, f"/CN={name}", **options)

    def between(
        self,
        *extensions: x509.ExtensionType,
        begins: timedelta = -DAY,
        ends: timedelta = 90 * DAY,
        common_name: str | None = "www.test.com",
        ca: KeyPair | None = None,
    ) -> KeyPair:
        """Named www.test.com in its SAN unless there is another."""
        own_san = any(isinstance(one, x509.SubjectAlternativeName) for one in extensions)
        every = [(one, False) for one in extensions] + ([] if own_san else [NAMED])
        period = (NOW + begins, NOW + ends)
        return make.issue_between(self.folder, "pair", ca, *period, common_name=common_name, extensions=every)

    def named(self, *names: str, common_name: str | None = None) -> Verdict:
        return served(self.between(san(*map(x509.DNSName, names))[0], common_name=common_name))

    def key(self, private_key: str, password: str = "") -> Verdict:
        """The guide's server certificate with this as its key."""
        return examine_server(self.pki.guide.server.certificate_pem, private_key, NOW, password)

    def pair_file(self) -> bytes:
        return containers.pkcs12(self.folder, self.pki.guide.server)

    def parameters(self) -> str:
        return make.run(["openssl", "ecparam", "-name", "prime256v1"])


def served(pair: KeyPair, *others: KeyPair) -> Verdict:
    content = "".join(one.certificate_pem for one in (pair, *others))
    return examine_server(content, pair.key_pem, NOW)


def trusted(*pairs: KeyPair) -> Verdict:
    return examine_ca("".join(pair.certificate_pem for pair in pairs), NOW)


def text(content: str) -> Verdict:
    return examine_server(content, "", NOW)


def usage(*, signs: bool, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(signs, False, not signs, False, False, signs_certificates, False, False, False)


PUBLIC_POLICY = x509.CertificatePolicies(
    [x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]
)
STAPLED = x509.TLSFeature([x509.TLSFeatureType.status_request])
CA_TRUE = x509.BasicConstraints(True, None)
Input = Callable[[Lab], Verdict]


def chain_with(lab: Lab, **options: Any) -> Verdict:
    """A server certificate under an intermediate that is made with these options, and the root."""
    root = lab.ca("root")
    middle = lab.issue(root, "middle", subject="/CN=middle", **({"extensions": CA_EXTENSIONS} | options))
    return served(lab.issue(middle), middle, root)


def long_lived(lab: Lab, days: int, *extensions: x509.ExtensionType) -> Verdict:
    return served(lab.between(*extensions, ends=(days - 1) * DAY - timedelta(seconds=1)))


def dsa(lab: Lab) -> str:
    parameters = lab.folder / "dsa.pem"
    make.run(["openssl", "dsaparam", "-out", str(parameters), "1024"])
    return make.run(["openssl", "gendsa", str(parameters)])


def inconsistent(pair: KeyPair) -> str:
    numbers = rsa_numbers(pair)
    return pkcs1(*(numbers | {"iqmp": numbers["iqmp"] + 2}).values())


def empty_name(lab: Lab, common_name: str) -> Verdict:
    attribute = x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)
    return served(with_subject(lab.folder, attribute))


SERVER: dict[tuple[str, Severity], tuple[Input, Input]] = {
    ("empty", REFUSE): (lambda lab: text(" \n"), lambda lab: text("x")),
    ("too_long", REFUSE): (lambda lab: text("x" * 2**20 + "y"), lambda lab: text("x" * 2**20)),
    ("not_pem", REFUSE): (lambda lab: text("server.crt"), lambda lab: text(lab.pki.guide.ca.certificate_pem)),
    ("too_many", REFUSE): (
        lambda lab: text("".join(lab.issue(key=lab.pki.modern.ca).certificate_pem for _ in range(12))),
        lambda lab: text("".join(lab.issue(key=lab.pki.modern.ca).certificate_pem for _ in range(11))),
    ),
    ("not_a_certificate", REFUSE): (
        lambda lab: text(lab.pki.guide.server.certificate.with_suffix(".csr").read_text()),
        lambda lab: text(lab.pki.guide.server.certificate_pem),
    ),
    ("damaged", REFUSE): (
        lambda lab: text(with_character(lab.pki.guide.server.certificate_pem, 4, "%")),
        lambda lab: text(lab.pki.guide.server.certificate_pem),
    ),
    ("unreadable", REFUSE): (
        lambda lab: text(pem("CERTIFICATE", containers.sequence(containers.sequence()))),
        lambda lab: text(lab.pki.guide.server.certificate_pem),
    ),
    ("certificate_missing", REFUSE): (
        lambda lab: text(lab.pki.guide.server.key_pem),
        lambda lab: text(lab.pki.guide.server.key_pem + lab.pki.guide.server.certificate_pem),
    ),
    ("duplicates", NOTE): (
        lambda lab: served(lab.pki.modern.server, lab.pki.modern.server),
        lambda lab: served(lab.pki.modern.server, lab.pki.modern.ca),
    ),
    ("reordered", NOTE): (
        lambda lab: examine_server(
            lab.pki.modern.ca.certificate_pem + lab.pki.modern.server.certificate_pem,
            lab.pki.modern.server.key_pem,
            NOW,
        ),
        lambda lab: served(lab.pki.modern.server, lab.pki.modern.ca),
    ),
    ("stranger", REFUSE): (
        lambda lab: served(lab.pki.modern.server, lab.pki.guide.ca),
        lambda lab: served(lab.pki.modern.server, lab.pki.modern.ca),
    ),
    ("container_unreadable", REFUSE): (
        lambda lab: text(pem("PKCS7", containers.sequence(containers.oid("1.2.3")))),
        lambda lab: text(containers.pkcs7(lab.folder, lab.pki.guide.server, form="PEM").decode()),
    ),
    ("container_empty", REFUSE): (
        lambda lab: text(pem("PKCS12", containers.pfx(containers.plain()))),
        lambda lab: text(pem("PKCS12", containers.truststore(lab.folder, lab.pki.guide.ca))),
    ),
    ("protection_costly", REFUSE): (
        lambda lab: lab.key(BOMBS["PBKDF2"], PASSWORD),
        lambda lab: lab.key(make.encrypted_key(lab.pki.guide.server), PASSWORD),
    ),
    ("protection_unknown", REFUSE): (
        lambda lab: lab.key(
            pem("ENCRYPTED PRIVATE KEY", containers.shrouded(containers.pkcs12_pbe(9, kind=1))), PASSWORD
        ),
        lambda lab: lab.key(make.encrypted_key(lab.pki.guide.server), PASSWORD),
    ),
    ("password_missing", REFUSE): (
        lambda lab: lab.key(make.encrypted_key(lab.pki.guide.server)),
        lambda lab: lab.key(make.encrypted_key(lab.pki.guide.server), "wrong"),
    ),
    ("password_wrong", REFUSE): (
        lambda lab: lab.key(pem("PKCS12", lab.pair_file()), "wrong"),
        lambda lab: lab.key(pem("PKCS12", lab.pair_file()), PASSWORD),
    ),
    ("key_missing", REFUSE): (lambda lab: lab.key(""), lambda lab: lab.key(lab.pki.guide.server.key_pem)),
    ("key_not_found", REFUSE): (lambda lab: lab.key("server.key"), lambda lab: lab.key("")),
    ("key_several", REFUSE): (
        lambda lab: lab.key(lab.pki.guide.server.key_pem + lab.pki.guide.client.key_pem),
        lambda lab: lab.key(lab.pki.guide.server.key_pem * 2),
    ),
    ("key_openssh", REFUSE): (
        lambda lab: lab.key(lab.pki.guide.server.key_pem.replace("PRIVATE", "OPENSSH PRIVATE")),
        lambda lab: lab.key(lab.pki.guide.server.key_pem),
    ),
    ("key_damaged", REFUSE): (
        lambda lab: lab.key(lab.pki.guide.server.key_pem[:600]),
        lambda lab: lab.key(lab.pki.guide.server.key_pem),
    ),
    ("key_unreadable", REFUSE): (
        lambda lab: lab.key(pem("PRIVATE KEY", containers.sequence(containers.integer(0)))),
        lambda lab: lab.key(lab.pki.guide.server.key_pem),
    ),
    ("key_too_large", REFUSE): (
        lambda lab: lab.key(pem("PRIVATE KEY", containers.sequence(containers.octets(bytes(9000))))),
        lambda lab: lab.key(lab.pki.guide.server.key_pem),
    ),
    ("key_inconsistent", REFUSE): (
        lambda lab: lab.key(inconsistent(lab.pki.guide.server)),
        lambda lab: lab.key(lab.pki.guide.server.key_pem),
    ),
    ("key_mismatch", REFUSE): (
        lambda lab: lab.key(lab.pki.guide.client.key_pem),
        lambda lab: lab.key(lab.pki.guide.server.key_pem),
    ),
    ("key_company", NOTE): (
        lambda lab: lab.key(lab.pki.guide.server.key_pem + lab.pki.guide.ca.certificate_pem),
        lambda lab: lab.key(lab.parameters() + lab.pki.guide.server.key_pem),
    ),
    ("key_kind", REFUSE): (lambda lab: lab.key(dsa(lab)), lambda lab: lab.key(lab.pki.modern.server.key_pem)),
    ("key_pss", REFUSE): (
        lambda lab: served(lab.issue(key="RSA-PSS")),
        lambda lab: served(lab.issue(key="RSA-2048")),
    ),
    ("key_small", REFUSE): (
        lambda lab: served(lab.issue(key="RSA-1024")),
        lambda lab: served(lab.issue(key="RSA-2048")),
    ),
    ("key_curve", REFUSE): (
        lambda lab: served(lab.issue(key="P-224")),
        lambda lab: served(lab.issue(key="P-521")),
    ),
    ("key_explicit_curve", REFUSE): (
        lambda lab: served(lab.issue(key="P-256 explicit")),
        lambda lab: served(lab.issue(key="P-256")),
    ),
    ("common_name_empty", REFUSE): (lambda lab: empty_name(lab, ""), lambda lab: empty_name(lab, "x")),
    ("names_missing", REFUSE): (
        lambda lab: served(lab.between(san(x509.RFC822Name("a@b.test"))[0], common_name=None)),
        lambda lab: served(lab.between(san(x509.RFC822Name("a@b.test"))[0])),
    ),
    ("key_usage", REFUSE): (
        lambda lab: served(lab.between(usage(signs=False))),
        lambda lab: served(lab.between(usage(signs=True))),
    ),
    ("key_usage", WARN): (
        lambda lab: served(lab.issue(key="RSA-2048", extensions=["keyUsage=keyEncipherment"])),
        lambda lab: served(lab.issue(key="RSA-2048", extensions=["keyUsage=digitalSignature"])),
    ),
    ("must_staple", REFUSE): (lambda lab: served(lab.between(STAPLED)), lambda lab: served(lab.between())),
    ("weak_signature", WARN): (
        lambda lab: served(lab.issue(lab.pki.guide.ca, digest="sha1")),
        # An anchor's own signature is checked by nobody.
        lambda lab: served(lab.issue(lab.pki.guide.ca), lab.pki.guide.ca),
    ),
    ("expired", WARN): (
        lambda lab: served(lab.between(begins=-9 * DAY, ends=-DAY)),
        lambda lab: served(lab.between()),
    ),
    ("not_yet_valid", WARN): (lambda lab: served(lab.between(begins=DAY)), lambda lab: served(lab.between())),
    ("expires_soon", WARN): (
        lambda lab: served(lab.between(ends=29 * DAY)),
        lambda lab: served(lab.between(ends=31 * DAY)),
    ),
    ("intermediate_not_ca", WARN): (
        lambda lab: chain_with(lab, extensions=["basicConstraints=CA:FALSE"]),
        lambda lab: chain_with(lab),
    ),
    ("intermediate_key_small", WARN): (
        lambda lab: chain_with(lab, key="RSA-1024"),
        lambda lab: chain_with(lab, key="RSA-2048"),
    ),
    ("san_missing", WARN): (
        lambda lab: served(lab.issue(extensions=SERVER_EXTENSIONS[:3])),
        lambda lab: served(lab.issue(extensions=["subjectAltName=IP:127.0.0.1"])),
    ),
    ("version_1", WARN): (
        lambda lab: served(lab.issue(extensions=())),
        lambda lab: served(lab.issue(extensions=SERVER_EXTENSIONS[:3])),
    ),
    ("ed25519", WARN): (
        lambda lab: served(lab.issue(key="Ed25519", digest="")),
        lambda lab: served(lab.issue()),
    ),
    ("server_usage", WARN): (
        lambda lab: served(lab.between(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))),
        lambda lab: served(lab.between(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]))),
    ),
    ("validity_398", WARN): (
        lambda lab: long_lived(lab, 399, PUBLIC_POLICY),
        lambda lab: long_lived(lab, 398, PUBLIC_POLICY),
    ),
    ("validity_825", WARN): (lambda lab: long_lived(lab, 826), lambda lab: long_lived(lab, 825)),
    ("intermediate_missing", WARN): (
        lambda lab: served(lab.between(PUBLIC_POLICY, ca=lab.ca())),
        lambda lab: served(lab.between(ca=lab.ca())),
    ),
    ("issuer_absent", NOTE): (
        lambda lab: served(lab.pki.modern.server),
        lambda lab: served(lab.pki.modern.server, lab.pki.modern.ca),
    ),
    ("address_as_dns", WARN): (
        lambda lab: lab.named("10.0.0.1"),
        lambda lab: served(lab.between(san(x509.IPAddress(ipaddress.ip_address("10.0.0.1")))[0])),
    ),
    ("name_unmatched", WARN): (
        lambda lab: lab.named("www.test.com."),
        lambda lab: lab.named("a_b.test.com", "xn--mller-kva.test"),
    ),
    ("wildcard_broad", WARN): (lambda lab: lab.named("*.com"), lambda lab: lab.named("*.test.com")),
    ("wildcard_depth", NOTE): (
        lambda lab: lab.named("*.test.com"),
        lambda lab: lab.named("*.test.com", "test.com"),
    ),
    ("common_name_apart", WARN): (
        lambda lab: lab.named("www.test.com", common_name="mail.test.com"),
        lambda lab: lab.named("*.test.com", common_name="mail.test.com"),
    ),
}

CA: dict[tuple[str, Severity], tuple[Input, Input]] = {
    ("private_key_here", REFUSE): (
        lambda lab: examine_ca(lab.pki.modern.ca.certificate_pem + lab.pki.modern.ca.key_pem, NOW),
        lambda lab: trusted(lab.pki.modern.ca),
    ),
    ("too_many", REFUSE): (
        lambda lab: examine_ca("".join(pem("CERTIFICATE", tagged(number)) for number in range(101)), NOW),
        lambda lab: examine_ca("".join(pem("CERTIFICATE", tagged(number)) for number in range(100)), NOW),
    ),
    ("ca_false", REFUSE): (
        lambda lab: trusted(lab.ca(extensions=["basicConstraints=CA:FALSE"])),
        lambda lab: trusted(lab.ca(extensions=["basicConstraints=CA:TRUE"])),
    ),
    ("ca_key_usage", REFUSE): (
        lambda lab: trusted(lab.ca(extensions=["basicConstraints=CA:TRUE", "keyUsage=cRLSign"])),
        lambda lab: trusted(lab.ca(extensions=["basicConstraints=CA:TRUE", "keyUsage=keyCertSign"])),
    ),
    ("ca_key_kind", REFUSE): (
        lambda lab: trusted(lab.ca(key="secp256k1")),
        lambda lab: trusted(lab.ca(key="P-224")),
    ),
    ("ca_version_1", WARN): (
        lambda lab: trusted(lab.issue(lab.pki.guide.ca, extensions=())),
        lambda lab: trusted(lab.ca(extensions=())),
    ),
    ("ca_unmarked", WARN): (
        lambda lab: trusted(lab.ca(extensions=["subjectKeyIdentifier=hash"])),
        lambda lab: trusted(lab.ca(extensions=["keyUsage=keyCertSign"])),
    ),
    ("ca_usage", WARN): (
        lambda lab: trusted(lab.ca(extensions=[*CA_EXTENSIONS, "extendedKeyUsage=serverAuth"])),
        lambda lab: trusted(lab.ca(extensions=[*CA_EXTENSIONS, "extendedKeyUsage=clientAuth"])),
    ),
    ("ca_name_constraints", WARN): (
        lambda lab: trusted(lab.ca(extensions=[*CA_EXTENSIONS, "nameConstraints=permitted;DNS:test.com"])),
        lambda lab: trusted(lab.ca()),
    ),
    ("weak_signature", WARN): (
        lambda lab: trusted(lab.ca(key="RSA-2048", digest="md5")),
        lambda lab: trusted(lab.ca(key="RSA-2048")),
    ),
    # What stops Envoy as a server certificate works as a CA.
    ("key_small", WARN): (
        lambda lab: trusted(lab.ca(key="RSA-1024")),
        lambda lab: trusted(lab.ca(key="RSA-2048")),
    ),
    ("expired", WARN): (
        lambda lab: trusted(lab.between(CA_TRUE, begins=-9 * DAY, ends=-DAY)),
        lambda lab: trusted(lab.between(CA_TRUE)),
    ),
    ("not_yet_valid", WARN): (
        lambda lab: trusted(lab.between(CA_TRUE, begins=DAY)),
        lambda lab: trusted(lab.between(CA_TRUE)),
    ),
    ("expires_soon", WARN): (
        lambda lab: trusted(lab.between(CA_TRUE, ends=29 * DAY)),
        lambda lab: trusted(lab.between(CA_TRUE, ends=31 * DAY)),
    ),
    ("partial_chain", NOTE): (
        lambda lab: trusted(lab.issue(lab.pki.modern.ca, extensions=CA_EXTENSIONS)),
        lambda lab: trusted(lab.issue(lab.pki.modern.ca, extensions=CA_EXTENSIONS), lab.pki.modern.ca),
    ),
}


def tagged(number: int) -> bytes:
    return containers.sequence(containers.sequence(), containers.integer(number))
