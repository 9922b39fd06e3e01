"""How a page writes: what it reads, checks and stores is one transaction, one writer at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.http import QueryDict
from django.utils.html import format_html

from console.http import Request
from console.models import ConfigurationRevision


@contextmanager
def posting(request: Request) -> Iterator[QueryDict | None]:
    """What was posted, within the transaction that is to store it; None where a page is only looked at."""
    if request.method != "POST":
        yield None
        return
    with ConfigurationRevision.objects.change():
        yield request.POST


class Checked(Protocol):
    """A form, a set of them, or what asks several of them."""

    @property
    def is_bound(self) -> bool: ...

    def is_valid(self) -> bool: ...


def accepted(*forms: Checked) -> bool:
    """Whether everything posted is right; if anything is not, the transaction is given up."""
    # Each form is asked, so that one answer shows every error.
    verdicts = [form.is_valid() for form in forms]
    if not all(verdicts) and forms[0].is_bound:
        transaction.set_rollback(True)
    return all(verdicts)


def taken(write: Callable[[], object]) -> list[str]:
    """Writes, and returns why the rows refused it; then the transaction is given up."""
    try:
        write()
    except ValidationError as error:
        transaction.set_rollback(True)
        return error.messages
    return []


def status_of(request: Request) -> int:
    """The status of a form's page: 422 once something was posted, since what is right redirects."""
    return 422 if request.method == "POST" else 200


def tell(request: Request, sentence: str, row: Model) -> None:
    """Says on the next page what was done; `{}` in the sentence is where the row's name goes."""
    # The name stands alone: a right-to-left mark in it must not turn the words around it.
    name = format_html('<b class="as-typed">{}</b>', row)
    messages.success(request, format_html(sentence, name))
