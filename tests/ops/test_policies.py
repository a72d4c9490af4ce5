"""The deployed policies come from their only source, and Chalice finds each."""

import io
import json
import re
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from batchback.cli import main
from batchback.shell import Shell, Status
from chalice.constants import LAMBDA_TRUST_POLICY

from batchback_ops import project
from batchback_ops.policies import documents
from batchback_ops.policies.permissions import PERMISSIONS
from chalicelib.settings import Names
from tests.chalice_deployment import deployed
from tests.iam.policy import Policy, Request

HERE = project.root() / ".chalice"
STAGES = [*project.configuration()["stages"]]
ARN = "arn:aws:{service}:eu-west-1:123456789012:{path}"


@cache
def policy(function: str, stage: str = "prod") -> Policy:
    return Policy(documents.policy(function, Names(stage)))


def is_allowed(function: str, action: str, path: str, *keys: str) -> bool:
    """Whether it is allowed in the stage prod."""
    resource = ARN.format(service=action.partition(":")[0], path=path)
    request = Request(action=action, resource=resource, partition_keys=keys or None)
    return policy(function).judge(request) is not None


class TestFiles:
    def test_every_file_is_what_the_source_makes(self) -> None:
        wanted = documents.policy_files(project.configuration())
        there = {path.name: path.read_text("utf-8") for path in HERE.glob("policy-*.json")}
        stale = {name for name, _ in there.items() ^ wanted.items()}
        assert stale == set(), "run .venv/bin/batchback policies"
        assert len(there) == len(STAGES) * len(PERMISSIONS)

    def test_the_configuration_names_each_and_no_other(self) -> None:
        configuration = project.configuration()
        assert documents.naming_policies(configuration) == configuration
        named = [
            function["iam_policy_file"]
            for stage in configuration["stages"].values()
            for function in stage["lambda_functions"].values()
        ]
        assert sorted(named) == sorted(documents.policy_files(configuration))


class TestChalice:
    """Chalice's own code reads the configuration and the files."""

    @pytest.mark.parametrize("stage", STAGES)
    def test_every_role_has_exactly_the_policy_of_its_function(self, stage: str) -> None:
        """Nothing is added, although Chalice adds polling and logs to the policies that it
        generates."""
        functions = deployed(stage, project.configuration())
        assert {*functions} == {*PERMISSIONS}
        for function, found in functions.items():
            [only] = found.policies
            assert only["PolicyDocument"] == documents.policy(function, Names(stage))

    def test_a_function_writes_its_own_log_under_the_name_that_it_gets(self) -> None:
        for function, found in deployed("prod", project.configuration()).items():
            group = f"log-group:/aws/lambda/{found.lambda_name}"
            assert is_allowed(function, "logs:CreateLogGroup", f"{group}:*")
            assert is_allowed(function, "logs:CreateLogStream", f"{group}:log-stream:s")
            assert is_allowed(function, "logs:PutLogEvents", f"{group}:log-stream:s")

    def test_no_function_writes_the_log_of_another_or_of_another_stage(self) -> None:
        """This includes a stage whose name begins with this one's."""
        stages = {**project.configuration()["stages"], "prod-2": {"autogen_policy": True}}
        configuration = {**project.configuration(), "stages": stages}
        everybody = {stage: deployed(stage, configuration) for stage in ("prod", "dev", "prod-2")}
        for function, (stage, theirs) in product(PERMISSIONS, everybody.items()):
            for other, found in theirs.items():
                stream = f"log-group:/aws/lambda/{found.lambda_name}:log-stream:s"
                is_own = (stage, other) == ("prod", function)
                assert is_allowed(function, "logs:PutLogEvents", stream) is is_own, stream


@cache
def operations(service: str) -> list[str]:
    """All operations of a service in AWS."""
    model = botocore.session.get_session().get_service_model(service)
    return [f"{service}:{operation}" for operation in model.operation_names]


