"""Every error of the contract in its documented shape, with integer codes, through the real
app.py."""

from typing import Any, NoReturn

import pytest
from chalice.test import Client

from chalicelib import settings, wiring
from chalicelib.errors import Unavailable
from tests.app.conftest import Answer, Front, basic, serve

JOB = {"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}
URL = "https://example.com/callback"
UNKNOWN = "0" * 32


def is_error(answer: Answer, error_code: int, specific_code: int = 0) -> bool:
    """Whether an answer is this error, in the contract's shape."""
    body = answer.json
    assert type(body["errorCode"]) is int
    assert type(body["specificCode"]) is int
    assert isinstance(body["message"], str)
    assert set(body) <= {"errorCode", "specificCode", "message", "additionalMessages"}
    assert all(isinstance(text, str) for text in body.get("additionalMessages", []))
    assert answer.status == body["errorCode"]
    assert answer.headers["Content-Type"] == "application/json"
    return (body["errorCode"], body["specificCode"]) == (error_code, specific_code)


@pytest.mark.parametrize(
    ("body", "specific_code"),
    [
        (b"{", 23016),
        (b'{"jobs": [NaN]}', 23016),
        (b'{"jobs": [], "jobs": []}', 23016),
        (b"\xff\xfe", 23016),
        (b"[" * 100_000, 23016),
        (b'"text"', 23016),
        (b"", 23017),
        (b"{}", 23017),
        (b"[]", 23017),
        ({"callbackUrl": URL}, 23017),
        ({"jobs": [], "callbackUrl": URL}, 24093),
        ({"jobs": "all", "callbackUrl": URL}, 24092),
        ({"jobs": [JOB] * 201, "callbackUrl": URL}, 24448),
        ({"jobs": [{"action": "a"}], "callbackUrl": URL}, 24092),
        ({"jobs": [{**JOB, "action": ""}], "callbackUrl": URL}, 24093),
        ({"jobs": [{**JOB, "namespace": "batch"}], "callbackUrl": URL}, 24092),
        ({"jobs": [JOB]}, 23017),
        ({"jobs": [JOB], "callbackUrl": "ftp://example.com"}, 23016),
        ({"jobs": [JOB], "callbackUrl": "http://10.0.0.1/"}, 23016),
        ({"jobs": [JOB], "callbackUrl": 5}, 23016),
    ],
)
def test_a_bad_submission_is_refused_and_nothing_is_stored(
    front: Front, body: object, specific_code: int
) -> None:
    assert is_error(front.call("run", body), 400, specific_code)
    assert front.store.heads == {}
    assert front.queue.jobs == []


def test_all_faults_are_named_up_to_twenty(front: Front) -> None:
    jobs: list[Any] = [JOB, {"namespace": "event"}, *[{**JOB, "action": "a b"}] * 30]
    answer = front.call("run", {"jobs": jobs, "callbackUrl": URL})
    assert is_error(answer, 400, 24092)
    reasons = answer.json["additionalMessages"]
    assert len(reasons) == 20
    assert reasons[0] == "jobs[1].action: is required"
    assert reasons[1].startswith("jobs[2].action: ")


def test_the_maximum_number_of_jobs_is_named(front: Front) -> None:
    answer = front.call("run", {"jobs": [JOB] * 201, "callbackUrl": URL})
    assert answer.json["message"] == (
        "The maximum number of jobs can be put on a single request is 200"
    )


@pytest.mark.parametrize(
    ("action", "body", "error_code", "specific_code"),
    [
        ("progress", {}, 400, 23017),
        ("progress", {"async": 5}, 400, 23016),
        ("progress", {"async": UNKNOWN}, 404, 24105),
        ("progress", {"async": "x" * 5000}, 404, 24105),
        ("results", {"async": UNKNOWN}, 404, 24115),
        ("results", {"async": "../../etc"}, 404, 24115),
        ("results", {"async": UNKNOWN, "start": -1}, 400, 23016),
        ("results", {"async": UNKNOWN, "start": True}, 400, 23016),
        ("results", {"async": UNKNOWN, "perPage": 1001}, 400, 23016),
        ("results", {"async": UNKNOWN, "perPage": "10"}, 400, 23016),
        ("results", {"async": UNKNOWN, "partial": 1}, 400, 23016),
        ("nonsense", {}, 404, 0),
        ("", {}, 400, 23017),
    ],
)
def test_a_bad_call_is_refused(
    front: Front, action: str, body: object, error_code: int, specific_code: int
) -> None:
    assert is_error(front.call(action, body), error_code, specific_code)


def test_a_missing_action_is_named(front: Front) -> None:
    answer = front.send("/api/1.0/batch", headers=basic("demo", "demo-secret"))
    assert is_error(answer, 400, 23017)
    assert answer.json["message"] == "'action' is required"


def test_an_unknown_namespace_is_not_found(front: Front) -> None:
    assert is_error(front.call("event?action=run"), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_every_call_is_a_post(front: Front, method: str) -> None:
    answer = front.send("/api/1.0/batch?action=run", method=method)
    if method == "OPTIONS":
        return  # Chalice's test client answers these itself
    assert is_error(answer, 405)
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/jsonx",
        "application/json; charset=latin-1",
        "application/json; charset=utf-8; charset=utf-8",
        'application/json; charset="utf-16"',
        "application/json; charset",
        "application/json charset=utf-8",
        "application/json, application/json",
        "application/json\x0b",
    ],
)
def test_other_media_types_are_refused(front: Front, content_type: str) -> None:
    headers = {**basic("demo", "demo-secret"), "Content-Type": content_type}
    answer = front.send("/api/1.0/test?action=ping", b"{}", headers=headers)
    assert is_error(answer, 415)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/json;",
        "application/json; charset=utf8",
        "application/json ; charset=UTF8 ;",
        "application/json; odata.metadata=minimal; IEEE754Compatible=true; charset=utf-8",
        'application/json; profile="https://example.com/a;charset=latin-1"',
        "",
    ],
)
def test_json_in_utf_8_is_accepted_in_any_notation(front: Front, content_type: str) -> None:
    headers = {**basic("demo", "demo-secret"), "Content-Type": content_type}
    assert front.send("/api/1.0/test?action=ping", b"{}", headers=headers).status == 200


