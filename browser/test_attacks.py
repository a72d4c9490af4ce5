"""A page of another site, open in the same browser, can do nothing to the console.

The attacker knows the console's port and the ids of batches. Some of these attacks even have the
token, which no page can find out."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from browser.attacker import Attacker
from browser.service import INVITE, Service
from browser.tab import Tab

#: Asks for a path, and says how the browser ended it and what the script could read.
FETCH = """async ([address, how]) => {
  try {
    const answer = await fetch(address, how);
    return [answer.type, answer.status, await answer.text()];
  } catch (error) { return ["refused", 0, ""]; }
}"""
FORM = """([address, type]) => new Promise((done) => {
  const frame = Object.assign(document.createElement("iframe"), { name: "hidden" });
  const form = Object.assign(document.createElement("form"), {
    action: address, method: "POST", enctype: type, target: "hidden",
  });
  const field = Object.assign(document.createElement("input"), { name: '{"seen": "', value: '"}' });
  form.append(field);
  document.body.append(frame, form);
  frame.onload = done;
  form.submit();
})"""
LOADED_AS = """([tag, address]) => new Promise((done) => {
  const element = document.createElement(tag);
  element.onload = () => done("loaded");
  element.onerror = () => done("refused");
  element[tag === "link" ? "href" : "src"] = address;
  if (tag === "link") element.rel = "stylesheet";
  document.body.append(element);
})"""


@pytest.fixture(scope="module")
def attacker() -> Iterator[Attacker]:
    with Attacker() as attacker:
        yield attacker


@pytest.fixture(scope="module")
def batch(service: Service) -> str:
    return service.complete(INVITE)


@pytest.fixture
def page(attacker: Attacker, tab: Tab) -> Page:
    """The attacker's page, in the profile in which the console is open and has its token."""
    tab.open()
    tab.page.get_by_role("heading", name="Batches").wait_for()
    page = tab.page.context.new_page()
    page.goto(attacker.page())
    return page


@pytest.fixture
def unchanged(service: Service, batch: str) -> Iterator[None]:
    """Whatever happens, the batch and the switches stay as they are."""
    before = everything(service, batch)
    yield
    assert everything(service, batch) == before


def everything(service: Service, batch: str) -> list[Any]:
    faults = service.ask("/local")
    return [
        service.progress(batch),
        *(faults[key] for key in ("platform", "receiver", "isPaused")),
        faults["clock"]["aheadSeconds"],
        len(service.ask("/batches")["batches"]),
    ]


def targets(service: Service, batch: str) -> dict[str, str]:
    """What an attacker would like to read, and to change."""
    api = f"{service.origin}/api"
    return {
        "read": f"{api}/batches/{batch}",
        "cancel": f"{api}/batches/{batch}/cancel",
        "pause": f"{api}/stage/pause",
        "break": f"{api}/local/faults",
        "send": f"{api}/local/batches",
    }


@pytest.mark.usefixtures("unchanged")
class TestFromAnotherSite:
    @pytest.mark.parametrize("has_token", [False, True])
    @pytest.mark.parametrize("mode", ["cors", "no-cors"])
    def test_it_can_read_nothing(
        self, page: Page, service: Service, batch: str, mode: str, has_token: bool
    ) -> None:
        how: dict[str, Any] = {"mode": mode, "credentials": "include"}
        if has_token:
            how["headers"] = {"Authorization": f"Bearer {service.token}"}
        answer, status, text = page.evaluate(FETCH, [targets(service, batch)["read"], how])
        assert answer in {"refused", "opaque"}
        assert (status, text) == (0, "")

    @pytest.mark.parametrize("what", ["cancel", "pause", "break", "send"])
    @pytest.mark.parametrize("mode", ["cors", "no-cors"])
    @pytest.mark.parametrize("kind", ["application/json", "text/plain"])
    def test_it_can_change_nothing(
        self, page: Page, service: Service, batch: str, what: str, mode: str, kind: str
    ) -> None:
        how = {
            "method": "POST",
            "mode": mode,
            "headers": {"Content-Type": kind, "Authorization": f"Bearer {service.token}"},
            "body": '{"of": "platform", "name": "away", "until": "1h", "reason": "x"}',
        }
        answer, status, text = page.evaluate(FETCH, [targets(service, batch)[what], how])
        assert answer in {"refused", "opaque"}
        assert (status, text) == (0, "")

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
    def test_a_form_can_change_nothing(
        self, page: Page, service: Service, batch: str, kind: str
    ) -> None:
        page.evaluate(FORM, [targets(service, batch)["cancel"], kind])

    def test_it_cannot_frame_the_console(self, page: Page, service: Service) -> None:
        """Otherwise it could lay a page of its own over buttons that the reader clicks."""
        page.evaluate(LOADED_AS, ["iframe", f"{service.origin}/"])
        [_, frame] = page.frames
        assert not frame.url.startswith(service.origin)
        assert frame.locator("#app").count() == 0

    @pytest.mark.parametrize(
        ("tag", "path"),
        [
            ("script", "/page/app.js"),
            ("script", "/api/batches"),
            ("img", "/page/icon.svg"),
            ("link", "/page/console.css"),
        ],
    )
    def test_it_cannot_load_the_files_of_the_console(
        self, page: Page, service: Service, tag: str, path: str
    ) -> None:
        """Not even to find out that a console runs here."""
        assert page.evaluate(LOADED_AS, [tag, f"{service.origin}{path}"]) == "refused"

    def test_it_has_no_hold_on_a_console_that_it_opens(self, page: Page, service: Service) -> None:
        with page.context.expect_page() as opened:
            page.evaluate("(address) => { window.opened = window.open(address); }", service.origin)
        opened.value.get_by_role("heading", name="Batches").wait_for()
        assert page.evaluate("window.opened.closed")
        assert opened.value.evaluate("window.opener") is None

    def test_the_token_never_leaves_in_a_referrer(self, page: Page) -> None:
        assert page.evaluate("document.referrer") == ""


class TestUnderAnotherName:
    """The attacker's DNS says that its own name is 127.0.0.1, so the browser takes the console for
    a part of the attacker's site, and lets its scripts read all answers."""

    @pytest.mark.parametrize("path", ["/", "/page/app.js", "/api/console", "/api/batches"])
    def test_it_is_told_only_that_it_is_the_wrong_address(
        self, browser: Browser, service: Service, path: str
    ) -> None:
        with browser.new_context() as context:
            page = context.new_page()
            answer = page.goto(f"http://rebound.attacker.example:{service.port}{path}")
            assert answer is not None
            assert answer.status == 421
            assert "address that the terminal printed" in page.content()

    def test_it_can_read_and_change_nothing_even_with_the_token(
        self,
        browser: Browser,
        service: Service,
        batch: str,
        unchanged: None,  # noqa: ARG002
    ) -> None:
        headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"}
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://rebound.attacker.example:{service.port}/")
            for name, path in targets(service, batch).items():
                path = path.removeprefix(service.origin)
                method = "GET" if name == "read" else "POST"
                how = {"method": method, "headers": headers}
                _, status, text = page.evaluate(FETCH, [path, how])
                assert status == 421
                assert batch not in text


class TestWithoutTheToken:
    def test_the_console_says_where_to_find_it(
        self, open_tab: Callable[..., Tab], service: Service
    ) -> None:
        tab = open_tab()
        with tab.expecting("401"):
            tab.page.goto(service.origin)
            tab.page.get_by_text("Open the console with the address that the terminal").wait_for()

    def test_an_old_one_is_no_better(self, open_tab: Callable[..., Tab], service: Service) -> None:
        tab = open_tab(f"{service.origin}/#token=of-an-earlier-start")
        with tab.expecting("401"):
            tab.open()
            tab.page.get_by_text("Open the console with the address that the terminal").wait_for()

    def test_pasting_the_new_address_into_the_same_tab_opens_it(
        self, open_tab: Callable[..., Tab], service: Service
    ) -> None:
        """The addresses differ only behind the #, so the browser does not load the page again."""
        tab = open_tab(f"{service.origin}/#token=of-an-earlier-start")
        with tab.expecting("401"):
            tab.open()
            tab.page.get_by_text("Open the console with the address that the terminal").wait_for()
        tab.page.goto(service.console)
        tab.page.get_by_role("heading", name="Batches").wait_for()


class TestTheToken:
    def test_it_leaves_the_address_and_the_history(self, tab: Tab, service: Service) -> None:
        tab.open()
        tab.page.get_by_role("heading", name="Batches").wait_for()
        assert service.token not in tab.page.url
        tab.page.get_by_role("link", name="Stage").click()
        tab.page.go_back()
        assert service.token not in tab.page.url

    def test_it_is_sent_only_in_the_header(self, tab: Tab, service: Service) -> None:
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))
        tab.open()
        tab.page.get_by_role("heading", name="Batches").wait_for()
        assert [address for address in asked if service.token in address] == []
        assert tab.page.context.cookies() == []
