"""The browser, and the service whose console it shows. All tests share them."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from browser import attacker, chromium
from browser.service import PATIENCE_SECONDS, Service
from browser.tab import Tab

#: An ordinary window, unless a test needs another.
WINDOW = {"width": 1280, "height": 800}
expect.set_options(timeout=PATIENCE_SECONDS * 1000)


def pytest_sessionstart() -> None:
    """Without Chromium, end with one sentence instead of a skipped line for each test."""
    if chromium.found() is None:
        pytest.exit(chromium.MISSING, returncode=0)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.found(),
            args=[
                *chromium.options(os.getuid()),
                f"--host-resolver-rules=MAP {attacker.NAMES} 127.0.0.1",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def open_tab(browser: Browser, service: Service) -> Iterator[Callable[..., Tab]]:
    """Opens tabs, each in its own browser profile. Fails if the browser complained."""
    tabs: list[Tab] = []

    def open_tab(address: str | None = None, **options: Any) -> Tab:
        context = browser.new_context(**{"viewport": WINDOW, **options})
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        tabs.append(Tab(context, address or service.console))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.page.context.close()
    assert [complaint for tab in tabs for complaint in tab.complaints] == []


@pytest.fixture
def tab(open_tab: Callable[..., Tab]) -> Tab:
    return open_tab()
