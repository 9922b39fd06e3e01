"""Which listeners let in the clients that a CA has issued to, and why (not), as they are configured.

Whether Envoy serves a listener so is on its own page.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

from cryptography import x509
from django.utils import timezone

from certificates import pem
from certificates.models import Certificate, CertificateAuthority, IssuedCertificate
from certificates.pem import CertificateFacts
from listeners.admission import identities
from listeners.models import Listener, ListenerCaCertificate
from listeners.spec import AllowedClientSpec
from listeners.trust_store import most_intermediates

REMEMBERED = 200  # bundles that stay read
ENTERS, UNVERIFIED, REFUSED = ("May enter", "success"), ("Not verified", "warning"), ("Refused", "danger")
OTHERS = {
    Listener.Authentication.MUTUAL.value: "",
    Listener.Authentication.OPTIONAL.value: (
        "So may a client without a certificate: backend servers are told that this one was verified."
    ),
    Listener.Authentication.UNVERIFIED.value: (
        "So may every client, whatever it shows: backend servers are told that this one was verified."
    ),
}
LETS_IN_ANYWAY = (
    "The listener lets it in all the same, as it does everybody: backend servers are told that it did not "
    "verify."
)


@dataclass(frozen=True)
class Opening:
    """What becomes of a client at a listener: a word, the tone of its badge, and why."""

    listener: Listener
    verdict: tuple[str, str]
    sentence: str

    @property
    def opens(self) -> bool:
        """Whether it lets the client in for this certificate, and not for any that is shown."""
        return self.verdict == ENTERS


@dataclass(frozen=True)
class Trust:
    """A listener whose CA certificates, `by` among them, vouch for what a CA has issued.

    `fault` says why what the CA has issued does not verify there all the same; "" where it does.
    """

    listener: Listener
    by: tuple[Certificate, ...]
    fault: str = ""

    @property
    def closed(self) -> str:
        """Why it lets in nobody at all, "" where it is open."""
        if not self.listener.is_enabled:
            return "The listener is disabled."
        return "" if self.listener.is_open else "Its load balancer is disabled."

    @cached_property
    def allowed(self) -> frozenset[AllowedClientSpec] | None:
        """Whom it lists; None where everybody may enter whom its CA certificates vouch for."""
        if not self.listener.is_mutual or self.listener.admission == Listener.Admission.ANY:
            return None
        try:
            return frozenset(AllowedClientSpec(kind, value) for kind, value in self.listener.allowed)
        except (TypeError, ValueError):  # a damaged row, which is not served
            return frozenset()

    def opening(self, fault: str, own: frozenset[AllowedClientSpec]) -> Opening:
        """Of a client; `fault` is that of its certificate, `own` are the entries that it is listed by."""
        if self.closed:
            return Opening(self.listener, REFUSED, self.closed)
        if problem := fault or self.fault:
            if self.listener.authentication == Listener.Authentication.UNVERIFIED:
                return Opening(self.listener, UNVERIFIED, f"{problem} {LETS_IN_ANYWAY}")
            return Opening(self.listener, REFUSED, problem)
        if self.allowed is None:
            return Opening(self.listener, ENTERS, OTHERS[self.listener.authentication])
        if self.allowed.isdisjoint(own):
            return Opening(self.listener, REFUSED, "It is not on the list of the clients that may enter.")
        return Opening(self.listener, ENTERS, "It is on the list of the clients that may enter.")


def openings(issued: IssuedCertificate, trusts: Iterable[Trust]) -> list[Opening]:
    """What becomes of a client with this certificate at the listeners that trust its CA."""
    if issued.profile != IssuedCertificate.Profile.CLIENT:
        return []  # a server's is for no client
    fault = _fault_of_period("It", issued.not_before, issued.not_after, timezone.now())
    own = identities(x509.load_pem_x509_certificate(issued.content.encode()))
    return [one.opening(fault, own) for one in trusts]


def trusting(authorities: Sequence[CertificateAuthority]) -> Mapping[int, list[Trust]]:
    """By the id of each CA, the listeners with a CA certificate that is its own or one above it.

    In as many queries for many as for one.
    """
    asking = ListenerCaCertificate.objects.exclude(
        listener__authentication=Listener.Authentication.ONE_WAY
    ).order_by("certificate")
    used: dict[int, list[int]] = defaultdict(list)
    for listener, certificate in asking.values_list("listener", "certificate"):
        used[listener].append(certificate)
    bundles = (
        Certificate.objects.filter(pk__in=asking.values("certificate")).only("name", "content").in_bulk()
    )
    chains = {one.pk: chain for one, chain in zip(authorities, _chains(authorities), strict=True)}
    vouching = {
        number: {pk for pk, bundle in bundles.items() if _anchors(bundle.content, chain)}
        for number, chain in chains.items()
    }
    wanted = {
        pk for pk, chosen in used.items() if any(not found.isdisjoint(chosen) for found in vouching.values())
    }
    rows = Listener.objects.filter(pk__in=wanted).select_related("load_balancer")
    trusts: dict[int, list[Trust]] = defaultdict(list)
    for row in rows:
        chosen = [bundles[pk] for pk in used[row.pk]]
        for number, found in vouching.items():
            if by := tuple(one for one in chosen if one.pk in found):
                trusts[number].append(Trust(row, by, _fault(chosen, by, chains[number])))
    return trusts


def _fault(
    chosen: Sequence[Certificate], by: Sequence[Certificate], chain: Sequence[CertificateFacts]
) -> str:
    """Why what the CA issues does not verify by these bundles."""
    now = timezone.now()
    found = [one for bundle in by for one in _anchors(bundle.content, chain)]
    valid = [one for one in found if one.not_before <= now < one.not_after]
    if not valid:
        return _fault_of_period("The listener's CA certificate", found[0].not_before, found[0].not_after, now)
    names = [_name(one) for one in chain]
    between = min(names.index(_name(one)) for one in valid)
    try:
        most = most_intermediates(tuple(bundle.content for bundle in chosen))
    except ValueError:
        return "The listener's CA certificates cannot be read."
    if between > most:
        stand = "CAs stand" if between != 1 else "CA stands"
        return (
            f"Its chain is too long: {between} {stand} between it and the listener's CA certificate, which "
            f"allows {most or 'none'}."
        )
    return ""


def _chains(authorities: Sequence[CertificateAuthority]) -> list[list[CertificateFacts]]:
    """Of each CA its own certificate and those above it, as far as they are known here."""
    bundles = Certificate.objects.filter(authority__in=authorities).values_list("authority", "content")
    beside: dict[int, str] = dict(bundles)
    parents: dict[int, CertificateAuthority] = {}
    missing = {one.parent_id for one in authorities if one.parent_id}
    while missing:  # once for each level
        found = CertificateAuthority.objects.filter(pk__in=missing).only("content", "parent").in_bulk()
        parents |= found
        missing = {one.parent_id for one in found.values() if one.parent_id} - set(parents)
    return [_climbed(one, parents, beside.get(one.pk, "")) for one in authorities]


def _climbed(
    authority: CertificateAuthority, parents: Mapping[int, CertificateAuthority], beside: str
) -> list[CertificateFacts]:
    known: list[CertificateFacts] = []
    above = authority.parent_id
    while above:
        known += pem.stored_facts(parents[above].content)
        above = parents[above].parent_id
    known += pem.stored_facts(beside)
    chain = list(pem.stored_facts(authority.content)[:1])
    while issuer := next(
        (one for one in known if one.subject == chain[-1].issuer and one not in chain), None
    ):
        chain.append(issuer)
    return chain


def _anchors(bundle: str, chain: Iterable[CertificateFacts]) -> list[CertificateFacts]:
    """The certificates of a bundle that are those of a chain, or later or earlier ones of the same key."""
    names = {_name(one) for one in chain}
    return [one for one in _read(bundle) if _name(one) in names]


@lru_cache(REMEMBERED)
def _read(bundle: str) -> tuple[CertificateFacts, ...]:
    return pem.stored_facts(bundle)


def _name(facts: CertificateFacts) -> tuple[str, str]:
    return facts.subject, facts.public_key_hash


def _fault_of_period(what: str, not_before: datetime, not_after: datetime, now: datetime) -> str:
    if not_after <= now:
        return f"{what} expired on {not_after:%Y-%m-%d %H:%M} UTC."
    if not_before > now:
        return f"{what} is not valid before {not_before:%Y-%m-%d %H:%M} UTC."
    return ""
