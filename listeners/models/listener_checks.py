"""What is wrong with the certificates that a listener uses, and with its list of allowed clients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from certificates.models import Certificate
from listeners.admission import MOST_ENTRIES, AdmissionError, entry
from listeners.models.sni import sni_faults
from listeners.spec import IdentityKind
from listeners.trust_store import LARGEST_NAMES, names_size

if TYPE_CHECKING:
    from listeners.models.listener import Listener

NOBODY = "List at least one client; with an empty list nobody could enter."


def certificate_errors(listener: "Listener") -> dict[str, str]:
    """By field."""
    errors = {}
    others = listener.chosen_sni_certificates
    if sentence := _fault_of_server(listener):
        errors["server_certificate"] = sentence
    errors |= _faults_of_cas(listener)
    if any(one.type != Certificate.Type.SERVER for one in others):
        errors["sni_certificates"] = "Only server certificates can be shown to clients."
    elif faults := sni_faults(others):
        errors["sni_certificates"] = " ".join(faults)
    return errors


def _fault_of_server(listener: "Listener") -> str:
    if listener.protocol != listener.Protocol.HTTPS:
        return ""
    if listener.server_certificate is None:
        return "Choose the server certificate that clients will see."
    if listener.server_certificate.type != Certificate.Type.SERVER:
        return "This is not a server certificate."
    return ""


def _faults_of_cas(listener: "Listener") -> dict[str, str]:
    cas = listener.chosen_ca_certificates
    if listener.asks_for_certificates and not cas:
        return {"ca_certificates": "Choose the CA whose client certificates are let in."}
    if any(one.type != Certificate.Type.CA for one in cas):
        return {"ca_certificates": "Only CA certificates can vouch for clients."}
    if not listener.asks_for_certificates or not listener.sends_ca_names:
        return {}
    bundles = ca_contents([one.pk for one in cas])
    try:
        size = names_size(bundles)
    except ValueError:
        return {
            "ca_certificates": (
                "What is stored of one of these CA certificates cannot be read. Add it again, or leave "
                "it out."
            )
        }
    sentence = names_fault(size)
    return {"sends_ca_names": sentence} if sentence else {}


def names_fault(size: int) -> str:
    """Why names of so many octets cannot be sent, "" where they can."""
    if size <= LARGEST_NAMES:
        return ""
    return (
        f"The names of these CA certificates take {size:,} octets, and TLS has {LARGEST_NAMES:,} for them. "
        "Do not send them: clients are checked all the same, only not told by which CAs."
    )


def fault_of_names(listener: "Listener", replacement: Certificate) -> list[str]:
    """Why the names of its CAs could not be sent once one of them has become `replacement`."""
    cas = sorted(listener.chosen_ca_certificates, key=lambda one: one.pk)
    if replacement not in cas or not listener.sends_ca_names:
        return []
    bundles = tuple(replacement.content if one == replacement else one.content for one in cas)
    sentence = names_fault(names_size(bundles))
    return [sentence] if sentence else []


def ca_contents(numbers: Sequence[int]) -> tuple[str, ...]:
    """What is stored of CA certificates, in the order of their ids."""
    rows = Certificate.objects.filter(pk__in=numbers).order_by("pk")
    return tuple(rows.values_list("content", flat=True))


def listed_clients(pairs: Any) -> list[list[str]]:
    """The pairs of a kind and a value as they are compared, each once. Raises `AdmissionError`."""
    if not isinstance(pairs, list) or not all(_is_pair(one) for one in pairs):
        raise AdmissionError("The list of allowed clients cannot be read. Enter it again.")
    entries = dict.fromkeys(entry(IdentityKind(kind), value) for kind, value in pairs)
    if not entries:
        raise AdmissionError(NOBODY)
    if len(entries) > MOST_ENTRIES:
        raise AdmissionError(f"These are {len(entries)} clients; {MOST_ENTRIES} are the most for a listener.")
    return [[one.kind.value, one.value] for one in entries]


def _is_pair(one: Any) -> bool:
    return (
        isinstance(one, list | tuple)
        and len(one) == 2
        and all(isinstance(part, str) for part in one)
        and one[0] in list(IdentityKind)
    )
