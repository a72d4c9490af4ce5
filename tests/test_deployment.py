"""How the functions are deployed: .chalice/config.json as Chalice reads it, with the template and
the code."""

import json
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from chalice.config import Config
from chalice.deploy import models
from chalice.deploy.appgraph import ApplicationGraphBuilder

import app
from batchback_ops import project
from chalicelib.adapters import aws
from chalicelib.domain import results, transitions
from chalicelib.domain.batch import EARLY
from chalicelib.operations import call_jobs, deliver_callback, sweep
from chalicelib.settings import VARIABLES
from tests.template import FUNCTIONS, QUEUES

STAGES = [stage for stage in project.configuration()["stages"] if stage != project.LOCAL_STAGE]
#: The queue that each function receives messages from.
SOURCES = {
    "run_jobs": "JobsQueue",
    "advance_batch": "BatchesQueue",
    "call_back": "CallbacksQueue",
    "bury_jobs": "JobsDeadQueue",
}
#: More time than a worker needs for what it reads before its first call.
SECONDS_TO_BEGIN = 2
_MINUTE = 60


@cache
def deployed(stage: str) -> models.Application:
    """What Chalice would deploy, according to Chalice."""
    config = Config(
        chalice_stage=stage,
        user_provided_params={
            "chalice_app": app.app,
            "project_dir": str(project.root()),
            "autogen_policy": False,
        },
        config_from_disk=project.configuration(),
    )
    return ApplicationGraphBuilder().build(config, stage)


@cache
def functions(stage: str) -> dict[str, Any]:
    """The functions, by their names in Chalice's configuration."""
    resources: Any = deployed(stage).resources
    found = [resource.lambda_function for resource in resources]
    return {function.resource_name: function for function in found}


def timeout(function: str, stage: str = "prod") -> int:
    seconds: int = functions(stage)[function].timeout
    return seconds


def api(stage: str) -> Any:
    [found] = [each for each in deployed(stage).resources if isinstance(each, models.RestAPI)]
    return found


def limits(name: str) -> Iterator[int]:
    """The values that a setting accepts."""
    [variable] = [each for each in VARIABLES if each.name == name]
    for value in range(200):
        try:
            yield variable.parse(str(value))
        except ValueError:
            continue


class TestNames:
    def test_functions_have_the_names_that_the_template_expects(self) -> None:
        assert {function.function_name for function in functions("prod").values()} == FUNCTIONS

    @pytest.mark.parametrize("stage", STAGES)
    def test_the_stage_has_the_same_name_everywhere(self, stage: str) -> None:
        """Tables and queues are named by STAGE, and the API's metrics by API Gateway's name."""
        assert project.environment(stage)["STAGE"] == stage
        assert api(stage).api_gateway_stage == stage

    def test_the_api_has_the_name_that_the_alarms_expect(self) -> None:
        assert project.configuration()["app_name"] == "batchback"


class TestFunctions:
    @pytest.mark.parametrize("stage", STAGES)
    def test_functions_run_on_arm(self, stage: str) -> None:
        assert {each.architecture for each in functions(stage).values()} == {"arm64"}

    @pytest.mark.parametrize("stage", STAGES)
    def test_each_has_its_own_memory_and_timeout(self, stage: str) -> None:
        named = project.configuration()["lambda_functions"]
        assert named.keys() == functions(stage).keys()
        for name, function in named.items():
            assert functions(stage)[name].timeout == function["lambda_timeout"]
            assert functions(stage)[name].memory_size == function["lambda_memory_size"]

    @pytest.mark.parametrize("stage", STAGES)
    def test_they_and_the_stack_have_the_same_tags(self, stage: str) -> None:
        for function in functions(stage).values():
            assert project.tags(stage).items() <= function.tags.items()
        assert project.tags(stage) == {"application": "batchback", "stage": stage}

    @pytest.mark.parametrize("stage", STAGES)
    def test_xray_is_off(self, stage: str) -> None:
        assert not any(function.xray for function in functions(stage).values())
        assert not api(stage).xray

    @pytest.mark.parametrize("stage", STAGES)
    def test_the_api_is_regional(self, stage: str) -> None:
        assert api(stage).endpoint_type == "REGIONAL"

    @pytest.mark.parametrize("stage", STAGES)
    def test_api_gateway_unpacks_no_request_body(self, stage: str) -> None:
        """It would if it compressed answers, and the service refuses compressed bodies unread."""
        assert api(stage).minimum_compression == ""

    def test_only_so_many_of_a_function_run_at_once(self) -> None:
        """MAX_CONCURRENT_WORKERS and MAX_CONCURRENT_CALLBACKS are in the triggers."""
        triggers = [
            each for each in deployed("prod").resources if isinstance(each, models.SQSEventSource)
        ]
        workers = {
            each.lambda_function.resource_name: each.maximum_concurrency for each in triggers
        }
        assert workers == {
            "run_jobs": 10,
            "advance_batch": 20,
            "call_back": 20,
            "bury_jobs": 20,
        }

    @pytest.mark.parametrize("stage", STAGES)
    def test_a_stage_sets_only_parameters_that_the_template_has(self, stage: str) -> None:
        known = json.loads(project.template())["Parameters"]
        for name, value in project.configured_parameters(stage).items():
            assert name in known
            assert value in map(str, known[name].get("AllowedValues", [value]))

    def test_prod_is_protected_and_watched(self) -> None:
        parameters = project.configured_parameters("prod")
        assert parameters["DeletionProtection"] == "true"
        assert parameters.get("Monitoring", "true") == "true"


