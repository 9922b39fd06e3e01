"""What a guided setup has proved: two real requests to its listener, and what is to be said of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from django.utils import timezone

from certificates.keyring import UnsealError
from certificates.models import IssuedCertificate
from listeners.dataplane.request import Answer, Identity, Outcome, ask
from listeners.models import GuidedSetup, Listener

KEY_IS_GONE = "The private key of the client is no longer here, so the console cannot ask in its name."


@dataclass(frozen=True)
class Verdict:
    """`advice` says what to do where something is not as it should be."""

    tone: str
    sentence: str
    advice: str = ""


@dataclass(frozen=True)
class Proof:
    """`admitted` is what the client with its certificate was told; None where it could not be asked for."""

    at: datetime
    url: str
    client: str
    listener: int
    admitted: Answer | None
    refused: Answer
    problem: str = ""

    @classmethod
    def of(cls, setup: GuidedSetup) -> Self | None:
        """The one that was stored, if it is of this listener and client; None also for a damaged row."""
        kept: Any = setup.proof
        try:
            admitted = kept["admitted"]
            proof = cls(
                datetime.fromisoformat(kept["at"]),
                str(kept["url"]),
                str(kept["client"]),
                int(kept["listener"]),
                _answer(admitted) if admitted else None,
                _answer(kept["refused"]),
                str(kept["problem"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
        client = setup.client.fingerprint if setup.client else ""
        return proof if (proof.client, proof.listener) == (client, setup.listener_id) else None

    @property
    def verdict(self) -> Verdict:
        if self.refused.outcome == Outcome.ANSWERED:
            return Verdict(
                "error",
                "A request without a certificate was answered: this listener does not keep such clients out.",
                "Look at the listener's page for what Envoy serves now, and at its SSL Authentication.",
            )
        if self.refused.outcome == Outcome.FAILED:
            return Verdict("error", f"The listener could not be asked. {self.refused.reason}", RUN_AGAIN)
        if self.admitted is None:
            return Verdict(
                "warning",
                f"A request without a certificate is refused, as it should be. {self.problem}",
                "Renew the client's certificate here, or use the command below with the file that was "
                "downloaded.",
            )
        return self._verdict_of_admitted(self.admitted)

    def _verdict_of_admitted(self, admitted: Answer) -> Verdict:
        match admitted.outcome:
            case Outcome.REFUSED:
                return Verdict(
                    "error",
                    f"The client was refused although it showed its certificate. {admitted.reason}",
                    "Look at the listener's CA certificates and at who may enter, and whether the client's "
                    "certificate is valid today.",
                )
            case Outcome.FAILED:
                return Verdict("error", f"The client could not ask. {admitted.reason}", RUN_AGAIN)
        if admitted.is_of_envoy:
            return Verdict(
                "warning",
                "The client with its certificate was admitted, but the backend server did not answer, so "
                "Envoy did. A request without a certificate was refused.",
                "Start the backend server, or correct its address and port on the listener's page; then run "
                "this again.",
            )
        return Verdict(
            "success",
            "Mutual TLS works: the client with its certificate was admitted and got the backend server's "
            "answer; a request without a certificate was refused.",
        )


RUN_AGAIN = "Look at the listener's page, and run this again once it says Running."


def prove(setup: GuidedSetup) -> Proof:
    """Asks with the client's certificate and without, stores what came of it and returns it.

    Of a setup that has come to its last step. The key is read for the moment that the request takes.
    """
    listener, client = setup.listener, setup.client
    if listener is None or client is None:
        raise ValueError("This setup has no client and listener to try.")
    identity, problem = _identity(client)
    address, port = listener.load_balancer.address, listener.port
    served = [listener.server_certificate.fingerprint] if listener.server_certificate else []
    host = reached_at(listener)
    admitted = ask(address, port, host, identity, served) if identity else None
    refused = ask(address, port, host, None, served)
    url = f"https://{host}:{port}/"
    proof = Proof(timezone.now(), url, client.fingerprint, listener.pk, admitted, refused, problem)
    setup.proof = asdict(proof) | {"at": proof.at.isoformat()}
    setup.save(update_fields=["proof", "updated_at"])
    return proof


def reached_at(listener: Listener) -> str:
    """The host at which this machine itself reaches a listener, as a URL has it."""
    address = listener.load_balancer.address
    if address == "0.0.0.0":
        return "127.0.0.1"
    if address == "::":
        return "[::1]"
    return f"[{address}]" if ":" in address else address


def _identity(client: IssuedCertificate) -> tuple[Identity | None, str]:
    if not client.is_key_here:
        return None, KEY_IS_GONE
    try:
        return Identity(client.chain, client.private_key()), ""
    except UnsealError as error:
        return None, str(error)


def _answer(kept: Mapping[str, Any]) -> Answer:
    """Raises KeyError, TypeError or ValueError for a damaged one."""
    return Answer(
        Outcome(kept["outcome"]),
        str(kept["reason"]),
        int(kept["status"]),
        str(kept["status_line"]),
        tuple((str(name), str(value)) for name, value in kept["headers"]),
        str(kept["tls_version"]),
        bool(kept["is_of_envoy"]),
    )