class TestTraces:
    """The configuration turns X-Ray on, for a stage or for one function."""

    def configuration(self, **of_stage: Any) -> dict[str, Any]:
        prod = {**project.configuration()["stages"]["prod"], **of_stage}
        stages = {**project.configuration()["stages"], "prod": prod}
        return {**project.configuration(), "stages": stages}

    def traced(self, configuration: dict[str, Any]) -> set[str]:
        """The policy files of the functions that may send traces."""
        files = documents.policy_files(configuration)
        return {name for name, text in files.items() if "xray:" in text}

    def test_by_default_no_function_may_send_traces(self) -> None:
        assert self.traced(project.configuration()) == set()

    def test_a_stage_that_is_traced_may_send_them_and_no_other(self) -> None:
        files = self.traced(self.configuration(xray=True))
        assert files == {documents.file_name(function, "prod") for function in PERMISSIONS}

    def test_a_function_may_be_traced_alone(self) -> None:
        functions = {
            **project.configuration()["stages"]["prod"]["lambda_functions"],
            "sweep": {"xray": True},
        }
        files = self.traced(self.configuration(lambda_functions=functions))
        assert files == {documents.file_name("sweep", "prod")}

    def test_chalice_turns_it_on_by_the_same_settings(self) -> None:
        functions = deployed("prod", self.configuration(xray=True))
        assert {found.is_traced for found in functions.values()} == {True}
        assert {each.is_traced for each in deployed("prod", self.configuration()).values()} == {
            False
        }

    def test_the_other_permissions_of_a_traced_function_stay_the_same(self) -> None:
        plain = documents.policy("sweep", Names("prod"))["Statement"]
        [*rest, traces] = documents.policy("sweep", Names("prod"), is_traced=True)["Statement"]
        assert rest == plain
        assert traces == {
            "Sid": "Traces",
            "Effect": "Allow",
            "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            "Resource": ["*"],
        }


class TestWhatNobodyMay:
    @pytest.mark.parametrize("function", PERMISSIONS)
    def test_only_functions_that_need_keys_read_them_one_by_one_and_none_writes_them(
        self, function: str
    ) -> None:
        table = f"table/{Names('prod').keys_table}"
        allowed = {
            (action, key)
            for action in operations("dynamodb")
            for path in (table, f"{table}/index/x", f"{table}/stream/x", "*")
            for key in ("key#demo", "account#demo")
            if is_allowed(function, action, path, key)
        }
        assert allowed == {
            "api_handler": {("dynamodb:GetItem", "key#demo")},
            "run_jobs": {("dynamodb:GetItem", "key#demo")},
            "call_back": {("dynamodb:GetItem", "account#demo")},
        }.get(function, set())

    @pytest.mark.parametrize("function", PERMISSIONS)
    @pytest.mark.parametrize("auth", ["header", "iws", "none", None])
    @pytest.mark.parametrize("header", ["ssm", "X-Key: plain", None])
    def test_only_the_function_that_calls_the_platform_reads_its_header(
        self, function: str, auth: str | None, header: str | None
    ) -> None:
        given = {"PLATFORM_AUTH": auth, "PLATFORM_HEADER": header}
        variables = {name: value for name, value in given.items() if value}
        allowed = Policy(documents.policy(function, Names("prod"), variables))
        parameter = ARN.format(service="ssm", path="parameter/batchback-prod/platform-header")
        found = {
            action
            for action in operations("ssm")
            if allowed.judge(Request(action=action, resource=parameter, partition_keys=None))
        }
        is_used = (function, auth, header) == ("run_jobs", "header", "ssm")
        assert found == ({"ssm:GetParameter"} if is_used else set())

    @pytest.mark.parametrize("function", PERMISSIONS)
    def test_nothing_of_another_stage_is_allowed(self, function: str) -> None:
        """This includes stages whose names begin or end with this one's."""
        for theirs in ("dev", "prod-2", "prod-batches", "pro", "a-prod"):
            for permission in policy(function, theirs).permissions:
                resource = permission.resource.replace("*", "x")
                request = Request(action=permission.action, resource=resource, partition_keys=())
                assert policy(function, theirs).judge(request)
                assert policy(function, "prod").judge(request) is None, resource

    @pytest.mark.parametrize("function", PERMISSIONS)
    def test_every_permission_names_its_action_and_the_stage(self, function: str) -> None:
        for permission in policy(function).permissions:
            assert "*" not in permission.action
            partition, service, region, account, path = permission.resource.split(":", 5)[1:]
            assert (partition, region, account) == ("*", "*", "*")
            assert permission.action.startswith(f"{service}:")
            assert "batchback-prod" in path


