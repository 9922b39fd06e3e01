"""Which certificates a listener really serves: read back by TLS handshakes, compared with what is stored."""

import ipaddress
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from certificates.models import Certificate
from listeners.dataplane.handshake import HandshakeError, served_fingerprint
from listeners.models import Listener
from listeners.tls_policies import KeyType, TlsVersion

AT_ONCE = 16
MOST_QUESTIONS = 20  # to one listener
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
# In place of a star: a label that no other certificate is likely to have been issued for.
SOME_LABEL = "elb-console-check"


class Outcome(StrEnum):
    STORED = "Serves this certificate"
    ANOTHER = "Serves another certificate"
    EITHER = "Serves one of two"
    NONE = "Does not answer"
    UNASKED = "Not asked"


@dataclass(frozen=True)
class Serving:
    """What a listener serves a client that asks for `name`, "" for none, where `certificate` is stored.

    `fingerprint` is SHA-256, "" when none was read.
    """

    listener: Listener
    certificate: Certificate
    outcome: Outcome
    name: str = ""
    fingerprint: str = ""
    sentence: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether asking again would tell nothing new."""
        return self.outcome not in {Outcome.ANOTHER, Outcome.NONE}


@dataclass(frozen=True)
class Question:
    """`twins` are certificates of other kinds of key for the same name, one of which clients may prefer."""

    listener: Listener
    certificate: Certificate
    name: str | None = ""
    twins: tuple[Certificate, ...] = ()


def servings(certificate: Certificate, listeners: Sequence[Listener]) -> list[Serving]:
    """What each of the listeners serves in the place of one certificate of theirs."""
    return _answers([_question(certificate, listener) for listener in listeners])


def listener_servings(listener: Listener) -> list[Serving]:
    """What a listener serves in the places of its certificates, of the first `MOST_QUESTIONS`."""
    certificates = listener.shown_certificates[:MOST_QUESTIONS]
    return _answers([_question(certificate, listener) for certificate in certificates])


def _question(certificate: Certificate, listener: Listener) -> Question:
    if listener.server_certificate_id == certificate.pk:
        return Question(listener, certificate)
    asked = {one: one.replace("*", SOME_LABEL, 1) for one in _names(certificate)}
    name = next((one for one, host in asked.items() if _is_host_name(host)), None)
    if name is None:
        return Question(listener, certificate, None)
    others = [one for one in listener.chosen_sni_certificates if one.pk != certificate.pk]
    twins = tuple(one for one in others if name in _names(one))
    return Question(listener, certificate, asked[name], twins)


def _names(certificate: Certificate) -> list[str]:
    return certificate.server_names.lower().split(",")


def _answers(questions: Sequence[Question]) -> list[Serving]:
    """One handshake for each, several at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(_answer, questions))


def _answer(question: Question) -> Serving:
    listener, certificate, name = question.listener, question.certificate, question.name
    if not listener.is_open:
        return Serving(listener, certificate, Outcome.UNASKED, sentence="It is disabled.")
    if name is None:
        sentence = "No name in it is one that a client could ask for."
        return Serving(listener, certificate, Outcome.UNASKED, sentence=sentence)
    is_told_apart = not question.twins or _serves_before_tls_1_3(listener)
    key = KeyType.of(certificate.key) if question.twins and is_told_apart else None
    try:
        found = served_fingerprint(listener.load_balancer.address, listener.port, name, key)
    except HandshakeError as error:
        return Serving(listener, certificate, Outcome.NONE, name, sentence=str(error))
    if found == certificate.fingerprint:
        return Serving(listener, certificate, Outcome.STORED, name, found)
    if not is_told_apart and found in {one.fingerprint for one in question.twins}:
        sentence = "This name has two certificates, and in TLS 1.3 the console cannot ask for one of them."
        return Serving(listener, certificate, Outcome.EITHER, name, found, sentence)
    return Serving(listener, certificate, Outcome.ANOTHER, name, found)


def _serves_before_tls_1_3(listener: Listener) -> bool:
    try:
        return listener.policy.minimum != TlsVersion.TLS_1_3
    except (KeyError, ValueError):
        return True


def _is_host_name(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return HOST_NAME.fullmatch(text) is not None
    return False
