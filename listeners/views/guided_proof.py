"""The last step of a guided setup: two requests to its listener, as soon as that is served."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import get_object_or_404

from certificates.models import Certificate, IssuedCertificate
from console.http import Request, is_htmx, page_or_dialog, redirect
from listeners import machine
from listeners.guided import Proof, prove
from listeners.models import GuidedSetup, Listener
from listeners.proof import Files, ProofCommand, proof_commands, vouching
from listeners.status import State
from listeners.views.live import live_listener, part_or_nothing

PAGE, FRAGMENT = "listeners/guided_proof.html", "listeners/_guided_proof.html"


def proof_step(request: Request, setup: GuidedSetup, steps: Sequence[object]) -> HttpResponse:
    """The page; or for htmx, which asks again and again until there is something to show, its one part."""
    _follow_renewals(setup)
    listener, client = setup.listener, setup.client
    if listener is None or client is None:
        return redirect(request, setup)  # deleted just now
    is_here = machine.has_address(listener.load_balancer.address)
    if request.method == "POST":
        if is_here and request.POST.get("action") == "again":
            prove(setup)
        return redirect(request, setup.url_of(GuidedSetup.Step.PROOF))
    proof, live = Proof.of(setup), None
    if proof is None and is_here:
        live = live_listener(get_object_or_404(Listener.objects.with_relations(), pk=listener.pk))
        if live.state.state == State.RUNNING:
            proof = prove(setup)
    context: dict[str, Any] = {"setup": setup, "proof": proof, "live": live, "is_here": is_here}
    if proof is None and live and is_htmx(request):
        return part_or_nothing(request, FRAGMENT, live, context)
    context |= {
        "step": GuidedSetup.Step.PROOF.value,
        "steps": steps,
        "changed_since": proof is not None and listener.updated_at > proof.at,
        "commands": _commands(listener, client, split_domain_port(request.get_host())[0]),
        "vouching": vouching(listener),
    }
    return page_or_dialog(request, PAGE, FRAGMENT, context)


def _follow_renewals(setup: GuidedSetup) -> None:
    """Who has renewed the client's certificate goes on with the new one."""
    newest = setup.client
    while newest and (renewal := newest.renewals.first()):
        newest = renewal
    if newest != setup.client:
        setup.client = newest
        setup.save()


def _commands(listener: Listener, client: IssuedCertificate, host: str) -> list[ProofCommand]:
    """With the files as they are called that are downloaded here."""
    stem = f"client-{client.pk}"
    issuer: Certificate | None = vouching(listener)
    ca = f"certificate-{issuer.pk}.pem" if issuer else "ca.crt"
    words = f"{stem}.pem is, the download for curl; it asks for the file's password"
    files = Files(("--cert", f"{stem}.pem"), words, ca)
    shown, without = proof_commands(listener, host, files)
    bundle = shown.text.replace(f"--cert {stem}.pem", f"--cert-type P12 --cert {stem}.p12")
    of_bundle = ProofCommand(
        "With the client's .p12 file",
        f'read -rs P && echo "pass = $P" | {bundle.replace("curl ", "curl -K - ", 1)}',
        "The same; the password of the file is read first and is in no list of processes.",
    )
    return [shown, *([of_bundle] if "\n" not in shown.text else []), without]