class TestAnotherOpinion:
    def test_a_linter_that_knows_every_action_and_its_resources_finds_only_what_is_wrong(
        self,
    ) -> None:
        from cfnlint.api import lint  # imports that take seconds and that no other test needs
        from cfnlint.config import ManualArgs

        wrong = documents.policy("sweep", Names("prod"))
        wrong["Statement"][0]["Action"] = ["dynamodb:UpdateItems"]
        wrong["Statement"][1]["Resource"] = ["arn:*:sqs:*:*:batchback-prod-jobs"]
        kept = {"PLATFORM_AUTH": "header", "PLATFORM_HEADER": "ssm"}
        right = [documents.policy(function, Names("prod"), kept) for function in PERMISSIONS]
        right += [deployers_policy()]
        template = {"Resources": {f"R{n}": role(each) for n, each in enumerate([wrong, *right])}}
        found = lint(
            json.dumps(template), config=ManualArgs(include_checks=["I"], regions=["us-east-1"])
        )
        assert {(match.path[1], match.rule.id) for match in found} == {
            ("R0", "W3037"),
            ("R0", "I3510"),
        }


class TestDeployer:
    def test_resources_without_our_name_are_only_listed_or_belong_to_our_functions(self) -> None:
        statements = {each["Sid"]: each for each in deployers_policy()["Statement"]}
        open_to_all = {name for name, each in statements.items() if each["Resource"] == "*"}
        assert open_to_all == {"Triggers", "Lists"}
        assert statements["Triggers"]["Condition"] == {
            "ArnLike": {"lambda:FunctionArn": "arn:aws:lambda:*:*:function:batchback-*"}
        }
        for action in statements["Lists"]["Action"]:
            assert re.fullmatch(r"\w+:(List|Describe)\w+", action)

    def test_a_trigger_can_be_changed_only_under_that_condition(self) -> None:
        mappings = {
            (each["Sid"], action)
            for each in deployers_policy()["Statement"]
            for action in each["Action"]
            if "EventSourceMapping" in action and ":List" not in action
        }
        assert {statement for statement, _ in mappings} == {"Triggers"}
        assert len(mappings) == 4

    def test_everything_else_is_called_batchback_or_is_an_api(self) -> None:
        for statement in deployers_policy()["Statement"]:
            if statement["Resource"] != "*":
                for arn in statement["Resource"]:
                    assert "batchback-*" in arn or arn.startswith("arn:aws:apigateway:*::/")
                    assert arn != "arn:aws:apigateway:*::/*"


def deployers_policy() -> Any:
    """The policy in docs/deploying.md."""
    page = (project.root() / "docs" / "deploying.md").read_text("utf-8")
    _, _, text = page.partition("<!-- the deployer's policy -->\n```json\n")
    return json.loads(text.partition("```")[0])


def role(policy: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": LAMBDA_TRUST_POLICY,
            "Policies": [{"PolicyName": "Only", "PolicyDocument": policy}],
        },
    }


