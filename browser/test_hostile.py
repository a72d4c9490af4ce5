"""What callers, the platform and receivers may write is always shown as text."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from browser.past import Past
from browser.service import Service
from browser.tab import Tab
from chalicelib.domain.outcome import Reply
from tests.fakes.http import Call

SCRIPT = "<script>window.owned = 1</script>"
IMAGE = '<img src=x onerror="window.owned = 1">'
RIGHT_TO_LEFT = "\u202eevil\u2066\u05d0\u05d1\u05d2"
LARGE = 340_000
TEXTS = {"script": SCRIPT, "image": IMAGE, "right to left": RIGHT_TO_LEFT, "NUL": "a\0b\x1b[31m"}
#: Callers can put no control characters into a label or metadata: the API refuses them.
HEBREW = "\u05d0\u05d1\u05d2 12 \u05d3"
LABEL = f"{SCRIPT} {HEBREW}"


def answer(call: Call) -> Reply:
    """The text that the job asks for, as an error's message, or the largest possible JSON
    answer."""
    if call.params.get("size"):
        return Reply(status=200, body=json.dumps({"text": "<b>" * (LARGE // 3)}).encode())
    text = {"message": call.params["text"], "html": IMAGE, call.params["text"]: [SCRIPT]}
    return Reply(status=400, body=json.dumps(text).encode())


@pytest.fixture(scope="module")
def batch(service: Service) -> str:
    past = Past(service.where, minutes=1)
    jobs: list[dict[str, Any]] = [
        {"namespace": "event", "action": "run", "params": {"text": text}} for text in TEXTS.values()
    ]
    jobs.append({"namespace": "event", "action": "run", "params": {"size": LARGE}})
    made = past.submit(
        jobs,
        label=LABEL,
        callbackUrl=f"{service.receiver}?{IMAGE.replace(' ', '')}",
        metadata={"note": IMAGE, SCRIPT: HEBREW},
    )
    past.run(answer)
    past.call_back(Reply(status=500, body=SCRIPT.encode()))
    return made


@pytest.fixture(autouse=True)
def harmless(tab: Tab) -> object:
    """No text became a part of the page, and no foreign script ran."""
    yield
    assert tab.page.evaluate("window.owned") is None
    assert tab.page.locator("img, iframe, script:not([src^='/page/'])").count() == 0


@pytest.mark.usefixtures("batch")
def test_the_list_shows_it_as_text(tab: Tab) -> None:
    page = tab.open("/")
    expect(page.get_by_role("link", name=LABEL)).to_be_visible()


@pytest.mark.parametrize("anchor", ["jobs", "callback", "details"])
def test_a_batch_shows_it_as_text(tab: Tab, batch: str, anchor: str) -> None:
    page = tab.open(f"/batches/{batch}")
    expect(page.get_by_role("heading", name=LABEL)).to_be_visible()
    page.get_by_role("link", name=anchor.capitalize()).last.click()
    if anchor == "details":
        expect(page.get_by_role("region", name="Details")).to_contain_text(IMAGE)


@pytest.mark.parametrize("index", range(len(TEXTS)))
def test_a_job_shows_it_as_text(tab: Tab, batch: str, index: int) -> None:
    page = tab.open(f"/batches/{batch}?job={index}")
    expect(page.get_by_role("region", name="Response")).to_contain_text(IMAGE.replace('"', '\\"'))


@pytest.mark.parametrize("shown", ["a␀b␛[31m", "⟨202E⟩evil⟨2066⟩"])
def test_what_cannot_be_seen_is_made_visible(tab: Tab, batch: str, shown: str) -> None:
    """Such as a NUL, or a character that changes the direction of the text around it."""
    page = tab.open(f"/batches/{batch}")
    expect(page.get_by_role("row").filter(has_text=shown).first).to_be_visible()


def test_the_largest_answer_opens_at_once_and_can_be_shown_whole(tab: Tab, batch: str) -> None:
    page = tab.open(f"/batches/{batch}?job=4")
    response = page.get_by_role("region", name="Response")
    expect(response).to_contain_text("<b><b><b>")
    response.get_by_role("button", name="Show all").click()
    expect(response.get_by_role("button", name="Show all")).to_be_hidden()
    assert len(response.inner_text()) > LARGE - 100


def test_the_parts_of_an_address_are_only_text(tab: Tab) -> None:
    """Somebody else may have sent the link."""
    with tab.expecting("404"):
        page = tab.open(f"/batches/{quote(IMAGE)}?job=9&outcome={SCRIPT}&text={IMAGE}")
        expect(page.get_by_role("alert")).to_be_visible()
    with tab.expecting("400"):
        page = tab.open(f"/?label={SCRIPT}&status={IMAGE}&account={IMAGE}&show=x&after=y")
        expect(page.get_by_role("heading", name="Batches")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_visible()
