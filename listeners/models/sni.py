"""Which certificate clients see for which name, and what a choice of SNI certificates is to be told."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from certificates.models import Certificate
from certificates.pem import quoted

MOST_SNI_CERTIFICATES = 50
MOST_SNI_NAMES = 200
NAMES_IN_A_SENTENCE = 3


@dataclass(frozen=True)
class ServedName:
    """A name that clients ask for, perhaps with a leading star, and what they are shown: one of a kind."""

    name: str
    certificates: tuple[Certificate, ...]


def served_names(certificates: Iterable[Certificate]) -> list[ServedName]:
    """Every name of some SNI certificates, exact ones before stars, as they are looked up."""
    holders: dict[str, list[Certificate]] = defaultdict(list)
    for certificate in certificates:
        for name in sni_names(certificate):
            holders[name].append(certificate)
    names = sorted(holders, key=lambda name: (name.startswith("*"), name))
    return [ServedName(name, tuple(sorted(holders[name], key=key_kind))) for name in names]


def sni_names(certificate: Certificate) -> list[str]:
    return list(filter(None, certificate.server_names.lower().split(",")))


def key_kind(certificate: Certificate) -> str:
    """RSA, ECDSA or Ed25519."""
    return certificate.key.partition(" ")[0]


def sni_faults(certificates: Sequence[Certificate]) -> list[str]:
    """Why these cannot be the SNI certificates of one listener."""
    if len(certificates) > MOST_SNI_CERTIFICATES:
        return [f"These are {len(certificates)} certificates; choose at most {MOST_SNI_CERTIFICATES}."]
    faults = [
        f"{_said(one)} has no domain name to be picked by. Enter one at the certificate, or leave it out."
        for one in certificates
        if one.type == Certificate.Type.SERVER and not sni_names(one)
    ]
    names = served_names(certificates)
    count = sum(len(one.certificates) for one in names)
    if count > MOST_SNI_NAMES:
        faults.append(f"These certificates have {count} names; {MOST_SNI_NAMES} are the most for a listener.")
    twice: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for served in names:
        for one, other in zip(served.certificates, served.certificates[1:], strict=False):
            if key_kind(one) == key_kind(other):
                twice[_said(one), _said(other), key_kind(one)].append(served.name)
    faults += [
        f"{one} and {other} both have {_listed(shared)} with a key of the same type ({kind}), so it is "
        "open which of them clients see. Leave one of the two out."
        for (one, other, kind), shared in twice.items()
    ]
    return faults


def sni_remarks(server_certificate: Certificate | None, certificates: Sequence[Certificate]) -> list[str]:
    """What is allowed and worth knowing: overlapping names, and which certificate then is shown."""
    names = served_names(certificates)
    return [*_pairs(names), *_under_stars(names), *_in_default(server_certificate, names)]


def _pairs(names: Sequence[ServedName]) -> Iterable[str]:
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for served in names:
        by_kind = {key_kind(one): one for one in served.certificates}
        if {"RSA", "ECDSA"} <= by_kind.keys():
            pairs[_said(by_kind["ECDSA"]), _said(by_kind["RSA"])].append(served.name)
    for (ecdsa, rsa), shared in pairs.items():
        yield f"{_listed(shared)}: clients that can use ECDSA see {ecdsa}, all others {rsa} with its RSA key."


def _under_stars(names: Sequence[ServedName]) -> Iterable[str]:
    stars = {served.name[1:]: served for served in names if served.name.startswith("*.")}
    for served in names:
        star = stars.get(f".{served.name.partition('.')[2]}")
        if star is None or served.name.startswith("*") or star.certificates == served.certificates:
            continue
        yield (
            f"{served.name} also falls under {star.name}: the exact name counts, so clients that ask for it "
            f"see {_named(served)} and not {_named(star)}."
        )


def _in_default(server_certificate: Certificate | None, names: Sequence[ServedName]) -> Iterable[str]:
    if server_certificate is None:
        return
    own = set(sni_names(server_certificate))
    shared: dict[str, list[str]] = defaultdict(list)
    for served in names:
        if served.name in own and server_certificate not in served.certificates:
            shared[_named(served)].append(served.name)
    for shown, same in shared.items():
        yield (
            f"The server certificate {_said(server_certificate)} has {_listed(same)}, too: clients that ask "
            f"for it see {shown}."
        )


def _named(served: ServedName) -> str:
    return " or ".join(_said(one) for one in served.certificates)


def _said(certificate: Certificate) -> str:
    return quoted(str(certificate))


def _listed(names: Sequence[str]) -> str:
    shown, more = ", ".join(names[:NAMES_IN_A_SENTENCE]), len(names) - NAMES_IN_A_SENTENCE
    return f"{shown} and {more} more" if more > 0 else shown
