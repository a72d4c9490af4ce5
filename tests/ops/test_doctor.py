"""`batchback doctor` on a whole stage in moto: it finds nothing wrong at first, and then each fault
that a test introduces, with its remedy."""

import copy
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from batchback.shell import Status

from batchback_ops import project
from batchback_ops.doctor import examination, service_checks, whereabouts
from batchback_ops.policies import documents
from batchback_ops.policies.permissions import PERMISSIONS
from batchback_ops.stage import Stage
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain.holds import Outage, Pause
from chalicelib.settings import Names
from tests.client.scripted_service import (
    BATCH,
    Asked,
    ScriptedService,
    nobodys_address,
    scripted_service,
)
from tests.client.user import User
from tests.console import policies
from tests.fakes.clock import START
from tests.iam.enforcement import Enforcement
from tests.iam.policy import Policy
from tests.samples import TERMS, a_batch, some_jobs

#: No other test has a stack in this region.
REGION = "eu-south-1"
STAGE = "dev"
NAMES = Names(STAGE)
QUEUES = {
    "run_jobs": NAMES.jobs_queue,
    "advance_batch": NAMES.batches_queue,
    "call_back": NAMES.callbacks_queue,
    "bury_jobs": NAMES.jobs_dead_queue,
}


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    return boto3.Session(region_name=REGION)


@pytest.fixture(scope="module", autouse=True)
def platform() -> Iterator[None]:
    """The stage's configuration, with a real platform instead of the placeholder."""
    with pytest.MonkeyPatch.context() as patch:
        variables = project.configuration()["stages"][STAGE]["environment_variables"]
        patch.setitem(variables, "PLATFORM_ADDRESS", "https://10.1.2.3")
        yield


@pytest.fixture(scope="module")
def deployed(
    aws: None,  # noqa: ARG001 - moto must be up
    platform: None,  # noqa: ARG001 - the functions are configured with it
    session: boto3.Session,
) -> Iterator[None]:
    """Everything that `batchback resources up` and `chalice deploy` create, as far as it is
    checked."""
    session.client("cloudformation").create_stack(
        StackName=project.stack_name(STAGE),
        TemplateBody=project.template(),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in project.stack_parameters(STAGE).items()
        ],
    )
    _make_what_moto_leaves_out(session.client("dynamodb"))
    for function in PERMISSIONS:
        _deploy(function, session)
    yield
    for function in PERMISSIONS:
        name = project.function_name(function, STAGE)
        session.client("iam").delete_role_policy(RoleName=name, PolicyName=name)
        session.client("iam").delete_role(RoleName=name)


def _make_what_moto_leaves_out(dynamodb: Any) -> None:
    """What the template contains but moto does not create."""
    expiry = {"Enabled": True, "AttributeName": "expires_at"}
    dynamodb.update_time_to_live(TableName=NAMES.batches_table, TimeToLiveSpecification=expiry)
    for table in (NAMES.batches_table, NAMES.keys_table):
        backup = {"PointInTimeRecoveryEnabled": True}
        dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=backup)


def _deploy(function: str, session: boto3.Session) -> None:
    name = project.function_name(function, STAGE)
    iam, functions = session.client("iam"), session.client("lambda")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    document = (project.root() / ".chalice" / documents.file_name(function, STAGE)).read_text(
        "utf-8"
    )
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=document)
    made = functions.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role,
        Handler="app.app",
        Code={"ZipFile": _code()},
        Timeout=_configured(function, "lambda_timeout"),
        MemorySize=_configured(function, "lambda_memory_size"),
        Environment={"Variables": project.environment(STAGE)},
    )
    if function in QUEUES:
        arn = f"arn:aws:sqs:{REGION}:123456789012:{QUEUES[function]}"
        functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, BatchSize=1)
    if function == "sweep":
        rule = f"{name}-event"
        events = session.client("events")
        events.put_rule(Name=rule, ScheduleExpression="rate(1 minute)")
        events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": made["FunctionArn"]}])


def _configured(function: str, name: str) -> Any:
    return project.configured(project.configuration(), STAGE, function, name, default=None)


def _code() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), "")
    return content.getvalue()


#: Changes an answer of AWS.
Change = Callable[[Any], object]


