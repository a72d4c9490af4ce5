"""Errors show neither callers nor the log what was in the request, the database or an exception.
Each secret place contains a canary, and no canary may appear anywhere."""

import base64
import json
import logging
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import boto3
import pytest
import requests
from pydantic import TypeAdapter

import app
from chalicelib import settings, wiring
from chalicelib.api import HttpRequest
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.errors import FunctionFailed, ParameterInvalid
from tests.app.conftest import Context, Front, basic
from tests.app.events import batch_event, jobs_event
from tests.samples import a_batch

SONG = "canary-song-of-a-caller"


def missing_key() -> object:
    known: dict[str, object] = {}
    return known[SONG]


def invalid_model() -> object:
    return TypeAdapter(int).validate_python(SONG)


def undecodable() -> object:
    return (SONG.encode() + b"\xff").decode()


def unreadable_file() -> object:
    return open(f"/nowhere/{SONG}")  # noqa: PTH123 - its error names the path


def unreachable() -> object:
    return requests.post(f"http://127.0.0.1:9/{SONG}?token={SONG}", timeout=1)


def wrong_parameter() -> object:
    client: Any = boto3.client("dynamodb", region_name="us-east-1")
    return client.get_item(TableName="keys", Key={"id": {"S": [SONG]}})


def for_the_caller() -> NoReturn:
    raise ParameterInvalid(SONG, [SONG])


def with_a_note() -> NoReturn:
    error = ValueError(SONG)
    error.add_note(SONG)
    raise error


def several() -> NoReturn:
    raise ExceptionGroup(SONG, [ValueError(SONG)])


def one_of_another() -> None:
    try:
        missing_key()
    except KeyError as error:
        raise ValueError(SONG) from error


def without_end(again: str = SONG) -> object:
    return again and without_end(again)


KINDS: dict[Callable[[], object], str] = {
    missing_key: "KeyError",
    invalid_model: "ValidationError",
    undecodable: "UnicodeDecodeError",
    unreadable_file: "FileNotFoundError",
    unreachable: "ConnectionError, of MaxRetryError, of NewConnectionError, of ConnectionRefused",
    wrong_parameter: "ParamValidationError",
    with_a_note: "ValueError",
    several: "ExceptionGroup",
    one_of_another: "ValueError, of KeyError",
    without_end: "RecursionError",
}
every_kind = pytest.mark.parametrize(
    ("fail", "kind"), KINDS.items(), ids=[fail.__name__ for fail in KINDS]
)


