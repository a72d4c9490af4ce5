"""A service that stops answering while its console is open, and comes back."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from browser.service import PING, Service
from browser.tab import Tab


def test_the_page_says_so_keeps_what_it_shows_and_goes_on_by_itself(
    open_tab: Callable[..., Tab], tmp_path: Path
) -> None:
    """The new start has a new token, so the page then asks for the new address."""
    with Service(new_folder(tmp_path, "first")) as first:
        first.complete(PING, label="seen before")
        tab = open_tab(first.console)
        page = tab.open()
        expect(page.get_by_role("link", name="seen before")).to_be_visible()
        port = first.port
        page.route("**/api/**", lambda route: route.abort("connectionrefused"))
        with tab.expecting("ERR_CONNECTION_REFUSED"):
            expect(page.get_by_text("The service does not answer.")).to_be_visible()
            expect(page.get_by_role("link", name="seen before")).to_be_visible()
            page.unroute("**/api/**")
            expect(page.get_by_text("The service does not answer.")).to_be_hidden()
    with (
        Service(new_folder(tmp_path, "second"), "--console-port", str(port)) as second,
        tab.expecting("ERR_CONNECTION_REFUSED", "401"),
    ):
        expect(page.get_by_text("Open the console with the address")).to_be_visible()
        page.goto(second.console)
        expect(page.get_by_text("No batches yet.")).to_be_visible()
        assert re.search("seen before", page.content()) is None


def new_folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder
