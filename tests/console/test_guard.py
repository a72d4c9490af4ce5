"""Who may call the console: only its own page, with the token of the current process."""

from functools import cache
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from batchback_console.guard import Guard, new_token
from batchback_console.server import create_app
from tests.console.asking import console_of
from tests.operations.world import World

PORT = 8123
TOKEN = "4fzyo82mvyr3GzAuqTYR2o8MLJ2VVZYhEeDVoKh6iXk"
OURS = {"Host": f"127.0.0.1:{PORT}", "Authorization": f"Bearer {TOKEN}"}
ASK_THE_TERMINAL = {
    "error": "Open the console with the address that the terminal printed: it contains a new "
    "token after each start."
}
#: Every route that reads, as a browser may ask for it.
READS = (
    "/api/console",
    "/api/batches",
    "/api/batches/0123456789abcdef0123456789abcdef",
    "/api/batches/0123456789abcdef0123456789abcdef/jobs",
    "/api/batches/0123456789abcdef0123456789abcdef/jobs/0",
    "/api/batches/0123456789abcdef0123456789abcdef/callback",
    "/api/stage",
    "/api/local",
    "/api/nothing",
    "/nothing",
)


@cache
def client(*, may_act: bool = True) -> FlaskClient:
    console = console_of(World(), may_act=may_act)
    guard = Guard(port=PORT, token=TOKEN, may_act=may_act)
    return create_app(console, guard, print).test_client()


def get(path: str = "/api/console", **headers: str) -> TestResponse:
    return client().get(path, headers={**OURS, **_named(headers)})


def post(path: str, *, may_act: bool = True, **given: Any) -> TestResponse:
    headers = {**OURS, **given.pop("headers", {})}
    return client(may_act=may_act).post(path, headers=headers, **(given or {"json": {}}))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def test_an_unused_method_is_refused_in_a_sentence() -> None:
    answer = client().put("/api/console", headers=OURS)
    assert answer.status_code == 405
    assert answer.get_json() == {"error": "The console answers only GET and POST."}


def test_its_own_page_is_answered() -> None:
    assert get().status_code == 200
    own = f"http://127.0.0.1:{PORT}"
    assert get(Origin=own, Sec_Fetch_Site="same-origin").status_code == 200
    assert get(Host=f"localhost:{PORT}", Origin=f"http://localhost:{PORT}").status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8001",
        "localhost",
        "attacker.example:8123",
        "127.0.0.1:8123.evil",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/api/console", "/", "/page/index.html"])
def test_a_host_name_that_a_strangers_dns_points_here_is_refused(host: str, path: str) -> None:
    """Even if that page had the token."""
    assert get(path, Host=host).status_code == 421


@pytest.mark.parametrize(
    "origin",
    ["null", "http://attacker.example", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:8000", ""],
)
@pytest.mark.parametrize("path", ["/api/console", "/"])
def test_a_page_of_another_origin_is_refused(origin: str, path: str) -> None:
    assert get(path, Origin=origin).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
def test_a_request_that_another_site_caused_is_refused(site: str) -> None:
    """Such as an image or a script, for which a browser sends no Origin."""
    assert get(Sec_Fetch_Site=site).status_code == 403


def test_a_link_from_another_site_opens_the_page() -> None:
    """The page contains no data, and the link may come from a chat."""
    assert get("/", Sec_Fetch_Site="cross-site").status_code == 200


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"bearer {TOKEN}",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer \xff",
    ],
)
def test_without_the_token_every_answer_is_the_same(path: str, given: str | None) -> None:
    """It does not matter whether there is something at the path."""
    headers = {"Host": OURS["Host"], **({} if given is None else {"Authorization": given})}
    answer = client().get(path, headers=headers)
    assert (answer.status_code, answer.get_json()) == (401, ASK_THE_TERMINAL)


@pytest.mark.parametrize(
    "path", ["//api/console", "/api//console", "/%61pi/console", "/API/console"]
)
def test_no_spelling_of_a_path_bypasses_the_token(path: str) -> None:
    answer = client().get(path, headers={"Host": OURS["Host"]})
    assert answer.status_code == 401


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "HACK"])
@pytest.mark.parametrize("path", ["/api/console", "/"])
def test_only_get_and_post_are_answered(method: str, path: str) -> None:
    """No preflight succeeds, so no other site may send what needs one."""
    answer = client().open(path, method=method, headers=OURS)
    assert answer.status_code == 405
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_an_action_cannot_be_caused_by_a_link() -> None:
    for path in ("/api/stage/pause", "/api/stage/resume", f"{READS[2]}/cancel"):
        assert get(path).status_code in {404, 405}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_form_of_another_page_can_do_nothing(content_type: str) -> None:
    """A form can send only these types, without asking the browser first."""
    answer = post("/api/stage/resume", data=b"{}", content_type=content_type)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "path",
    [
        "/api/stage/pause",
        "/api/stage/resume",
        "/api/stage/dead-letters/jobs-dead/redrive",
        "/api/stage/dead-letters/jobs-dead/discard",
        "/api/local/batches",
        *(f"{READS[2]}/{name}" for name in ("restart", "repost", "cancel", "rerunFailed")),
        "/api/whatever",
    ],
)
def test_a_read_only_console_changes_nothing(path: str) -> None:
    answer = post(path, may_act=False)
    assert answer.status_code == 403
    assert "--allow-actions" in answer.get_json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/page/../server.py",
        "/page/%2e%2e/server.py",
        "/page/..%2fserver.py",
        "/page//etc/passwd",
        "/page/..\\server.py",
        "/page/.",
        "/page/\x00",
    ],
)
def test_only_files_of_the_page_are_served(path: str) -> None:
    answer = get(path)
    assert answer.status_code in {401, 404}
    assert b"import" not in answer.data


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda: get(), 200),
        (lambda: get("/"), 200),
        (lambda: get("/page/index.html"), 200),
        (lambda: get("/page/nothing.js"), 404),
        (lambda: get("/api/nothing"), 404),
        (lambda: get(Host="x"), 421),
        (lambda: get(Origin="null"), 403),
        (lambda: client().get("/api/console", headers={"Host": OURS["Host"]}), 401),
        (lambda: client().open("/", method="OPTIONS", headers=OURS), 405),
        (lambda: post("/api/console"), 405),
        (lambda: post("/api/stage/resume", may_act=False), 403),
    ],
)
def test_every_answer_has_the_headers_that_protect_it(answer: Any, status: int) -> None:
    """The page loads nothing from elsewhere, runs no inline script, and cannot be framed, cached or
    read by another page."""
    got: TestResponse = answer()
    assert got.status_code == status
    policy = dict(part.split(" ", 1) for part in got.headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Referrer-Policy"] == "no-referrer"
    assert got.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert got.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert got.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in got.headers


def test_a_token_holds_256_random_bits() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    assert new_token(random_bytes) == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert asked == [32]


def test_the_token_is_not_in_the_guards_repr() -> None:
    assert TOKEN not in repr(Guard(port=PORT, token=TOKEN, may_act=True))
