"""The forms of a page as a browser without JavaScript would send them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

Attributes = Mapping[str, str | None]


@dataclass
class HtmlForm:
    """`values` holds what would be sent if nobody touched the form; `action` is empty for the page itself."""

    action: str
    method: str
    values: dict[str, list[str]] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, str]:
        """The values that count where a field has one alone: the last."""
        return {name: values[-1] for name, values in self.values.items() if values}

    def filled(self, changes: Mapping[str, object]) -> dict[str, list[str]]:
        """What would be sent with these fields filled in; a list or tuple gives several values."""
        changed = {
            name: [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
            for name, value in changes.items()
        }
        return {**self.values, **changed}


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
            self._field(self._form.values, tag, attributes)

    def _field(self, fields: dict[str, list[str]], tag: str, attributes: Attributes) -> None:
        name, value = attributes.get("name") or "", attributes.get("value")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._textarea = name
            fields[name] = [""]
        elif tag == "option" and self._select:
            # A select without a chosen option sends its first one.
            if self._select not in fields or "selected" in attributes:
                fields[self._select] = [value or ""]
        elif tag == "input" and name:
            kind = attributes.get("type", "text")
            if kind in {"radio", "checkbox"}:
                if "checked" in attributes:
                    fields.setdefault(name, []).append(value if value is not None else "on")
            elif kind not in {"file", "submit", "button", "image", "reset"}:
                fields.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        if self._form is not None and self._textarea:
            self._form.values[self._textarea][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._form is not None:
            # HTML drops the newline that follows the opening tag.
            texts = self._form.values[self._textarea]
            texts[-1] = texts[-1].removeprefix("\n")
            self._textarea = ""