class Aws:
    """Clients of moto whose answers a test may change."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        self._clients: dict[str, Any] = {}
        self.changes: dict[str, Change] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service)  # type: ignore[call-overload]
        return _Client(self._clients[service], service, self.changes)


class _Client:
    def __init__(self, client: Any, service: str, changes: dict[str, Change]) -> None:
        self._client = client
        self._service = service
        self._changes = changes

    def __getattr__(self, operation: str) -> Any:
        change = self._changes.get(f"{self._service}.{operation}")
        found = getattr(self._client, operation)
        return partial(_changed, found, change) if change else found


def _changed(operation: Callable[..., Any], change: Change, **request: Any) -> Any:
    answer = copy.deepcopy(operation(**request))
    change(answer)
    return answer


@pytest.fixture(scope="module")
def clients(session: boto3.Session) -> Aws:
    """Shared, because boto3 takes long to create them."""
    return Aws(session)


@pytest.fixture
def moto(
    deployed: None,  # noqa: ARG001 - the clients need a stage to find
    clients: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> Aws:
    clients.changes = {}
    monkeypatch.setattr(Stage, "client", lambda _, service: clients.client(service))
    return clients


@pytest.fixture(scope="module")
def services() -> Iterator[ScriptedService]:
    with scripted_service() as service:
        yield service


@pytest.fixture
def service(services: ScriptedService) -> ScriptedService:
    """By default it refuses strangers."""
    services._script.clear()
    return services


@pytest.fixture
def operator(service: ScriptedService) -> User:
    return User({**os.environ, "AWS_DEFAULT_REGION": REGION, "BATCHBACK_ADDRESS": service.address})


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


def found(operator: User) -> dict[str, dict[str, Any]]:
    return {finding["check"]: finding for finding in operator.reads}


def wrong(operator: User) -> dict[str, tuple[str, str]]:
    return {
        finding["check"]: (finding["found"], finding["remedy"])
        for finding in operator.reads
        if finding["ok"] is False
    }


class TestAStage:
    @pytest.mark.usefixtures("moto")
    def test_nothing_is_wrong_with_one_that_was_just_deployed(self, operator: User) -> None:
        address = operator.environ["BATCHBACK_ADDRESS"]
        status = operator.types("doctor", "--stage", STAGE, "--address", address)
        assert wrong(operator) == {}
        assert status == Status.OK
        assert [check for check, each in found(operator).items() if each["ok"] is None] == [
            "alarms",
            "ping",
            "batch",
        ]
        assert "BATCHBACK_KEY" in found(operator)["ping"]["found"]
        assert found(operator)["region"]["found"] == REGION
        assert "checked: 0 wrong, 3 skipped" in operator.is_told
        assert operator.is_told.count("\n") == len(operator.reads) + 1

    @pytest.mark.usefixtures("deployed")
    def test_the_consoles_policy_is_enough_for_it(
        self, operator: User, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        iam = Enforcement({"operator": Policy(policies.to_show(STAGE))})
        clients: dict[str, Any] = {}

        def client(_: Stage, service: str) -> Any:
            if service not in clients:
                clients[service] = session.client(service)  # type: ignore[call-overload]
                iam.watch(clients[service])
            return clients[service]

        monkeypatch.setattr(Stage, "client", client)
        address = operator.environ["BATCHBACK_ADDRESS"]
        with iam.acting("operator"):
            status = operator.types("doctor", "--stage", STAGE, "--address", address)
        assert (status, iam.denied) == (Status.OK, [])
        unused = iam.unused("operator")
        assert {each.action for each in unused if each.statement == "Lists"} == set()
        asked = {each.action for each in iam.policies["operator"].permissions - unused}
        assert {each.action for each in unused if each.statement == "Doctor"} - asked == set()

    @pytest.mark.usefixtures("moto")
    def test_no_value_of_the_environment_is_printed(self, operator: User, moto: Aws) -> None:
        """One of them is the header for the platform."""
        moto.changes["lambda.get_function_configuration"] = lambda answer: answer["Environment"][
            "Variables"
        ].update(PLATFORM_ADDRESS="canary")
        operator.types("doctor", "--stage", STAGE)
        assert "PLATFORM_ADDRESS" in operator.is_told
        assert "canary" not in operator.is_told + operator.stdout.getvalue()


def put(*path: Any, value: Any) -> Change:
    """Change one place in an answer."""

    def change(answer: Any) -> None:
        for step in path[:-1]:
            answer = answer[step]
        answer[path[-1]] = value

    return change


def drop(*path: Any) -> Change:
    def change(answer: Any) -> None:
        for step in path[:-1]:
            answer = answer[step]
        del answer[path[-1]]

    return change


UP = "batchback resources up --stage dev"
DEPLOY = "chalice deploy --stage dev"
QUEUE_ATTRIBUTES = "sqs.get_queue_attributes"
MAPPINGS = "lambda.list_event_source_mappings"
CONFIGURATION = "lambda.get_function_configuration"
STACKS = "cloudformation.describe_stacks"

#: What is changed, and then the check that fails, with parts of its finding and its remedy.
ILLS: dict[str, tuple[str, Change, str, str, str]] = {
    "an operation that failed": (
        STACKS,
        put("Stacks", 0, "StackStatus", value="UPDATE_ROLLBACK_FAILED"),
        "stack",
        "UPDATE_ROLLBACK_FAILED",
        "batchback resources show --stage dev",
    ),
    "an older template": (
        "cloudformation.get_template",
        drop("TemplateBody", "Resources", "JobsQueue", "Properties", "RedrivePolicy"),
        "stack",
        "JobsQueue",
        UP,
    ),
    "a resource that is not there yet": (
        "cloudformation.get_template",
        drop("TemplateBody", "Resources", "KeysTable"),
        "stack",
        "KeysTable",
        UP,
    ),
    "another parameter": (
        STACKS,
        lambda answer: [
            each.update(ParameterValue="7777")
            for each in answer["Stacks"][0]["Parameters"]
            if each["ParameterKey"] == "JobsVisibilitySeconds"
        ],
        "stack",
        "differs from the resources in .chalice/config.json in JobsVisibilitySeconds",
        UP,
    ),
    "a table in the making": (
        "dynamodb.describe_table",
        put("Table", "TableStatus", value="CREATING"),
        "table batches",
        "is CREATING",
        "wait",
    ),
    "an index in the making": (
        "dynamodb.describe_table",
        lambda answer: [
            index.update(IndexStatus="CREATING")
            for index in answer["Table"].get("GlobalSecondaryIndexes", [])
        ],
        "table batches",
        "index due is CREATING",
        "wait",
    ),
    "no expiry": (
        "dynamodb.describe_time_to_live",
        put("TimeToLiveDescription", value={"TimeToLiveStatus": "DISABLED"}),
        "expiry of batches",
        "nothing deletes",
        UP,
    ),
    "no backup": (
        "dynamodb.describe_continuous_backups",
        drop("ContinuousBackupsDescription", "PointInTimeRecoveryDescription"),
        "backup of keys",
        "is off",
        UP,
    ),
    "no way for dead letters": (
        QUEUE_ATTRIBUTES,
        lambda answer: answer["Attributes"].pop("RedrivePolicy", None),
        "queue batches",
        "batchback-dev-batches-dead",
        UP,
    ),
    "dead letters": (
        QUEUE_ATTRIBUTES,
        put("Attributes", "ApproximateNumberOfMessages", value="3"),
        "dead letters",
        "batchback-dev-batches-dead: 3, batchback-dev-callbacks-dead: 3",
        "batchback ops redrive --queue batches-dead --stage dev",
    ),
    "dead letters of callbacks alone": (
        QUEUE_ATTRIBUTES,
        lambda answer: (
            answer["Attributes"].update(ApproximateNumberOfMessages="2")
            if answer["Attributes"]["QueueArn"].endswith("callbacks-dead")
            else None
        ),
        "dead letters",
        "batchback-dev-batches-dead: 0, batchback-dev-callbacks-dead: 2",
        "batchback ops redrive --queue callbacks-dead --stage dev",
    ),
    "messages that come back too soon": (
        QUEUE_ATTRIBUTES,
        put("Attributes", "VisibilityTimeout", value="359"),
        "visibility of jobs",
        "359 s",
        UP,
    ),
    "a function that fails to start": (
        CONFIGURATION,
        lambda answer: answer.update(State="Failed", StateReason="no such role"),
        "function sweep",
        "no such role",
        DEPLOY,
    ),
    "an update that failed": (
        CONFIGURATION,
        lambda answer: answer.update(LastUpdateStatus="Failed", LastUpdateStatusReason="too big"),
        "function run_jobs",
        "too big",
        DEPLOY,
    ),
    "another stage's settings": (
        CONFIGURATION,
        put("Environment", "Variables", "STAGE", value="prod"),
        "function api_handler",
        "STAGE",
        DEPLOY,
    ),
    "another timeout": (
        CONFIGURATION,
        put("Timeout", value=3),
        "function advance_batch",
        "lambda_timeout",
        DEPLOY,
    ),
    "other memory": (
        CONFIGURATION,
        put("MemorySize", value=128),
        "function bury_jobs",
        "lambda_memory_size",
        DEPLOY,
    ),
    "a setting that the configuration does not have": (
        CONFIGURATION,
        put("Environment", "Variables", "JOBS_SIDE_BY_SIDE", value="1"),
        "function run_jobs",
        "JOBS_SIDE_BY_SIDE",
        DEPLOY,
    ),
    "two versions at once": (
        CONFIGURATION,
        lambda answer: answer.update(CodeSha256=answer["FunctionName"]),
        "code",
        "the functions run different versions",
        DEPLOY,
    ),
    "nothing that feeds it": (
        MAPPINGS,
        put("EventSourceMappings", value=[]),
        "messages of bury_jobs",
        "it has no source",
        DEPLOY,
    ),
    "another queue that feeds it": (
        MAPPINGS,
        put(
            "EventSourceMappings", 0, "EventSourceArn", value="arn:aws:sqs:x:1:batchback-prod-jobs"
        ),
        "messages of run_jobs",
        "batchback-prod-jobs",
        DEPLOY,
    ),
    "a mapping that is off": (
        MAPPINGS,
        lambda answer: answer["EventSourceMappings"][0].update(State="Disabled", UUID="7"),
        "messages of run_jobs",
        "Disabled",
        "aws lambda update-event-source-mapping --uuid 7 --enabled",
    ),
    "several messages at once": (
        MAPPINGS,
        put("EventSourceMappings", 0, "BatchSize", value=10),
        "messages of advance_batch",
        "10 messages",
        DEPLOY,
    ),
    "no schedule": (
        "events.list_rule_names_by_target",
        put("RuleNames", value=[]),
        "schedule of sweep",
        "no rule runs it",
        DEPLOY,
    ),
    "a schedule that is off": (
        "events.describe_rule",
        put("State", value="DISABLED"),
        "schedule of sweep",
        "DISABLED",
        "aws events enable-rule --name batchback-dev-sweep-event",
    ),
    "another schedule": (
        "events.describe_rule",
        put("ScheduleExpression", value="rate(1 hour)"),
        "schedule of sweep",
        "rate(1 hour)",
        DEPLOY,
    ),
    "another policy": (
        "iam.get_role_policy",
        drop("PolicyDocument", "Statement", 0),
        "policy of sweep",
        "batchback-dev-sweep differs from the committed policy in Batches",
        DEPLOY,
    ),
    "a policy too many": (
        "iam.list_attached_role_policies",
        put("AttachedPolicies", value=[{"PolicyArn": "arn:aws:iam::aws:policy/Any"}]),
        "policy of bury_jobs",
        "arn:aws:iam::aws:policy/Any",
        "aws iam detach-role-policy --role-name batchback-dev-bury_jobs",
    ),
    "a log without an end": (
        "logs.describe_log_groups",
        drop("logGroups", 0, "retentionInDays"),
        "log of sweep",
        "no retention time",
        UP,
    ),
    "no log": (
        "logs.describe_log_groups",
        put("logGroups", value=[]),
        "log of api_handler",
        "there is no log group /aws/lambda/batchback-dev",
        UP,
    ),
}


@pytest.mark.parametrize(
    ("operation", "change", "check", "what", "remedy"), ILLS.values(), ids=ILLS
)
def test_a_fault_is_found_and_comes_with_its_remedy(
    operator: User,
    moto: Aws,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    change: Change,
    check: str,
    what: str,
    remedy: str,
) -> None:
    moto.changes[operation] = change
    look_only_at(monkeypatch, check)
    assert operator.types("doctor", "--stage", STAGE) == Status.REFUSED
    told, remedied_by = wrong(operator)[check]
    assert what in told
    assert remedy in remedied_by
    *_, last, count = operator.is_told.splitlines()
    assert last.startswith(f"batchback: WRONG {check}: ")
    assert " 1 wrong" in count


def look_only_at(monkeypatch: pytest.MonkeyPatch, *checks: str) -> None:
    """Run only this check, because all of them together take long."""
    every = examination.checks
    monkeypatch.setattr(
        examination,
        "checks",
        lambda *given: [each for each in every(*given) if each.name in checks],
    )


class TestAPipelinesStage:
    def test_it_is_fixed_by_its_pipeline(
        self, operator: User, moto: Aws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither command may change it, so neither is suggested."""
        look_only_at(monkeypatch, "stack", "queue jobs", "function sweep", "log of sweep")
        moto.changes = {
            "cloudformation.get_template": put(
                "TemplateBody", "Resources", "RunJobs", value={"Type": "AWS::Serverless::Function"}
            ),
            QUEUE_ATTRIBUTES: put("Attributes", "RedrivePolicy", value="{}"),
            CONFIGURATION: put("Timeout", value=3),
            "logs.describe_log_groups": put("logGroups", value=[]),
        }
        operator.types("doctor", "--stage", STAGE)
        assert found(operator)["stack"]["ok"]
        assert {check: remedy for check, (_, remedy) in wrong(operator).items()} == dict.fromkeys(
            ("queue jobs", "function sweep", "log of sweep"),
            "deploy it with its pipeline (docs/packaging.md)",
        )


