"""The CloudFormation template: everything that can be checked without AWS."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchback_ops import project
from chalicelib.adapters.journal import METRICS, NAMESPACE
from chalicelib.domain import retry
from chalicelib.domain.message import MAX_RECEIVES
from chalicelib.settings import Names
from tests.markdown import anchors
from tests.template import (
    ALARMS,
    FUNCTIONS,
    NAMES,
    PARAMETERS,
    PHYSICAL,
    QUEUES,
    RESOURCES,
    TABLES,
    TEMPLATE,
    of_type,
    resolved,
)

ROOT = Path(__file__).resolve().parents[1]


class TestTemplate:
    def test_the_linter_finds_nothing(self) -> None:
        linter = Path(sys.executable).with_name("cfn-lint")
        ran = subprocess.run(  # noqa: S603 - installed beside this very interpreter
            [linter, ROOT / ".chalice" / "resources.json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")

    def test_it_fits_into_one_request(self) -> None:
        """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
        assert len(project.template().encode()) <= 51_200

    def test_it_is_ascii(self) -> None:
        """CloudFormation returns other characters as question marks, and `resources show` would
        report a changed template."""
        assert project.template().isascii()

    def test_every_parameter_but_the_stage_has_a_default(self) -> None:
        without = [name for name, each in TEMPLATE["Parameters"].items() if "Default" not in each]
        assert without == ["Stage"]

    def test_it_takes_the_stages_that_the_functions_take(self) -> None:
        pattern = TEMPLATE["Parameters"]["Stage"]["AllowedPattern"]
        for stage in ("a", "prod-eu-1", "a" * 30, "A", "1a", "a_b", "a" * 31, ""):
            try:
                Names(stage)
            except Exception:  # noqa: BLE001 - any error refuses it
                assert not re.fullmatch(pattern, stage)
            else:
                assert re.fullmatch(pattern, stage)

    def test_alarms_and_dashboards_can_be_turned_off(self) -> None:
        conditional = {name for name, each in RESOURCES.items() if "Condition" in each}
        assert conditional == {*ALARMS, "Dashboard"}
        assert {RESOURCES[name]["Condition"] for name in conditional} == {"IsMonitored"}


class TestTables:
    def test_they_have_the_names_that_the_functions_derive(self) -> None:
        names = {logical: table["TableName"] for logical, table in TABLES.items()}
        assert names == {"BatchesTable": NAMES.batches_table, "KeysTable": NAMES.keys_table}

    @pytest.mark.parametrize("table", TABLES)
    def test_a_table_is_billed_by_use_and_can_be_restored(self, table: str) -> None:
        assert TABLES[table]["BillingMode"] == "PAY_PER_REQUEST"
        assert TABLES[table]["PointInTimeRecoverySpecification"] == {
            "PointInTimeRecoveryEnabled": True
        }

    def test_batches_expire_and_keys_do_not(self) -> None:
        expiry = {"AttributeName": "expires_at", "Enabled": True}
        assert TABLES["BatchesTable"]["TimeToLiveSpecification"] == expiry
        assert "TimeToLiveSpecification" not in TABLES["KeysTable"]

    @pytest.mark.parametrize("table", TABLES)
    def test_a_table_is_encrypted_with_the_key_that_costs_nothing(self, table: str) -> None:
        """AWS encrypts every table; with a KMS key, AWS's or your own, the requests to KMS are
        billed."""
        assert TABLES[table]["SSESpecification"] == {"SSEEnabled": False}

    @pytest.mark.parametrize("table", TABLES)
    def test_a_table_is_encrypted_with_your_own_key_if_you_give_one(self, table: str) -> None:
        given = {"Stage": "prod", "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1-2"}
        assert of_type("AWS::DynamoDB::Table", given)[table]["SSESpecification"] == {
            "SSEEnabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": given["KmsKeyArn"],
        }

    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("protection", ["true", "false"])
    def test_a_table_is_protected_if_the_stage_is(self, table: str, protection: str) -> None:
        given = {"Stage": "prod", "DeletionProtection": protection}
        is_protected = of_type("AWS::DynamoDB::Table", given)[table]["DeletionProtectionEnabled"]
        assert is_protected is (protection == "true")

    @pytest.mark.parametrize("table", TABLES)
    def test_tables_are_created_last(self, table: str) -> None:
        """The logs may already exist, and a protected table could not be removed again."""
        assert {*RESOURCES[table]["DependsOn"]} == {*of_type("AWS::Logs::LogGroup")}

    @pytest.mark.parametrize("table", TABLES)
    def test_a_table_that_must_be_replaced_is_kept(self, table: str) -> None:
        assert RESOURCES[table]["UpdateReplacePolicy"] == "Retain"


