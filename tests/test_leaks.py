"""The guard of `leaks` finds leaks that are planted."""

import base64
import json

import pytest

from chalicelib.domain import signing
from tests.app.conftest import basic
from tests.fakes.clock import START
from tests.leaks import _CHANNELS, Guard, found_in, misfits_in
from tests.samples import WEBHOOK_SECRET

SIGNED = signing.iws_headers(
    key="demo", secret="x", target="/", body=b"", now=START, content_type="application/json"
)
CALLBACK = signing.webhook_headers(message_id="i", body=[], secrets=[WEBHOOK_SECRET], now=START)
LEAKS = {
    "a secret": "key demo, with secret demo-secret",
    "a callback secret": f"secrets=[{WEBHOOK_SECRET!r}]",
    "any callback secret": "whsec_" + base64.b64encode(b"somebody else's").decode(),
    "a signature": json.dumps(SIGNED),
    "a callback's signature": json.dumps(CALLBACK),
    "a password": json.dumps(basic("key", "word")),
    "a canary in a query": "GET /callback?token=canary-7 HTTP/1.1",
    "a canary, shouted": "CANARY-7",
}
MISFITS = {
    "a body": {"error": '{"event":1}'},
    "a part of a body": {"error": "input_value={'event': 1}"},
    "a key of a body": {"error": 'KeyError: "x"'},
    "a query string": {"error": "no answer from https://example.com/?token=7"},
    "a password in an address": {"error": "no answer from https://me:word@example.com/"},
    "a body among numbers": {"durations_ms": [1, '{"event":1}']},
    "an object": {"params": {"event": 1}},
    "a text without end": {"traceback": "x" * 5000},
    "control characters": {"error": "\x1b[31m"},
}
LINES: list[dict[str, object]] = [
    {"event": "request", "stage": "prod", "namespace": "batch", "action": "run", "took_ms": 3},
    {"event": "callback attempted", "error": "10.0.0.1 is a private address", "status": None},
    {"event": "callback attempted", "error": "the port is not a number", "took_ms": 1.5},
    {"event": "jobs run", "durations_ms": [5, 7], "_aws": {"CloudWatchMetrics": [{"Unit": "x"}]}},
    {"event": "function failed", "traceback": "KeyError\n  /var/task/app.py:7 f.<locals>.g"},
]


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS)
def test_a_secret_that_is_written_is_found(text: str) -> None:
    assert found_in(f"somewhere {text} in between")


@pytest.mark.parametrize("fields", MISFITS.values(), ids=MISFITS)
def test_a_log_line_with_a_callers_data_is_found(fields: dict[str, object]) -> None:
    assert misfits_in(json.dumps({"event": "request failed", **fields}))


@pytest.mark.parametrize("fields", LINES, ids=[str(line["event"]) for line in LINES])
def test_a_proper_log_line_is_not_reported(fields: dict[str, object]) -> None:
    line = json.dumps(fields)
    assert (found_in(line), misfits_in(line)) == ([], [])


def report(*sections: tuple[str, str]) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid="test",
        location=("file", 1, "test"),
        keywords={},
        outcome="passed",
        longrepr=None,
        when="teardown",
        sections=sections,
    )


@pytest.mark.parametrize("channel", ["stdout", "stderr", "log"])
def test_a_test_that_writes_a_secret_anywhere_fails(channel: str) -> None:
    found = Guard().judged(report((f"Captured {channel} call", "the secret is demo-secret")))
    assert found.failed
    assert "demo-secret" in str(found.longrepr)
    assert Guard().judged(report((f"Captured {channel} call", "nothing"))).passed


def test_a_guard_that_cannot_hear_fails_the_test() -> None:
    guard = Guard()
    guard._said = True
    told = str(guard.judged(report(("Captured stdout call", guard._words["stdout"]))).longrepr)
    assert "nobody hears stderr" in told
    assert "nobody hears stdout" not in told


def test_the_guard_judges_this_very_run(request: pytest.FixtureRequest) -> None:
    """A leak planted in this test fails it, by the hooks of this run."""
    item: pytest.Item = request.node
    guard = request.config.pluginmanager.get_plugin("leaks")
    assert guard, "there is none with -s"
    assert guard._said
    item.add_report_section("call", "stdout", "a canary sings")
    teardown = pytest.CallInfo.from_call(lambda: None, when="teardown")
    found = request.config.hook.pytest_runtest_makereport(item=item, call=teardown)
    item._report_sections.clear()
    assert found.failed
    assert "a canary: canary" in str(found.longrepr)
    assert guard.heard <= _CHANNELS.keys()
