"""List prices: us-east-1 if there are regions, without free tiers and volume discounts.

`as_of` is the day on which the source, or a copy of it, was read. Vendors change prices without
notice: check them before you decide. This is the only place in the benchmark that knows prices.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of `per` units, in dollars."""

    dollars: float
    per: float
    unit: str
    source: str
    as_of: str

    def of(self, units: float) -> float:
        return self.dollars * units / self.per


_MILLION = 1_000_000
_READ = "2026-11-24"

WRITE_UNITS = Price(
    dollars=0.625,
    per=_MILLION,
    unit="DynamoDB write request units, on demand",
    source="https://aws.amazon.com/dynamodb/pricing/on-demand/",
    as_of=_READ,
)
READ_UNITS = Price(
    dollars=0.125,
    per=_MILLION,
    unit="DynamoDB read request units, on demand",
    source="https://aws.amazon.com/dynamodb/pricing/on-demand/",
    as_of=_READ,
)
STORAGE = Price(
    dollars=0.25,
    per=1,
    unit="GB-months of DynamoDB storage",
    source="https://aws.amazon.com/dynamodb/pricing/on-demand/",
    as_of=_READ,
)
BACKUP = Price(
    dollars=0.20,
    per=1,
    unit="GB-months of DynamoDB point-in-time recovery",
    source="https://aws.amazon.com/dynamodb/pricing/on-demand/",
    as_of=_READ,
)
SQS_REQUESTS = Price(
    dollars=0.40,
    per=_MILLION,
    unit="SQS requests, standard queues, 64 KB each",
    source="https://aws.amazon.com/sqs/pricing/",
    as_of=_READ,
)
LAMBDA_REQUESTS = Price(
    dollars=0.20,
    per=_MILLION,
    unit="Lambda requests",
    source="https://aws.amazon.com/lambda/pricing/",
    as_of=_READ,
)
LAMBDA_GB_SECONDS = Price(
    dollars=13.3334,
    per=_MILLION,
    unit="Lambda GB-seconds, arm64",
    source="https://aws.amazon.com/lambda/pricing/",
    as_of=_READ,
)
API_REQUESTS = Price(
    dollars=3.50,
    per=_MILLION,
    unit="API Gateway requests, REST",
    source="https://aws.amazon.com/api-gateway/pricing/",
    as_of=_READ,
)
LOGS = Price(
    dollars=0.50,
    per=1e9,
    unit="bytes of CloudWatch logs, ingested",
    source="https://aws.amazon.com/cloudwatch/pricing/",
    as_of=_READ,
)

STEP_FUNCTIONS_TRANSITIONS = Price(
    dollars=25.0,
    per=_MILLION,
    unit="state transitions, Standard; a Distributed Map makes one for each child that it starts",
    source="https://docs.aws.amazon.com/step-functions/latest/dg/concepts-transitions.html",
    as_of=_READ,
)
STEP_FUNCTIONS_REQUESTS = Price(
    dollars=1.0,
    per=_MILLION,
    unit="Express workflows started",
    source="https://aws.amazon.com/step-functions/pricing/",
    as_of=_READ,
)
STEP_FUNCTIONS_GB_SECONDS = Price(
    dollars=0.06,
    per=3600,
    unit="GB-seconds of Express workflows, in steps of 64 MB and 100 ms",
    source="https://aws.amazon.com/step-functions/pricing/",
    as_of=_READ,
)
QSTASH_MESSAGES = Price(
    dollars=1.0,
    per=100_000,
    unit="QStash messages, pay as you go",
    source="https://upstash.com/docs/qstash/overall/pricing",
    as_of=_READ,
)
CLOUD_TASKS_OPERATIONS = Price(
    dollars=0.40,
    per=_MILLION,
    unit="Cloud Tasks operations, 32 KB each",
    source="https://cloud.google.com/tasks/pricing",
    as_of=_READ,
)

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Price))