class TestTime:
    """The times that depend on each other, from the shortest to the longest: each must end before
    the next one."""

    @pytest.mark.parametrize("stage", project.configuration()["stages"])
    @pytest.mark.parametrize(("function", "queue"), SOURCES.items())
    def test_a_message_is_hidden_six_times_as_long_as_its_function_may_run(
        self, stage: str, function: str, queue: str
    ) -> None:
        """AWS requires this:
        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
        assert QUEUES[queue]["VisibilityTimeout"] == 6 * timeout(function, stage)

    def test_the_longest_call_of_a_job_ends_before_its_worker(self) -> None:
        longest = max(limits("JOB_TIMEOUT_SECONDS"))
        assert longest + call_jobs.SECONDS_TO_RECORD + SECONDS_TO_BEGIN <= timeout("run_jobs")

    @pytest.mark.parametrize(
        ("kept", "requests"),
        [
            (call_jobs.SECONDS_TO_RECORD, 2),
            (deliver_callback._SECONDS_TO_RECORD, 1),
            (sweep._SECONDS_TO_END, 1),
        ],
    )
    def test_unanswered_requests_to_aws_end_in_the_time_kept_for_them(
        self, kept: int, requests: int
    ) -> None:
        """With every attempt and the longest waits in between: the requests fail, but the function
        does not die."""
        config: Any = aws._CONFIG
        attempts = config.retries["total_max_attempts"]
        waits = sum(2**retry for retry in range(attempts - 1))
        longest = attempts * (config.connect_timeout + config.read_timeout) + waits
        assert requests * longest <= kept

    def test_every_aws_client_has_these_timeouts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: dict[str, Any] = {}
        session = SimpleNamespace(
            create_client=lambda service, *, config: made.setdefault(service, config)
        )
        monkeypatch.setattr(aws, "session", lambda: session)
        for client in (aws.dynamodb, aws.sqs, aws.ssm):
            client.__wrapped__()
        assert made == dict.fromkeys(["dynamodb", "sqs", "ssm"], aws._CONFIG)

    def test_the_largest_callback_ends_before_its_sender(self) -> None:
        megabytes = results.MAX_CALLBACK_BYTES / 1_000_000
        longest = (
            deliver_callback._SECONDS_PER_ATTEMPT
            + deliver_callback._SECONDS_PER_MEGABYTE * megabytes
        )
        assert longest + deliver_callback._SECONDS_TO_RECORD < timeout("call_back")

    def test_a_worker_that_missed_a_stop_ends_before_its_batch(self) -> None:
        assert timeout("run_jobs") <= (transitions.WORKERS_END - EARLY).total_seconds()

    def test_a_sender_of_a_callback_ends_before_its_lease(self) -> None:
        lease = transitions.LEASE.total_seconds()
        assert timeout("call_back") < lease <= QUEUES["CallbacksQueue"]["VisibilityTimeout"]

    @pytest.mark.parametrize("function", ["advance_batch", "call_back"])
    def test_a_reservation_outlasts_what_it_makes_room_for(self, function: str) -> None:
        assert transitions.RESERVATION.total_seconds() > timeout(function)

    def test_a_sweep_ends_before_the_next_begins(self) -> None:
        assert sweep._SECONDS_TO_END < timeout("sweep") < _MINUTE

    def test_a_caller_gets_the_apis_answer_and_not_api_gateways_timeout(self) -> None:
        """https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""
        assert timeout("api_handler") <= 29
