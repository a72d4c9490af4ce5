"""Impossible links and answers, and a browser without storage: the page says so, and goes on."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from browser.service import PING, Service
from browser.tab import Tab

NO_STORAGE = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("denied", "SecurityError"); } });"""


def changed(page: Page, path: str, change: Callable[[Any], Any]) -> None:
    """Change the answers of this path from now on."""

    def answer(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, json=change(real.json()))

    page.route(path, answer)


@pytest.fixture(scope="module")
def batch(service: Service) -> str:
    return service.complete(PING, label="malformed")


@pytest.mark.parametrize("path", ["/batches/%E0%A4%A", "/batches/%00", "/batches/%22%3Cscript%3E"])
def test_a_link_to_an_impossible_batch_says_that_there_is_none(tab: Tab, path: str) -> None:
    with tab.expecting("404"):
        page = tab.open(path)
        expect(page.get_by_text("There is no such batch")).to_be_visible()


def test_an_impossible_token_is_refused(tab: Tab) -> None:
    with tab.expecting("401"):
        page = tab.page
        page.goto(f"{tab._origin}/#token=%")
        expect(page.get_by_text("This console needs its token")).to_be_visible()


def test_without_storage_the_page_works_until_it_is_loaded_again(tab: Tab) -> None:
    tab.page.add_init_script(NO_STORAGE)
    page = tab.open()
    expect(page.get_by_role("heading", name="Batches")).to_be_visible()
    page.get_by_role("link", name="Stage").click()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()
    with tab.expecting("401"):
        page.reload()
        expect(page.get_by_text("This console needs its token")).to_be_visible()


@pytest.mark.parametrize("body", ["", "<html>", "null", "{", "NaN"])
def test_an_answer_that_is_not_json_is_reported(tab: Tab, body: str) -> None:
    page = tab.page
    page.route("**/api/batches", lambda route: route.fulfill(status=200, body=body))
    tab.open()
    expect(page.get_by_text("The console's answer cannot be read.").first).to_be_visible()


def test_an_impossible_time_is_shown_as_it_is(tab: Tab, batch: str) -> None:
    """A label or a reason may look like a time in one of the console's sentences."""
    hostile = "{2026-99-99T99:99:99Z}"
    changed(tab.page, f"**/api/batches/{batch}", lambda told: {**told, "trouble": hostile})
    page = tab.open(f"/batches/{batch}")
    expect(page.get_by_text("2026-99-99T99:99:99Z")).to_be_visible()


def test_an_impossible_clock_changes_no_time(tab: Tab, batch: str) -> None:  # noqa: ARG001
    changed(tab.page, "**/api/**", lambda told: {**told, "now": "soon"})
    page = tab.open()
    expect(page.get_by_role("link", name="malformed")).to_be_visible()
    assert "NaN" not in page.inner_text("body")


def test_older_batches_that_cannot_be_read_are_reported(tab: Tab, batch: str) -> None:  # noqa: ARG001
    page = tab.page
    changed(page, "**/api/batches", lambda told: {**told, "next": "2.1.f"})
    tab.open()
    with tab.expecting("400"):
        page.get_by_role("button", name="Show older batches").click()
        expect(
            page.get_by_text("`after` must be").or_(page.get_by_text("must be the"))
        ).to_be_visible()


def test_jobs_that_are_still_to_be_read_are_counted(tab: Tab, batch: str) -> None:
    changed(tab.page, f"**/api/batches/{batch}", lambda told: {**told, "unread": 1})
    page = tab.open(f"/batches/{batch}")
    expect(page.get_by_text("1 job still to be read")).to_be_visible()