def only_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the only line that was written, which must contain no canary."""
    written = capsys.readouterr()
    assert written.err == ""
    [line] = written.out.splitlines()
    assert SONG not in line
    found: dict[str, Any] = json.loads(line)
    return found


class TestUnexpectedErrors:
    """The texts of unexpected errors may repeat values, so only their types and places are
    logged."""

    @every_kind
    def test_an_unexpected_error_in_a_request_is_logged_without_a_value(
        self,
        front: Front,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        fail: Callable[[], object],
        kind: str,
    ) -> None:
        monkeypatch.setattr(front.keys, "find_key", lambda _: fail())
        answer = front.call("test?action=ping")
        assert answer.json == {
            "errorCode": 500,
            "message": "Internal server error",
            "specificCode": 0,
        }
        line = only_line(capsys)
        assert line["event"] == "request failed"
        assert line["error"].startswith(kind)
        assert fail.__name__ in line["traceback"]

    @every_kind
    def test_an_unexpected_error_in_a_worker_shows_no_value_to_log_or_lambda(
        self,
        front: Front,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        fail: Callable[[], object],
        kind: str,
    ) -> None:
        monkeypatch.setattr(front.store, "find", lambda _: fail())
        with pytest.raises(FunctionFailed) as raised:
            app.run_jobs(jobs_event(JobsMessage.of(a_batch(), 0)), Context(60))
        assert str(raised.value).startswith(kind)
        assert SONG not in "".join(traceback.format_exception(raised.value))
        line = only_line(capsys)
        assert (line["event"], line["function"]) == ("function failed", "run_jobs")
        assert line["error"].startswith(kind)
        assert fail.__name__ in line["traceback"]

    def test_texts_for_the_caller_are_not_logged(
        self, front: Front, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(front.store, "find", lambda _: for_the_caller())
        with pytest.raises(FunctionFailed, match=r"^ParameterInvalid$"):
            app.advance_batch(batch_event(BatchMessage(batch_id="b", account="a")), Context(120))
        assert only_line(capsys)["error"] == "ParameterInvalid"

    @pytest.mark.usefixtures("front")
    def test_an_invalid_message_is_not_repeated(self, capsys: pytest.CaptureFixture[str]) -> None:
        event = batch_event(BatchMessage(batch_id="b", account="a"))
        event["Records"][0]["body"] = f"[{SONG}"
        with pytest.raises(FunctionFailed, match=r"^JSONDecodeError$"):
            app.advance_batch(event, Context(120))
        only_line(capsys)

    def test_a_wrong_setting_is_reported_without_its_secret_part(
        self, monkeypatch: pytest.MonkeyPatch, front: Front, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wrong = {
            "STAGE": "prod",
            "PLATFORM_ADDRESS": f"https://me:{SONG}@example.com",
            "PLATFORM_HEADER": f"no colon {SONG}",
        }
        monkeypatch.setattr(wiring, "service", lambda: settings.read(wrong))
        assert front.call("test?action=ping").status == 500
        error = only_line(capsys)["error"]
        assert "PLATFORM_ADDRESS must be an http or https address" in error
        assert "PLATFORM_HEADER must be one line, 'Name: value'" in error


class TestLibraries:
    def test_libraries_log_nothing_in_a_function_at_any_level(
        self, front: Front, heard: list[str]
    ) -> None:
        assert front.call("test?action=ping").status == 200
        for name in ("urllib3.connectionpool", "botocore.endpoint", "batchback", "chalice"):
            logging.getLogger(name).critical(SONG)
        assert heard == ["before"]


#: Requests that are refused, each with an excess of something, and with a secret in most places.
LONG = SONG * 500
JOB = {"namespace": "a", "action": "b", "params": {"note": SONG}}
URL = f"https://example.com/{SONG}?token={SONG}"
REFUSED: dict[str, tuple[str, object, dict[str, str]]] = {
    "a namespace": (f"{LONG}?action=run", {}, {}),
    "an action": (f"batch?action={LONG}", {}, {}),
    "an id": ("batch?action=progress", {"async": LONG}, {}),
    "an id that is an object": ("batch?action=progress", {"async": {LONG: LONG}}, {}),
    "a page": ("batch?action=list", {"start": LONG}, {}),
    "a number": ("batch?action=run", b'{"jobs": [1e%s]}' % (b"9" * 5000), {}),
    "a repeated key": ("batch?action=run", f'{{"{LONG}": 1, "{LONG}": 2}}'.encode(), {}),
    "no JSON": ("batch?action=run", f'{{"jobs": {LONG}'.encode(), {}),
    "no UTF-8": ("batch?action=run", f'"{LONG}'.encode() + b"\xff", {}),
    "no jobs": ("batch?action=run", {"jobs": LONG, "callbackUrl": URL}, {}),
    "an invalid job": ("batch?action=run", {"jobs": [LONG] * 50, "callbackUrl": URL}, {}),
    "a job's name": (
        "batch?action=run",
        {"jobs": [{**JOB, "action": LONG, "namespace": {LONG: 1}}] * 50, "callbackUrl": URL},
        {},
    ),
    "params": ("batch?action=run", {"jobs": [{**JOB, "params": LONG}], "callbackUrl": URL}, {}),
    "a long URL": ("batch?action=run", {"jobs": [JOB], "callbackUrl": URL + LONG}, {}),
    "a password": (
        "batch?action=run",
        {"jobs": [JOB], "callbackUrl": f"https://me:{SONG}@example.com/"},
        {},
    ),
    "a private address": (
        "batch?action=run",
        {"jobs": [JOB], "callbackUrl": f"http://10.0.0.1/{SONG}?token={SONG}"},
        {},
    ),
    "a port": ("batch?action=run", {"jobs": [JOB], "callbackUrl": f"http://a.example:{SONG}/"}, {}),
    "an Idempotency-Key": (
        "batch?action=run",
        {"jobs": [JOB], "callbackUrl": URL},
        {"Idempotency-Key": LONG},
    ),
    "a media type": ("batch?action=run", {}, {"Content-Type": "text/" + "x" * 5000}),
    "an encoding": ("batch?action=run", {}, {"Content-Encoding": "x" * 5000}),
    "a signature": (
        "batch?action=run",
        {},
        {"X-Api-Authorization": f"IWS demo:{SONG}", "Authorization": ""},
    ),
    "a password that is wrong": ("batch?action=run", {}, basic("demo", LONG)),
    "a key": ("batch?action=run", {}, basic(LONG, SONG)),
    "a stale date": (
        "batch?action=run",
        {},
        {"X-Api-Authorization": "IWS demo:" + "0" * 40, "IVVY-Date": LONG},
    ),
}
#: Callers' own texts that an answer may repeat, so that the caller sees which ones are meant.
REPEATED = {"a namespace", "an action", "a repeated key"}


class TestAnswers:
    @pytest.mark.parametrize("name", REFUSED)
    def test_an_error_is_short_whatever_was_sent_and_repeats_no_value(
        self, front: Front, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path, body, headers = REFUSED[name]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {**basic("demo", "demo-secret"), "User-Agent": SONG, "X-Any": SONG, **headers}
        answer = front.send(f"/api/1.0/{path}", raw, headers=sent)
        error = answer.json
        assert 400 <= error["errorCode"] < 500
        reasons = error.get("additionalMessages", [])
        assert len(reasons) <= 20
        assert all(len(text) <= 250 for text in [error["message"], *reasons])
        assert name in REPEATED or SONG.encode() not in answer.body
        for secret in ("demo-secret", basic("demo", "demo-secret")["Authorization"]):
            assert secret.encode() not in answer.body
            assert secret not in str(answer.headers)
        [line] = front.journal.lines
        assert line["status"] == answer.status
        assert SONG not in str(line)
        assert capsys.readouterr() == ("", "")

    def test_nothing_from_a_request_gets_into_the_headers_of_an_answer(self, front: Front) -> None:
        sent = {**basic("demo", "demo-secret"), "X-Any": SONG, "Idempotency-Key": SONG}
        for action in ("run", "progress", "nonsense"):
            assert SONG not in str(front.send(f"/api/1.0/batch?action={action}", headers=sent))


def test_a_password_is_shown_in_no_spelling(front: Front) -> None:
    """A refused caller does not see what it sent."""
    for secret in (SONG, f"{SONG}:{SONG}", f"{SONG}\x00"):
        answer = front.call("test?action=ping", secret=secret)
        assert answer.status == 401
        assert SONG.encode() not in answer.body
        assert base64.b64encode(secret.encode()) not in answer.body
        assert SONG not in str(front.journal.lines)


def test_the_repr_of_a_request_shows_only_what_it_asks_for() -> None:
    request = HttpRequest(
        method="POST",
        namespace="batch",
        query={"action": ["run"]},
        headers={"authorization": SONG},
        body=SONG.encode(),
        paths=("/api/1.0/batch",),
    )
    assert SONG not in f"{request} {request!r}"