class TestWithoutAStage:
    @pytest.fixture(autouse=True)
    def moto_elsewhere(self, moto: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        """moto in an empty region."""
        elsewhere = Aws(boto3.Session(region_name="ca-west-1"))
        assert moto
        monkeypatch.setenv("AWS_DEFAULT_REGION", "ca-west-1")
        monkeypatch.setattr(Stage, "client", lambda _, service: elsewhere.client(service))

    def test_a_wrong_region_is_the_only_finding(self, operator: User) -> None:
        """The remedy to create it comes last, because that would make a second stage."""
        assert operator.types("doctor", "--stage", STAGE) == Status.REFUSED
        assert [*found(operator)] == ["credentials", "region"]
        what, remedy = wrong(operator)["region"]
        assert what == "stage dev is not in ca-west-1 of this account"
        assert remedy.startswith("set AWS_DEFAULT_REGION and AWS_PROFILE to where it is; if ")
        assert remedy.endswith(UP)

    def test_the_region_that_this_checkout_deployed_to_is_named(
        self, operator: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arn = f"arn:aws:lambda:{REGION}:123456789012:function:batchback-dev-sweep"
        monkeypatch.setattr(project, "deployed", lambda _: [{"name": "sweep", "lambda_arn": arn}])
        assert operator.types("doctor", "--stage", STAGE) == Status.REFUSED
        assert wrong(operator)["region"][1] == (
            f"set AWS_DEFAULT_REGION to {REGION}, where this checkout deployed it"
        )

    def test_half_a_stage_is_checked_as_a_whole(
        self, operator: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its functions exist, so the region is right."""
        monkeypatch.setattr(whereabouts, "_has_function", lambda _: True)
        assert operator.types("doctor", "--stage", STAGE) == Status.REFUSED
        ills = wrong(operator)
        assert ills["stack"] == ("there is no stack batchback-dev in ca-west-1", UP)
        assert ills["function sweep"] == (
            "there is no function batchback-dev-sweep in ca-west-1",
            DEPLOY,
        )
        for check in ("table keys", "backup of keys"):
            assert "has no resources in ca-west-1" in ills[check][0]


class TestConfiguration:
    """Settings that are valid but useless."""

    @pytest.mark.parametrize(
        "address", ["https://api.example.com", "http://example.org:80/api", "https://x.test"]
    )
    @pytest.mark.usefixtures("moto")
    def test_a_platform_that_is_a_placeholder_is_wrong(
        self, operator: User, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        look_only_at(monkeypatch, "platform")
        variables = project.configuration()["stages"][STAGE]["environment_variables"]
        monkeypatch.setitem(variables, "PLATFORM_ADDRESS", address)
        assert operator.types("doctor", "--stage", STAGE) == Status.REFUSED
        assert "PLATFORM_ADDRESS is a placeholder" in wrong(operator)["platform"][0]
        assert DEPLOY in wrong(operator)["platform"][1]

    @pytest.mark.parametrize(
        ("address", "auth", "ok"),
        [
            ("http://platform.batchback.dev", "header", False),
            ("HTTP://10.0.0.1:8080/a ", "Header ", False),
            ("https://platform.batchback.dev", "header", True),
            ("http://platform.batchback.dev", "iws", True),
            ("http://platform.batchback.dev", "none", True),
            ("http://platform.batchback.dev", "", True),
        ],
    )
    @pytest.mark.usefixtures("moto")
    def test_a_secret_header_that_goes_without_tls_is_wrong(
        self,
        operator: User,
        monkeypatch: pytest.MonkeyPatch,
        address: str,
        auth: str,
        ok: bool,
    ) -> None:
        look_only_at(monkeypatch, "platform")
        variables = project.configuration()["stages"][STAGE]["environment_variables"]
        for name, value in {"ADDRESS": address, "AUTH": auth, "HEADER": "X-Key: secret"}.items():
            monkeypatch.setitem(variables, f"PLATFORM_{name}", value)
        status = operator.types("doctor", "--stage", STAGE)
        assert status == (Status.OK if ok else Status.REFUSED)
        if not ok:
            what, remedy = wrong(operator)["platform"]
            assert "sends PLATFORM_HEADER" in what
            assert "https" in remedy
            assert DEPLOY in remedy
        assert "secret" not in operator.is_told.replace("--secret", "")

    @pytest.mark.parametrize(
        ("resources", "ok"),
        [
            ({"Monitoring": True}, False),
            ({"Monitoring": False}, None),
            ({"AlarmTopicArn": "arn:aws:sns:eu-south-1:123456789012:on-call"}, True),
        ],
    )
    @pytest.mark.usefixtures("moto")
    def test_alarms_that_notify_nobody_are_wrong(
        self,
        operator: User,
        monkeypatch: pytest.MonkeyPatch,
        resources: dict[str, object],
        ok: bool | None,
    ) -> None:
        look_only_at(monkeypatch, "alarms")
        monkeypatch.setitem(project.configuration()["stages"][STAGE], "resources", resources)
        operator.types("doctor", "--stage", STAGE)
        assert found(operator)["alarms"]["ok"] is ok
        if ok is False:
            assert UP in wrong(operator)["alarms"][1]


class TestCannotBegin:
    """Nothing can be checked: exit status 2, one sentence, and nothing on stdout."""

    @pytest.mark.parametrize(
        ("stage", "variables", "says"),
        [
            ("nope", {}, "There is no stage 'nope'"),
            ("dev", {"AWS_DEFAULT_REGION": ""}, "No AWS region is set"),
            ("dev", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "aws configure"),
            ("dev", {"AWS_PROFILE": "nobody"}, "set AWS_PROFILE"),
        ],
    )
    @pytest.mark.usefixtures("aws")
    def test_it_says_what_is_missing(
        self,
        operator: User,
        monkeypatch: pytest.MonkeyPatch,
        stage: str,
        variables: dict[str, str],
        says: str,
        tmp_path: Path,
    ) -> None:
        nothing = os.fspath(tmp_path / "none")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, nothing)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name, value in variables.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
        assert operator.types("doctor", "--stage", stage) == Status.USAGE
        assert says in operator.is_told
        assert operator.stdout.getvalue() == ""


ACK = {"ack": "2026-11-23 14:49:07 UTC"}
SUBMITTED = {"asyncId": BATCH}
DONE = {"progress": 100, "status": "completed", "callback": {"status": "none"}}
RUNNING = {"progress": 0, "status": "running", "callback": {"status": "none"}}
KEYS = ("--key", "demo", "--secret", "demo-secret")


def results(response: object) -> object:
    return {"asyncId": BATCH, "results": [{"response": response}]}


def called_back(
    status: str, attempts: int = 1, answered: int | None = 404, error: str | None = None
) -> object:
    callback = {"status": status, "attempts": attempts, "lastStatus": answered, "lastError": error}
    return {**DONE, "callback": callback}


class TestService:
    """Only the checks of the service. Of the stage `local`, those of AWS are left out."""

    @pytest.fixture(autouse=True)
    def only_the_service(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("batchback_ops.doctor.resource_checks.checks", lambda _: [])
        monkeypatch.setattr("batchback_ops.doctor.hold_checks.checks", lambda *_: [])

    def test_a_batch_runs_from_submission_to_its_callback(
        self, operator: User, service: ScriptedService
    ) -> None:
        """An attempt that is in progress is counted, but has no outcome yet."""
        waiting, trying = (called_back("waiting", attempts, None) for attempts in (0, 1))
        ended = called_back("delivered", 1, 200)
        service.answers(ACK, SUBMITTED, RUNNING, waiting, trying, ended, results(ACK))
        status = operator.types("doctor", "--stage", "local", *KEYS, "--callback-url", "http://c/")
        assert (wrong(operator), status) == ({}, Status.OK)
        assert found(operator)["batch"]["found"] == (
            f"{BATCH}: test.ping ran, its callback was delivered"
        )
        assert operator.time.seconds == 1.5
        sent = json.loads(service.asked[-6].body)
        assert sent == {
            "jobs": [{"namespace": "test", "action": "ping"}],
            "callbackUrl": "http://c/",
        }

    def test_a_service_that_insists_on_a_callback_is_left_alone_without_one(
        self, operator: User, service: ScriptedService
    ) -> None:
        service.answers(ACK)
        service.refuses(400, 23017, "'callbackUrl' is required")
        assert operator.types("doctor", "--stage", "local", *KEYS) == Status.OK
        assert "--callback-url" in found(operator)["batch"]["found"]
        assert found(operator)["batch"]["ok"] is None

    def test_no_batch_runs_with_no_batch(self, operator: User, service: ScriptedService) -> None:
        service.answers(ACK)
        assert operator.types("doctor", "--stage", "local", *KEYS, "--no-batch") == Status.OK
        assert found(operator)["batch"]["ok"] is None

    def test_a_platform_that_does_not_know_the_action_was_reached(
        self, operator: User, service: ScriptedService
    ) -> None:
        service.answers(ACK, SUBMITTED, DONE, results({"errorCode": 404, "message": "x"}))
        assert operator.types("doctor", "--stage", "local", *KEYS) == Status.OK
        assert "jobs reach the platform" in found(operator)["batch"]["found"]

    @pytest.mark.parametrize(
        ("answers", "what", "remedy"),
        [
            ([DONE, results({"errorCode": 461, "message": "x"})], "461", "PLATFORM_ADDRESS"),
            ([DONE, results({"errorCode": 401, "message": "x"})], "401", "PLATFORM_AUTH"),
            (
                [called_back("failed", 1, 404, "HTTP 404"), results(ACK)],
                "HTTP 404",
                "--callback-url",
            ),
            ([called_back("waiting"), results(ACK)], "HTTP 404", "--callback-url"),
            (
                [RUNNING] * 130,
                "still running after 60 s",
                f"batchback ops show {BATCH} --stage local",
            ),
        ],
        ids=["no answer", "not us", "callback refused", "callback to be retried", "stuck"],
    )
    def test_a_batch_that_fails_says_what_to_check(
        self,
        operator: User,
        service: ScriptedService,
        answers: list[object],
        what: str,
        remedy: str,
    ) -> None:
        service.answers(ACK, SUBMITTED, *answers)
        assert operator.types("doctor", "--stage", "local", *KEYS) == Status.REFUSED
        told, remedied_by = wrong(operator)["batch"]
        assert what in told
        assert remedy in remedied_by

    @pytest.mark.parametrize(
        ("refusal", "what", "remedy"),
        [
            ((401, 0, "Unauthorized"), "key or its secret is wrong", "batchback keys list"),
            ((401, 23005, "Request is stale"), "stale", "clock"),
            ((463, 0, "Key revoked"), "revoked", "batchback keys create"),
            ((500, 0, "Internal server error"), "500", "request failed"),
        ],
    )
    def test_a_ping_that_is_refused_says_what_to_do(
        self,
        operator: User,
        service: ScriptedService,
        refusal: tuple[int, int, str],
        what: str,
        remedy: str,
    ) -> None:
        service.refuses(*refusal)
        words = ("doctor", "--stage", "local", *KEYS, "--no-batch")
        assert operator.types(*words) == Status.REFUSED
        told, remedied_by = wrong(operator)["ping"]
        assert what in told
        assert remedy in remedied_by

    @pytest.mark.parametrize(
        ("answer", "status", "what"),
        [
            (ACK, 200, "accepts any key"),
            ({"errorCode": 500, "message": "x", "specificCode": 0}, 500, "500"),
            ({"message": "Missing Authentication Token"}, 403, "Missing Authentication Token"),
        ],
    )
    def test_an_address_of_another_server_is_found(
        self,
        operator: User,
        service: ScriptedService,
        monkeypatch: pytest.MonkeyPatch,
        answer: object,
        status: int,
        what: str,
    ) -> None:
        """A server that does not check signatures."""
        monkeypatch.setattr(Asked, "is_signed", True)
        service.answers(answer, status=status)
        assert operator.types("doctor", "--stage", "local") == Status.REFUSED
        assert what in wrong(operator)["api"][0]

    @pytest.mark.usefixtures("service")
    def test_an_address_that_does_not_answer_is_found(self, operator: User) -> None:
        words = ("doctor", "--stage", "local", "--address", nobodys_address())
        assert operator.types(*words) == Status.REFUSED
        assert wrong(operator)["api"][1] == (
            "make serve, then pass the address that it prints with --address"
        )


class TestGateway:
    """API Gateway answers a path without a route itself."""

    @pytest.fixture(autouse=True)
    def nobody_is_refused(self, moto: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        assert moto
        monkeypatch.setattr(Asked, "is_signed", True)

    def test_errors_without_error_code_are_found(
        self, operator: User, service: ScriptedService
    ) -> None:
        service.refuses(401, 0, "Unauthorized")
        service.answers({"message": "Missing Authentication Token"}, status=403)
        assert (
            operator.types("doctor", "--stage", STAGE, "--address", service.address)
            == Status.REFUSED
        )
        what, remedy = wrong(operator)["gateway errors"]
        assert "no errorCode" in what
        assert remedy.startswith("batchback resources gateway --stage dev")
        assert service.asked[-1].path == "/api/1.0/no/such/path?action=ping"

    def test_errors_of_the_services_shape_are_right(
        self, operator: User, service: ScriptedService
    ) -> None:
        service.refuses(401, 0, "Unauthorized")
        service.refuses(404, 0, "There is no such path")
        assert operator.types("doctor", "--stage", STAGE, "--address", service.address) == Status.OK


class TestHolds:
    @pytest.fixture(autouse=True)
    def only_what_holds_up_jobs(self, moto: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        assert moto
        look_only_at(monkeypatch, "pause", "outages")

    @pytest.fixture
    def store(self, session: boto3.Session) -> Iterator[DynamoBatchStore]:
        store = DynamoBatchStore(session.client("dynamodb"), NAMES.batches_table)
        yield store
        store.pause(None)
        for account in ("acme", "other", "without a batch"):
            store.end_outage(account, START + timedelta(seconds=1))

    def test_a_pause_is_shown_with_its_end_and_its_reason(
        self, operator: User, store: DynamoBatchStore
    ) -> None:
        store.pause(Pause(until=START + timedelta(hours=2), reason="the API moves"))
        assert operator.types("doctor", "--stage", STAGE) == Status.REFUSED
        what, remedy = wrong(operator)["pause"]
        assert "paused all jobs until 2026-11-23T16:49:07.000Z" in what
        assert "the API moves" in what
        assert f"batchback ops resume --stage {STAGE}" in remedy

    def test_a_pause_that_is_over_does_not_count(
        self, operator: User, store: DynamoBatchStore
    ) -> None:
        store.pause(Pause(until=START, reason="the API moved"))
        assert operator.types("doctor", "--stage", STAGE) == Status.OK

    def test_accounts_with_open_batches_whose_platform_is_away_are_named(
        self, operator: User, store: DynamoBatchStore
    ) -> None:
        for number, account in enumerate(("acme", "other", "well")):
            batch = a_batch(1, batch_id=f"{number:032x}", account=account)
            store.save_jobs(batch, TERMS, some_jobs(1))
            store.commit(batch, START)
        for account in ("acme", "other", "without a batch"):
            store.begin_outage(account, Outage.beginning(START))
        assert operator.types("doctor", "--stage", STAGE) == Status.REFUSED
        what, remedy = wrong(operator)["outages"]
        since = "since 2026-11-23T14:49:07.000Z"
        assert f"is down for acme {since}, other {since}: their jobs wait" in what
        assert "PLATFORM_ADDRESS" in remedy


class TestAddress:
    """The API's address if no option gives it."""

    @pytest.fixture
    def checkout(self, tmp_path: Path, moto: Aws, monkeypatch: pytest.MonkeyPatch) -> Path:
        assert moto
        monkeypatch.setattr(project, "root", lambda: tmp_path)
        (tmp_path / ".chalice" / "deployed").mkdir(parents=True)
        for of in ("resource", "function", "hold"):
            monkeypatch.setattr(f"batchback_ops.doctor.{of}_checks.checks", lambda *_: [])
        return tmp_path

    @pytest.fixture
    def stranger(self) -> User:
        """An operator whose environment names another stage's address, which must not be used."""
        return User({"BATCHBACK_ADDRESS": "https://prod.invalid"})

    @pytest.fixture(autouse=True)
    def configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        configuration = project.configuration()
        monkeypatch.setattr(project, "configuration", lambda: configuration)

    def test_chalice_has_recorded_it(
        self, checkout: Path, stranger: User, service: ScriptedService
    ) -> None:
        resources = [{"name": "sweep"}, {"name": "rest_api", "rest_api_url": service.address + "/"}]
        file = checkout / ".chalice" / "deployed" / "dev.json"
        file.write_text(json.dumps({"resources": resources}))
        assert stranger.types("doctor", "--stage", "dev") == Status.OK
        assert found(stranger)["api"]["found"] == f"{service.address} answers"

    @pytest.mark.usefixtures("checkout")
    def test_the_stack_of_a_pipeline_has_it(
        self, moto: Aws, stranger: User, service: ScriptedService
    ) -> None:
        output = {"OutputKey": "EndpointURL", "OutputValue": f"{service.address}/"}
        moto.changes[STACKS] = put("Stacks", 0, "Outputs", value=[output])
        assert stranger.types("doctor", "--stage", "dev") == Status.OK
        assert found(stranger)["api"]["found"] == f"{service.address} answers"

    @pytest.mark.usefixtures("checkout")
    def test_without_any_address_it_says_to_give_one(self, stranger: User) -> None:
        assert stranger.types("doctor", "--stage", "dev") == Status.REFUSED
        assert "give --address" in wrong(stranger)["api"][1]

    def test_on_this_machine_only_an_address_of_this_machine_counts(
        self, stranger: User, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for of in ("resource", "hold"):
            monkeypatch.setattr(f"batchback_ops.doctor.{of}_checks.checks", lambda *_: [])
        monkeypatch.setattr(service_checks, "_LOCAL_ADDRESS", service.address)
        assert stranger.types("doctor", "--stage", "local") == Status.OK
        assert found(stranger)["api"]["found"] == f"{service.address} answers"
