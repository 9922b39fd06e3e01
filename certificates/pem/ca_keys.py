"""The private key of a stored CA, as somebody brings it, and which certificate of the bundle it is of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from certificates.pem.chain import has_key
from certificates.pem.facts import CertificateFacts, ParsedCertificate, public_key_hash, read_certificate
from certificates.pem.findings import Finding, quoted
from certificates.pem.intake import Contained, chosen_key, contained
from certificates.pem.private_keys import PrivateKey, key_refusal
from certificates.pem.protection import Allowance

SIGNING = ("RSA ", "ECDSA ")
NO_CERTIFICATE = Contained("", (), (), "")


@dataclass(frozen=True)
class CaKey:
    """The key as PKCS#8 PEM in clear, and the certificate that it is the key of."""

    certificate: CertificateFacts
    private_key: str = field(repr=False)


def examine_ca_key(
    content: str, private_key: str, password: str, whose: Callable[[str], str]
) -> CaKey | tuple[Finding, ...]:
    """`content` is what was stored as CA certificates; what was handed in as the key is looked at as ever.

    `whose` gives the name of the stored certificate that has the public key of a hash, or "".
    """
    allowance = Allowance()
    own = contained(private_key, password, allowance)
    if own.findings:
        return own.findings
    if not private_key.strip():
        return (_missing(),)
    key = chosen_key(own, NO_CERTIFICATE, password, allowance)
    if not isinstance(key, PrivateKey):
        return (key or _missing(),)
    if not key.name.startswith(SIGNING):
        sentence = f"The private key is {key.name}; certificates are issued here with RSA and ECDSA alone."
        return (key_refusal("ca_key_kind", sentence, "Make a new CA with a key of that kind."),)
    blocks = contained(content, "", Allowance()).certificates
    certificates = [read_certificate(block.der) for block in blocks]
    fitting = [one for one in certificates if has_key(one, key.public)]
    if not fitting:
        return (_mismatch(key, certificates, whose),)
    # A root that was also signed by another one: clients know it by itself.
    return CaKey(next((one for one in fitting if one.facts.is_self_signed), fitting[0]).facts, key.pem)


def _missing() -> Finding:
    return key_refusal(
        "key_missing", "There is no private key.", "Paste that of the CA certificate, or choose its file."
    )


def _mismatch(
    key: PrivateKey, certificates: Sequence[ParsedCertificate], whose: Callable[[str], str]
) -> Finding:
    kinds = {one.facts.key for one in certificates}
    if len(certificates) > 1:
        sentence = (
            f"The private key belongs to none of the {len(certificates)} certificates: it is {key.name}."
        )
    elif kinds == {key.name}:
        sentence = (
            f"The private key does not belong to the CA certificate: both are {key.name}, but they are not a "
            "pair."
        )
    else:
        sentence = (
            f"The private key does not belong to the CA certificate: it is {key.name}, and the certificate's "
            f"key is {', '.join(kinds)}."
        )
    if owner := whose(public_key_hash(key.public)):
        sentence += f" It is the key of the stored certificate {quoted(owner)}."
    return key_refusal(
        "key_mismatch", sentence, "Choose the key that the CA certificate was made with, such as ca.key."
    )
