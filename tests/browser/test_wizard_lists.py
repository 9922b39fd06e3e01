"""The lists that Add Listener chooses from, as people use them: searched, overlapping, slow to answer."""

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import NewContext, Stored
from tests.browser.wizard import begin
from tests.live import LiveConsole
from tests.ports import free_port
from tests.waiting import eventually


def test_overlapping_names_are_explained_as_they_are_chosen(
    new_context: NewContext, console: LiveConsole, stored: Stored
) -> None:
    walk = begin(new_context, console)
    page = walk.page
    walk.choose("Server Certificate", stored.server)
    page.get_by_label("Enable SNI", exact=True).check()
    walk.choose("SNI Certificate", stored.rsa)
    also = (
        f"The server certificate {stored.server} has www.test.com, too: clients that ask for it see "
        f"{stored.rsa}."
    )
    expect(page.get_by_text(also, exact=True)).to_be_visible()
    walk.choose("SNI Certificate", stored.server)
    pair = (
        f"www.test.com: clients that can use ECDSA see {stored.server}, all others {stored.rsa} with its "
        "RSA key."
    )
    expect(page.get_by_text(pair, exact=True)).to_be_visible()
    expect(page.get_by_text(also, exact=True)).to_be_hidden()


def test_tick_that_is_made_while_a_list_is_searched_is_kept(
    new_context: NewContext, console: LiveConsole, stored: Stored
) -> None:
    walk = begin(new_context, console)
    page, picker = walk.page, walk.picker("CA Certificate")
    page.get_by_label("Mutual authentication", exact=True).check()
    held: list[Route] = []
    page.route("**/configure/", lambda route: held.append(route))
    picker.get_by_role("searchbox").fill("nothing is called so")
    expect_held(page, held)
    picker.get_by_label(stored.ca, exact=True).check()
    held[0].continue_()
    expect(picker).to_contain_text("Nothing is found for")
    expect(picker.get_by_label(stored.ca, exact=True)).to_be_checked()


def test_choice_outlives_another_list_that_has_it(
    new_context: NewContext, console: LiveConsole, stored: Stored
) -> None:
    walk = begin(new_context, console)
    walk.page.get_by_label("Frontend Port", exact=True).fill(str(free_port("0.0.0.0")))
    picker = walk.picker("Server Certificate")
    for text in (stored.server, f"{stored.server} "):
        walk.choose("Server Certificate", stored.server)
        with walk.page.expect_response("**/configure/"):
            picker.get_by_role("searchbox").fill(text)
            picker.get_by_role("button", name="Search: Server Certificate", exact=True).click()
        expect(picker.get_by_label(stored.server, exact=True)).to_be_checked()
    walk.page.get_by_role("button", name="Next: Configure Routing Policy", exact=True).click()
    walk.expect_step("Configure Routing Policy")


def expect_held(page: Page, held: list[Route]) -> None:
    """Waits until a request of the page is held back."""
    if not held:
        page.wait_for_event("request", lambda request: request.method == "POST")
    eventually(lambda: page.evaluate("1") and held, "a request that is held back")


def test_enter_in_a_search_box_searches_without_scripts(
    new_context: NewContext, console: LiveConsole, stored: Stored
) -> None:
    walk = begin(new_context, console, scripts=False)
    search = walk.picker("Server Certificate").get_by_role("searchbox")
    search.fill(stored.server)
    search.press("Enter")
    walk.expect_step("Configure Listener")
    expect(walk.picker("Server Certificate").locator(".picker-option")).to_have_count(1)
    expect(search).to_have_value(stored.server)
