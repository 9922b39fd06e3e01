"""What is said of a server certificate and its chain: what Envoy does not serve, and who refuses it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID

from certificates.pem.facts import ParsedCertificate
from certificates.pem.findings import Finding, note, quoted, refusal, warning
from certificates.pem.name_rules import name_findings
from certificates.pem.rules import SMALLEST_RSA_BITS, WANTED_KEY, called, period

SERVED_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
LONGEST_PUBLIC = timedelta(days=398)
LONGEST_APPLE = timedelta(days=825)
# The last second counts (RFC 5280, 4.1.2.5): a period of 398 days ends one second before the 398th is over.
SECOND = timedelta(seconds=1)


def server_refusals(leaf: ParsedCertificate) -> Iterator[Finding]:
    """What Envoy refuses to load; each was tried with Envoy 1.40."""
    key, name = leaf.public_key, leaf.facts.key
    not_served = f"The certificate's key is {name}, which Envoy does not serve."
    if leaf.certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        yield refusal(
            "key_pss",
            "The certificate's key is bound to RSASSA-PSS, which Envoy does not serve.",
            "Make a plain RSA key, with `openssl genrsa`.",
        )
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size < SMALLEST_RSA_BITS:
            yield refusal("key_small", not_served, WANTED_KEY)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in SERVED_CURVES:
            yield refusal("key_curve", not_served, WANTED_KEY)
        elif leaf.has_explicit_curve:
            yield refusal(
                "key_explicit_curve",
                "The certificate's key spells its curve out as numbers, which Envoy does not serve.",
                "Make the key with `-pkeyopt ec_param_enc:named_curve`, and the certificate again.",
            )
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        yield refusal("key_kind", not_served, WANTED_KEY)
    if leaf.has_empty_common_name:
        yield refusal(
            "common_name_empty",
            "The certificate's subject has an empty common name (CN), which Envoy does not serve.",
            "Put the domain name there, or leave the CN out and name it in the subjectAltName.",
        )
    elif not leaf.is_named:
        yield refusal(
            "names_missing",
            "The certificate has neither a common name (CN) nor a subjectAltName, which Envoy does not "
            "serve.",
            "Make it again with the domain name or IP address in both.",
        )
    if leaf.usage.signs is False and isinstance(key, ec.EllipticCurvePublicKey):
        yield refusal(
            "key_usage",
            "The certificate has a keyUsage without digitalSignature, which Envoy does not serve.",
            "Issue it with keyUsage=digitalSignature, or without keyUsage.",
        )
    if leaf.usage.must_staple:
        yield refusal(
            "must_staple",
            "The certificate says that it is only valid together with an OCSP answer (must-staple), which "
            "is not served here.",
            "Ask for one without that extension.",
        )


def server_warnings(chain: tuple[ParsedCertificate, ...], now: datetime) -> Iterator[Finding]:
    leaf = chain[0]
    for place, certificate in enumerate(chain, start=1):
        who = called(certificate, place, len(chain))
        # Nobody checks the signature that a root puts on itself; the leaf's own counts as its only one.
        if certificate.is_weakly_signed and (place == 1 or not certificate.facts.is_self_signed):
            yield _weak_signature(certificate, who)
        yield from period(certificate, who, now, "clients refuse it")
        if place > 1:
            yield from _issuer_warnings(certificate, who)
    yield from name_findings(leaf)
    if leaf.facts.version == 1:
        yield warning(
            "version_1",
            "The certificate is X.509 version 1, from before extensions. Some clients refuse it.",
            "Issue it with -extfile and a subjectAltName; that makes it version 3.",
        )
    if isinstance(leaf.public_key, ed25519.Ed25519PublicKey):
        yield warning(
            "ed25519",
            "The certificate's key is Ed25519, which browsers do not take.",
            "For browsers use ECDSA P-256 or RSA.",
        )
    if leaf.usage.signs is False and not isinstance(leaf.public_key, ec.EllipticCurvePublicKey):
        yield warning(
            "key_usage",
            "The certificate has a keyUsage without digitalSignature. Browsers refuse it.",
            "Issue it with keyUsage=digitalSignature, or without keyUsage.",
        )
    if not leaf.usage.admits(ExtendedKeyUsageOID.SERVER_AUTH):
        yield warning(
            "server_usage",
            "The certificate's extendedKeyUsage does not have serverAuth. Browsers, curl and Go and Java "
            "programs refuse it.",
            "Issue it with extendedKeyUsage=serverAuth.",
        )
    yield from _validity(leaf)
    yield from _missing_issuer(chain)


def _weak_signature(certificate: ParsedCertificate, who: str) -> Finding:
    java = " Java programs" if certificate.digest == "MD5" else " Java programs where the CA is a public one"
    return warning(
        "weak_signature",
        f"{who} is signed with {certificate.facts.signature_algorithm}. Browsers, Go programs,{java} and "
        "programs with OpenSSL 3 at its default security level, such as curl on Debian 12, refuse it unless "
        "they are told not to check.",
        "Have it signed again with -sha256 in place of -sha1.",
    )


def _issuer_warnings(issuer: ParsedCertificate, who: str) -> Iterator[Finding]:
    """Of the CAs in the chain. What a root says of itself matters to clients only in their own store."""
    if issuer.facts.is_self_signed:
        return
    usage, key = issuer.usage, issuer.public_key
    if issuer.facts.version == 1 or usage.is_ca is not True or usage.signs_certificates is False:
        yield warning(
            "intermediate_not_ca",
            f"{who} issued another certificate of the chain and does not say that it may: clients refuse the "
            "chain.",
            "Issue it with basicConstraints=critical,CA:TRUE and keyUsage=keyCertSign.",
        )
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA_BITS:
        yield warning(
            "intermediate_key_small",
            f"{who} has a key of {issuer.facts.key}. Programs with OpenSSL at security level 2 (Debian's, "
            "and its own since 3.2) refuse the chain.",
            "Have the CA issue from one with RSA 2048 or more.",
        )


def _validity(leaf: ParsedCertificate) -> Iterator[Finding]:
    period = leaf.facts.not_after - leaf.facts.not_before + SECOND
    if leaf.usage.is_issued_publicly and period > LONGEST_PUBLIC:
        yield warning(
            "validity_398",
            f"The certificate is valid for {period.days} days. It was issued publicly, and browsers refuse "
            "certificates of public CAs that are valid for more than 398 days.",
            "Ask the CA for a shorter one.",
        )
    elif period > LONGEST_APPLE:
        yield warning(
            "validity_825",
            f"The certificate is valid for {period.days} days. Safari and other programs on iPhones, iPads "
            "and Macs refuse server certificates that are valid for more than 825 days, whoever issued them.",
            "Issue it with -days 825 or less.",
        )


def _missing_issuer(chain: tuple[ParsedCertificate, ...]) -> Iterator[Finding]:
    last = chain[-1]
    # A chain may end in cross-signed issuers side by side; one root among them is enough.
    if any(one.facts.is_self_signed for one in chain):
        return
    issuer = quoted(last.facts.issuer) or "no name"
    if len(chain) == 1 and last.usage.is_issued_publicly:
        yield warning(
            "intermediate_missing",
            f"The certificate of its issuer ({issuer}) is missing. Public CAs issue through intermediates, "
            "which clients do not have: curl, Go and Java programs refuse the chain. Some browsers fetch "
            "what is missing.",
            "Add the intermediate's certificate; the CA hands it out as chain, bundle or fullchain.",
        )
    else:
        yield note(
            "issuer_absent",
            f"The certificate of the last issuer ({issuer}) is not among these. That is right when it is a "
            "root that clients have.",
            "If it is an intermediate CA, add its certificate too.",
        )
