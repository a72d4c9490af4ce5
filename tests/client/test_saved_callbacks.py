"""`batchback verify`, which checks saved callbacks."""

import io
import json
from pathlib import Path

import pytest

from chalicelib.domain import signing
from tests.client.user import Terminal, User
from tests.fakes.clock import START
from tests.samples import WEBHOOK_SECRET

BODY = b'{"asyncId":"one","results":[]}\n\r\n'
HEADERS = signing.webhook_headers(
    message_id="one-1", body=[BODY], secrets=[WEBHOOK_SECRET], now=START
)
LINES = [f"{name}: {value}" for name, value in HEADERS.items()]
OTHER = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY4"


@pytest.fixture
def user() -> User:
    return User({"BATCHBACK_CALLBACK_SECRET": WEBHOOK_SECRET})


def saved(folder: Path, *lines: str, end: str = "\r\n", body: bytes = BODY) -> str:
    file = folder / "callback.http"
    file.write_bytes("".join(f"{line}{end}" for line in [*lines, ""]).encode() + body)
    return str(file)


@pytest.mark.parametrize("first", [[], ["POST /callback?x=1 HTTP/1.1", "Host: a"]])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_one_file_holds_headers_and_body(
    user: User, tmp_path: Path, first: list[str], end: str
) -> None:
    assert user.types("verify", saved(tmp_path, *first, *LINES, end=end)) == 0
    assert user.reads == {
        "verified": True,
        "webhookId": "one-1",
        "signedAt": "2026-11-23 14:49:07 UTC",
    }
    assert user.is_told == ""


def test_it_reads_standard_input(user: User, tmp_path: Path) -> None:
    user.stdin = io.BytesIO(Path(saved(tmp_path, *LINES)).read_bytes())
    user.stdout = Terminal()
    assert user.types("verify", "-") == 0
    assert user.stdout.getvalue().splitlines()[0].split() == ["verified", "true"]


def test_headers_can_be_given_apart_from_the_body(user: User, tmp_path: Path) -> None:
    body, headers = tmp_path / "body", tmp_path / "headers"
    body.write_bytes(BODY)
    headers.write_text("\n".join(LINES))
    assert user.types("verify", str(body), "--headers", str(headers)) == 0
    options = [word for line in LINES for word in ("-H", line)]
    assert user.types("verify", str(body), *options) == 0


def test_a_header_option_may_end_with_a_carriage_return(user: User, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(BODY)
    options = [word for line in LINES for word in ("-H", f"{line}\r")]
    assert user.types("verify", str(body), *options) == 0


@pytest.mark.parametrize(
    "at",
    [
        "2027-01-01 00:00:00 UTC",
        "2027-01-01",
        "2027-01-01T01:00:00+01:00",
        "1798761600",
        "2027-01-01T00:00:00Z",
    ],
)
def test_it_can_be_checked_as_of_another_time(user: User, tmp_path: Path, at: str) -> None:
    file = saved(tmp_path, *LINES)
    assert user.types("verify", file, "--at", at) == 1
    assert (
        "too old: it was signed 38 days ago. If you saved it earlier, add --any-age" in user.is_told
    )
    assert user.stdout.getvalue() == ""
    assert user.types("verify", file, "--at", at, "--any-age") == 0


@pytest.mark.parametrize(
    ("lines", "options", "sentence"),
    [
        (LINES[1:], [], "not verified: webhook-id is missing"),
        ([*LINES, "Webhook-Id: two-1"], [], "not verified: webhook-id appears twice"),
        (LINES, ["--secret", OTHER], "not verified: webhook-signature is wrong"),
    ],
)
def test_a_callback_that_is_not_genuine_is_status_1_and_one_sentence(
    user: User, tmp_path: Path, lines: list[str], options: list[str], sentence: str
) -> None:
    assert user.types("verify", saved(tmp_path, *lines), *options) == 1
    assert sentence in user.is_told
    assert user.is_told.count("\n") == 1
    assert user.stdout.getvalue() == ""


def test_any_of_several_secrets_is_enough(user: User, tmp_path: Path) -> None:
    file = saved(tmp_path, *LINES)
    assert user.types("verify", file, "--secret", OTHER, "--secret", WEBHOOK_SECRET) == 0
    user.environ = {"BATCHBACK_CALLBACK_SECRET": f"{OTHER} {WEBHOOK_SECRET}"}
    assert user.types("verify", file) == 0


@pytest.mark.parametrize(
    ("environ", "options", "sentence"),
    [
        ({}, [], "missing callback secret: pass --secret whsec_..."),
        ({"BATCHBACK_CALLBACK_SECRET": WEBHOOK_SECRET[:-1]}, [], "the secret is damaged"),
        (None, ["--at", "tomorrow"], "'tomorrow' is not a time such as"),
        (None, ["--at", "9" * 30], "is not a time such as"),
        (None, ["-H", "webhook-id one-1"], "'webhook-id one-1' is not a header"),
        (None, ["--headers", "nowhere"], "nowhere cannot be read"),
    ],
)
def test_wrong_usage_is_status_2(
    user: User, tmp_path: Path, environ: dict[str, str] | None, options: list[str], sentence: str
) -> None:
    if environ is not None:
        user.environ = environ
    assert user.types("verify", saved(tmp_path, *LINES), *options) == 2
    assert sentence in user.is_told
    assert WEBHOOK_SECRET[6:20] not in user.is_told


@pytest.mark.parametrize("content", [b"", BODY, b"{}\n\n{}", json.dumps(HEADERS).encode()])
def test_the_error_for_missing_headers_says_how_to_pass_them(
    user: User, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "body"
    file.write_bytes(content)
    assert user.types("verify", str(file)) == 2
    assert "pass them with --header" in user.is_told
