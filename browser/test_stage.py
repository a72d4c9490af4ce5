"""The stage as its operators see it: queues, dead letters, pause, the doctor; and a read-only
console."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from playwright.sync_api import Page, expect

from browser.operator import OperatorConsole
from browser.service import PING, UNKNOWN, Service
from browser.tab import Tab
from chalicelib.adapters.sqs import compose_batch
from chalicelib.domain.message import BatchMessage

GARBAGE = "<b>not a message</b>\u202e{"


def send(service: Service, role: str, message: str) -> None:
    """Send a message to a queue of the service."""
    sqs: Any = boto3.client(
        "sqs",
        endpoint_url=service.where["awsEndpoint"],
        region_name=service.where["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    sqs.send_message(QueueUrl=service.where["queueUrls"][role], MessageBody=message)


@pytest.fixture(scope="module")
def dead_letter(service: Service) -> None:
    """A message that no version of the service can read."""
    send(service, "callbacksDead", GARBAGE)


def queue(page: Page, role: str) -> Any:
    return page.get_by_role("row").filter(
        has=page.get_by_role("rowheader", name=re.compile(f"^{role}"))
    )


class TestQueues:
    def test_each_has_a_row(self, tab: Tab) -> None:
        page = tab.open("/stage")
        for role in ("jobs", "batches", "callbacks"):
            expect(queue(page, role)).to_be_visible()
        expect(page.get_by_role("region", name="Queues", exact=True)).to_contain_text(
            "No dead letters"
        )

    @pytest.mark.usefixtures("dead_letter")
    def test_a_dead_letter_can_be_seen_and_discarded(self, tab: Tab) -> None:
        page = tab.open("/stage")
        queue(page, "callbacks").get_by_role("button", name="Show 1").click()
        dialog = page.get_by_role("dialog", name="Dead letters of callbacks-dead")
        expect(dialog).to_contain_text("Not readable")
        expect(dialog).to_contain_text("<b>not a message</b>")
        dialog.get_by_role("button", name="Discard").click()
        dialog.get_by_text("Messages that no version can read are deleted.").wait_for()
        dialog.get_by_role("button", name="Discard").click()
        expect(dialog.get_by_role("status")).to_be_visible()
        dialog.get_by_role("button", name="Close").click()
        expect(queue(page, "callbacks")).to_contain_text("None")

    def test_a_dead_letter_of_a_batch_can_be_redriven(self, tab: Tab, service: Service) -> None:
        batch = service.complete(PING, label="was dead")
        message = BatchMessage(batch_id=batch, account="demo")
        send(service, "batchesDead", compose_batch(message))
        page = tab.open("/stage")
        queue(page, "batches").get_by_role("button", name="Show 1").click()
        dialog = page.get_by_role("dialog", name="Dead letters of batches-dead")
        expect(dialog.get_by_role("link", name="was dead")).to_be_visible()
        dialog.get_by_role("button", name="Redrive").click()
        dialog.get_by_text("The messages are sent to their queue again").wait_for()
        dialog.get_by_role("button", name="Redrive").click()
        expect(dialog.get_by_role("status")).to_contain_text(batch)
        dialog.get_by_role("button", name="Close").click()
        expect(queue(page, "batches")).to_contain_text("None")


def test_the_doctor_says_what_works(tab: Tab) -> None:
    page = tab.open("/stage")
    page.get_by_role("button", name="Check the stage").click()
    expect(page.get_by_role("listitem").filter(has_text="Fine").first).to_be_visible()


def test_a_pause_needs_a_reason_and_a_resume_ends_it(tab: Tab) -> None:
    page = tab.open("/stage")
    page.get_by_role("button", name="Pause all jobs").click()
    dialog = page.get_by_role("dialog")
    with tab.expecting("400"):
        dialog.get_by_role("button", name="Pause").click()
        expect(dialog.get_by_role("alert")).to_contain_text("reason")
    dialog.get_by_label("Reason").fill("OPS-7")
    dialog.get_by_label("4 hours").check()
    dialog.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("All jobs are paused.")).to_be_visible()
    expect(page.get_by_text("OPS-7").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause all jobs")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Jobs run again")).to_be_visible()


@pytest.fixture(scope="module")
def reading(
    service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorConsole]:
    with OperatorConsole(service, tmp_path_factory.mktemp("operator")) as console:
        yield console


class TestReadOnly:
    """`batchback console --stage local`, against the same AWS."""

    def test_it_shows_the_batches_and_says_that_it_is_read_only(
        self, open_tab: Callable[..., Tab], service: Service, reading: OperatorConsole
    ) -> None:
        batch = service.complete(PING, UNKNOWN, label="seen by operators")
        page = open_tab(reading.address).open("/?account=demo&show=all&label=seen")
        expect(page.get_by_text("Read-only")).to_be_visible()
        page.get_by_role("link", name="seen by operators").click()
        expect(page).to_have_url(re.compile(batch))
        expect(page.get_by_text("2 of 2 jobs done")).to_be_visible()

    def test_it_cannot_simulate_or_send(
        self, open_tab: Callable[..., Tab], reading: OperatorConsole
    ) -> None:
        page = open_tab(reading.address).open("/stage")
        views = page.get_by_role("navigation", name="Views").get_by_role("link")
        expect(views).to_have_text(["Batches", "Stage"])

    def test_its_buttons_say_what_allows_them(
        self, open_tab: Callable[..., Tab], service: Service, reading: OperatorConsole
    ) -> None:
        batch = service.complete(PING, UNKNOWN, label="left alone")
        page = open_tab(reading.address).open(f"/batches/{batch}")
        page.get_by_role("button", name="Rerun failed").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("--allow-actions")
        expect(dialog.get_by_role("button")).to_have_text(["Close"])

    def test_of_the_callback_it_shows_only_the_host(
        self, open_tab: Callable[..., Tab], service: Service, reading: OperatorConsole
    ) -> None:
        batch = service.complete(PING, label="a secret path")
        page = open_tab(reading.address).open(f"/batches/{batch}#callback")
        expect(page.get_by_role("region", name="Callback")).to_contain_text("127.0.0.1")
        assert "/callback" not in page.get_by_role("region", name="Callback").inner_text()
