"""A stage deployed on the emulator as a pipeline deploys it, with a platform, a receiver and a
caller.

The package is the stage's own, unchanged. Its template is adapted to the emulator; each change is
explained where it is made."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from batchback import Client

from batchback_local.demonstration.platform import DemonstrationPlatform
from batchback_local.demonstration.receiver import DemonstrationReceiver
from batchback_local.http_server import Answer, Request
from batchback_local.live.waiting import DidNotHappen, until
from batchback_ops import project
from batchback_ops.package import chalice_package, deploy_script
from chalicelib.settings import Names
from e2e.emulator import Emulator
from e2e.packages import Package

STAGE = "prod"
STACK = project.stack_name(STAGE)
NAMES = Names(STAGE)
KEY, SECRET = "demo", "demo-secret"
_BUCKET = "packages"
#: How long the message of a dead worker stays hidden: longer than the next worker takes to start.
#: AWS requires at least a worker's maximum run time, which is too long to wait for here.
VISIBILITY_SECONDS = 15
#: The tables are deleted with the emulator.
OTHER_PARAMETERS = {
    "DeletionProtection": "false",
    "JobsVisibilitySeconds": str(VISIBILITY_SECONDS),
}
#: Five workers may start concurrently, on a machine that does other things too.
PATIENCE_SECONDS = 90


class DeadlyPlatform(DemonstrationPlatform):
    """Kills the worker of a job with `killsAfter` in its params, once that many answers are
    recorded."""

    def __init__(self, service: "OnEmulator") -> None:
        super().__init__(key=KEY, secret=SECRET)
        self._service = service

    def answer(self, request: Request) -> Answer:
        if b'"killsAfter"' in request.body:
            self._kill(request)
        return super().answer(request)

    def _kill(self, request: Request) -> None:
        batch_id, _, _ = request.headers["idempotency-key"].split("-")
        others = json.loads(request.body)["killsAfter"]
        recorded = self._service.caller.results
        until(lambda: len(recorded(batch_id, partial=True)["results"]) >= others, "recorded", 20)
        self._service.emulator.kill(f"{STACK}-run_jobs")


class OnEmulator:
    """The service inside a `with` block."""

    def __init__(self, package: Package) -> None:
        self._package = package
        #: Variables of the functions that differ from the stage's.
        self.variables: dict[str, str] = {}
        self.emulator = Emulator()
        self.platform = DeadlyPlatform(self)

    def __enter__(self) -> "OnEmulator":
        with ExitStack() as opened:
            opened.enter_context(self.emulator)
            self._platform_address = opened.enter_context(self.platform.serve()).address
            self._folder = Path(opened.enter_context(TemporaryDirectory(prefix="batchback-e2e-")))
            self.emulator.client("s3").create_bucket(Bucket=_BUCKET)
            self.deploy()
            self._set_what_the_emulator_ignores()
            self._do_without_tls()
            self.receiver = DemonstrationReceiver(callback_secret=self._let_in())
            self.callback_url = f"{opened.enter_context(self.receiver.serve()).address}/callback"
            self.caller = opened.enter_context(Client(self.address, KEY, SECRET))
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _set_what_the_emulator_ignores(self) -> None:
        """Set what the emulator ignores in the template."""
        tables = self.emulator.client("dynamodb")
        expiry = {"Enabled": True, "AttributeName": "expires_at"}
        tables.update_time_to_live(TableName=NAMES.batches_table, TimeToLiveSpecification=expiry)
        backup = {"PointInTimeRecoveryEnabled": True}
        for table in (NAMES.batches_table, NAMES.keys_table):
            tables.update_continuous_backups(
                TableName=table, PointInTimeRecoverySpecification=backup
            )
        self.emulator.batchback("resources", "gateway", "--stage", STAGE)

    def _do_without_tls(self) -> None:
        """The emulator speaks HTTP, but enforces the queues' policy, which requires TLS."""
        queues = self.over_tls
        for name in queues.list_queues(QueueNamePrefix=f"{STACK}-")["QueueUrls"]:
            queues.set_queue_attributes(QueueUrl=name, Attributes={"Policy": ""})

    @property
    def over_tls(self) -> Any:
        """An SQS client whose calls the emulator considers encrypted, as behind a proxy."""
        client = self.emulator.client("sqs")
        client.meta.events.register(
            "before-sign.sqs",
            lambda request, **_: request.headers.add_header("X-Forwarded-Proto", "https"),
        )
        return client

    def _let_in(self) -> str:
        """Import the key that the platform knows, and return the callback secret of its new
        account."""
        imported = self.emulator.batchback(
            "keys", "import", KEY, "--account", "demo", "--stage", STAGE, stdin=SECRET
        )
        secret: str = json.loads(imported.stdout)["callbackSecret"]
        return secret

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until it holds. If it does not in time, show the emulator's output."""
        try:
            until(holds, what, PATIENCE_SECONDS)
        except DidNotHappen as failure:
            raise DidNotHappen(f"{failure}\n{self.emulator.said()}") from failure

    # ---- what happens to it

    @contextmanager
    def nothing_feeds(self, function: str) -> Iterator[str]:
        """Turn a trigger off, and return its id."""
        functions = self._functions
        found = functions.list_event_source_mappings(FunctionName=f"{STACK}-{function}")
        [mapping] = found["EventSourceMappings"]
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield mapping["UUID"]
        finally:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    @contextmanager
    def messages_of_jobs_come_back_after(self, seconds: int) -> Iterator[None]:
        queues = self.emulator.client("sqs")
        url = queues.get_queue_url(QueueName=NAMES.jobs_queue)["QueueUrl"]
        change = partial(queues.set_queue_attributes, QueueUrl=url)
        change(Attributes={"VisibilityTimeout": str(seconds)})
        try:
            yield
        finally:
            change(Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})

    @contextmanager
    def may_no_longer(self, function: str, statement: str) -> Iterator[None]:
        """Remove a statement from the policy of a function's role."""
        roles = self.emulator.client("iam")
        configuration = self._functions.get_function_configuration(FunctionName=function)
        role = configuration["Role"].rpartition("/")[2]
        [name] = roles.list_role_policies(RoleName=role)["PolicyNames"]
        policy = roles.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        left = [each for each in policy["Statement"] if each["Sid"] != statement]
        put = partial(roles.put_role_policy, RoleName=role, PolicyName=name)
        put(PolicyDocument=json.dumps({**policy, "Statement": left}))
        try:
            yield
        finally:
            put(PolicyDocument=json.dumps(policy))

    @contextmanager
    def is_set_by_hand(self, function: str, **variables: str) -> Iterator[None]:
        """Change a variable by hand, as somebody might in the console."""
        found = self._functions.get_function_configuration(FunctionName=function)
        was = found["Environment"]
        change = partial(self._functions.update_function_configuration, FunctionName=function)
        change(Environment={"Variables": {**was["Variables"], **variables}})
        self._wait_until_updated(function)
        try:
            yield
        finally:
            change(Environment={"Variables": was["Variables"]})
            self._wait_until_updated(function)

    def _wait_until_updated(self, function: str) -> None:
        """Lambda answers before it has made a change."""

        def is_updated() -> bool:
            found = self._functions.get_function_configuration(FunctionName=function)
            return (found["State"], found["LastUpdateStatus"]) == ("Active", "Successful")

        until(is_updated, f"{function} was updated", 60)

    def lose_messages_of_jobs(self) -> None:
        queues = self.emulator.client("sqs")
        queues.purge_queue(QueueUrl=queues.get_queue_url(QueueName=NAMES.jobs_queue)["QueueUrl"])

    def give_up_messages_of_callbacks(self) -> int:
        """Let these messages die, as SQS does after a function has returned them each time. Return
        how many there were."""
        queues = self.emulator.client("sqs")
        home, dead = (
            queues.get_queue_url(QueueName=name)["QueueUrl"]
            for name in (NAMES.callbacks_queue, NAMES.callbacks_dead_queue)
        )
        count = 0
        receive = partial(queues.receive_message, QueueUrl=home, WaitTimeSeconds=1)
        while found := receive().get("Messages"):
            for message in found:
                queues.send_message(QueueUrl=dead, MessageBody=message["Body"])
                queues.delete_message(QueueUrl=home, ReceiptHandle=message["ReceiptHandle"])
                count += 1
        return count

    def forget_that_it_was_sent(self, async_id: str) -> None:
        """Make a batch look as if its submission had died before recording that it was sent, so
        that its first check is due now. The check of a batch that was sent comes after half an
        hour, and then a sentinel takes its time too."""
        self.emulator.client("dynamodb").update_item(
            TableName=NAMES.batches_table,
            Key={"batch_id": {"S": async_id}, "part": {"S": "0#head"}},
            UpdateExpression="SET next_check_at = :now, due_at = :now, checks = :none",
            ExpressionAttributeValues={":now": {"N": f"{time.time():.3f}"}, ":none": {"N": "0"}},
        )

    # ---- deployment

    def deploy(self, **variables: str) -> list[str]:
        """Create the stack, or update it with other variables: with the packaged script, from a
        package that fits this machine. Return the changes."""
        folder = self._folder / "package"
        folder.mkdir(exist_ok=True)
        shutil.copy(self._package.zip, folder)
        (folder / chalice_package.TEMPLATE).write_text(json.dumps(self._template(variables)))
        parameters = {**project.stack_parameters(STAGE), **OTHER_PARAMETERS}
        script = deploy_script.script(STAGE, parameters, project.tags(STAGE))
        (folder / deploy_script.NAME).write_text(script)
        self.emulator.run("/bin/sh", str(folder / deploy_script.NAME), _BUCKET)
        return self._changes()

    @property
    def address(self) -> str:
        """The address of the API, by the path that needs no name lookup."""
        api = self.resources("AWS::ApiGateway::RestApi")["RestAPI"]
        stage = self._package.template()["Resources"]["RestAPI"]["Properties"]["StageName"]
        return f"{self.emulator.address}/_aws/execute-api/{api}/{stage}"

    def resources(self, kind: str) -> dict[str, str]:
        """The physical ids of the resources of a type, by their logical ids."""
        pages = self._cloudformation.get_paginator("list_stack_resources")
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in pages.paginate(StackName=STACK)
            for each in page["StackResourceSummaries"]
            if each["ResourceType"] == kind
        }

    def logged(self, function: str) -> list[dict[str, Any]]:
        """The lines that a function has logged."""
        pages = self.emulator.client("logs").get_paginator("filter_log_events")
        return [
            json.loads(line)
            for page in pages.paginate(logGroupName=f"/aws/lambda/{function}")
            for event in page["events"]
            for line in event["message"].splitlines()
            if line.startswith("{")
        ]

    def _changes(self) -> list[str]:
        """The changes in the last change set of the stack."""
        client = self._cloudformation
        sets = client.list_change_sets(StackName=STACK)["Summaries"]
        newest = max(sets, key=itemgetter("CreationTime"))
        changes = client.describe_change_set(ChangeSetName=newest["ChangeSetId"])["Changes"]
        return [each["ResourceChange"]["LogicalResourceId"] for each in changes]

    def _template(self, variables: Mapping[str, str]) -> dict[str, Any]:
        """The template for this machine."""
        template = self._package.template()
        self.variables = {
            "PLATFORM_ADDRESS": self._platform_address,
            "ALLOWED_CALLBACK_NETWORKS": "127.0.0.0/8",
            **variables,
        }
        for resource in template["Resources"].values():
            properties = resource["Properties"]
            if resource["Type"] == "AWS::Serverless::Function":
                properties["Environment"]["Variables"].update(self.variables)
            if resource["Type"] == "AWS::IAM::Role":
                for policy in properties["Policies"]:
                    _as_the_emulator_reads_it(policy["PolicyDocument"])
        return template

    @property
    def _functions(self) -> Any:
        return self.emulator.client("lambda")

    @property
    def _cloudformation(self) -> Any:
        return self.emulator.client("cloudformation")


def _as_the_emulator_reads_it(policy: dict[str, Any]) -> None:
    """The emulator considers SendMessageBatch an action of its own; on AWS, SendMessage allows it.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html"""
    for statement in policy["Statement"]:
        if "sqs:SendMessage" in statement["Action"]:
            statement["Action"].append("sqs:SendMessageBatch")
