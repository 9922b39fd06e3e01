"""The guide's console sections, done as a person does them: by role and by label."""

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.live import PASSWORD, USERNAME, LiveConsole
from tests.waiting import eventually

RUNNING_TIMEOUT = 20_000  # milliseconds


@dataclass(frozen=True)
class Walk:
    """`scripts` says whether the page runs JavaScript: without it, dialogs are pages."""

    page: Page
    console: LiveConsole
    scripts: bool = True

    def sign_in(self) -> None:
        self.page.goto(self.console.url)
        self.page.get_by_label("Username", exact=True).fill(USERNAME)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Sign In", exact=True).click()
        expect(self.page.get_by_role("heading", name="Load Balancers", exact=True)).to_be_visible()

    def navigate(self, name: str) -> None:
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()
        expect(self.page.get_by_role("heading", name=name, exact=True)).to_be_visible()

    def paste_certificate(self, name: str, type: str, content: Path, private_key: Path | None = None) -> None:
        """The guide says: copy the content, delete the last newline character."""
        form = self.certificate_form(name, type)
        form.get_by_label("Certificate Content", exact=True).fill(content.read_text().rstrip("\n"))
        if private_key:
            form.get_by_label("Private Key", exact=True).fill(private_key.read_text().rstrip("\n"))
        self._finish_certificate(form, name, type)

    def choose_certificate(
        self, name: str, type: str, content: Path, private_key: Path | None = None
    ) -> None:
        """The files are chosen from disk instead."""
        form = self.certificate_form(name, type)
        choosers = form.get_by_label("or choose files:")
        choosers.nth(0).set_input_files(content)
        if private_key:
            choosers.nth(1).set_input_files(private_key)
        if self.scripts:
            expect(form.get_by_label("Certificate Content", exact=True)).to_have_value(content.read_text())
        self._finish_certificate(form, name, type)

    def add_mutual_listener(
        self,
        load_balancer: str,
        name: str,
        port: int,
        server_certificate: str,
        ca_certificate: str,
        backend: tuple[str, int],
    ) -> None:
        """The two certificates are named as they are stored."""
        page = self.page
        self.navigate("Load Balancers")
        page.get_by_role("link", name=load_balancer, exact=True).click()
        expect(page.get_by_role("heading", name=load_balancer, exact=True)).to_be_visible()
        page.get_by_role("link", name="Listeners", exact=True).click()
        page.get_by_role("button", name="Add Listener", exact=True).click()

        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("HTTPS", exact=True).check()
        page.get_by_label("Frontend Port", exact=True).fill(str(port))
        page.get_by_label("Mutual authentication", exact=True).check()
        self.choose("Server Certificate", server_certificate)
        self.choose("CA Certificate", ca_certificate)
        self.next_step("Configure Routing Policy")
        self.next_step("Add Backend Server")

        server = page.get_by_role("group", name="Backend server 1", exact=True)
        server.get_by_label("Address", exact=True).fill(backend[0])
        server.get_by_label("Backend Port", exact=True).fill(str(backend[1]))
        expect(server.get_by_label("Weight", exact=True)).to_have_value("1")
        self.next_step("Confirm")

        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()

    def wait_running(self) -> None:
        """The page refreshes by itself with scripts, and by reloading without."""
        running = self.page.get_by_role("main").get_by_text("Running", exact=True).first
        if self.scripts:
            expect(running).to_be_visible(timeout=RUNNING_TIMEOUT)
        else:
            eventually(lambda: self._reload_shows(running), "Running, after a reload")

    def _reload_shows(self, words: Locator) -> bool:
        self.page.reload()
        return words.is_visible()

    def certificate_form(self, name: str, type: str) -> Locator:
        self.navigate("Certificates")
        self.page.get_by_role("button", name="Add Certificate", exact=True).click()
        heading = self.page.get_by_role("heading", name="Add Certificate", exact=True)
        expect(heading).to_be_visible()
        dialog = self.page.get_by_role("dialog", name="Add Certificate", exact=True)
        form = dialog if self.scripts else self.page.get_by_role("main")
        form.get_by_label("Certificate Name", exact=True).fill(name)
        form.get_by_label(type, exact=True).check()
        return form

    def _finish_certificate(self, form: Locator, name: str, type: str) -> None:
        form.get_by_role("button", name="OK", exact=True).click()
        added = self.page.get_by_role("status").filter(has_text=f"Certificate {name} was added.")
        expect(added).to_be_visible()
        # Tests share a console, and what was just added may be on a later page of its list.
        self.page.goto(f"{self.console.url}/certificates/?sort=-created")
        row = self.page.get_by_role("row").filter(has=self.page.get_by_role("link", name=name, exact=True))
        expect(row).to_contain_text(type)

    def begin_listener(self, load_balancer: int = 1) -> None:
        self.page.goto(f"{self.console.url}/load-balancers/{load_balancer}/")
        self.page.get_by_role("button", name="Add Listener", exact=True).click()
        self.expect_step("Configure Listener")

    def next_step(self, title: str) -> None:
        self.page.get_by_role("button", name=f"Next: {title}", exact=True).click()
        self.expect_step(title)

    def previous_step(self, title: str) -> None:
        self.page.get_by_role("button", name="Previous", exact=True).click()
        self.expect_step(title)

    def expect_step(self, title: str) -> None:
        expect(self.page.get_by_role("heading", name=title, exact=True)).to_be_visible()

    def picker(self, label: str) -> Locator:
        return self.page.get_by_role("group", name=label, exact=True)

    def choose(self, label: str, name: str) -> None:
        """Ticks what is called so in a list, which is searched first: tests share a console."""
        picker = self.picker(label)
        search = picker.get_by_role("searchbox", name=f"Search: {label}", exact=True)
        search.fill(name)
        picker.get_by_role("button", name=f"Search: {label}", exact=True).click()
        picker.get_by_label(name, exact=True).check()
