"""What only the local service's console has: sending, faults as switches, a clock that can be
moved, and a pause."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from batchback_local.live.waiting import until
from browser.service import PATIENCE_SECONDS, PING, Service
from browser.tab import Tab

#: After this many failed calls in a row, the service considers the platform down.
MANY = 20
#: The waits between these attempts take more than an hour.
RETRIES = 4


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for these tests alone, because its clock never goes back."""
    with Service(tmp_path_factory.mktemp("local")) as service:
        yield service


class TestSend:
    def test_the_example_works_and_some_of_its_jobs_fail(self, tab: Tab) -> None:
        page = tab.open("/send")
        page.get_by_role("button", name="Send the batch").click()
        expect(page).to_have_url(re.compile("/batches/[0-9a-f]{32}$"))
        glance = page.get_by_role("region", name="Jobs at a glance")
        expect(glance.get_by_role("button", name=re.compile(r"^Failed [1-9]"))).to_be_visible()
        expect(page.get_by_text("Delivered").first).to_be_visible()

    def test_a_refused_batch_is_explained_in_the_words_of_the_api(self, tab: Tab) -> None:
        page = tab.open("/send")
        page.get_by_label("Batch", exact=True).fill(json.dumps({"jobs": [{"namespace": "test"}]}))
        with tab.expecting("422"):
            page.get_by_role("button", name="Send the batch").click()
            expect(page.get_by_role("alert")).to_contain_text("action")
        expect(page.get_by_label("Batch", exact=True)).to_be_focused()

    def test_text_that_is_not_json_is_reported_too(self, tab: Tab) -> None:
        page = tab.open("/send")
        page.get_by_label("Batch", exact=True).fill('{"jobs": [')
        with tab.expecting("422"):
            page.keyboard.press("Control+Enter")
            expect(page.get_by_role("alert")).to_contain_text("JSON")

    def test_a_draft_survives_a_look_at_another_page(self, tab: Tab) -> None:
        page = tab.open("/send")
        page.get_by_label("Batch", exact=True).fill("unfinished")
        page.get_by_role("link", name="Batches").click()
        page.go_back()
        expect(page.get_by_label("Batch", exact=True)).to_have_value("unfinished")
        page.get_by_role("button", name="Back to the example").click()
        expect(page.get_by_label("Batch", exact=True)).to_have_value(re.compile('"jobs"'))


def switches(page: Page, of: str) -> Locator:
    return page.get_by_role("group", name=f"How the {of} behaves")


def go_ahead_until(holds: Callable[[], bool], page: Page) -> None:
    """Move the clock minute by minute."""
    while not holds():
        move(page, "+ 1 min")


def move(page: Page, button: str) -> None:
    with page.expect_response("**/api/local/clock"):
        page.get_by_role("button", name=button).click()


def is_planned(service: Service) -> bool:
    return service.ask("/local")["clock"]["nextDue"] is not None


@pytest.fixture
def works_again(service: Service) -> Iterator[None]:
    """Whatever a test switched, all is well after it."""
    yield
    for of in ("platform", "receiver"):
        service.tell("/local/faults", {"of": of, "name": None})
    service.tell("/stage/resume", {})


@pytest.mark.usefixtures("works_again")
class TestFaults:
    def test_a_platform_that_is_down_makes_a_batch_wait_and_says_why(
        self, tab: Tab, service: Service
    ) -> None:
        page = tab.open("/local")
        move(page, "+ 1 min")  # until then, a platform that has answered counts as up
        switches(page, "platform").get_by_label("Unavailable").check()
        expect(page.get_by_role("status").filter(has_text="Platform:")).to_be_visible()
        batch = service.run(*[PING] * MANY, label="waits")
        page.goto(f"{service.origin}/batches/{batch}")
        expect(page.get_by_text("This batch is waiting.")).to_be_visible()
        page.goto(f"{service.origin}/local")
        switches(page, "platform").get_by_label("Works").check()
        expect(page.get_by_role("status").filter(has_text="Platform:")).to_be_hidden()
        go_ahead_until(lambda: service.is_over(batch), page)
        page.goto(f"{service.origin}/batches/{batch}")
        expect(page.get_by_text(f"{MANY} of {MANY} jobs done")).to_be_visible()

    def test_an_hour_of_retries_is_seen_in_seconds(self, tab: Tab, service: Service) -> None:
        page = tab.open("/local")
        switches(page, "receiver").get_by_label("Failing").check()
        expect(page.get_by_role("status").filter(has_text="Receiver:")).to_be_visible()
        batch = service.run(PING, label="an hour of retries")
        for attempt in range(2, RETRIES + 1):
            service.wait_for_attempt(batch, attempt)
            until(lambda: is_planned(service), "planned", PATIENCE_SECONDS)
            move(page, "Skip to it")
        service.wait_for_attempt(batch, RETRIES + 1)
        expect(page.get_by_text(re.compile(r"The clock is \d+ h"))).to_be_visible()
        page.goto(f"{service.origin}/batches/{batch}#callback")
        expect(page.get_by_text(f"Attempt {RETRIES + 1}")).to_be_visible()

    def test_a_pause_stops_all_jobs_and_resume_starts_them(
        self, tab: Tab, service: Service
    ) -> None:
        page = tab.open("/local")
        page.get_by_role("button", name="Pause for an hour").click()
        page.get_by_role("button", name="Resume").wait_for()
        batch = service.run(PING, label="is paused")
        other = tab.page.context.new_page()
        other.goto(f"{service.origin}/batches/{batch}")
        expect(other.get_by_text("This batch is waiting.")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Pause for an hour").wait_for()
        go_ahead_until(lambda: service.is_over(batch), page)
        expect(other.get_by_text("1 of 1 job done")).to_be_visible()
