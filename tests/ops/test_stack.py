"""What happens to a stack, as `batchback resources` reports it. CloudFormation is scripted, because
in moto everything is done immediately and nothing fails."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from batchback.shell import Status

from batchback_ops.stage import Stage
from tests.client.user import User
from tests.fakes.cloudformation import Poll, ScriptedCloudFormation, event, refusal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGION = "eu-north-1"


@pytest.fixture(scope="module")
def dynamodb() -> "DynamoDBClient":
    """A database without the stage's tables."""
    return boto3.client("dynamodb", region_name=REGION)


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return User(os.environ)


@pytest.fixture
def scripted(
    aws: None,  # noqa: ARG001 - moto must be up
    dynamodb: "DynamoDBClient",
    monkeypatch: pytest.MonkeyPatch,
) -> "Script":
    """Replace the stage's CloudFormation by one that follows a script."""

    def script(*args: Any, **kwargs: Any) -> ScriptedCloudFormation:
        fake = ScriptedCloudFormation(*args, **kwargs)
        clients = {"cloudformation": fake, "dynamodb": dynamodb}
        monkeypatch.setattr(Stage, "client", lambda _, service: clients[service])
        return fake

    return script


Script = Callable[..., ScriptedCloudFormation]
TABLE_FAILED = event("KeysTable", "CREATE_FAILED", "the key is disabled", "AWS::DynamoDB::Table")
CANCELLED = event("JobsQueue", "CREATE_FAILED", "Resource creation cancelled")
STACK_FAILED = event("batchback", "ROLLBACK_IN_PROGRESS", "The following failed: [KeysTable]")
MADE = Poll("CREATE_COMPLETE", (event("batchback", "CREATE_COMPLETE"),))
GONE = Poll("DELETE_COMPLETE", (event("batchback", "DELETE_COMPLETE"),))


class TestProgress:
    def test_each_event_is_reported_once_with_the_seconds(
        self, operator: User, scripted: Script
    ) -> None:
        jobs = event("JobsQueue", "CREATE_IN_PROGRESS")
        scripted(
            None,
            [
                Poll("CREATE_IN_PROGRESS", (jobs,)),
                Poll("CREATE_IN_PROGRESS"),
                Poll("CREATE_COMPLETE", (event("JobsQueue", "CREATE_COMPLETE", "at last"),)),
            ],
        )
        assert operator.types("resources", "up", "--stage", "dev") == Status.OK
        assert operator.is_told.splitlines() == [
            "batchback: 0 s: batchback CREATE_IN_PROGRESS",
            "batchback: 0 s: JobsQueue CREATE_IN_PROGRESS",
            "batchback: 4 s: JobsQueue CREATE_COMPLETE: at last",
        ]
        assert operator.time.slept == [2, 2]

    def test_earlier_events_are_not_reported(self, operator: User, scripted: Script) -> None:
        scripted("UPDATE_COMPLETE", [Poll("UPDATE_COMPLETE")])
        assert operator.types("resources", "up", "--stage", "dev") == Status.OK
        assert "an old story" not in operator.is_told

    def test_an_interruption_says_that_cloudformation_continues(
        self, operator: User, scripted: Script
    ) -> None:
        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        operator.sleep = interrupt
        scripted(None, [Poll("CREATE_IN_PROGRESS")])
        assert operator.types("resources", "up", "--stage", "dev") == Status.INTERRUPTED
        assert "CloudFormation continues the operation on stack batchback-dev" in operator.is_told


class TestNothingToChange:
    """moto considers every update a change."""

    def test_it_is_a_success(self, operator: User, scripted: Script) -> None:
        fake = scripted("UPDATE_COMPLETE", has_nothing_to_change=True)
        assert operator.types("resources", "up", "--stage", "dev") == Status.OK
        assert operator.is_told == (
            "batchback: Stack batchback-dev is up to date: nothing to change.\n"
        )
        assert operator.reads["status"] == "UPDATE_COMPLETE"
        assert fake.asked == []

    def test_protection_follows_the_configuration_even_without_a_change(
        self, operator: User, scripted: Script
    ) -> None:
        """Somebody may have switched it by hand, or interrupted `up` right before."""
        fake = scripted("UPDATE_COMPLETE", has_nothing_to_change=True)
        assert operator.types("resources", "up", "--stage", "prod") == Status.OK
        assert fake.asked == ["protect"]


