"""SQS and CloudWatch, as far as the console reads them."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Aws:
    """SQS and CloudWatch. Each queue has as many messages as its name has letters."""

    asked: Counter[str] = field(default_factory=Counter)
    #: Per queue, its ages from the newest to the oldest.
    ages: dict[str, list[float]] = field(default_factory=dict)
    error: Exception | None = None
    period: tuple[datetime, datetime] | None = None

    def get_queue_url(self, *, QueueName: str) -> Any:  # noqa: N803
        self.asked["GetQueueUrl"] += 1
        return {"QueueUrl": f"https://sqs/{QueueName}"}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> Any:  # noqa: N803
        self.asked["GetQueueAttributes"] += 1
        letters = len(QueueUrl.rpartition("/")[2])
        return {
            "Attributes": {name: str(letters + n) for n, name in enumerate(sorted(AttributeNames))}
        }

    def get_metric_data(
        self,
        *,
        MetricDataQueries: list[Any],  # noqa: N803
        StartTime: datetime,  # noqa: N803
        EndTime: datetime,  # noqa: N803
        ScanBy: str,  # noqa: N803
    ) -> Any:
        self.asked["GetMetricData"] += 1
        self.period = StartTime, EndTime
        if self.error:
            raise self.error
        assert ScanBy == "TimestampDescending"
        return {
            "MetricDataResults": [
                {"Id": each["Id"], "Values": self.ages.get(_queue_of(each), [])}
                for each in MetricDataQueries
            ]
        }


def _queue_of(query: Any) -> str:
    metric = query["MetricStat"]["Metric"]
    assert (metric["Namespace"], metric["MetricName"], query["MetricStat"]["Stat"]) == (
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        "Maximum",
    )
    [dimension] = metric["Dimensions"]
    name: str = dimension["Value"]
    return name