class TestQueues:
    def test_they_have_the_names_that_the_functions_derive(self) -> None:
        assert {name: queue["QueueName"] for name, queue in QUEUES.items()} == PHYSICAL

    @pytest.mark.parametrize("queue", QUEUES)
    def test_a_queue_is_encrypted_free_of_charge(self, queue: str) -> None:
        assert QUEUES[queue]["SqsManagedSseEnabled"] is True

    @pytest.mark.parametrize(
        ("queue", "dead"),
        [
            ("JobsQueue", "JobsDeadQueue"),
            ("BatchesQueue", "BatchesDeadQueue"),
            ("CallbacksQueue", "CallbacksDeadQueue"),
        ],
    )
    def test_a_message_that_keeps_coming_back_goes_to_the_dead_letters(
        self, queue: str, dead: str
    ) -> None:
        assert QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"] == f"arn:{dead}"
        assert QUEUES[dead]["RedriveAllowPolicy"] == {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [f"arn:aws:sqs:eu-west-1:123456789012:{PHYSICAL[queue]}"],
        }

    def test_a_job_is_judged_after_its_last_delivery(self) -> None:
        assert QUEUES["JobsQueue"]["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES

    def test_dead_messages_are_kept_longest(self) -> None:
        """Their age counts from when they were first sent."""
        kept = {name: queue["MessageRetentionPeriod"] for name, queue in QUEUES.items()}
        longest = 14 * 24 * 3600
        dead = {name for name in kept if "Dead" in name}
        assert {kept[name] for name in dead} == {longest}
        assert len({kept[name] for name in kept.keys() - dead} | {longest}) == 2

    def test_every_queue_refuses_requests_without_tls(self) -> None:
        [policy] = of_type("AWS::SQS::QueuePolicy").values()
        assert sorted(policy["Queues"]) == sorted(PHYSICAL.values())
        assert policy["PolicyDocument"]["Statement"] == [
            {
                "Sid": "TlsAlone",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]


class TestLogs:
    def test_every_function_has_a_log_group_with_its_name(self) -> None:
        groups = of_type("AWS::Logs::LogGroup").values()
        assert {group["LogGroupName"] for group in groups} == {
            f"/aws/lambda/{name}" for name in FUNCTIONS
        }

    def test_logs_are_kept_a_month_by_default(self) -> None:
        for group in of_type("AWS::Logs::LogGroup").values():
            assert group["RetentionInDays"] == 30


#: The metrics that alarms and dashboard use, and what they may be asked of.
#: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
KNOWN: dict[str, tuple[set[str], set[tuple[tuple[str, str], ...]]]] = {
    NAMESPACE: ({metric.name for metric in METRICS}, {(("stage", "prod"),)}),
    "AWS/Lambda": (
        {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"},
        {(("FunctionName", name),) for name in FUNCTIONS},
    ),
    "AWS/SQS": (
        {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfMessagesSent",
            "NumberOfEmptyReceives",
        },
        {(("QueueName", name),) for name in PHYSICAL.values()},
    ),
    "AWS/ApiGateway": (
        {"Count", "4XXError", "5XXError", "Latency"},
        {(("ApiName", "batchback"), ("Stage", "prod"))},
    ),
    "AWS/DynamoDB": (
        {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"},
        {(("TableName", NAMES.batches_table),), (("TableName", NAMES.keys_table),)},
    ),
    "AWS/Logs": (
        {"IncomingBytes"},
        {(("LogGroupName", f"/aws/lambda/{name}"),) for name in FUNCTIONS},
    ),
}


def check_metric(namespace: str, name: str, dimensions: tuple[tuple[str, str], ...]) -> None:
    """AWS does not report an alarm on a metric that does not exist: it stays silent forever."""
    names, places = KNOWN[namespace]
    assert name in names, f"{namespace} has no {name}"
    assert dimensions in places, f"{namespace} knows nothing of {dimensions}"


RUNBOOK = ROOT / "docs" / "runbook.md"


class TestAlarms:
    @pytest.mark.parametrize("alarm", ALARMS)
    def test_its_metric_exists(self, alarm: str) -> None:
        properties = ALARMS[alarm]
        dimensions = tuple((each["Name"], each["Value"]) for each in properties["Dimensions"])
        check_metric(properties["Namespace"], properties["MetricName"], dimensions)

    @pytest.mark.parametrize("alarm", ALARMS)
    def test_its_description_gives_a_reason_and_a_section_of_the_runbook(self, alarm: str) -> None:
        reason, _, anchor = ALARMS[alarm]["AlarmDescription"].partition(" See docs/runbook.md#")
        assert len(reason.split()) > 8
        assert len(ALARMS[alarm]["AlarmDescription"]) <= 1024
        assert anchor in anchors(RUNBOOK)

    @pytest.mark.parametrize("alarm", ALARMS)
    def test_the_runbook_names_it(self, alarm: str) -> None:
        name = ALARMS[alarm]["AlarmName"].removeprefix("batchback-prod-")
        for function in ("run_jobs", "advance_batch", "call_back", "bury_jobs", "sweep", "api"):
            if name in {f"{function}-errors", f"{function}-throttles"}:
                name = name.replace(function, "<function>")
        assert f"`{name}`" in RUNBOOK.read_text("utf-8")

    @pytest.mark.parametrize("alarm", ALARMS)
    def test_its_topic_is_notified_of_the_beginning_and_the_end(self, alarm: str) -> None:
        assert ALARMS[alarm]["AlarmActions"] == [PARAMETERS["AlarmTopicArn"]]
        assert ALARMS[alarm]["OKActions"] == [PARAMETERS["AlarmTopicArn"]]

    @pytest.mark.parametrize("alarm", ALARMS)
    def test_without_a_topic_it_notifies_nobody(self, alarm: str) -> None:
        silent = of_type("AWS::CloudWatch::Alarm", {"Stage": "prod"})[alarm]
        assert not {"AlarmActions", "OKActions"} & silent.keys()

    def test_every_name_has_the_stage_and_is_unique(self) -> None:
        names = [alarm["AlarmName"] for alarm in ALARMS.values()]
        assert all(name.startswith("batchback-prod-") for name in names)
        assert len({*names}) == len(names)

    def test_missing_data_is_fine_except_for_the_sweep_and_for_dead_messages(self) -> None:
        """A sweep that does not run emits nothing. A dead message stays even if no data says so."""
        odd = {
            name: alarm["TreatMissingData"]
            for name, alarm in ALARMS.items()
            if alarm["TreatMissingData"] != "notBreaching"
        }
        assert odd == {
            "SweepStopped": "breaching",
            "BatchesDead": "ignore",
            "CallbacksDead": "ignore",
        }

    @pytest.mark.parametrize("metric", ["Errors", "Throttles"])
    def test_every_function_has_an_alarm(self, metric: str) -> None:
        watched = [
            alarm["Dimensions"][0]["Value"]
            for alarm in ALARMS.values()
            if alarm["MetricName"] == metric
        ]
        assert sorted(watched) == sorted(FUNCTIONS)

    def test_a_message_within_its_delay_is_not_old(self) -> None:
        """Nor does one dead worker, whose message comes back, page anybody."""
        ages = {
            alarm["Dimensions"][0]["Value"]: alarm["Threshold"]
            for alarm in ALARMS.values()
            if alarm["MetricName"] == "ApproximateAgeOfOldestMessage"
        }
        for_people = {NAMES.batches_dead_queue, NAMES.callbacks_dead_queue}
        assert ages.keys() == {*PHYSICAL.values()} - for_people
        for queue in QUEUES.values():
            if queue["QueueName"] in ages:
                waits = retry.MAX_MESSAGE_DELAY + queue["VisibilityTimeout"]
                assert ages[queue["QueueName"]] > waits

    def test_a_batch_whose_jobs_wait_within_limits_is_not_old(self) -> None:
        waits = (retry.JOB_TRIES - 1) * retry.MAX_MESSAGE_DELAY
        assert ALARMS["OldestOpenBatch"]["Threshold"] > waits


def widgets() -> list[dict[str, Any]]:
    body = json.loads(resolved(RESOURCES["Dashboard"]["Properties"]["DashboardBody"]))
    found: list[dict[str, Any]] = body["widgets"]
    return found


def metrics_of(widget: dict[str, Any]) -> Iterator[tuple[str, str, tuple[tuple[str, str], ...]]]:
    for row in widget["properties"]["metrics"]:
        namespace, name, *words = [each for each in row if isinstance(each, str)]
        yield namespace, name, tuple(zip(words[::2], words[1::2], strict=True))


class TestDashboard:
    @pytest.mark.parametrize("widget", widgets(), ids=lambda each: each["properties"]["title"])
    def test_its_metrics_are_emitted(self, widget: dict[str, Any]) -> None:
        for metric in metrics_of(widget):
            check_metric(*metric)
        assert widget["properties"]["region"] == "eu-west-1"

    def test_it_shows_every_metric_of_ours(self) -> None:
        shown = {name for widget in widgets() for _, name, _ in metrics_of(widget)}
        assert {metric.name for metric in METRICS} <= shown

    def test_no_widget_overlaps_another(self) -> None:
        squares = [
            (widget["x"] + column, widget["y"] + row)
            for widget in widgets()
            for column in range(widget["width"])
            for row in range(widget["height"])
        ]
        assert len(squares) == len({*squares})
        assert max(column for column, _ in squares) < 24