class TestFailure:
    def test_a_creation_that_fails_gives_the_first_reason(
        self, operator: User, scripted: Script
    ) -> None:
        scripted(
            None,
            [
                Poll("CREATE_IN_PROGRESS", (TABLE_FAILED, CANCELLED)),
                Poll("ROLLBACK_IN_PROGRESS", (STACK_FAILED,)),
                Poll("ROLLBACK_COMPLETE", (event("KeysTable", "DELETE_FAILED", "later"),)),
            ],
        )
        assert operator.types("resources", "up", "--stage", "dev") == Status.REFUSED
        assert operator.is_told.splitlines()[-1] == (
            "batchback: Stack batchback-dev could not be created (ROLLBACK_COMPLETE): "
            "KeysTable: the key is disabled"
        )
        assert operator.stdout.getvalue() == ""

    @pytest.mark.parametrize(
        ("kind", "hint"),
        [
            ("AWS::Logs::LogGroup", "A function that ran earlier created it: delete it and its "),
            ("AWS::SQS::Queue", "It is not part of this stack: delete it where it was "),
        ],
    )
    def test_a_name_that_is_taken_is_reported_with_the_remedy(
        self, operator: User, scripted: Script, kind: str, hint: str
    ) -> None:
        reason = "it already exists. (RequestToken: 1, HandlerErrorCode: AlreadyExists)"
        taken = event("SweepLog", "CREATE_FAILED", reason, kind)
        scripted(None, [Poll("ROLLBACK_COMPLETE", (taken,))])
        assert operator.types("resources", "up", "--stage", "dev") == Status.REFUSED
        assert f"SweepLog: {reason} {hint}" in operator.is_told

    def test_what_a_failed_creation_left_is_created_again(
        self, operator: User, scripted: Script
    ) -> None:
        fake = scripted("ROLLBACK_COMPLETE", [GONE, MADE])
        assert operator.types("resources", "up", "--stage", "dev") == Status.OK
        assert fake.asked == ["delete", "create"]
        assert "A failed creation left stack batchback-dev: deleting" in operator.is_told
        assert operator.reads["status"] == "CREATE_COMPLETE"

    def test_an_update_that_fails_gives_the_first_reason(
        self, operator: User, scripted: Script
    ) -> None:
        failed = event("KeysTable", "UPDATE_FAILED", "the key is disabled")
        done = Poll("UPDATE_ROLLBACK_COMPLETE", (failed,))
        scripted("CREATE_COMPLETE", [Poll("UPDATE_ROLLBACK_IN_PROGRESS"), done])
        assert operator.types("resources", "up", "--stage", "dev") == Status.REFUSED
        assert operator.is_told.splitlines()[-1] == (
            "batchback: Stack batchback-dev is as it was before (UPDATE_ROLLBACK_COMPLETE): "
            "KeysTable: the key is disabled"
        )

    def test_without_a_failed_resource_the_stacks_own_reason_is_given(
        self, operator: User, scripted: Script
    ) -> None:
        scripted(None, [Poll("ROLLBACK_COMPLETE", (), "the template is too old")])
        assert operator.types("resources", "up", "--stage", "dev") == Status.REFUSED
        assert "(ROLLBACK_COMPLETE): the template is too old\n" in operator.is_told

    @pytest.mark.parametrize(
        ("status", "way_out"),
        [
            ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name "),
            ("UPDATE_FAILED", "aws cloudformation rollback-stack --stack-name batchback-dev"),
            ("ROLLBACK_FAILED", "run `batchback resources down --stage dev`, then this again."),
            ("CREATE_FAILED", "run `batchback resources down --stage dev`, then this again."),
            ("DELETE_FAILED", "run `batchback resources down --stage dev`, then this again."),
            ("REVIEW_IN_PROGRESS", "run `batchback resources down --stage dev`, then this again."),
            ("UPDATE_IN_PROGRESS", "another operation is in progress: wait until `batchback "),
            ("DELETE_IN_PROGRESS", "another operation is in progress: wait until `batchback "),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "another operation is in progress: wait "),
        ],
    )
    def test_a_state_that_it_cannot_update_is_reported_with_the_remedy(
        self, operator: User, scripted: Script, status: str, way_out: str
    ) -> None:
        fake = scripted(status)
        assert operator.types("resources", "up", "--stage", "dev") == Status.REFUSED
        assert f"Stack batchback-dev is in {status}" in operator.is_told
        assert way_out in operator.is_told
        assert fake.asked == []

    def test_a_failed_deletion_names_a_protected_table_as_the_likely_cause(
        self, operator: User, scripted: Script
    ) -> None:
        failed = event("KeysTable", "DELETE_FAILED", "it is protected")
        scripted("ROLLBACK_FAILED", [Poll("DELETE_FAILED", (failed,))])
        assert operator.types("resources", "down", "--stage", "dev", "--yes") == Status.REFUSED
        assert "could not be deleted (DELETE_FAILED): KeysTable: it is protected" in (
            operator.is_told
        )
        assert "--no-deletion-protection-enabled" in operator.is_told

    def test_a_deletion_in_progress_is_followed_to_its_end(
        self, operator: User, scripted: Script
    ) -> None:
        scripted("DELETE_IN_PROGRESS", [Poll("DELETE_IN_PROGRESS"), GONE])
        assert operator.types("resources", "down", "--stage", "dev", "--yes") == Status.OK

    def test_another_operation_keeps_it_from_deleting(
        self, operator: User, scripted: Script
    ) -> None:
        fake = scripted("UPDATE_IN_PROGRESS")
        assert operator.types("resources", "down", "--stage", "dev", "--yes") == Status.REFUSED
        assert "another operation is in progress" in operator.is_told
        assert fake.asked == []

    def test_a_refusal_by_aws_is_reported_in_one_sentence(
        self, operator: User, scripted: Script, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_: object) -> None:
            raise refusal("AccessDenied", "not you", "CreateStack")

        monkeypatch.setattr(scripted(None), "create_stack", refuse)
        assert operator.types("resources", "up", "--stage", "dev") == Status.USAGE
        assert operator.is_told == "batchback: AWS denies you CreateStack: not you\n"


