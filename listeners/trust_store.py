"""What CA certificates come to when clients are checked by them: the names that are sent, the longest chain.

Takes the PEM texts of CA bundles that were accepted before. Raises ValueError for one that was damaged since.
"""

from collections import defaultdict
from functools import lru_cache
from heapq import heappop, heappush
from itertools import count

from cryptography import x509

from certificates.pem.examination import LARGEST_CHAIN
from certificates.pem.facts import READ_ERRORS

# Of all names, each with the two octets of its length: with more there is no handshake at all (measured).
# The protocol has 65,535 octets (RFC 5246, 7.4.4), which TLS 1.3 shares with what else is in the message.
LARGEST_NAMES = 65_505
LENGTH_OF_NAME = 2

# As far as BoringSSL goes when it is told nothing.
MOST_INTERMEDIATES = 99

# Sets of CAs whose numbers are remembered with their texts, which are of up to megabytes.
REMEMBERED = 50


@lru_cache(REMEMBERED)
def names_size(bundles: tuple[str, ...]) -> int:
    """Octets that the names of these CAs take in what a listener sends to every client; each name once."""
    return sum(LENGTH_OF_NAME + len(name) for name in {one.subject.public_bytes() for one in _read(bundles)})


def most_intermediates(bundles: tuple[str, ...]) -> int:
    """How many CAs may stand between a client's certificate and the first one that is in the bundles.

    As many as the most generous CA allows, for Envoy can hold them to one limit alone, and knows none of
    a CA that is trusted itself.
    """
    return chain_limits(bundles)[-1]


@lru_cache(REMEMBERED)
def chain_limits(bundles: tuple[str, ...]) -> tuple[int, ...]:
    """How many CAs those in the bundles allow below themselves: ascending, each number once.

    The pathLenConstraint, or less where a CA above in the bundles allows less (RFC 5280, 6.1.4); as many
    as make a chain of `LARGEST_CHAIN` under one that says nothing.
    """
    certificates = _read(bundles)
    subjects = {one.subject for one in certificates}
    below: dict[x509.Name, list[x509.Certificate]] = defaultdict(list)
    queue: list[tuple[int, int, x509.Certificate]] = []
    places = count()  # settles ties, for certificates have no order
    for one in certificates:
        if one.issuer in subjects and one.issuer != one.subject:
            below[one.issuer].append(one)
        else:
            heappush(queue, (-_path_length(one), next(places), one))
    # The most generous first, so that of several CAs of one name it is the one that counts. CAs that
    # vouch for each other in a circle, and whose root is elsewhere, are never reached: their own word counts.
    allowances = []
    while queue:
        allowance, _, one = heappop(queue)
        allowances.append(-allowance)
        for other in below.pop(one.subject, ()):
            heappush(queue, (-min(_path_length(other), max(0, -allowance - 1)), next(places), other))
    circles = [_path_length(one) for others in below.values() for one in others]
    return tuple(sorted({*allowances, *circles}))


def _path_length(certificate: x509.Certificate) -> int:
    try:
        said = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    except x509.ExtensionNotFound:
        said = None
    return LARGEST_CHAIN - 2 if said is None else min(said, MOST_INTERMEDIATES)


def _read(bundles: tuple[str, ...]) -> list[x509.Certificate]:
    try:
        found = [one for text in bundles for one in x509.load_pem_x509_certificates(text.encode())]
        # Read late, and not asked for by everybody.
        for one in found:
            _ = one.subject, one.issuer, one.extensions
    except READ_ERRORS as error:
        raise ValueError(f"a CA certificate cannot be read: {error}") from error
    return found
