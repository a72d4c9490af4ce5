"""`batchback resources` in moto: what it creates, changes, shows, asks and deletes."""

import io
import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from batchback.shell import Status

from batchback_ops import project
from chalicelib.adapters import items
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain import transitions
from chalicelib.domain.batch import Batch, CallbackAttempt
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.settings import Names
from tests.client.user import User
from tests.fakes.clock import START
from tests.samples import a_batch

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

#: No other test has a stack in this region.
REGION = "eu-north-1"
NAMES = Names("dev")
STACK = "batchback-dev"


class Terminal(io.BytesIO):
    """Standard input at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    return boto3.Session(region_name=REGION)


@pytest.fixture(autouse=True)
def moto(
    aws: None,  # noqa: ARG001 - moto must be up
    session: boto3.Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One session for all tests, which reads boto3's models once."""
    monkeypatch.setattr(boto3, "Session", lambda **_: session)


@pytest.fixture
def operator() -> User:
    return User(os.environ)


@pytest.fixture(scope="module")
def dynamodb(session: boto3.Session) -> "DynamoDBClient":
    return session.client("dynamodb")


@pytest.fixture(scope="module")
def sqs(session: boto3.Session) -> "SQSClient":
    return session.client("sqs")


@pytest.fixture(scope="module")
def cloudformation(session: boto3.Session) -> "CloudFormationClient":
    return session.client("cloudformation")


@pytest.fixture
def no_stack(cloudformation: "CloudFormationClient") -> Iterator[None]:
    """There is no stack before the test, and none after it."""
    cloudformation.delete_stack(StackName=STACK)
    yield
    cloudformation.delete_stack(StackName=STACK)


@pytest.fixture
def stack(dynamodb: "DynamoDBClient") -> None:
    """The stack from .chalice/config.json. Tests leave it unchanged, or delete it."""
    if not is_there(dynamodb):
        assert User(os.environ).types("resources", "up", "--stage", "dev") == Status.OK


def is_there(dynamodb: "DynamoDBClient") -> bool:
    return NAMES.batches_table in dynamodb.list_tables()["TableNames"]


