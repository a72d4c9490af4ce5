"""What `chalice deploy` creates on moto besides the stack of resources, also when it is repeated.

moto runs no functions without Docker; test_deployed shows that they run. Its API Gateway accepts
only OpenAPI 3 with a description, but Chalice makes Swagger 2 for AWS, so the test changes these
two things before moto reads them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.apigateway import responses
from moto.apigateway.utils import deserialize_body

from batchback_local.aws.embedded import EmbeddedAws
from batchback_ops import project
from batchback_ops.package import chalice_package
from batchback_ops.policies import documents
from batchback_ops.policies.permissions import PERMISSIONS
from chalicelib import settings
from chalicelib.settings import Names

STAGE = "prod"
NAMES = Names(STAGE)
REGION = "us-east-1"
FUNCTIONS = {
    f"batchback-{STAGE}" + ("" if name == "api_handler" else f"-{name}"): name
    for name in PERMISSIONS
}
TRIGGERS = {
    f"batchback-{STAGE}-run_jobs": NAMES.jobs_queue,
    f"batchback-{STAGE}-advance_batch": NAMES.batches_queue,
    f"batchback-{STAGE}-call_back": NAMES.callbacks_queue,
    f"batchback-{STAGE}-bury_jobs": NAMES.jobs_dead_queue,
}


class Deployment:
    """A copy of what ships, and an AWS to deploy it to."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self._folder = folder
        self._variables = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }

    def make_resources(self) -> None:
        """Create resources as `batchback resources up` does; moto does not support alarms."""
        parameters = {"Stage": STAGE, "Monitoring": "false"}
        self.client("cloudformation").create_stack(
            StackName=project.stack_name(STAGE),
            TemplateBody=project.template(),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
            ],
        )

    def set(self, **variables: str) -> None:
        """Change settings of the functions, from the next deployment on."""
        path = self._folder / ".chalice" / "config.json"
        configuration = json.loads(path.read_text("utf-8"))
        configuration["stages"][STAGE]["environment_variables"].update(variables)
        path.write_text(json.dumps(configuration), "utf-8")

    def chalice(self, command: str) -> str:
        """Run the command as docs/deploying.md shows it, and return its output once it has
        succeeded."""
        ran = subprocess.run(  # noqa: S603 - the Chalice of this environment
            [Path(sys.executable).with_name("chalice"), command, "--stage", STAGE],
            cwd=self._folder,
            env={
                **os.environ,
                **self._variables,
                "PIP_CONSTRAINT": str(self._folder / "requirements.txt"),
                "PIP_ONLY_BINARY": ":all:",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "Could not install" not in ran.stdout + ran.stderr
        return ran.stdout

    def client(self, service: str) -> Any:
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self._variables["AWS_ENDPOINT_URL"],
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def functions(self) -> dict[str, Any]:
        found = self.client("lambda").list_functions()["Functions"]
        return {each["FunctionName"]: each for each in found}

    def triggers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client("lambda").list_event_source_mappings()[
            "EventSourceMappings"
        ]
        return found

    def policy_of(self, function: str) -> Any:
        """The only policy of the function's role."""
        role = self.functions()[function]["Role"].rpartition("/")[2]
        iam = self.client("iam")
        [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
        return iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]

    def apis(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client("apigateway").get_rest_apis()["items"]
        return found


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deployed twice, the second time with another setting."""
    folder = tmp_path_factory.mktemp("chalice") / "copy"
    chalice_package.copy_what_ships(folder, STAGE)
    with pytest.MonkeyPatch.context() as patch, EmbeddedAws() as aws:
        patch.setattr(responses, "deserialize_body", _as_openapi(deserialize_body))
        deployment = Deployment(folder, aws.address)
        deployment.make_resources()
        deployment.chalice("deploy")
        deployment.set(MAX_JOBS_PER_BATCH="300")
        deployment.chalice("deploy")
        yield deployment


def _as_openapi(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Convert Chalice's API description to the form that moto reads."""

    def read_swagger(body: str) -> Any:
        document = read(body)
        if isinstance(document, dict) and document.pop("swagger", None):
            document["openapi"] = "3.0.1"
            document["info"]["description"] = ""
        return document

    return read_swagger


class TestFunctions:
    def test_each_exists_once_and_has_its_own_limits(self, deployment: Deployment) -> None:
        configured = project.configuration()["lambda_functions"]
        assert {
            name: (found["Handler"], found["Timeout"], found["MemorySize"])
            for name, found in deployment.functions().items()
        } == {
            name: (
                "app.app" if function == "api_handler" else f"app.{function}",
                configured[function]["lambda_timeout"],
                configured[function]["lambda_memory_size"],
            )
            for name, function in FUNCTIONS.items()
        }

    def test_the_second_deployment_replaced_the_first(self, deployment: Deployment) -> None:
        for function in deployment.functions().values():
            assert function["Environment"]["Variables"] == {
                **project.environment(STAGE),
                "MAX_JOBS_PER_BATCH": "300",
            }

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_each_has_the_permissions_of_its_policy(
        self, deployment: Deployment, name: str
    ) -> None:
        assert deployment.policy_of(name) == documents.policy(FUNCTIONS[name], NAMES)


class TestTriggers:
    def test_every_queue_has_its_function_and_messages_come_one_by_one(
        self, deployment: Deployment
    ) -> None:
        assert {
            each["FunctionArn"].rpartition(":")[2]: each["EventSourceArn"].rpartition(":")[2]
            for each in deployment.triggers()
        } == TRIGGERS
        assert [each["BatchSize"] for each in deployment.triggers()] == [1, 1, 1, 1]

    def test_the_concurrency_of_every_function_is_limited(self, deployment: Deployment) -> None:
        scaling = {
            each["FunctionArn"].rpartition("-")[2]: each.get("ScalingConfig")
            for each in deployment.triggers()
        }
        for function, of in {"run_jobs": "WORKERS", "call_back": "CALLBACKS"}.items():
            assert scaling[function] == {"MaximumConcurrency": settings.max_concurrent(of, {})}
        for function in ("advance_batch", "bury_jobs"):
            assert scaling[function] == {"MaximumConcurrency": 20}

    def test_the_sweep_runs_every_minute(self, deployment: Deployment) -> None:
        events = deployment.client("events")
        [rule] = events.list_rules()["Rules"]
        [target] = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
        assert target["Arn"] == deployment.functions()[f"batchback-{STAGE}-sweep"]["FunctionArn"]


class TestApi:
    def test_there_is_one_api_with_one_stage(self, deployment: Deployment) -> None:
        [api] = deployment.apis()
        stages = deployment.client("apigateway").get_stages(restApiId=api["id"])["item"]
        assert api["name"] == "batchback"
        assert [each["stageName"] for each in stages] == [STAGE]

    def test_every_method_of_every_namespace_leads_to_the_function(
        self, deployment: Deployment
    ) -> None:
        [api] = deployment.apis()
        resources = deployment.client("apigateway").get_resources(restApiId=api["id"])["items"]
        methods = {each["path"]: {*each.get("resourceMethods", {})} for each in resources}
        assert {path for path, found in methods.items() if found} == {"/api/1.0/{namespace}"}
        assert methods["/api/1.0/{namespace}"] == {
            "DELETE",
            "GET",
            "HEAD",
            "OPTIONS",
            "PATCH",
            "POST",
            "PUT",
        }


class TestDelete:
    def test_it_deletes_the_functions_and_keeps_the_tables(self, deployment: Deployment) -> None:
        """A deployment after it creates everything again."""
        deployment.chalice("delete")
        assert (deployment.functions(), deployment.triggers(), deployment.apis()) == ({}, [], [])
        tables = deployment.client("dynamodb").list_tables()["TableNames"]
        assert {NAMES.batches_table, NAMES.keys_table} <= {*tables}
        deployment.chalice("deploy")
        assert deployment.functions().keys() == FUNCTIONS.keys()
