"""One batch: what it is, its grid and table of jobs, and one job's request and response."""

import json
import re
import subprocess

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.past import Past
from browser.service import Service
from browser.tab import Tab
from chalicelib.domain.outcome import NoReply, Reply
from tests.fakes.http import Call

JOBS = 120
LABEL = "Invitations of November"


def invite(contact: int) -> dict[str, object]:
    params = {"event": 7, "contacts": [contact]}
    return {
        "id": f"contact-{contact}",
        "namespace": "event",
        "action": "inviteContacts",
        "params": params,
    }


def answer(call: Call) -> Reply | NoReply:
    """Every 40th contact is unknown, and one call never gets an answer."""
    [contact] = call.params["contacts"]
    if contact % 40 == 7:
        text = {"errorCode": 404, "message": f"There is no contact {contact}"}
        return Reply(status=404, body=json.dumps(text).encode())
    if contact == 99:
        return NoReply(reason="the platform's certificate has expired", is_final=True)
    return Reply(status=200, body=b'{"results":[{"status":"invited","big":12345678901234567890}]}')


@pytest.fixture(scope="module")
def batch(service: Service) -> str:
    """120 jobs: 116 succeeded, 3 failed (7, 47 and 87), and 99 never got an answer."""
    past = Past(service.where, minutes=5)
    made = past.submit(
        [invite(contact) for contact in range(JOBS)],
        label=LABEL,
        callbackUrl=service.receiver,
        metadata={"campaign": "winter"},
        maxFailed=50,
    )
    past.run(answer)
    past.call_back(Reply(status=200))
    return made


@pytest.fixture
def page(tab: Tab, batch: str) -> Page:
    page = tab.open(f"/batches/{batch}")
    expect(page.get_by_role("heading", name=LABEL)).to_be_visible()
    return page


def grid(page: Page) -> Locator:
    return page.get_by_role("application", name=f"Grid of {JOBS} jobs")


def panel(page: Page, index: int) -> Locator:
    return page.get_by_role("complementary", name=f"Job {index}", exact=True)


def table(page: Page) -> Locator:
    return page.get_by_role("table", name="Jobs")


def ids(page: Page) -> list[str]:
    found: list[str] = table(page).locator(".cell-id").all_inner_texts()
    return found


class TestGlance:
    def test_it_counts_the_jobs_by_outcome(self, page: Page) -> None:
        glance = page.get_by_role("region", name="Jobs at a glance")
        expect(glance.get_by_role("button", name="Succeeded 116")).to_be_visible()
        expect(glance.get_by_role("button", name="Failed 3")).to_be_visible()
        expect(glance.get_by_role("button", name="Unanswered 1")).to_be_visible()
        expect(glance.get_by_role("button", name="Waiting 0")).to_be_disabled()

    def test_it_counts_them_by_http_status_and_error(self, page: Page) -> None:
        glance = page.get_by_role("region", name="Jobs at a glance")
        expect(glance.get_by_role("button", name=re.compile("^200.*116$"))).to_be_visible()
        expect(
            glance.get_by_role("button", name=re.compile("^404 3$|^404.*3$")).first
        ).to_be_visible()
        expect(
            glance.get_by_role("button", name=re.compile("certificate has expired"))
        ).to_be_visible()

    def test_a_click_on_a_count_shows_only_these_jobs(self, page: Page) -> None:
        page.get_by_role("button", name="Failed 3").click()
        expect(page).to_have_url(re.compile("outcome=f"))
        expect(table(page).locator(".cell-id")).to_have_text(
            ["contact-7", "contact-47", "contact-87"]
        )

    def test_the_details_say_what_was_agreed(self, page: Page) -> None:
        page.get_by_role("link", name="Details").click()
        details = page.get_by_role("region", name="Details")
        for text in ("winter", "demo", "50 failed jobs", "all results"):
            expect(details).to_contain_text(text)


class TestGrid:
    def test_the_pointer_tells_what_a_cell_is(self, page: Page) -> None:
        point_at_failure(page, 2)
        expect(page.locator(".grid-tip")).to_contain_text("#47")
        expect(page.locator(".grid-tip")).to_contain_text("contact-47")
        expect(page.locator(".grid-tip")).to_contain_text("404")

    def test_a_click_opens_the_job(self, page: Page) -> None:
        point_at_failure(page, 4)
        page.mouse.down()
        page.mouse.up()
        expect(panel(page, 99)).to_contain_text("certificate has expired")

    def test_keys_go_from_job_to_job(self, page: Page) -> None:
        grid(page).focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
            grid(page).press(key)
        expect(spoken(page)).to_have_text("Job 2, contact-2, succeeded")
        grid(page).press("End")
        expect(spoken(page)).to_have_text("Job 119, contact-119, succeeded")

    def test_a_key_finds_the_next_that_did_not_succeed(self, page: Page) -> None:
        grid(page).focus()
        for index in (7, 47, 87, 99, 7):
            grid(page).press("f")
            expect(spoken(page)).to_contain_text(f"Job {index}")

    def test_enter_opens_it_and_escape_comes_back(self, page: Page) -> None:
        grid(page).focus()
        grid(page).press("f")
        grid(page).press("Enter")
        expect(panel(page, 7)).to_be_focused()
        expect(page).to_have_url(re.compile("job=7"))
        page.keyboard.press("Escape")
        expect(panel(page, 7)).to_be_hidden()
        expect(grid(page)).to_be_focused()