def visibility_seconds(sqs: "SQSClient") -> str:
    url = sqs.get_queue_url(QueueName=NAMES.jobs_queue)["QueueUrl"]
    wanted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    return wanted["Attributes"]["VisibilityTimeout"]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set keys of the stage `dev` in .chalice/config.json, as an editor would."""

    def set_keys(**keys: object) -> None:
        was = project.configuration()
        stages = {**was["stages"], "dev": {**was["stages"]["dev"], **keys}}
        monkeypatch.setattr(project, "configuration", lambda: {**was, "stages": stages})

    return set_keys


class TestUp:
    @pytest.mark.usefixtures("no_stack")
    def test_it_creates_the_resources_of_the_stage(
        self, operator: User, dynamodb: "DynamoDBClient", sqs: "SQSClient"
    ) -> None:
        assert operator.types("resources", "up", "--stage", "dev") == Status.OK
        assert {NAMES.batches_table, NAMES.keys_table} <= {*dynamodb.list_tables()["TableNames"]}
        assert visibility_seconds(sqs) == "360"
        assert operator.reads["status"] == "CREATE_COMPLETE"

    @pytest.mark.usefixtures("no_stack")
    def test_a_change_is_made_in_place(
        self,
        operator: User,
        configure: Callable[..., None],
        dynamodb: "DynamoDBClient",
        sqs: "SQSClient",
    ) -> None:
        operator.types("resources", "up", "--stage", "dev")
        kept = {"id": {"S": "key#demo"}}
        dynamodb.put_item(TableName=NAMES.keys_table, Item=kept)
        was = project.configured_parameters("dev")
        configure(resources={**was, "JobsVisibilitySeconds": 400})
        again = User(operator.environ)
        assert again.types("resources", "up", "--stage", "dev") == Status.OK
        assert again.reads["status"] == "UPDATE_COMPLETE"
        assert visibility_seconds(sqs) == "400"
        assert dynamodb.get_item(TableName=NAMES.keys_table, Key=kept)["Item"] == kept

    @pytest.mark.usefixtures("no_stack")
    def test_it_repeats_safely(self, operator: User) -> None:
        operator.types("resources", "up", "--stage", "dev")
        again = User(operator.environ)
        assert again.types("resources", "up", "--stage", "dev") == Status.OK
        assert again.reads == {**operator.reads, "status": "UPDATE_COMPLETE"}

    @pytest.mark.usefixtures("stack")
    def test_the_stack_has_the_stages_tags(self, cloudformation: "CloudFormationClient") -> None:
        [found] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
        assert tags == {"application": "batchback", "stage": "dev"}


@pytest.mark.filterwarnings("ignore:Tried to parse")  # moto does not support SAM
class TestPipeline:
    """A stack from `batchback package` contains the functions too."""

    @pytest.fixture
    def pipelines(
        self,
        no_stack: None,  # noqa: ARG002
        cloudformation: "CloudFormationClient",
    ) -> str:
        """A deployed template of a pipeline."""
        function = {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "app.sweep"}}
        template = json.dumps({"Resources": {"Sweep": function}})
        cloudformation.create_stack(StackName=STACK, TemplateBody=template)
        return template

    def test_up_leaves_it_as_it_is(
        self, operator: User, pipelines: str, cloudformation: "CloudFormationClient"
    ) -> None:
        assert operator.types("resources", "up", "--stage", "dev") == Status.REFUSED
        assert operator.is_told == (
            "batchback: A pipeline made the stack batchback-dev from `batchback package`, and this "
            "command would delete its functions and its API: change it with the pipeline.\n"
        )
        body = cloudformation.get_template(StackName=STACK)["TemplateBody"]
        assert body == json.loads(pipelines)

    @pytest.mark.usefixtures("pipelines")
    def test_it_is_not_out_of_date(self, operator: User) -> None:
        assert operator.types("resources", "show", "--stage", "dev") == Status.OK
        assert operator.reads["outOfDate"] == []


class TestShow:
    @pytest.mark.usefixtures("stack")
    def test_it_prints_the_stack(self, operator: User) -> None:
        assert operator.types("resources", "show", "--stage", "dev") == Status.OK
        printed = operator.reads
        assert printed["status"] == "CREATE_COMPLETE"
        assert printed["region"] == REGION
        assert printed["outputs"]["KeysTable"] == NAMES.keys_table
        assert printed["parameters"]["LogRetentionDays"] == "7"
        assert printed["outOfDate"] == []
        assert printed["openBatches"] == 0
        assert operator.is_told == ""

    @pytest.mark.usefixtures("stack")
    def test_it_names_what_up_would_change_and_changes_nothing(
        self, operator: User, configure: Callable[..., None], sqs: "SQSClient"
    ) -> None:
        configure(resources={"Monitoring": False, "JobsVisibilitySeconds": 400}, tags={"a": "b"})
        assert operator.types("resources", "show", "--stage", "dev") == Status.OK
        changes = ["tags", "LogRetentionDays", "JobsVisibilitySeconds"]
        assert operator.reads["outOfDate"] == changes
        assert visibility_seconds(sqs) == "360"

    @pytest.mark.usefixtures("stack")
    def test_a_template_that_has_changed_is_named(
        self, operator: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        changed = {**json.loads(project.template()), "Description": "another"}
        monkeypatch.setattr(project, "template", lambda: json.dumps(changed))
        operator.types("resources", "show", "--stage", "dev")
        assert operator.reads["outOfDate"] == ["template"]

    @pytest.mark.usefixtures("no_stack")
    def test_a_missing_stage_is_reported_in_one_sentence(self, operator: User) -> None:
        assert operator.types("resources", "show", "--stage", "dev") == Status.REFUSED
        assert operator.is_told == (
            "batchback: Stage dev has no resources in eu-north-1: create them with "
            "`batchback resources up --stage dev`, or correct AWS_DEFAULT_REGION.\n"
        )
        assert operator.stdout.getvalue() == ""


RUNNING = a_batch()
CALLING_BACK = a_batch(
    state=BatchState.COMPLETED, completed_at=START, next_check_at=None, next_try_at=START
)
OVER = a_batch(
    state=BatchState.COMPLETED,
    completed_at=START,
    callback=CallbackState.DELIVERED,
    next_check_at=None,
    due_at=None,
)


@pytest.mark.usefixtures("stack")
class TestDown:
    @pytest.fixture
    def put(self, dynamodb: "DynamoDBClient") -> Iterator[Callable[[Batch], None]]:
        """Store a batch for the duration of a test."""

        def put(batch: Batch) -> None:
            DynamoBatchStore(dynamodb, NAMES.batches_table).commit(batch, START)

        yield put
        if is_there(dynamodb):
            key = items.key(RUNNING.batch_id, items.HEAD)
            dynamodb.delete_item(TableName=NAMES.batches_table, Key=key)

    def test_it_deletes_everything(self, operator: User, dynamodb: "DynamoDBClient") -> None:
        assert operator.types("resources", "down", "--stage", "dev", "--yes") == Status.OK
        assert not is_there(dynamodb)
        assert operator.reads == {
            "stack": STACK,
            "region": REGION,
            "status": "DELETE_COMPLETE",
        }

    def test_it_asks_for_the_stages_name(self, operator: User, dynamodb: "DynamoDBClient") -> None:
        operator.stdin = Terminal(b"dev\n")
        assert operator.types("resources", "down", "--stage", "dev") == Status.OK
        warning = "deletes for good, in eu-north-1: all keys and accounts of stage dev, all its"
        assert warning in operator.is_told
        assert not is_there(dynamodb)

    @pytest.mark.parametrize("typed", [b"", b"y\n", b"prod\n", b"\xff\n"])
    def test_anything_else_deletes_nothing(
        self, operator: User, dynamodb: "DynamoDBClient", typed: bytes
    ) -> None:
        operator.stdin = Terminal(typed)
        assert operator.types("resources", "down", "--stage", "dev") == Status.REFUSED
        assert operator.is_told.endswith("nothing was deleted: run this again.\n")
        assert is_there(dynamodb)

    def test_without_a_terminal_it_needs_yes(
        self, operator: User, dynamodb: "DynamoDBClient"
    ) -> None:
        operator.stdin = io.BytesIO(b"dev\n")
        assert operator.types("resources", "down", "--stage", "dev") == Status.USAGE
        assert operator.is_told.endswith("add --yes.\n")
        assert is_there(dynamodb)

    @pytest.mark.parametrize("batch", [RUNNING, CALLING_BACK], ids=["running", "calling-back"])
    def test_open_batches_keep_it(
        self,
        operator: User,
        dynamodb: "DynamoDBClient",
        put: Callable[[Batch], None],
        batch: Batch,
    ) -> None:
        put(batch)
        assert operator.types("resources", "down", "--stage", "dev", "--yes") == Status.REFUSED
        assert "Stage dev has open batches: 1. Their jobs are still running" in operator.is_told
        assert is_there(dynamodb)
        operator.types("resources", "show", "--stage", "dev")
        assert operator.reads["openBatches"] == 1

    def test_a_batch_that_is_over_keeps_nothing(
        self, operator: User, put: Callable[[Batch], None]
    ) -> None:
        put(OVER)
        assert operator.types("resources", "down", "--stage", "dev", "--yes") == Status.OK

    def test_open_batches_can_be_abandoned(
        self, operator: User, dynamodb: "DynamoDBClient", put: Callable[[Batch], None]
    ) -> None:
        """This asks for confirmation too."""
        put(RUNNING)
        operator.stdin = Terminal(b"no\ndev\n")
        down = ("resources", "down", "--stage", "dev", "--force")
        assert operator.types(*down) == Status.REFUSED
        assert is_there(dynamodb)
        assert operator.types(*down) == Status.OK
        assert not is_there(dynamodb)


@pytest.mark.usefixtures("no_stack")
def test_a_stage_that_is_already_gone_is_a_success(operator: User) -> None:
    assert operator.types("resources", "down", "--stage", "dev") == Status.OK
    assert operator.is_told == (
        "batchback: There is no stack batchback-dev in eu-north-1: nothing to delete.\n"
    )
    assert operator.reads["status"] == "DELETE_COMPLETE"


def test_a_batch_is_open_from_its_commit_to_the_end_of_its_callback() -> None:
    """It is counted by its due time, which every change but the last one keeps."""
    assert RUNNING.due_at
    assert transitions.record_check(RUNNING, START).put["due_at"]
    assert transitions.complete(a_batch(done=frozenset({0, 1, 2})), START).put["due_at"]
    assert transitions.take_lease(CALLING_BACK, "token", START).put["due_at"]
    made = CallbackAttempt(at=START, status=200, took_ms=12)
    assert not transitions.record_delivery(CALLING_BACK, made).put["due_at"]


class TestWrongStage:
    @pytest.fixture(autouse=True)
    def nothing_begins(
        self,
        no_stack: None,  # noqa: ARG002 - before the test
        cloudformation: "CloudFormationClient",
    ) -> Iterator[None]:
        yield
        assert cloudformation.describe_stacks()["Stacks"] == []

    def told(self, operator: User, stage: str = "dev") -> str:
        assert operator.types("resources", "up", "--stage", stage) == Status.USAGE
        assert operator.stdout.getvalue() == ""
        return operator.is_told

    def test_one_machine_makes_its_own(self, operator: User) -> None:
        assert "`batchback local` creates the resources" in self.told(operator, "local")

    def test_one_that_nobody_knows(self, operator: User) -> None:
        told = self.told(operator, "qa")
        assert "There is no stage 'qa' in .chalice/config.json, only local, dev, prod" in told

    def test_one_whose_functions_would_look_elsewhere(
        self, operator: User, configure: Callable[..., None]
    ) -> None:
        configure(environment_variables={"STAGE": "prod"})
        assert (
            "stages.dev.environment_variables.STAGE in .chalice/config.json must be 'dev', "
            "not 'prod'" in self.told(operator)
        )

    def test_one_whose_alarms_would_look_elsewhere(
        self, operator: User, configure: Callable[..., None]
    ) -> None:
        configure(api_gateway_stage="api")
        told = self.told(operator)
        assert "stages.dev.api_gateway_stage in .chalice/config.json must be 'dev', not 'api'" in (
            told
        )

    def test_one_that_can_name_no_table(
        self, operator: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(project, "configuration", lambda: {"stages": {"Dev": {}}})
        assert "must be 1 to 30 lower-case letters" in self.told(operator, "Dev")

    def test_a_parameter_that_the_template_does_not_have(
        self, operator: User, configure: Callable[..., None]
    ) -> None:
        configure(resources={"LogRetention": 7})
        told = self.told(operator)
        assert (
            "stages.dev.resources in .chalice/config.json cannot set LogRetention: use only" in told
        )

    def test_the_stages_name_is_no_parameter_to_set(
        self, operator: User, configure: Callable[..., None]
    ) -> None:
        configure(resources={"Stage": "prod"})
        assert "cannot set Stage: use only" in self.told(operator)

    def test_a_topic_of_another_region(
        self, operator: User, configure: Callable[..., None]
    ) -> None:
        """CloudFormation would notice it only half-way."""
        configure(resources={"AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:oncall"})
        told = self.told(operator)
        assert "AlarmTopicArn of stages.dev.resources in .chalice/config.json is not in the" in told