@pytest.mark.parametrize("body", ["\ufeff{}", "\ufeff", "\ufeff []"])
def test_a_byte_order_mark_before_the_json_is_accepted(front: Front, body: str) -> None:
    assert front.call("test?action=ping", body.encode()).status == 200


@pytest.mark.parametrize("body", ["\x0b", "\x0c", "\xa0"], ids=ascii)
def test_white_space_outside_json_is_not_an_empty_body(front: Front, body: str) -> None:
    assert is_error(front.call("test?action=ping", body.encode()), 400, 23016)


@pytest.mark.parametrize("body", ["\ufeff\ufeff{}", "{}\ufeff", " \ufeff{}"])
def test_a_byte_order_mark_elsewhere_is_not_json(front: Front, body: str) -> None:
    assert is_error(front.call("test?action=ping", body.encode()), 400, 23016)


def test_a_missing_content_type_is_accepted(front: Front) -> None:
    headers = {"Authorization": basic("demo", "demo-secret")["Authorization"]}
    assert front.send("/api/1.0/test?action=ping", b"{}", headers=headers).status == 200


def test_a_compressed_body_is_refused_unread(front: Front) -> None:
    headers = {**basic("demo", "demo-secret"), "Content-Encoding": "gzip"}
    assert is_error(front.send("/api/1.0/batch?action=run", b"\x1f\x8b", headers=headers), 415)


def test_a_body_over_the_limit_is_refused(front: Front) -> None:
    assert front.call("test?action=ping", b" " * 3_500_000).status == 200
    assert is_error(front.call("run", b" " * 3_500_001), 413)


@pytest.mark.parametrize(("key", "secret"), [("demo", "wrong"), ("unknown", "demo-secret")])
def test_an_unknown_key_and_a_wrong_secret_get_the_same_answer(
    front: Front, key: str, secret: str
) -> None:
    answer = front.call("progress", {"async": UNKNOWN}, key=key, secret=secret)
    assert is_error(answer, 401)
    assert answer.json == {"errorCode": 401, "message": "Unauthorized", "specificCode": 0}


def test_http_basic_can_be_switched_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    front = serve(client, monkeypatch, BASIC_AUTH="false")
    assert is_error(front.call("test?action=ping"), 401)


@pytest.mark.parametrize(
    ("setting", "challenge"),
    [("true", 'Basic realm="Batchback", charset="UTF-8"'), ("false", 'IWS realm="Batchback"')],
)
@pytest.mark.parametrize(
    "headers",
    [{}, basic("demo", "wrong"), {"X-Api-Authorization": "IWS demo:" + "0" * 40}],
    ids=["nothing", "Basic", "IWS"],
)
def test_a_401_says_how_to_authenticate(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    setting: str,
    challenge: str,
) -> None:
    front = serve(client, monkeypatch, BASIC_AUTH=setting)
    answer = front.send("/api/1.0/test?action=ping", b"{}", headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == challenge


def test_only_a_401_asks_for_credentials(front: Front) -> None:
    assert "WWW-Authenticate" not in front.call("nonsense").headers
    assert "WWW-Authenticate" not in front.send("/api/1.0/batch", method="GET").headers


@pytest.mark.parametrize(
    ("setting", "limit", "retry_after"),
    [
        ("MAX_OPEN_BATCHES", "open batches", "10"),
        ("MAX_JOBS_PER_MINUTE", "jobs a minute", "60"),
    ],
)
def test_a_caller_over_a_limit_learns_which_one_and_when_to_retry(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    limit: str,
    retry_after: str,
) -> None:
    front = serve(client, monkeypatch, **{setting: "1"})
    request = {"jobs": [JOB], "callbackUrl": URL}
    assert front.call("run", request).status == 200
    answer = front.call("run", request)
    assert is_error(answer, 429)
    assert answer.json["message"] == f"Too many requests: the account's limit for {limit} is 1"
    assert answer.headers["Retry-After"] == retry_after
    assert len(front.store.heads) == 1
    assert len(front.queue.jobs) == 1


def test_other_errors_have_no_retry_after(front: Front) -> None:
    assert "Retry-After" not in front.call("nonsense").headers


def test_an_unexpected_error_shows_callers_nothing(
    front: Front, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explode(_key: str) -> NoReturn:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(front.keys, "find_key", explode)
    answer = front.call("test?action=ping")
    assert is_error(answer, 500)
    assert answer.json["message"] == "Internal server error"
    assert b"1234" not in answer.body
    log = capsys.readouterr().out
    assert '"error":"RuntimeError"' in log
    assert "1234" not in log
    assert "explode" in log  # where it was raised


def test_a_wrong_configuration_shows_callers_nothing(
    front: Front, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wiring, "service", lambda: settings.read({}))
    assert is_error(front.call("test?action=ping"), 500)
    assert "PLATFORM_ADDRESS must be set" in capsys.readouterr().out


def test_a_batch_that_could_not_be_stored_is_reported_as_not_saved(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise Unavailable("down")

    monkeypatch.setattr(front.store, "save_jobs", fail)
    answer = front.call("run", {"jobs": [JOB], "callbackUrl": URL})
    assert is_error(answer, 500, 24091)
    assert answer.json["message"] == "The information was not saved"