def spoken(page: Page) -> Locator:
    """What a screen reader is told about the cell."""
    return page.locator(".grid-frame [aria-live=polite]")


def point_at_failure(page: Page, number: int) -> None:
    """Point at the cell of the first, second, ... job that did not succeed. The keyboard goes there
    first, because only the page knows where the cell is."""
    grid(page).focus()
    for _ in range(number):
        grid(page).press("f")
    place = page.locator(".grid-marker.pointed").bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)


class TestTable:
    def test_failed_jobs_come_first_then_those_without_an_answer(self, page: Page) -> None:
        expect(table(page).locator(".cell-id").nth(4)).to_be_visible()
        assert ids(page)[:5] == ["contact-7", "contact-47", "contact-87", "contact-99", "contact-0"]

    def test_a_row_says_how_the_job_went(self, page: Page) -> None:
        row = table(page).get_by_role("row").filter(has_text="contact-47")
        for text in ("Failed", "event.inviteContacts", "404", "There is no contact 47", "1"):
            expect(row).to_contain_text(text)

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("#47", ["contact-47"]),
            ("contact-11", ["contact-11", *(f"contact-11{digit}" for digit in range(10))]),
            ("404", ["contact-7", "contact-47", "contact-87"]),
            ("CERTIFICATE", ["contact-99"]),
            ("no such job", []),
        ],
    )
    def test_it_can_be_searched(self, page: Page, text: str, found: list[str]) -> None:
        page.get_by_role("searchbox", name="Find jobs").fill(text)
        if found:
            expect(table(page).locator(".cell-id")).to_have_text(found)
        else:
            expect(page.get_by_text("No job matches")).to_be_visible()

    def test_a_search_is_in_the_address(self, page: Page) -> None:
        page.get_by_role("searchbox", name="Find jobs").fill("contact-9")
        page.get_by_label("Outcome").select_option("Unanswered")
        expect(table(page).locator(".cell-id")).to_have_text(["contact-99"])
        page.reload()
        expect(table(page).locator(".cell-id")).to_have_text(["contact-99"])
        page.get_by_role("button", name="Clear").click()
        expect(table(page).locator(".cell-id")).to_have_count(100)

    def test_the_rest_is_a_click_away(self, page: Page) -> None:
        expect(table(page).locator(".cell-id")).to_have_count(100)
        page.get_by_role("button", name="Show 100 more").click()
        expect(table(page).locator(".cell-id")).to_have_count(JOBS)


class TestJob:
    def test_it_shows_request_and_response_and_what_was_sent_along(self, page: Page) -> None:
        table(page).get_by_role("button", name=re.compile("^Job 47")).click()
        job = panel(page, 47)
        expect(job.get_by_role("region", name="Request")).to_contain_text('"contacts": [')
        expect(job.get_by_role("region", name="Response")).to_contain_text("There is no contact 47")
        expect(job).to_contain_text("404")

    def test_every_digit_is_shown_as_it_came(self, page: Page) -> None:
        """JavaScript's own numbers would round it."""
        page.goto(page.url + "?job=3")
        response = panel(page, 3).get_by_role("region", name="Response")
        expect(response).to_contain_text("12345678901234567890")
        response.get_by_role("button", name="Raw").click()
        expect(response).to_contain_text(
            '{"results":[{"status":"invited","big":12345678901234567890}]}'
        )

    def test_the_next_one_is_a_click_away(self, page: Page) -> None:
        page.goto(page.url + "?job=3")
        panel(page, 3).get_by_role("button", name="Next job").click()
        expect(panel(page, 4)).to_contain_text("contact-4")
        page.go_back()
        expect(panel(page, 3)).to_contain_text("contact-3")

    def test_a_response_can_be_copied(self, page: Page, service: Service) -> None:
        allow_reading_the_clipboard(page, service)
        page.goto(page.url + "?job=3")
        panel(page, 3).get_by_role("button", name="Copy response").click()
        expect(panel(page, 3).get_by_role("button", name="Copied")).to_be_visible()
        assert clipboard(page).startswith('{"results":[{"status"')

    def test_the_copied_curl_command_really_runs_the_job(
        self, page: Page, service: Service
    ) -> None:
        allow_reading_the_clipboard(page, service)
        page.goto(page.url + "?job=47")
        panel(page, 47).get_by_role("button", name="Copy as curl").click()
        expect(panel(page, 47).get_by_role("button", name="Copied")).to_be_visible()
        said = subprocess.run(  # noqa: S603 - what the console says to paste
            ["/bin/sh", "-c", clipboard(page)], capture_output=True, text=True, check=True
        ).stdout
        again = json.loads(said)["asyncId"]
        service.wait_until_over(again)
        results = service.live.client.results(again)["results"]
        assert [result["request"] for result in results] == [{"event": 7, "contacts": [47]}]


def allow_reading_the_clipboard(page: Page, service: Service) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=service.origin)


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


class TestLive:
    def test_answers_appear_while_the_batch_runs(self, tab: Tab, service: Service) -> None:
        past = Past(service.where)
        made = past.submit([invite(contact) for contact in range(JOBS)], label="running")
        page = tab.open(f"/batches/{made}")
        expect(page.get_by_text("0 of 120 jobs done")).to_be_visible()
        past.run(answer, messages=1)
        expect(page.get_by_text("30 of 120 jobs done")).to_be_visible()
        expect(page).to_have_title(re.compile("^25% running"))
        past.run(answer)
        expect(page.get_by_text("120 of 120 jobs done")).to_be_visible()
        expect(page).to_have_title(re.compile("^running"))
