"""What is said of the names of a server certificate: those that no client matches, or not as one thinks."""

import ipaddress
import re
from collections.abc import Iterator

from certificates.pem.facts import CertificateFacts, ParsedCertificate
from certificates.pem.findings import Finding, note, quoted, warning
from certificates.pem.names import is_covered, is_domain_name

# What clients compare host names with; an underscore is no host name's, and yet in use.
MATCHED = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
SHOWN = 3


def name_findings(leaf: ParsedCertificate) -> Iterator[Finding]:
    facts = leaf.facts
    if not facts.names:
        yield warning(
            "san_missing",
            "The certificate has no subjectAltName with a DNS name or IP address. Browsers and Go programs "
            "refuse it, for they do not read the CN.",
            "Issue it with -extfile naming a file that has the line subjectAltName=DNS:www.test.com (the "
            "name that clients use; IP: for an address).",
        )
        return
    dns = list(leaf.dns_names)
    yield from _addresses(dns)
    yield from _unmatched(dns)
    yield from _wildcards(dns)
    yield from _common_name(facts, dns)


def _addresses(dns: list[str]) -> Iterator[Finding]:
    addresses = [name for name in dns if _is_address(name)]
    if addresses:
        yield warning(
            "address_as_dns",
            f"The subjectAltName has an IP address as a DNS name: {_list(addresses)}. Browsers, curl and Go "
            "and Java programs look for addresses among the IP names alone.",
            "Issue it with IP: in place of DNS: before the address.",
        )


def _unmatched(dns: list[str]) -> Iterator[Finding]:
    odd = [name for name in dns if not MATCHED.fullmatch(name) and not _is_address(name)]
    if odd:
        yield warning(
            "name_unmatched",
            f"The subjectAltName has what no client takes for its server's name: {_list(odd)}.",
            "Write names with letters, digits and hyphens, no dot at the end, others in their xn-- form; * "
            "only as the whole first label.",
        )


def _wildcards(dns: list[str]) -> Iterator[Finding]:
    wildcards = [name for name in dns if name.startswith("*.") and MATCHED.fullmatch(name)]
    broad = [name for name in wildcards if name.count(".") == 1]
    if broad:
        yield warning(
            "wildcard_broad",
            f"The wildcard {_list(broad)} stands for every name right under a top-level domain. Browsers and "
            "curl do not match it.",
            "Name the domain: *.test.com, not *.com.",
        )
    bare = [name for name in wildcards if name not in broad and not is_covered(name[2:], dns)]
    if bare:
        parent = quoted(bare[0][2:])
        yield note(
            "wildcard_depth",
            f"The wildcard {_list(bare)} stands for exactly one label: it is valid for www.{parent}, and "
            f"neither for {parent} itself nor for a.b.{parent}.",
        )


def _common_name(facts: CertificateFacts, dns: list[str]) -> Iterator[Finding]:
    name = facts.common_name
    is_host = is_domain_name(name) or _is_address(name)
    if is_host and not is_covered(name, dns) and name not in facts.names:
        yield warning(
            "common_name_apart",
            f"The common name (CN) {quoted(name)} is not in the subjectAltName. Clients that see a "
            "subjectAltName do not read the CN, so the certificate is not valid for that name.",
            "If clients use that name, issue the certificate with it in the subjectAltName.",
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _list(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(quoted(name) or "an empty name" for name in names[:SHOWN]) + more
