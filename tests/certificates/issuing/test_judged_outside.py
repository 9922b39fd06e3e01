"""Every profile with every kind of key, as others judge it: OpenSSL, pkilint, and the rules Go goes by."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from pkilint.bin import lint_pkix_cert

from certificates.issuing import Authority, KeyKind, Profile, Subject
from certificates.issuing.keys import loaded
from tests.certificates.issuing.made import authority, leaf, requested

PURPOSES = {Profile.SERVER: "sslserver", Profile.CLIENT: "sslclient"}
# What this linter says of names that are as RFC 6125 (stars) and RFC 3986 (any scheme, no host) have them.
FALSE_FINDINGS = {"*.test.com": "invalid_domain_name_syntax", "spiffe://test.com/a": "invalid_uri_syntax"}


# Addresses of clients are left to the servers: Envoy keeps them out below a CA that limits networks.
LIMITS = {Profile.SERVER: "test.com, 127.0.0.0/8, ::1/128", Profile.CLIENT: "test.com"}


@dataclass(frozen=True)
class Case:
    profile: Profile
    by: Authority
    certificate: str
    file: Path

    @property
    def files(self) -> tuple[Path, Path]:
        """The root, and the CAs between it and the certificate."""
        root, between = self.file.with_suffix(".root"), self.file.with_suffix(".between")
        root.write_text(self.by.chain[-1])
        between.write_text("".join(self.by.chain[:-1]))
        return root, between


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    folder = tmp_path_factory.mktemp("issued")
    return {label: case for kind in KeyKind for label, case in cases_of(kind, folder)}


def cases_of(kind: KeyKind, folder: Path) -> Iterator[tuple[str, Case]]:
    request, _ = requested(folder, kind)
    shapes = {"root": authority(kind)}
    if kind in {KeyKind.P256, KeyKind.RSA_2048}:  # larger keys take long to make and change nothing else
        shapes["intermediate"] = authority(kind, intermediate=True)
        for profile in Profile:
            limited = authority(kind, intermediate=True, permitted=LIMITS[profile])
            shapes[f"limited for a {profile}"] = limited
    for shape, by in shapes.items():
        for profile in Profile if "limited" not in shape else [Profile(shape.rpartition(" ")[2])]:
            for origin, key in (("made here", kind), ("request", request)):
                label = f"{kind} {shape} {profile} {origin}"
                file = folder / f"{label.replace(' ', '-')}.pem"
                made = leaf(profile, by, key)
                file.write_text(made.certificate)
                yield label, Case(profile, by, made.certificate, file)


def verified(case: Case, purpose: str) -> str:
    """What openssl says of a certificate: "OK", or why not."""
    root, between = case.files
    chain = ["-untrusted", str(between)] if between.stat().st_size else []
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(root), *chain]
    outcome = subprocess.run([*command, str(case.file)], capture_output=True, text=True, timeout=60)
    return outcome.stdout.rpartition(": ")[2].strip() if outcome.returncode == 0 else outcome.stderr


def test_openssl_verifies_every_profile_strictly_and_for_its_purpose_alone(cases: dict[str, Case]) -> None:
    assert {label: verified(case, PURPOSES[case.profile]) for label, case in cases.items()} == dict.fromkeys(
        cases, "OK"
    )
    others = {Profile.SERVER: "sslclient", Profile.CLIENT: "sslserver"}
    refused = {
        label: verified(case, others[case.profile]) for label, case in cases.items() if "p256" in label
    }
    assert [label for label, said in refused.items() if "unsuitable certificate purpose" not in said] == []


def lint(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What pkilint's linter for RFC 5280 has against a certificate; "" for nothing."""
    count = lint_pkix_cert.main(["lint", "-s", "WARNING", str(file)])
    said = capsys.readouterr().out.strip()
    assert (count > 0) == bool(said)
    return said


def test_pkilint_finds_nothing_in_any_profile(
    cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {label: lint(case.file, capsys) for label, case in cases.items()}
    authorities = {one for case in cases.values() for one in case.by.chain}
    for number, one in enumerate(sorted(authorities)):
        file = tmp_path / f"{number}.pem"
        file.write_text(one)
        found[x509.load_pem_x509_certificate(one.encode()).subject.rfc4514_string() + str(number)] = lint(
            file, capsys
        )

    assert {label: said for label, said in found.items() if said} == {}
    assert len(found) == len(cases) + len(authorities) == 36 + 17


@pytest.mark.parametrize(("name", "finding"), FALSE_FINDINGS.items())
def test_pkilint_alone_refuses_these_names(
    name: str, finding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one thing that it says of them; OpenSSL and Envoy take both."""
    profile = Profile.SERVER if "*" in name else Profile.CLIENT
    file = tmp_path / "one.pem"
    file.write_text(leaf(profile, authority(), names=name).certificate)

    said = lint(file, capsys)

    assert [line.strip().partition(" (")[0] for line in said.splitlines() if "(" in line] == [
        f"pkix.{finding}"
    ]


@pytest.mark.parametrize("name", ["www.test.com", "127.0.0.1", "::1"])
def test_server_is_found_by_each_of_its_names_and_by_no_other(cases: dict[str, Case], name: str) -> None:
    """By the rules that Go, too, goes by: the subjectAltName alone, key usage, name constraints."""
    now = datetime.now(UTC)
    for label, case in cases.items():
        if case.profile is Profile.SERVER:
            certificate, between, policy = judged(case, now)
            wanted = (
                x509.DNSName(name) if "." in name and name[0] == "w" else x509.IPAddress(ip_address(name))
            )
            chain = policy.build_server_verifier(wanted).verify(certificate, between)
            assert len(chain) == len(case.by.chain) + 1, label
            with pytest.raises(VerificationError):
                policy.build_server_verifier(x509.DNSName("other.test.com")).verify(certificate, between)


def test_client_is_a_client_and_no_server(cases: dict[str, Case]) -> None:
    now = datetime.now(UTC)
    for label, case in cases.items():
        certificate, between, policy = judged(case, now)
        verifier = policy.build_client_verifier()
        if case.profile is Profile.CLIENT:
            client = verifier.verify(certificate, between)
            assert [str(name.value) for name in client.subjects or ()] == [
                *("client.test.com", "ann@test.com", "192.0.2.1"),
            ], label
            with pytest.raises(VerificationError):
                policy.build_server_verifier(x509.DNSName("client.test.com")).verify(certificate, between)
        else:
            with pytest.raises(VerificationError):
                verifier.verify(certificate, between)


def judged(case: Case, now: datetime) -> tuple[x509.Certificate, list[x509.Certificate], PolicyBuilder]:
    chain = [x509.load_pem_x509_certificate(one.encode()) for one in case.by.chain]
    policy = PolicyBuilder().store(Store([chain[-1]])).time(now)
    return x509.load_pem_x509_certificate(case.certificate.encode()), chain[:-1], policy


def test_key_of_the_pair_is_the_one_in_the_certificate() -> None:
    made = leaf(Profile.CLIENT, authority(), KeyKind.P384, subject=Subject("client"))
    key = loaded(made.private_key).public_key()
    certificate = x509.load_pem_x509_certificate(made.certificate.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert (key, key.curve.name) == (certificate.public_key(), "secp384r1")
