"""The queues of a stage: how many messages each has, and how old the oldest is.

SQS counts messages. Only CloudWatch knows their age. It is a few minutes late and charges for each
query, so it is asked once a minute for all queues together.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from batchback.errors import CannotGoOn

from batchback_ops.stage import Stage

#: Each queue that the functions read, and where its dead letters go.
DEAD_ROLES = {"jobs": "jobs-dead", "batches": "batches-dead", "callbacks": "callbacks-dead"}
_COUNTS = {
    "visible": "ApproximateNumberOfMessages",
    "inFlight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}
_AGES_LAST = timedelta(minutes=1)
#: Longer than the delay of CloudWatch.
_LOOK_BACK = timedelta(minutes=15)
_PERIOD_SECONDS = 60

#: Per role, the age of the oldest message in seconds.
Ages = dict[str, int]


@dataclass(kw_only=True)
class Queues:
    """The queues of one stage."""

    stage: Stage
    _ages: Ages = field(default_factory=dict)
    _ages_note: str = ""
    _ages_read_at: datetime | None = None
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def rows(self, now: datetime) -> list[dict[str, Any]]:
        ages = self._ages_at(now)
        return [self._row(role, ages.get(role)) for role in self._names]

    def age_note(self) -> str:
        """Where the ages come from, or why there are none."""
        return self._ages_note

    def _row(self, role: str, oldest_seconds: int | None) -> dict[str, Any]:
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self._urls[role], AttributeNames=[*_COUNTS.values()]
        )
        return {
            "role": role,
            "name": self._names[role],
            **{shown: int(answer["Attributes"][name]) for shown, name in _COUNTS.items()},
            "oldestSeconds": oldest_seconds,
            "deadRole": DEAD_ROLES.get(role),
        }

    def _ages_at(self, now: datetime) -> Ages:
        """The ages, read again if they are older than a minute."""
        with self._reading:
            if self._ages_read_at is None or now - self._ages_read_at >= _AGES_LAST:
                self._ages_read_at = now
                self._read_ages(now)
            return self._ages

    def _read_ages(self, now: datetime) -> None:
        if self.stage.is_local:
            self._ages_note = "The AWS on this machine does not report how old messages are."
            return
        try:
            with self.stage.explained_errors():
                self._ages = self._ask_cloudwatch(now)
            self._ages_note = "Ages come from CloudWatch, which is a few minutes late."
        except CannotGoOn as reason:
            self._ages, self._ages_note = {}, f"Ages are missing: {reason}"

    def _ask_cloudwatch(self, now: datetime) -> Ages:
        roles = [*self._names]
        answer = self._cloudwatch.get_metric_data(
            MetricDataQueries=[
                _query(number, self._names[role]) for number, role in enumerate(roles)
            ],
            StartTime=now - _LOOK_BACK,
            EndTime=now,
            ScanBy="TimestampDescending",
        )
        newest = {each["Id"]: each["Values"] for each in answer["MetricDataResults"]}
        return {
            role: int(values[0])
            for number, role in enumerate(roles)
            if (values := newest.get(f"q{number}"))
        }

    @property
    def _names(self) -> dict[str, str]:
        names = self.stage.names
        return {
            "jobs": names.jobs_queue,
            "batches": names.batches_queue,
            "callbacks": names.callbacks_queue,
            "jobs-dead": names.jobs_dead_queue,
            "batches-dead": names.batches_dead_queue,
            "callbacks-dead": names.callbacks_dead_queue,
        }

    @cached_property
    def _urls(self) -> dict[str, str]:
        return {
            role: self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
            for role, name in self._names.items()
        }

    @cached_property
    def _sqs(self) -> Any:
        return self.stage.client("sqs")

    @cached_property
    def _cloudwatch(self) -> Any:
        return self.stage.client("cloudwatch")


def _query(number: int, queue: str) -> dict[str, Any]:
    return {
        "Id": f"q{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/SQS",
                "MetricName": "ApproximateAgeOfOldestMessage",
                "Dimensions": [{"Name": "QueueName", "Value": queue}],
            },
            "Period": _PERIOD_SECONDS,
            "Stat": "Maximum",
        },
    }
