"""What Chalice would deploy for a configuration, according to its own code. Nothing here calls pip
or AWS."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.session import Session
from chalice.awsclient import TypedAWSClient
from chalice.config import Config
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.deployer import BuildStage, PolicyGenerator
from chalice.deploy.models import LambdaFunction, Model, RestAPI
from chalice.package import PackageOptions, SAMTemplateGenerator
from chalice.policy import AppPolicyGenerator
from chalice.utils import OSUtils

import app
from batchback_ops import project


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A function as it is deployed."""

    #: Set by `chalice deploy`.
    lambda_name: str
    #: Everything that the role may do.
    policies: list[Any]
    #: Whether Lambda reports to X-Ray.
    is_traced: bool


def deployed(stage: str, configuration: Mapping[str, Any]) -> dict[str, Deployed]:
    """Every function of a stage, by its name in the configuration."""
    config = _config(stage, configuration)
    built = _built(config)
    resources = _template(config, built)["Resources"]
    found = {}
    for function in built:
        if isinstance(function, LambdaFunction):
            [logical_id] = _with(resources, Handler=function.handler)
            [role, _] = resources[logical_id]["Properties"]["Role"]["Fn::GetAtt"]
            found[function.resource_name] = Deployed(
                lambda_name=function.function_name,
                policies=resources[role]["Properties"]["Policies"],
                is_traced=resources[logical_id]["Properties"]["Tracing"] == "Active",
            )
    return found


def template(stage: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The template that `chalice package` writes beside the zip."""
    config = _config(stage, configuration)
    return _template(config, _built(config))


def _template(config: Config, built: list[Model]) -> dict[str, Any]:
    options = PackageOptions(TypedAWSClient(Session()))
    made: dict[str, Any] = SAMTemplateGenerator(config, options).generate(built)
    return made


def _config(stage: str, configuration: Mapping[str, Any]) -> Config:
    return Config(
        chalice_stage=stage,
        user_provided_params={"chalice_app": app.app, "project_dir": str(project.root())},
        config_from_disk=dict(configuration),
        default_params={"autogen_policy": True},  # as the command line has it
    )


def _built(config: Config) -> list[Model]:
    """Everything that is deployed, with its policies, but without the package and the API's
    description."""
    graph = ApplicationGraphBuilder().build(config, config.chalice_stage)
    built = DependencyBuilder().build_dependencies(graph)
    BuildStage([PolicyGenerator(AppPolicyGenerator(OSUtils()), OSUtils())]).execute(config, built)
    for model in built:
        if isinstance(model, RestAPI):
            model.swagger_doc = {}
    return built


def _with(resources: Mapping[str, Any], **wanted: object) -> list[str]:
    return [
        name
        for name, resource in resources.items()
        if wanted.items() <= resource["Properties"].items()
    ]