class TestProtection:
    """prod is protected: its tables by the template, and its stack by CloudFormation."""

    def test_a_stack_is_protected_only_after_its_creation(
        self, operator: User, scripted: Script
    ) -> None:
        """If the creation failed, a protected stack could not be removed."""
        fake = scripted(None, [Poll("CREATE_IN_PROGRESS"), MADE])
        assert operator.types("resources", "up", "--stage", "prod") == Status.OK
        assert fake.asked == ["create", "protect"]
        assert fake.parameters["DeletionProtection"] == "true"

    def test_a_creation_that_fails_leaves_it_unprotected(
        self, operator: User, scripted: Script
    ) -> None:
        fake = scripted(None, [Poll("ROLLBACK_COMPLETE", (TABLE_FAILED,))])
        assert operator.types("resources", "up", "--stage", "prod") == Status.REFUSED
        assert fake.asked == ["create"]

    def test_down_refuses_and_says_how_to_end_the_protection(
        self, operator: User, scripted: Script
    ) -> None:
        fake = scripted("CREATE_COMPLETE", parameters={"DeletionProtection": "true"})
        down = ("resources", "down", "--stage", "prod", "--yes", "--force")
        assert operator.types(*down) == Status.REFUSED
        assert "Stage prod is protected from deletion." in operator.is_told
        assert "set DeletionProtection to false in stages.prod.resources" in operator.is_told
        assert "run `batchback resources up --stage prod`" in operator.is_told
        assert fake.asked == []

    def test_the_pipeline_ends_the_protection_of_its_stack(
        self, operator: User, scripted: Script, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`up` would refuse it."""
        fake = scripted("CREATE_COMPLETE", parameters={"DeletionProtection": "true"})
        body = {"Resources": {"Api": {"Type": "AWS::Serverless::Function"}}}
        monkeypatch.setattr(fake, "get_template", lambda **_: {"TemplateBody": body})
        assert operator.types("resources", "down", "--stage", "prod", "--yes") == Status.REFUSED
        assert "resources up" not in operator.is_told
        assert "deploy it with its pipeline, then run this again" in operator.is_told

    def test_up_ends_the_protection_that_the_configuration_gives_up(
        self, operator: User, scripted: Script
    ) -> None:
        was = {"Stage": "dev", "DeletionProtection": "true"}
        done = Poll("UPDATE_COMPLETE")
        fake = scripted("CREATE_COMPLETE", [done], parameters=was, is_protected=True)
        assert operator.types("resources", "up", "--stage", "dev") == Status.OK
        assert fake.asked == ["update", "unprotect"]

    def test_what_a_failed_creation_left_can_be_deleted_despite_its_protection(
        self, operator: User, scripted: Script
    ) -> None:
        """Only `up` ends the protection, and `up` cannot continue from there."""
        fake = scripted("ROLLBACK_FAILED", [GONE], parameters={"DeletionProtection": "true"})
        assert operator.types("resources", "down", "--stage", "prod", "--yes") == Status.OK
        assert fake.asked == ["delete"]
