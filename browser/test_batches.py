"""The list of batches."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.past import Past
from browser.service import INVITE, PING, UNKNOWN, Service
from browser.tab import Tab

MANY = 200


@pytest.fixture(scope="module")
def story(service: Service) -> dict[str, str]:
    """One batch of each kind, by its label. All labels begin with `list-`."""
    with service.failing("receiver", status=503, retryAfter=3000):
        troubled = service.run(PING, label="list-retrying")
        service.wait_for_attempt(troubled)
    return {
        "list-retrying": troubled,
        "list-mixed": service.complete(INVITE, PING, UNKNOWN, label="list-mixed"),
        "list-quiet": service.complete(PING, label="list-quiet", callback_results="none"),
    }


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def labels(page: Page) -> list[str]:
    found: list[str] = page.locator("a.row-link").all_inner_texts()
    return found


@pytest.mark.usefixtures("story")
class TestRows:
    def test_a_row_says_what_became_of_a_batch(self, tab: Tab) -> None:
        page = tab.open("/?label=list-")
        mixed = row(page, "list-mixed")
        expect(mixed).to_contain_text("Completed")
        expect(mixed).to_contain_text("3 jobs")
        expect(mixed).to_contain_text("1 did not succeed")
        expect(mixed).to_contain_text("Delivered")
        expect(mixed.get_by_role("img")).to_have_accessible_name("2 succeeded, 1 failed")

    def test_what_needs_attention_comes_first_and_says_why(self, tab: Tab) -> None:
        page = tab.open("/?label=list-")
        expect(row(page, "list-retrying")).to_contain_text("503")
        assert labels(page)[0] == "list-retrying"

    def test_a_row_leads_to_its_batch_and_back(self, tab: Tab, story: dict[str, str]) -> None:
        page = tab.open("/?label=list-")
        page.get_by_role("link", name="list-mixed").click()
        expect(page).to_have_url(re.compile(rf"/batches/{story['list-mixed']}$"))
        expect(page.get_by_role("heading", name="list-mixed")).to_be_focused()
        page.go_back()
        expect(row(page, "list-mixed")).to_be_visible()


@pytest.mark.usefixtures("story")
class TestFilters:
    @pytest.mark.parametrize(
        ("name", "choice", "query", "found"),
        [
            ("Status", "Needs attention", "status=trouble", ["list-retrying"]),
            ("Status", "Stopped", "status=stopped", []),
        ],
    )
    def test_they_are_in_the_address(
        self,
        tab: Tab,
        name: str,
        choice: str,
        query: str,
        found: list[str],
    ) -> None:
        page = tab.open("/?label=list-")
        row(page, "list-mixed").wait_for()
        page.get_by_label(name).select_option(choice)
        expect(page).to_have_url(re.compile(query))
        expect(page.locator("a.row-link")).to_have_text(found)
        page.reload()
        expect(page.locator("a.row-link")).to_have_text(found)
        expect(page.get_by_label(name)).to_have_value(query.partition("=")[2])

    def test_typing_a_label_narrows_the_list(self, tab: Tab) -> None:
        page = tab.open()
        page.get_by_role("searchbox", name="Filter by label").fill("list-qu")
        expect(page.locator("a.row-link")).to_have_text(["list-quiet"])
        expect(page).to_have_url(re.compile("label=list-qu"))

    def test_if_nothing_matches_it_says_so_and_offers_all(self, tab: Tab) -> None:
        page = tab.open("/?label=no-such-label")
        expect(page.get_by_text("No batch matches")).to_be_visible()
        page.get_by_role("link", name="Clear").click()
        expect(page.locator("a.row-link").first).to_be_visible()


class TestLive:
    def test_a_new_batch_appears_by_itself(self, tab: Tab, service: Service) -> None:
        page = tab.open("/?label=live-")
        page.get_by_text("No batch matches").wait_for()
        service.complete(PING, label="live-first")
        expect(row(page, "live-first")).to_contain_text("Delivered")

    def test_nothing_moves_under_the_pointer(self, tab: Tab, service: Service) -> None:
        service.complete(PING, label="still-first")
        page = tab.open("/?label=still-")
        first = row(page, "still-first")
        first.hover()
        at = first.bounding_box()
        service.complete(PING, label="still-second")
        page.get_by_role("button", name="1 new batch").wait_for()
        assert labels(page) == ["still-first"]
        assert first.bounding_box() == at
        page.mouse.move(0, 0)
        expect(page.locator("a.row-link")).to_have_text(["still-second", "still-first"])

    def test_the_keyboard_stays_where_it_is(self, tab: Tab, service: Service) -> None:
        service.complete(PING, label="keys-first")
        page = tab.open("/?label=keys-")
        link = page.get_by_role("link", name="keys-first")
        link.focus()
        service.complete(PING, label="keys-second")
        page.get_by_role("button", name="1 new batch").wait_for()
        expect(link).to_be_focused()
        assert labels(page) == ["keys-first"]
        page.get_by_role("button", name="1 new batch").press("Enter")
        expect(page.locator("a.row-link")).to_have_text(["keys-second", "keys-first"])


class TestTwoHundred:
    def test_a_hundred_are_shown_and_the_others_are_a_click_away(
        self, tab: Tab, service: Service
    ) -> None:
        Past(service.where, hours=1).ended([f"many-{number:03}" for number in range(MANY)])
        page = tab.open("/?label=many-")
        expect(page.locator("a.row-link")).to_have_count(100)
        assert labels(page)[0] == "many-199"
        page.get_by_role("button", name="Show older batches").click()
        expect(page.locator("a.row-link")).to_have_count(MANY)
        assert labels(page) == [f"many-{number:03}" for number in reversed(range(MANY))]
