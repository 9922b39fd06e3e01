"""What a person does in the console, through its real pages and forms, without JavaScript."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import unescape

import httpx

from tests.html_forms import HtmlForm, html_forms
from tests.waiting import LIMIT, eventually

# A field's value; several for a list that has several chosen.
Value = str | int | Sequence[int]


@dataclass(frozen=True)
class BackendFields:
    """One row of backend servers."""

    port: int
    address: str = "127.0.0.1"
    weight: int = 1


class ConsoleClient:
    """A signed-in session. A verb that the console refuses fails with the page's own words."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=LIMIT)
        self.submit("/login/", username=username, password=password)

    def close(self) -> None:
        self.http.close()

    def get(self, path: str) -> str:
        answer = self.http.get(path)
        assert answer.status_code == httpx.codes.OK, f"GET {path}: {answer.status_code}\n{words(answer.text)}"
        return answer.text

    def post(self, path: str, **fields: Value) -> httpx.Response:
        """Loads the page at `path`, fills these fields of its form in, sends it and follows redirects."""
        return self._send(self.http.get(path), fields)

    def submit(self, path: str, **fields: Value) -> httpx.Response:
        """As `post`, for a form that must be accepted."""
        return accepted(self.post(path, **fields))

    def add_certificate(self, name: str, type: str, content: str, private_key: str = "") -> int:
        """`type` is "server" or "ca"; returns the certificate's id."""
        fields = {"private_key": private_key} if private_key else {}
        self.submit("/certificates/add/", name=name, type=type, content=content, **fields)
        numbers = re.findall(r'href="/certificates/(\d+)/"', self.get("/certificates/?sort=-created"))
        return max(int(number) for number in numbers)

    def add_load_balancer(self, name: str, address: str) -> int:
        return number_in(self.submit("/load-balancers/add/", name=name, address=address))

    def add_listener(
        self,
        load_balancer: int,
        port: int,
        backends: Sequence[BackendFields],
        *,
        name: str = "",
        server_certificate: int | None = None,
        ca_certificate: int | None = None,
        group: int | None = None,
        **fields: Value,
    ) -> int:
        """HTTPS where a server certificate is given, and mutual where a CA certificate is; returns the id.

        `group` is an existing backend server group, in the place of servers. `fields` are more of the first
        step's, by the names of its form, such as `ca_certificates=[1, 2]` or `redirect_to=3`.
        """
        configured: dict[str, Value] = {
            "name": name or f"listener-{port}",
            "protocol": "HTTP" if server_certificate is None else "HTTPS",
            "port": port,
            "authentication": "one-way" if ca_certificate is None else "mutual",
            "server_certificate": server_certificate or "",
            "ca_certificates": [] if ca_certificate is None else [ca_certificate],
            "redirects": "on" if "redirect_to" in fields else "",
            "has_sni": "on" if "sni_certificates" in fields else "",
            **fields,
        }
        start = self.http.get(f"/load-balancers/{load_balancer}/")
        configure = accepted(self._send(start, {}, action=f"/load-balancers/{load_balancer}/listeners/add/"))
        page = accepted(self._send(configure, configured))
        if "redirect_to" not in fields:
            chosen: dict[str, Value] = {} if group is None else {"group": "existing", "existing_group": group}
            servers = accepted(self._send(page, chosen))
            page = accepted(self._send(servers, backend_fields(backends) if group is None else {}))
        return number_in(accepted(self._send(page, {})))

    def edit_listener(self, listener: int, **fields: Value) -> None:
        """Open connections are drained if need be."""
        self.submit(f"/listeners/{listener}/edit/", drain="agreed", **fields)

    def replace_backends(self, listener: int, backends: Sequence[BackendFields]) -> None:
        self.submit(f"/listeners/{listener}/backends/", **backend_fields(backends))

    def delete_listener(self, listener: int) -> None:
        self.submit(f"/listeners/{listener}/delete/", confirmation="DELETE")

    def listener_page(self, listener: int) -> str:
        """All that the listener's page says, as text."""
        return words(self.get(f"/listeners/{listener}/"))

    def listener_state(self, listener: int) -> str:
        """The word that the listener's page shows, such as Running."""
        return words(self.get(f"/listeners/{listener}/status/").partition('<div id="listener-live"')[0])

    def wait_running(self, listener: int, timeout: float = LIMIT) -> None:
        self.wait_for_state(listener, "Running", timeout)

    def wait_for_state(self, listener: int, word: str, timeout: float = LIMIT) -> None:
        try:
            eventually(
                lambda: self.listener_state(listener) == word, f"{word} at listener {listener}", timeout
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\nThe page says: {self.listener_page(listener)}") from error

    def _send(self, page: httpx.Response, fields: Mapping[str, Value], action: str = "") -> httpx.Response:
        form = form_with(html_forms(accepted(page).text), fields, action)
        return self.http.post(page.url.join(form.action), data=form.filled(fields))


def accepted(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == httpx.codes.OK, (
        f"{answer.url} answered {answer.status_code}:\n{words(answer.text)}"
    )
    return answer


def backend_fields(backends: Sequence[BackendFields]) -> dict[str, Value]:
    rows: dict[str, Value] = {
        f"servers-{number}-{name}": value
        for number, backend in enumerate(backends)
        for name, value in asdict(backend).items()
    }
    return {**rows, "servers-TOTAL_FORMS": len(backends)}


def form_with(forms: Sequence[HtmlForm], names: Iterable[str], action: str) -> HtmlForm:
    """The page's form with one of these fields or this action; else its last, since Sign Out comes first."""
    wanted = set(names)
    posted = [form for form in forms if form.method == "post" and form.action.endswith(action)]
    found = [form for form in posted if wanted & form.fields.keys()] if wanted else posted[-1:]
    assert found, f"No form has {sorted(wanted)} or leads to {action!r}; there are {forms}."
    return found[0]


def number_in(answer: httpx.Response) -> int:
    """The id in the address of the page of one thing."""
    number = re.search(r"/(\d+)/$", answer.url.path)
    assert number, f"{answer.url} is not the page of one thing:\n{words(answer.text)}"
    return int(number[1])


def words(page: str) -> str:
    """The text of a page's main part (of all of it, when it is a fragment), white space folded."""
    main = re.search(r"<main.*?</main>", page, re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main[0] if main else page)).split())
