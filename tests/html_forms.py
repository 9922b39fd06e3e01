"""The forms of a page as a browser without JavaScript would send them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

Attributes = Mapping[str, str | None]


@dataclass
class HtmlForm:
    """`fields` holds what would be sent if nobody touched the form; `action` is empty for the page itself."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


def html_forms(page: str) -> list[HtmlForm]:
    reader = _Reader()
    reader.feed(page)
    return reader.forms


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self._form: HtmlForm | None = None
        self._select = ""
        self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self._form = HtmlForm(attributes.get("action") or "", (attributes.get("method") or "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and "disabled" not in attributes:
            self._field(self._form.fields, tag, attributes)

    def _field(self, fields: dict[str, str], tag: str, attributes: Attributes) -> None:
        name, value = attributes.get("name") or "", attributes.get("value")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._textarea = name
            fields[name] = ""
        elif tag == "option" and self._select:
            # A select without a chosen option sends its first one.
            if self._select not in fields or "selected" in attributes:
                fields[self._select] = value or ""
        elif tag == "input" and name:
            kind = attributes.get("type", "text")
            if kind in {"radio", "checkbox"}:
                if "checked" in attributes:
                    fields[name] = value if value is not None else "on"
            elif kind not in {"file", "submit", "button", "image", "reset"}:
                fields[name] = value or ""

    def handle_data(self, data: str) -> None:
        if self._form is not None and self._textarea:
            self._form.fields[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._form is not None:
            # HTML drops the newline that follows the opening tag.
            fields = self._form.fields
            fields[self._textarea] = fields[self._textarea].removeprefix("\n")
            self._textarea = ""
