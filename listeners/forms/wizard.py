"""All that a draft holds, as forms: which of its steps is wrong, and the listener that it makes."""

from functools import cached_property

from django import forms
from django.utils.datastructures import MultiValueDict

from listeners.forms.backends import BackendServerForms, backend_servers
from listeners.forms.listener import ListenerForm
from listeners.forms.routing import GROUP, RoutingForm
from listeners.models import BackendServer, BackendServerGroup, Listener, ListenerDraft
from listeners.models.backend_server_group import loop
from listeners.models.listener_draft import Posted, proposed_group
from listeners.trial import objection


class WizardForms:
    """The steps of a draft as they were last posted, to be checked; to `accepted` all of them are one form.

    `is_final` before the listener is stored: then Envoy is asked, too.
    """

    is_bound = True

    def __init__(self, draft: ListenerDraft, *, is_final: bool = False) -> None:
        self.draft, self.is_final = draft, is_final

    def is_valid(self) -> bool:
        return not self.wrong_step

    @cached_property
    def configure(self) -> ListenerForm:
        return ListenerForm(self.draft.fields("configure"), instance=new_listener(self.draft))

    @cached_property
    def routing(self) -> RoutingForm:
        return RoutingForm(routing_fields(self.draft))

    @cached_property
    def backends(self) -> BackendServerForms:
        return backend_servers(self.draft.rows("backends"))

    @property
    def existing_group(self) -> BackendServerGroup | None:
        return self.routing.existing if not self.draft.is_redirect and self.routing.is_valid() else None

    @property
    def asked(self) -> "dict[str, forms.BaseForm | BackendServerForms]":
        """The forms that count, by their steps: a redirect has no servers, an existing group has its own."""
        asked: dict[str, forms.BaseForm | BackendServerForms] = {"configure": self.configure}
        if not self.draft.is_redirect:
            asked["routing"] = self.routing
            if not self.routing.is_valid() or self.routing.existing is None:
                asked["backends"] = self.backends
        return asked

    @cached_property
    def wrong_step(self) -> str:
        """The first step that is refused, "" for none."""
        step = next((step for step, form in self.asked.items() if not form.is_valid()), "")
        return step or self._looping_step() or (self._step_that_envoy_refuses() if self.is_final else "")

    def _looping_step(self) -> str:
        """What no step can know by itself: that a backend server is the listener."""
        listener: Listener = self.configure.instance
        socket = listener.load_balancer.address, listener.port
        if group := self.existing_group:
            sentence = loop(*socket, group.servers.all())
            if sentence:
                self.routing.add_error(GROUP, sentence)
            return "routing" if sentence else ""
        for form in [] if self.draft.is_redirect else self.backends.filled:
            if sentence := loop(*socket, [form.instance]):
                form.add_error("address", sentence)
                return "backends"
        return ""

    def _step_that_envoy_refuses(self) -> str:
        listener: Listener = self.configure.instance
        listener.backend_server_group = self.existing_group
        is_new = not self.draft.is_redirect and self.existing_group is None
        field, sentence = objection(listener, self.servers if is_new else None)
        if sentence:
            self.configure.add_error(field if field in self.configure.fields else None, sentence)
        return "configure" if sentence else ""

    @property
    def servers(self) -> list[BackendServer]:
        """Those that requests will go to. Of valid forms."""
        if self.draft.is_redirect:
            return []
        group = self.existing_group
        return list(group.servers.all()) if group else self.backends.servers()

    def open(self) -> Listener:
        """Stores the listener. Raises ValidationError."""
        listener: Listener = self.configure.instance
        group = self.existing_group
        if self.draft.is_redirect or group:
            listener.backend_server_group = group
            return Listener.objects.open(listener)
        name = self.routing.cleaned_data["group_name"]
        return Listener.objects.open(listener, self.backends.servers(), name)


def new_listener(draft: ListenerDraft) -> Listener:
    return Listener(load_balancer=draft.load_balancer, created_by_id=draft.created_by_id)


def routing_fields(draft: ListenerDraft) -> Posted:
    """The second step as it was posted; drafts from before there was one have what it proposes."""
    return draft.fields("routing") or MultiValueDict(proposed_group())
