"""The callback of a batch: its attempts, what is sent, and what the receiver got."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.past import Past
from browser.service import INVITE, PING, Service
from browser.tab import Tab
from chalicelib.domain.outcome import Reply

SECRET = "Bearer canary-of-the-callback"


def callback(page: Page) -> Locator:
    return page.get_by_role("region", name="Callback")


@pytest.fixture(scope="module")
def delivered(service: Service) -> str:
    """Its first attempt gets a 500, the second is accepted."""
    with service.failing("receiver", status=500, times=1):
        return service.complete(
            INVITE, PING, label="calls back", callback_headers={"Authorization": SECRET}
        )


@pytest.fixture
def page(tab: Tab, delivered: str) -> Page:
    page = tab.open(f"/batches/{delivered}")
    page.get_by_role("link", name="Callback").click()
    expect(callback(page)).to_be_visible()
    return page


def test_each_attempt_says_how_it_ended(page: Page) -> None:
    attempts = callback(page).get_by_role("listitem")
    expect(attempts).to_have_count(2)
    expect(attempts.nth(0)).to_contain_text("500")
    expect(attempts.nth(0)).to_contain_text("Attempt 1")
    expect(attempts.nth(1)).to_contain_text("Delivered")
    expect(attempts.nth(1)).to_contain_text("200")


def test_the_tab_is_in_the_address(page: Page) -> None:
    expect(page).to_have_url(re.compile("#callback$"))
    page.reload()
    expect(callback(page)).to_be_visible()


def test_it_shows_the_headers_but_no_secret(page: Page) -> None:
    expect(callback(page)).to_contain_text("Authorization")
    expect(callback(page)).to_contain_text("not shown")
    assert "canary-of-the-callback" not in page.content()


def test_it_shows_what_the_receiver_got_and_that_the_signature_verifies(page: Page) -> None:
    received = callback(page).get_by_role("group").filter(has_text="POST /callback")
    expect(received.first).to_contain_text("Signature verifies")
    expect(received.first.get_by_role("region", name="Body")).to_contain_text('"inviteContacts"')


def test_while_it_is_retried_it_says_when(tab: Tab, service: Service) -> None:
    with service.failing("receiver", status=503, retryAfter=3000):
        waiting = service.run(PING, label="is retried")
        service.wait_for_attempt(waiting)
    page = tab.open(f"/batches/{waiting}")
    page.get_by_role("link", name="Callback").click()
    expect(callback(page)).to_contain_text(re.compile(r"Next try in \d+ min"))
    expect(callback(page)).to_contain_text("503")


def test_a_batch_without_one_says_so(tab: Tab, service: Service) -> None:
    past = Past(service.where)
    batch = past.submit([PING])
    past.run(lambda _: Reply(status=200, body=b"{}"))
    page = tab.open(f"/batches/{batch}#callback")
    expect(page.get_by_text("This batch has no callback.")).to_be_visible()
