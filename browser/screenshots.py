"""`make screenshots`: take the pictures of the console for the docs.

The batches, their ids and their ages are the same each time; the times of day are not."""

import json
import os
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from browser import chromium
from browser.past import Past
from browser.service import INVITE, Service
from browser.tab import Tab
from chalicelib.domain.outcome import NoReply, Reply
from pictures import gallery
from tests.fakes.clock import FakeClock
from tests.fakes.http import Call

_WINDOW = {"width": 1280, "height": 800}


def take_all(folder: Path) -> None:
    """Write every screenshot of the gallery, light and dark."""
    with tempfile.TemporaryDirectory() as place, Service(Path(place)) as service:
        paths = _paths(service)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium.found(), args=chromium.options(os.getuid())
            )
            for name in gallery.SCREENSHOTS:
                if name == "console-local":
                    service.tell("/local/faults", {"of": "receiver", "name": "failing"})
                for mode in ("light", "dark"):
                    _take(browser, service, paths[name], mode, folder / f"{name}-{mode}.png")


def _take(browser: Browser, service: Service, path: str, mode: str, picture: Path) -> None:
    with browser.new_context(viewport=_WINDOW, color_scheme=mode) as context:
        tab = Tab(context, service.console)
        page = tab.open(path)
        expect(page.get_by_text("Loading")).to_have_count(0)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=picture, animations="disabled")
        assert tab.complaints == []


def _paths(service: Service) -> Mapping[str, str]:
    """Make the batches of the pictures, and return the path of each picture."""
    _ended(service, "Newsletter 47", 1200, hours=3)
    _ended(service, "Import of contacts", 10_000, hours=2)
    failed = _ended(service, "Reminders, evening", 800, failing=9, hours=1)
    _ended(service, "Newsletter 48", 1200, minutes=40)
    _ended(service, "Invitations, gala", 60, callbacks=[500, 503], minutes=4)
    _running(service, "Reminders, morning", 2000)
    with service.failing("receiver", status=500, times=1):
        delivered = service.complete(
            *[INVITE] * 12,
            label="Invitations, speakers",
            idempotency_key="speakers",
            callback_headers={"Authorization": "Bearer secret"},
        )
    return {
        "console-batches": "/",
        "console-batch": f"/batches/{failed}",
        "console-callback": f"/batches/{delivered}#callback",
        "console-local": "/local",
    }


def _ended(
    service: Service,
    label: str,
    jobs: int,
    *,
    failing: int = 0,
    callbacks: list[int] = [200],  # noqa: B006 - nobody changes it
    **ago: float,
) -> str:
    past = Past(service.where, jobs_per_message=500, **ago)
    batch = past.submit(_jobs(jobs), label=label, callbackUrl=service.receiver)
    past.run(Answers(failing, past.world.clock))
    past.call_back(*(Reply(status=status) for status in callbacks))
    return batch


def _running(service: Service, label: str, jobs: int) -> None:
    past = Past(service.where, jobs_per_message=100, seconds=20)
    past.submit(_jobs(jobs), label=label, callbackUrl=service.receiver)
    past.run(Answers(3, past.world.clock), messages=13)


def _jobs(count: int) -> list[dict[str, object]]:
    return [
        {
            "id": f"contact-{number}",
            "namespace": "event",
            "action": "inviteContacts",
            "params": {"event": 48, "contacts": [number], "n": number},
        }
        for number in range(1, count + 1)
    ]


class Answers:
    """The platform's answers. This percentage of the jobs fails, spread by a fixed rule."""

    def __init__(self, percent: int, clock: FakeClock) -> None:
        self._percent = percent
        self._clock = clock

    def __call__(self, call: Call) -> Reply | NoReply:
        number = call.params["n"]
        draw = random.Random(number).randrange(100)
        self._clock.advance(milliseconds=3 + draw)
        if draw >= self._percent:
            done = {"results": [{"contact": number, "status": "invited"}]}
            return Reply(status=200, body=json.dumps(done).encode())
        if draw % 3 == 0:
            return NoReply(reason="the connection was reset", is_final=True)
        text = {"errorCode": 404, "message": "There is no such contact"}
        return Reply(status=404, body=json.dumps(text).encode())


if __name__ == "__main__":
    if chromium.found() is None:
        sys.exit(chromium.MISSING)
    take_all(gallery.FOLDER)
