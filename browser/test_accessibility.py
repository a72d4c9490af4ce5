"""Everybody can use the console: by keyboard, by screen reader, in the dark, on a phone."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
from playwright.sync_api import Page, expect

from browser import axe
from browser.past import Past
from browser.service import PING, UNKNOWN, Service
from browser.tab import Tab
from chalicelib.domain.outcome import NoReply, Reply
from tests.fakes.http import Call

PHONE = {"width": 390, "height": 844}


def answer(call: Call) -> Reply | NoReply:
    """One of each outcome in turn."""
    number = call.params["n"] % 3
    if number == 0:
        return NoReply(reason="the connection was refused", is_final=True)
    return Reply(status=404 if number == 1 else 200, body=b'{"message":"No such contact"}')


@pytest.fixture(scope="module")
def batch(service: Service) -> str:
    """It has all outcomes, and its callback failed once and waits for the next attempt."""
    past = Past(service.where, minutes=1)
    jobs = [{"namespace": "event", "action": "invite", "params": {"n": n}} for n in range(90)]
    made = past.submit(
        jobs, label="axe, a batch with a rather long label", callbackUrl=service.receiver
    )
    past.run(answer)
    past.call_back(Reply(status=500))
    return made


#: What to open, and what to do there before it is checked.
VIEWS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "list": ("/", lambda page: expect(page.locator("a.row-link").first).to_be_visible()),
    "no match": ("/?label=none", lambda page: page.get_by_text("No batch matches").wait_for()),
    "batch": ("/batches/{batch}", lambda page: page.get_by_role("table").wait_for()),
    "job": ("/batches/{batch}?job=1", lambda page: page.get_by_role("complementary").wait_for()),
    "callback": (
        "/batches/{batch}#callback",
        lambda page: page.get_by_role("region", name="Callback").wait_for(),
    ),
    "details": (
        "/batches/{batch}#details",
        lambda page: page.get_by_role("region", name="Details").wait_for(),
    ),
    "question": ("/batches/{batch}", lambda page: ask(page)),
    "no batch": ("/batches/0", lambda page: page.get_by_role("alert").wait_for()),
    "stage": ("/stage", lambda page: page.get_by_role("table").wait_for()),
    "local": ("/local", lambda page: page.get_by_role("radio").first.wait_for()),
    "send": ("/send", lambda page: page.get_by_role("textbox").wait_for()),
}


def ask(page: Page) -> None:
    page.get_by_role("button", name="Rerun failed").click()
    page.get_by_role("dialog").wait_for()


def opened(tab: Tab, view: str, batch: str) -> Page:
    path, ready = VIEWS[view]
    page = tab.open(path.format(batch=batch))
    ready(page)
    return page


def complaints_of(tab: Tab, view: str) -> AbstractContextManager[None]:
    return tab.expecting("404") if view == "no batch" else nullcontext()


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious_in_light_or_dark(tab: Tab, batch: str, view: str) -> None:
    with complaints_of(tab, view):
        page = opened(tab, view, batch)
        assert axe.violations(page) == []
        page.emulate_media(color_scheme="dark")
        assert axe.violations(page) == []
        page.close()


@pytest.mark.parametrize("view", VIEWS)
def test_on_a_phone_nothing_is_wider_than_the_screen(
    open_tab: Callable[..., Tab], batch: str, view: str
) -> None:
    tab = open_tab(viewport=PHONE, has_touch=True)
    with complaints_of(tab, view):
        page = opened(tab, view, batch)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert axe.violations(page) == []
        page.close()


def test_the_page_is_dark_if_the_system_is(tab: Tab, batch: str) -> None:
    page = opened(tab, "batch", batch)
    light = background(page)
    page.emulate_media(color_scheme="dark")
    assert sum(background(page)) < 150 < 600 < sum(light)


def background(page: Page) -> list[int]:
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return [int(part) for part in re.findall(r"\d+", color)][:3]


def test_with_the_keyboard_alone_the_failed_jobs_are_found_and_run_again(
    tab: Tab, service: Service
) -> None:
    """From the list to the batch, to a failed job, to its answer, to the new batch."""
    service.complete(PING, UNKNOWN, label="by keyboard")
    page = tab.open("/?label=by-")
    page.get_by_role("searchbox").wait_for()
    tab_to(page, "Filter by label")
    page.keyboard.press("Control+A")
    page.keyboard.type("by key")
    page.get_by_role("link", name="by keyboard").wait_for()
    tab_to(page, "by keyboard")
    page.keyboard.press("Enter")
    tab_to(page, "Grid of 2 jobs")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Job 1")).to_contain_text("404")
    page.keyboard.press("Escape")
    tab_to(page, "Rerun failed", back=True)
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="See the new batch").wait_for()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 1 job done")).to_be_visible()


def tab_to(page: Page, name: str, *, back: bool = False) -> None:
    """Press Tab until the control of this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if name in (page.evaluate(NAME_OF_FOCUSED) or ""):
            return
    raise AssertionError(f"the keyboard does not reach {name}")


NAME_OF_FOCUSED = """() => {
  const focused = document.activeElement;
  const label = focused.labels?.[0]?.textContent;
  return focused.getAttribute("aria-label") ?? label ?? focused.textContent;
}"""


def test_the_skip_link_leads_past_the_menu(tab: Tab, batch: str) -> None:
    page = opened(tab, "list", batch)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


class TestScreenReader:
    """The accessibility tree: what is there, and what it is called."""

    def test_the_list_is_named_and_structured(self, tab: Tab, batch: str) -> None:
        page = opened(tab, "list", batch)
        expect(page.locator("body")).to_match_aria_snapshot("""
            - link "Skip to the content"
            - banner:
              - link /Batchback/
              - navigation "Views":
                - link "Batches"
                - link "Stage"
            - main:
              - heading "Batches" [level=1]
              - search "Filter batches":
                - searchbox "Filter by label"
                - combobox "Status"
                - group "Which batches"
              - table "Batches"
        """)

    def test_a_batch_is_named_and_structured(self, tab: Tab, batch: str) -> None:
        page = opened(tab, "batch", batch)
        expect(page.get_by_role("main")).to_match_aria_snapshot("""
            - main:
              - navigation "Breadcrumb":
                - link "Batches"
              - heading "axe, a batch with a rather long label" [level=1]
              - group "Actions":
                - button "Restart"
              - region "Jobs at a glance":
                - img "30 succeeded, 30 failed, 30 unanswered"
                - group "Show only jobs that are":
                  - button "Failed 30"
                - application "Grid of 90 jobs"
              - navigation "About this batch":
                - link "Jobs"
                - link /Callback/
              - region "Jobs":
                - search "Filter jobs":
                  - searchbox "Find jobs"
                  - combobox "Outcome"
                - table "Jobs"
        """)
