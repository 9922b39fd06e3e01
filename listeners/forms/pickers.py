"""Lists to choose from that stay short however much there is: what is chosen, and the first of what is found.

A list is searched by submitting the form it is in, which remembers what was typed; nothing is checked then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from django import forms
from django.db.models import F, Prefetch, Q, QuerySet
from django.forms.boundfield import BoundField

from certificates.models import Certificate
from certificates.search import Search, Walked
from console.forms import KEY_MARKER
from listeners.forms.wording import GONE
from listeners.models import BackendServerGroup, Listener, LoadBalancer

MOST_SHOWN = 50
LONGEST_SEARCH = 255
USERS_SHOWN = 3
SEARCH = "search-"
CERTIFICATE_FACTS = (
    "name",
    "type",
    "server_names",
    "domain_names",
    "subject",
    "key",
    "not_before",
    "not_after",
)


@dataclass(frozen=True)
class Option:
    """One thing to choose; `row` is what it is, `url` its page."""

    row: Any
    detail: str
    url: str
    is_chosen: bool = False

    @property
    def value(self) -> int:
        return int(self.row.pk)


class Source(Protocol):
    """Where options come from: one query or a constant few for `rows`, whatever is asked."""

    def rows(self) -> QuerySet[Any]: ...

    def found(self, rows: QuerySet[Any], text: str) -> QuerySet[Any]: ...

    def option(self, row: Any, is_chosen: bool) -> Option: ...


@dataclass(frozen=True)
class CertificateSource:
    """Certificates of a type, perhaps only those with a domain name, by which SNI picks them."""

    type: Certificate.Type
    is_named: bool = False

    def rows(self) -> QuerySet[Certificate]:
        rows = Certificate.objects.filter(type=self.type).only(*CERTIFICATE_FACTS)
        return rows.exclude(server_names="") if self.is_named else rows

    def found(self, rows: QuerySet[Certificate], text: str) -> QuerySet[Certificate]:
        return rows.alias(walked_id=Walked(F("pk"))).filter(Search(text).condition())

    def option(self, row: Certificate, is_chosen: bool) -> Option:
        names = (row.server_names or row.domain_names).split(",")
        whom = f"{', '.join(names[:2])} and {len(names) - 2} more" if len(names) > 3 else ", ".join(names)
        return Option(row, f"{whom or row.subject} · {row.key}", row.get_absolute_url(), is_chosen)


@dataclass(frozen=True)
class HttpsListenerSource:
    """The HTTPS listeners of a load balancer, by name or port."""

    load_balancer: LoadBalancer

    def rows(self) -> QuerySet[Listener]:
        rows = Listener.objects.filter(load_balancer=self.load_balancer, protocol=Listener.Protocol.HTTPS)
        return rows.only("name", "port")

    def found(self, rows: QuerySet[Listener], text: str) -> QuerySet[Listener]:
        return rows.filter(_named(text) | (Q(port=int(text)) if _is_number(text) else Q()))

    def option(self, row: Listener, is_chosen: bool) -> Option:
        return Option(row, f"HTTPS/{row.port}", row.get_absolute_url(), is_chosen)


@dataclass(frozen=True)
class GroupSource:
    """Backend server groups, by name or by the name of a listener that uses them."""

    def rows(self) -> QuerySet[BackendServerGroup]:
        users = Listener.objects.only("name", "port", "protocol", "backend_server_group_id")
        rows = BackendServerGroup.objects.prefetch_related("servers", Prefetch("listeners", users))
        return rows.order_by("name", "pk")

    def found(self, rows: QuerySet[BackendServerGroup], text: str) -> QuerySet[BackendServerGroup]:
        return rows.filter(_named(text) | Q(listeners__name__icontains=text)).distinct()

    def option(self, row: BackendServerGroup, is_chosen: bool) -> Option:
        servers, users = list(row.servers.all()), list(row.listeners.all())
        detail = f"{_some(servers) or 'no servers'} · used by {_some(users) or 'no listener'}"
        return Option(row, detail, users[0].get_absolute_url() if users else "", is_chosen)


class Picker:
    """A field's list: first what is chosen, then what the search finds, `MOST_SHOWN` of it at most."""

    def __init__(self, field: BoundField, source: Source, text: str, *, is_many: bool) -> None:
        self.field, self.source, self.is_many = field, source, is_many
        self.text = "" if KEY_MARKER in text else text.replace("\0", "")[:LONGEST_SEARCH]

    @property
    def name(self) -> str:
        return self.field.html_name

    @property
    def search_name(self) -> str:
        return SEARCH + self.name

    @cached_property
    def chosen(self) -> list[Option]:
        value = self.field.value()
        numbers = numbers_in(value if isinstance(value, list | tuple) else [value])
        rows = self.source.rows().filter(pk__in=numbers) if numbers else ()
        return [self.source.option(row, True) for row in rows]

    @cached_property
    def _found(self) -> list[Any]:
        rows = self.source.rows()
        if words := self.text.split():
            rows = self.source.found(rows, " ".join(words))
        return list(rows[: MOST_SHOWN + 1])

    @property
    def options(self) -> list[Option]:
        shown = {one.value for one in self.chosen}
        others = (row for row in self._found[:MOST_SHOWN] if row.pk not in shown)
        return [*self.chosen, *(self.source.option(row, False) for row in others)]

    @property
    def has_more(self) -> bool:
        return len(self._found) > MOST_SHOWN

    @property
    def most(self) -> int:
        return MOST_SHOWN

    @property
    def finds_nothing(self) -> bool:
        return bool(self.text.strip()) and not self._found

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing of the kind at all."""
        return not self.options and not self.text.strip()


class ChoiceField(forms.ModelChoiceField):  # type: ignore[type-arg]  # takes none at run time
    """One of a picker's rows; nothing chosen is for the model to judge."""

    def __init__(self, gone: str = GONE, **options: Any) -> None:
        messages = dict.fromkeys(("invalid_choice", "null_characters_not_allowed"), gone)
        super().__init__(None, required=False, error_messages=messages, **options)

    def to_python(self, value: Any) -> Any:
        words = [value] if value else []
        if words and not numbers_in(words):
            raise forms.ValidationError(self.error_messages["invalid_choice"], code="invalid_choice")
        return super().to_python(value)


class ChoicesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # takes none at run time
    """Several of a picker's certificates, in the order of their names."""

    def __init__(self, **options: Any) -> None:
        messages = dict.fromkeys(("invalid_choice", "invalid_pk_value", "invalid_list"), GONE)
        super().__init__(None, required=False, error_messages=messages, **options)

    def clean(self, value: Any) -> Any:
        # An empty one is sent along so that choosing nothing can be told from not having been asked.
        words = [word for word in value or () if word]
        if len(numbers_in(words)) != len(set(words)):
            raise forms.ValidationError(GONE, code="invalid_choice")
        return list(super().clean(words))


def numbers_in(words: Iterable[Any]) -> list[int]:
    """Ids as they were posted, each once; what is none is passed over."""
    texts = dict.fromkeys(str(word) for word in words)
    return [int(text) for text in texts if _is_number(text)]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _named(text: str) -> Q:
    return Q(name__icontains=text)


def _some(rows: Sequence[Any]) -> str:
    shown, more = ", ".join(str(row) for row in rows[:USERS_SHOWN]), len(rows) - USERS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
