"""The console in a tab of the browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import BrowserContext, ConsoleMessage, Page


class Tab:
    """A tab that shows the console. It keeps what the browser complains about: errors in scripts,
    requests that failed, and whatever the content security policy refused."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        """`address` is the one that the terminal prints, with the token."""
        self._origin, _, self.token = address.partition("/#token=")
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def open(self, path: str = "/") -> Page:
        """Open a path of the console, like somebody who pastes the address from the terminal."""
        path, _, anchor = path.partition("#")
        self.page.goto(f"{self._origin}{path}#token={self.token}")
        if anchor:
            self.page.goto(f"{self._origin}{path}#{anchor}")
        return self.page

    @contextmanager
    def expecting(self, *complaints: str) -> Iterator[None]:
        """Expect that the browser complains inside the block, and only like this."""
        before = [*self.complaints]
        yield
        new = self.complaints[len(before) :]
        assert [each for each in new if not any(re.search(one, each) for one in complaints)] == []
        assert new, "the browser did not complain"
        self.complaints[:] = before
