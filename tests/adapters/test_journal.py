"""The log: one line per unit of work, and the metrics that CloudWatch reads from it."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.adapters.journal import METRICS, JsonJournal
from chalicelib.errors import Misconfigured, Unavailable
from tests.fakes.clock import FakeClock

ROOT = Path(__file__).parent.parent.parent


def written(event: str, **fields: object) -> Any:
    stream = io.StringIO()
    JsonJournal(FakeClock(), "local", stream).write(event, **fields)
    [line] = stream.getvalue().splitlines()
    return json.loads(line)


def test_an_event_is_one_line_with_its_fields() -> None:
    assert written("message split", batch_id="b", jobs=3, status=None) == {
        "event": "message split",
        "stage": "local",
        "batch_id": "b",
        "jobs": 3,
    }


def test_lists_for_metrics_are_written_once() -> None:
    line = written("jobs run", succeeded=2, failed=0, retried=0, durations_ms=[5, 7])
    assert (line["succeeded"], line["JobDuration"]) == (2, [5, 7])
    assert "durations_ms" not in line


def written_of(error: BaseException) -> Any:
    stream = io.StringIO()
    journal = JsonJournal(FakeClock(), "local", stream)
    journal.write_exception("function failed", error, function="sweep")
    [line] = stream.getvalue().splitlines()
    return json.loads(line)


def fail(depth: int = 0) -> None:
    if depth:
        fail(depth - 1)
    try:
        json.loads("[canary")
    except ValueError as error:
        raise Unavailable("DynamoDB does not answer") from error


def raised(call: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        call()
    return caught.value


def test_an_exception_is_one_line_with_its_stack() -> None:
    line = written_of(raised(fail))
    assert line["error"] == "Unavailable: DynamoDB does not answer, of JSONDecodeError"
    kind, *places = line["traceback"].splitlines()
    assert kind == "Unavailable"
    for place, function in zip(places, ["raised", "fail"], strict=False):
        assert re.fullmatch(rf"  .*test_journal\.py:\d+ {function}", place)
    assert "JSONDecodeError" in places
    assert "canary" not in json.dumps(line)


def test_only_the_innermost_frames_of_a_recursion_are_logged() -> None:
    line = written_of(raised(lambda: fail(500)))
    of_the_first, _, _ = line["traceback"].partition("\nJSONDecodeError\n")
    assert len(of_the_first.splitlines()) == 31
    assert of_the_first.endswith(" fail")


def test_an_error_while_handling_another_is_logged_with_both() -> None:
    def handle() -> None:
        try:
            fail()
        except Unavailable:
            raise KeyError("canary")  # noqa: B904 - it just happened

    assert written_of(raised(handle))["error"] == (
        "KeyError, of Unavailable: DynamoDB does not answer, of JSONDecodeError"
    )


def test_an_error_raised_from_none_is_logged_without_its_cause() -> None:
    def hide() -> None:
        try:
            fail()
        except Unavailable:
            raise Misconfigured("STAGE is not set") from None

    assert written_of(raised(hide))["error"] == "Misconfigured: STAGE is not set"


def test_metrics_are_written_as_cloudwatch_reads_them() -> None:
    line = written("jobs run", succeeded=2, failed=0, retried=1, durations_ms=[5, 7, 9])
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Batchback"
    assert directive["Dimensions"] == [["stage"]]
    names = {metric["Name"] for metric in directive["Metrics"]}
    assert names == {"JobsSucceeded", "JobsFailed", "JobsRetried", "JobDuration"}
    assert (line["JobsSucceeded"], line["JobDuration"], line["stage"]) == (2, [5, 7, 9], "local")
    assert line["_aws"]["Timestamp"] == 1795445347000


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("delivered", {"CallbacksDelivered", "CallbacksRetried", "CallbackDuration"}),
        ("failed", {"CallbacksFailed", "CallbacksRetried", "CallbackDuration"}),
        ("waiting", {"CallbacksRetried", "CallbackDuration"}),
    ],
)
def test_a_callback_is_counted_when_it_is_over(state: str, names: set[str]) -> None:
    line = written("callback attempted", state=state, took_ms=1)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in directive["Metrics"]} == names


@pytest.mark.parametrize(("state", "share"), [("delivered", 0), ("failed", 0), ("waiting", 1)])
def test_the_average_of_retried_callbacks_is_the_share_of_failed_attempts(
    state: str, share: int
) -> None:
    assert written("callback attempted", state=state, took_ms=1)["CallbacksRetried"] == share


def test_the_average_of_retried_jobs_is_the_share_of_failed_calls() -> None:
    line = written("jobs run", succeeded=2, failed=1, retried=3, durations_ms=[5] * 6)
    assert line["JobsRetried"] == [1, 1, 1, 0, 0, 0]


def test_there_is_no_share_if_no_job_was_called() -> None:
    line = written("jobs run", succeeded=0, failed=0, retried=0, durations_ms=[])
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in directive["Metrics"]} == {"JobsSucceeded", "JobsFailed"}


def test_every_metric_has_its_own_name() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_the_runbook_says_what_to_do_about_every_metric(name: str) -> None:
    assert f"| `{name}` |" in RUNBOOK


def test_the_runbook_explains_every_line_of_the_log() -> None:
    sources = [ROOT / "app.py", *(ROOT / "chalicelib").rglob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    events = set(re.findall(r'(?:write(?:_exception)?|_tell|_send_again)\(\s*"([a-z ]+)"', text))
    assert len(events) > 10
    assert [event for event in sorted(events) if f"`{event}`" not in RUNBOOK] == []
