"""What can be done with a batch. Each action asks first, and then shows its outcome."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser.past import Past
from browser.service import PING, UNKNOWN, Service
from browser.tab import Tab
from chalicelib.domain.outcome import NoReply, Reply
from tests.fakes.http import Call

#: The title of a repost.
AGAIN = "Send the callback again"


def question(page: Page, name: str) -> Any:
    page.get_by_role("group", name="Actions").get_by_role("button", name=name).click(force=True)
    return page.get_by_role("dialog")


def test_rerun_failed_makes_a_new_batch_of_the_failed_jobs_and_leads_to_it(
    tab: Tab, service: Service
) -> None:
    old = service.complete(PING, UNKNOWN, UNKNOWN, label="rerun me")
    page = tab.open(f"/batches/{old}")
    dialog = question(page, "Rerun failed jobs")
    expect(dialog).to_contain_text("2")
    dialog.get_by_role("button", name="Rerun failed jobs").click()
    page.get_by_role("button", name="See the new batch").click()
    expect(page).not_to_have_url(re.compile(old))
    expect(page.get_by_role("heading", name="rerun me")).to_be_visible()
    expect(page.get_by_text("2 of 2 jobs done")).to_be_visible()


def test_restart_runs_the_unanswered_jobs_again(tab: Tab, service: Service) -> None:
    past = Past(service.where, minutes=1)
    batch = past.submit([PING, PING], label="restart me", callbackUrl=service.receiver)
    past.run(fails_first())
    past.call_back(Reply(status=200))
    page = tab.open(f"/batches/{batch}")
    dialog = question(page, "Restart")
    expect(dialog).to_contain_text("Reruns the one job")
    dialog.get_by_role("button", name="Restart").click()
    expect(page.get_by_role("status").filter(has_text="Round 2 has begun")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_text("Round 2").first).to_be_visible()
    expect(page.get_by_role("button", name="Succeeded 2")).to_be_visible()


def fails_first() -> Any:
    answers: list[NoReply | Reply] = [
        NoReply(reason="refused", is_final=True),
        Reply(status=200, body=b"{}"),
    ]

    def answer(_: Call) -> NoReply | Reply:
        return answers.pop(0)

    return answer


def test_repost_sends_the_callback_again(tab: Tab, service: Service) -> None:
    batch = service.complete(PING, label="repost me")
    page = tab.open(f"/batches/{batch}#callback")
    received = page.get_by_role("group").filter(has_text="POST /callback")
    expect(received).to_have_count(1)
    question(page, AGAIN).get_by_role("button", name=AGAIN).click()
    expect(page.get_by_text("The callback is being sent again.")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(received).to_have_count(2)


def test_cancel_ends_a_running_batch(tab: Tab, service: Service) -> None:
    past = Past(service.where)
    batch = past.submit([PING] * 60, label="cancel me", callbackUrl=service.receiver)
    page = tab.open(f"/batches/{batch}")
    question(page, "Cancel").get_by_role("button", name="Cancel the batch").click()
    expect(page.get_by_text("The batch is being cancelled.")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_text("Cancelled").first).to_be_visible()
    assert service.progress(batch)["status"] == "cancelled"


@pytest.mark.parametrize("way_out", ["Not now", "Escape"])
def test_a_question_that_is_not_answered_changes_nothing(
    tab: Tab, service: Service, way_out: str
) -> None:
    batch = service.complete(PING, UNKNOWN, label="leave me")
    page = tab.open(f"/batches/{batch}")
    dialog = question(page, AGAIN)
    dialog.get_by_role("button", name="Not now").wait_for()
    if way_out == "Escape":
        page.keyboard.press("Escape")
    else:
        dialog.get_by_role("button", name=way_out).click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name=AGAIN)).to_be_focused()
    assert service.progress(batch)["callback"]["attempts"] == 1


def test_what_cannot_be_done_says_why(tab: Tab, service: Service) -> None:
    batch = service.complete(PING, label="all is well")
    dialog = question(tab.open(f"/batches/{batch}"), "Cancel")
    expect(dialog).to_contain_text("has ended")
    expect(dialog.get_by_role("button", name="Cancel the batch")).to_be_hidden()


def test_an_action_on_an_older_state_is_refused_with_the_reason(tab: Tab, service: Service) -> None:
    """Somebody else acted while the question was open."""
    batch = service.complete(PING, label="quicker")
    page = tab.open(f"/batches/{batch}")
    dialog = question(page, AGAIN)
    service.live.client.repost(batch)
    service.wait_until_over(batch)
    with tab.expecting("409"):
        dialog.get_by_role("button", name=AGAIN).click()
        expect(dialog.get_by_role("alert")).to_contain_text("has changed")
