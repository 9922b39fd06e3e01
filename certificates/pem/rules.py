"""What is said of a certificate that can be read: what stops Envoy or every client, and what is risky."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID

from certificates.pem.facts import ParsedCertificate
from certificates.pem.findings import Finding, note, refusal, warning

SMALLEST_RSA_BITS = 2048
SERVED_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
CHECKED_CURVES = SERVED_CURVES | {"secp224r1"}
EXPIRES_SOON = timedelta(days=30)
WANTED_KEY = "Expected is RSA of 2048 bits or more, or ECDSA on P-256, P-384 or P-521."
SIGN_AGAIN = "Have it signed again with -sha256 in place of -sha1"


def server_refusals(leaf: ParsedCertificate) -> Iterator[Finding]:
    """What Envoy refuses to load; each was tried with Envoy 1.40."""
    key, name = leaf.public_key, leaf.facts.key
    if leaf.certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        yield refusal(
            "key_pss",
            "The certificate's key is bound to RSASSA-PSS, which Envoy does not serve. Make a plain RSA "
            "key, with `openssl genrsa`.",
        )
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size < SMALLEST_RSA_BITS:
            yield refusal(
                "key_small", f"The certificate's key is {name}, which Envoy does not serve. {WANTED_KEY}"
            )
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in SERVED_CURVES:
            yield refusal(
                "key_curve", f"The certificate's key is {name}, which Envoy does not serve. {WANTED_KEY}"
            )
        elif leaf.has_explicit_curve:
            yield refusal(
                "key_explicit_curve",
                "The certificate's key spells its curve out as numbers, which Envoy does not serve. Make "
                "the key with `-pkeyopt ec_param_enc:named_curve`, and the certificate again.",
            )
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        yield refusal(
            "key_kind", f"The certificate's key is {name}, which Envoy does not serve. {WANTED_KEY}"
        )
    if leaf.has_empty_common_name:
        yield refusal(
            "common_name_empty",
            "The certificate's subject has an empty common name (CN), which Envoy does not serve. Put the "
            "domain name there, or leave the CN out and name it in the subjectAltName.",
        )
    elif not leaf.is_named:
        yield refusal(
            "names_missing",
            "The certificate has neither a common name (CN) nor a subjectAltName, which Envoy does not "
            "serve. Make it again with the domain name or IP address in both.",
        )
    if leaf.usage.signs is False and isinstance(key, ec.EllipticCurvePublicKey):
        yield refusal(
            "key_usage",
            "The certificate has a keyUsage without digitalSignature, which Envoy does not serve. Issue it "
            "with keyUsage=digitalSignature, or without keyUsage.",
        )
    if leaf.usage.must_staple:
        yield refusal(
            "must_staple",
            "The certificate says that it is only valid together with an OCSP answer (must-staple), which "
            "is not served here. Ask for one without that extension.",
        )


def server_warnings(chain: tuple[ParsedCertificate, ...], now: datetime) -> Iterator[Finding]:
    leaf = chain[0]
    for place, certificate in enumerate(chain, start=1):
        who = called(certificate, place, len(chain))
        # Nobody checks the signature that a root puts on itself; the leaf's own counts as its only one.
        if certificate.is_weakly_signed and (place == 1 or not certificate.facts.is_self_signed):
            yield warning(
                "weak_signature",
                f"{who} is signed with {certificate.facts.signature_algorithm}. Browsers refuse it, and so "
                "do programs with OpenSSL 3 at its default security level, such as curl on Debian 12, "
                f"unless they are told not to check. {SIGN_AGAIN}.",
            )
        yield from _period(certificate, who, now, "clients refuse it")
    if not leaf.facts.names:
        yield warning(
            "san_missing",
            "The certificate has no subjectAltName with a DNS name or IP address. Browsers and Go programs "
            "refuse it, for they do not read the CN. Issue it with -extfile naming a file that has the "
            "line subjectAltName=DNS:www.test.com (the name that clients use; IP: for an address).",
        )
    if leaf.facts.version == 1:
        yield warning(
            "version_1",
            "The certificate is X.509 version 1, from before extensions. Some clients refuse it; issued with "
            "-extfile and a subjectAltName it becomes version 3.",
        )
    if isinstance(leaf.public_key, ed25519.Ed25519PublicKey):
        yield warning(
            "ed25519",
            "The certificate's key is Ed25519, which browsers do not take. For browsers use ECDSA P-256 or "
            "RSA.",
        )
    if leaf.usage.signs is False and not isinstance(leaf.public_key, ec.EllipticCurvePublicKey):
        yield warning(
            "key_usage",
            "The certificate has a keyUsage without digitalSignature. Browsers refuse it. Issue it with "
            "keyUsage=digitalSignature, or without keyUsage.",
        )
    if not leaf.usage.admits(ExtendedKeyUsageOID.SERVER_AUTH):
        yield warning(
            "server_usage",
            "The certificate's extendedKeyUsage does not have serverAuth, so clients refuse it. Issue it "
            "with extendedKeyUsage=serverAuth.",
        )


def ca_refusals(certificate: ParsedCertificate, who: str) -> Iterator[Finding]:
    """What loads in Envoy without a word and then keeps every client out."""
    usage = certificate.usage
    if usage.is_ca is False:
        yield refusal(
            "ca_false",
            f"{who} says that it is no CA (basicConstraints CA:FALSE), so no client certificate under it is "
            "let in. Add the certificate of the CA that signed the client certificates.",
        )
    if usage.signs_certificates is False:
        yield refusal(
            "ca_key_usage",
            f"{who} has a keyUsage without keyCertSign, so no client certificate under it is let in. Issue "
            "the CA with keyUsage=keyCertSign,cRLSign.",
        )
    if not _can_check_clients(certificate):
        form = " with its curve spelled out" if certificate.has_explicit_curve else ""
        yield refusal(
            "ca_key_kind",
            f"{who} has a key that is {certificate.facts.key}{form}. Envoy checks no signatures with such a "
            f"key, so no client certificate under it is let in. {WANTED_KEY}",
        )


def ca_warnings(certificates: tuple[ParsedCertificate, ...], now: datetime) -> Iterator[Finding]:
    for place, certificate in enumerate(certificates, start=1):
        who = called(certificate, place, len(certificates))
        yield from _ca_form(certificate, who)
        if certificate.is_weakly_signed:
            yield warning(
                "weak_signature",
                f"{who} is signed with {certificate.facts.signature_algorithm}. Its clients' certificates "
                'probably are too: curl with OpenSSL 3 refuses to send them (error 58, "ca md too weak"). '
                "Sign them with -sha256 in place of -sha1.",
            )
        key = certificate.public_key
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA_BITS:
            yield warning(
                "key_small",
                f"{who} has a key of {certificate.facts.key}, which is too short to be safe; many "
                "programs refuse what it signed. Make the CA again with RSA 2048 or more.",
            )
        yield from _period(certificate, who, now, "it admits nobody")
        if not certificate.facts.is_self_signed and not any(
            other.issued(certificate) for other in certificates if other is not certificate
        ):
            yield note(
                "partial_chain",
                f"{who} is not a root: it was issued by {_short(certificate.facts.issuer)}. Envoy lets "
                "clients in under it all the same.",
            )


def called(certificate: ParsedCertificate, place: int, count: int) -> str:
    if count == 1:
        return "The certificate"
    return f"Certificate {place} of {count} ({_short(certificate.facts.subject)})"


def _can_check_clients(certificate: ParsedCertificate) -> bool:
    """Whether Envoy checks signatures with this key; each kind was tried with a client under such a CA."""
    match certificate.public_key:
        case rsa.RSAPublicKey():
            return certificate.certificate.public_key_algorithm_oid != PublicKeyAlgorithmOID.RSASSA_PSS
        case ec.EllipticCurvePublicKey() as key:
            return key.curve.name in CHECKED_CURVES and not certificate.has_explicit_curve
        case ed25519.Ed25519PublicKey():
            return True
        case _:
            return False


def _ca_form(certificate: ParsedCertificate, who: str) -> Iterator[Finding]:
    usage, facts = certificate.usage, certificate.facts
    if facts.version == 1 and not facts.is_self_signed:
        yield warning(
            "ca_version_1",
            f"{who} is X.509 version 1 and not self-signed. Envoy lets clients in under it; nginx and "
            "HAProxy do not. Make sure that it is the CA's certificate and not a server's or client's.",
        )
    if facts.version == 3 and usage.is_ca is None and usage.signs_certificates is None:
        yield warning(
            "ca_unmarked",
            f"{who} is version 3 and says nothing of being a CA (neither basicConstraints nor keyUsage). "
            "Envoy lets clients in under it; nginx and HAProxy do not. Issue it with "
            "basicConstraints=critical,CA:TRUE.",
        )
    if not usage.admits(ExtendedKeyUsageOID.CLIENT_AUTH):
        yield warning(
            "ca_usage",
            f"{who} has an extendedKeyUsage without clientAuth. Envoy lets clients in under it; nginx and "
            "HAProxy do not. Issue the CA without extendedKeyUsage.",
        )
    if usage.constrains_names:
        yield warning(
            "ca_name_constraints",
            f"{who} limits names (nameConstraints): a client certificate without subjectAltName is kept out.",
        )


def _period(certificate: ParsedCertificate, who: str, now: datetime, effect: str) -> Iterator[Finding]:
    facts = certificate.facts
    if facts.not_after < now:
        yield warning("expired", f"{who} expired on {facts.not_after:%Y-%m-%d}: {effect}. Renew it.")
    elif facts.not_before > now:
        yield warning(
            "not_yet_valid", f"{who} is not valid before {_moment(facts.not_before)}: {effect} until then."
        )
    elif facts.not_after - now < EXPIRES_SOON:
        yield warning(
            "expires_soon", f"{who} expires on {_moment(facts.not_after)}: {effect} after that. Renew it."
        )


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _short(name: str) -> str:
    if not name:
        return "no subject"
    return name if len(name) <= 100 else f"{name[:99]}…"