class TestCommand:
    """`batchback policies` in a temporary checkout."""

    @pytest.fixture
    def checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Checkout":
        monkeypatch.setattr(project, "root", lambda: tmp_path)
        (tmp_path / ".chalice").mkdir()
        return Checkout(tmp_path / ".chalice", monkeypatch)

    def test_a_new_stage_only_has_to_be_in_the_configuration(self, checkout: "Checkout") -> None:
        checkout.configure(prod=a_stage("prod"), staging=a_stage("staging"))
        assert checkout.generate() == Status.OK
        assert len(checkout.policies) == 2 * len(PERMISSIONS)
        configured = checkout.configuration["stages"]["staging"]["lambda_functions"]["sweep"]
        assert configured == {"iam_policy_file": "policy-staging-sweep.json"}
        written = json.loads((checkout.path / "policy-staging-sweep.json").read_text("utf-8"))
        assert written == documents.policy("sweep", Names("staging"))
        assert "wrote .chalice/policy-staging-sweep.json" in checkout.said

    def test_a_stage_that_keeps_the_platforms_header_may_read_it(
        self, checkout: "Checkout"
    ) -> None:
        kept = {"STAGE": "prod", "PLATFORM_AUTH": "header", "PLATFORM_HEADER": "ssm"}
        checkout.configure(prod={"environment_variables": kept}, dev=a_stage("dev"))
        checkout.generate()
        files = [path.name for path in checkout.path.glob("*") if "ssm:" in path.read_text("utf-8")]
        assert files == ["policy-prod-run_jobs.json"]

    def test_other_configuration_is_kept(self, checkout: "Checkout") -> None:
        mine = {**a_stage("prod"), "lambda_functions": {"sweep": {"lambda_timeout": 40}}}
        checkout.configure(prod=mine)
        checkout.generate()
        assert checkout.configuration["app_name"] == "mine"
        assert checkout.configuration["stages"]["prod"]["lambda_functions"]["sweep"] == {
            "lambda_timeout": 40,
            "iam_policy_file": "policy-prod-sweep.json",
        }

    def test_a_second_run_changes_nothing(self, checkout: "Checkout") -> None:
        checkout.configure(prod=a_stage("prod"))
        checkout.generate()
        before = {path: path.stat().st_mtime_ns for path in checkout.path.iterdir()}
        checkout.generate()
        assert {path: path.stat().st_mtime_ns for path in checkout.path.iterdir()} == before
        assert checkout.said == "batchback: the policies of these stages are up to date: prod\n"

    def test_the_policies_of_a_removed_stage_are_removed_and_nothing_else(
        self, checkout: "Checkout"
    ) -> None:
        checkout.configure(prod=a_stage("prod"), dev=a_stage("dev"))
        checkout.generate()
        (checkout.path / "policy-of-ours.json").write_text("{}", "utf-8")
        checkout.configure(prod=a_stage("prod"))
        checkout.generate()
        assert "removed .chalice/policy-dev-sweep.json" in checkout.said
        assert checkout.policies == [
            "policy-of-ours.json",
            *sorted(documents.file_name(function, "prod") for function in PERMISSIONS),
        ]

    @pytest.mark.parametrize(
        ("name", "variables", "says"),
        [
            ("prod", {"STAGE": "production"}, '"STAGE": "prod"'),
            ("prod", {}, '"STAGE": "prod"'),
            ("Prod", {"STAGE": "Prod"}, "lower-case letters"),
        ],
    )
    def test_a_stage_that_its_resources_are_not_named_after_is_refused_before_anything_is_written(
        self, checkout: "Checkout", name: str, variables: dict[str, str], says: str
    ) -> None:
        checkout.configure(dev=a_stage("dev"), **{name: {"environment_variables": variables}})
        assert checkout.generate() == Status.USAGE
        assert says in checkout.said
        assert checkout.policies == []


def a_stage(name: str) -> dict[str, Any]:
    return {"environment_variables": {"STAGE": name}}


class Checkout:
    """A temporary .chalice folder, and a shell in it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.said = ""
        monkeypatch.setattr(project, "configuration", lambda: self.configuration)

    def configure(self, **stages: Any) -> None:
        text = json.dumps({"app_name": "mine", "stages": stages})
        (self.path / "config.json").write_text(text, "utf-8")

    def generate(self) -> int:
        stderr = io.StringIO()
        status = main(["policies"], shell=Shell(environ={}, stderr=stderr))
        self.said = stderr.getvalue()
        return status

    @property
    def configuration(self) -> Any:
        return json.loads((self.path / "config.json").read_text("utf-8"))

    @property
    def policies(self) -> list[str]:
        return sorted(path.name for path in self.path.glob("policy-*.json"))
