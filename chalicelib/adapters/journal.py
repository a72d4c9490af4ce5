"""The log: one line of JSON per unit of work, on standard output, from which Lambda collects it.

Some lines also carry metrics, in CloudWatch's embedded metric format: CloudWatch reads the numbers
from the log, so the function makes no call for them.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
What each metric means and what to do about it: docs/runbook.md.
"""

import json
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from chalicelib import errors
from chalicelib.domain.dataclass import dataclass
from chalicelib.operations.ports import Clock

NAMESPACE = "Batchback"

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that the log lines of one event report to CloudWatch."""

    event: str
    name: str
    unit: str
    #: Returns the value or values from a line's fields; None if this line has none.
    value: Callable[[Fields], object]


def _one(_fields: Fields) -> int:
    return 1


def _field(name: str) -> Callable[[Fields], object]:
    return lambda fields: fields.get(name)


def _one_where(name: str, value: str) -> Callable[[Fields], int | None]:
    return lambda fields: 1 if fields.get(name) == value else None


def _whether(name: str, value: str) -> Callable[[Fields], int]:
    """Return 0 or 1, so that the sum is a count and the average a share."""
    return lambda fields: int(fields.get(name) == value)


def _whether_retried(fields: Fields) -> list[int]:
    """Return 0 or 1 for each call of a job."""
    return [1] * fields["retried"] + [0] * (fields["succeeded"] + fields["failed"])


_COUNT, _MILLISECONDS, _SECONDS = "Count", "Milliseconds", "Seconds"

METRICS = tuple(
    Metric(event=event, name=name, unit=unit, value=value)
    for event, name, unit, value in (
        ("batch accepted", "BatchesAccepted", _COUNT, _one),
        ("batch refused", "BatchesRefused", _COUNT, _one),
        ("batch completed", "BatchesCompleted", _COUNT, _one),
        ("batch completed", "BatchDuration", _MILLISECONDS, _field("took_ms")),
        ("jobs run", "JobsSucceeded", _COUNT, _field("succeeded")),
        ("jobs run", "JobsFailed", _COUNT, _field("failed")),
        ("jobs run", "JobsRetried", _COUNT, _whether_retried),
        ("jobs run", "JobDuration", _MILLISECONDS, _field("durations_ms")),
        ("job buried", "JobsBuried", _COUNT, _one),
        ("platform down", "PlatformDown", _SECONDS, _field("down_seconds")),
        ("callback attempted", "CallbacksDelivered", _COUNT, _one_where("state", "delivered")),
        ("callback attempted", "CallbacksFailed", _COUNT, _one_where("state", "failed")),
        ("callback attempted", "CallbacksRetried", _COUNT, _whether("state", "waiting")),
        ("callback attempted", "CallbackDuration", _MILLISECONDS, _field("took_ms")),
        ("chunks sent again", "SweepRescues", _COUNT, _one),
        ("message handed on", "MessagesHandedOn", _COUNT, _one),
        ("function failed", "FunctionsFailed", _COUNT, _one),
        ("batch swept", "OldestOpenBatchAge", _SECONDS, _field("open_seconds")),
    )
)


#: How many of the innermost stack frames are logged: a recursion has a thousand.
_PLACES = 30


class JsonJournal:
    """Writes each event with its fields as one line. Values are written as they are, so never pass
    bodies, secrets or query strings. Lists are only for metrics, and are written once, under the
    metric's name, because logging costs more than running the jobs."""

    def __init__(self, clock: Clock, stage: str, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stage = stage
        self._stream = stream

    def write(self, event: str, **fields: object) -> None:
        known = {name: value for name, value in fields.items() if value is not None}
        shown = {name: value for name, value in known.items() if not isinstance(value, list)}
        line = {"event": event, "stage": self._stage, **shown, **self._metrics(event, known)}
        self._put(json.dumps(line, default=str, separators=(",", ":")))

    def write_exception(self, event: str, error: BaseException, **fields: object) -> None:
        """Write an unexpected error as one line, with the stack of the error and of its causes:
        file, line and function, but never a value."""
        trace = "\n".join(line for each in errors.chain(error) for line in _trace(each))
        self.write(event, error=errors.describe(error), traceback=trace, **fields)

    def _put(self, line: str) -> None:
        (self._stream or sys.stdout).write(line + "\n")

    def _metrics(self, event: str, fields: Fields) -> dict[str, object]:
        """Return the part of a line that CloudWatch reads metrics from; empty if the event has
        none."""
        values = {metric: metric.value(fields) for metric in METRICS if metric.event == event}
        given = {metric: value for metric, value in values.items() if value not in (None, [])}
        if not given:
            return {}
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [["stage"]],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in given],
        }
        timestamp = int(self._clock.now().timestamp() * 1000)
        return {
            **{metric.name: value for metric, value in given.items()},
            "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [directive]},
        }


def _trace(error: BaseException) -> Iterator[str]:
    yield type(error).__name__
    for frame, line in deque(traceback.walk_tb(error.__traceback__), maxlen=_PLACES):
        yield f"  {frame.f_code.co_filename}:{line} {frame.f_code.co_qualname}"
