"""Check that a stage's functions exist, all run one version, and get their messages.

`chalice deploy` and a pipeline's template give them the same names.
"""

import json
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from batchback_ops import project
from batchback_ops.doctor.diagnosis import Check, Wrong
from batchback_ops.doctor.remedies import bring_up, deploy
from batchback_ops.policies.documents import file_name
from batchback_ops.policies.permissions import PERMISSIONS
from batchback_ops.stage import Stage

#: Chalice's defaults.
_DEFAULT_TIMEOUT_SECONDS = 60
_DEFAULT_MEMORY_MB = 128
_EACH_MINUTE = "rate(1 minute)"
_ABLE = {"Active", "Inactive"}  # Inactive: it was idle for long, and the next call activates it


def timeout_seconds(function: str, stage: Stage) -> int:
    """The timeout in .chalice/config.json, most specific first: function, stage, application."""
    return _configured(function, stage, "lambda_timeout", _DEFAULT_TIMEOUT_SECONDS)


def _configured(function: str, stage: Stage, name: str, default: int) -> int:
    value: int = project.configured(
        project.configuration(), stage.name, function, name, default=default
    )
    return value


def checks(stage: Stage) -> list[Check]:
    functions = Functions(stage=stage)
    names = stage.names
    queues = {
        "run_jobs": names.jobs_queue,
        "advance_batch": names.batches_queue,
        "call_back": names.callbacks_queue,
        "bury_jobs": names.jobs_dead_queue,
    }
    return [
        *[Check(name=f"function {each}", run=partial(functions.judge, each)) for each in _ALL],
        Check(name="code", run=functions.judge_code),
        *[
            Check(name=f"messages of {each}", run=partial(functions.judge_mapping, each, queue))
            for each, queue in queues.items()
        ],
        Check(name="schedule of sweep", run=partial(functions.judge_schedule, "sweep")),
        *[
            Check(name=f"policy of {each}", run=partial(functions.judge_role, each))
            for each in _ALL
        ],
        *[Check(name=f"log of {each}", run=partial(functions.judge_log, each)) for each in _ALL],
    ]


_ALL = tuple(PERMISSIONS)


@dataclass(frozen=True, kw_only=True)
class Functions:
    """The functions of a stage. Each is requested once."""

    stage: Stage

    def judge(self, function: str) -> str:
        found = self._find(function)
        able = found.get("State", "Active") in _ABLE
        if not able or found.get("LastUpdateStatus", "Successful") != "Successful":
            raise Wrong(
                f"it is {found.get('State')}, and its last update {found.get('LastUpdateStatus')}: "
                f"{found.get('LastUpdateStatusReason') or found.get('StateReason')}",
                self._deploy,
            )
        if others := [*_other_settings(found, function, self.stage)]:
            raise Wrong(f"differs from .chalice/config.json in {', '.join(others)}", self._deploy)
        return f"{found['FunctionName']}, {found['Runtime']}, {found['Timeout']} s"

    def judge_code(self) -> str:
        """An interrupted deployment leaves two versions, which may not understand each other."""
        codes = {function: self._find(function)["CodeSha256"] for function in _ALL}
        if len(set(codes.values())) > 1:
            versions = ", ".join(f"{each} {code[:8]}" for each, code in codes.items())
            raise Wrong(f"the functions run different versions: {versions}", self._deploy)
        return f"all functions run one version, {codes[_ALL[0]][:8]}"

    def judge_mapping(self, function: str, queue: str) -> str:
        name = self._find(function)["FunctionName"]
        answer = self._lambda.list_event_source_mappings(FunctionName=name)
        mappings = answer["EventSourceMappings"]
        if [each["EventSourceArn"].rpartition(":")[2] for each in mappings] != [queue]:
            sources = [each["EventSourceArn"] for each in mappings]
            found = f"its source is {', '.join(sources)}" if sources else "it has no source"
            raise Wrong(f"{found}, but should get its messages from {queue}", self._deploy)
        [mapping] = mappings
        if mapping["State"] != "Enabled":
            enable = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled"
            raise Wrong(f"its source {queue} is {mapping['State']}", enable)
        if mapping["BatchSize"] != 1:
            raise Wrong(f"it gets {mapping['BatchSize']} messages at a time, not 1", self._deploy)
        concurrency = mapping.get("ScalingConfig", {}).get("MaximumConcurrency", "unlimited")
        return f"from {queue}, one at a time, maximum concurrency: {concurrency}"

    def judge_schedule(self, function: str) -> str:
        client = self.stage.client("events")
        arn = self._find(function)["FunctionArn"]
        rules = [
            client.describe_rule(Name=name)
            for name in client.list_rule_names_by_target(TargetArn=arn)["RuleNames"]
        ]
        if not rules:
            raise Wrong("no rule runs it", self._deploy)
        on = [rule for rule in rules if rule["State"] == "ENABLED"]
        if not on:
            raise Wrong(
                f"its rule is {rules[0]['State']}",
                f"aws events enable-rule --name {rules[0]['Name']}",
            )
        if on[0]["ScheduleExpression"] != _EACH_MINUTE:
            raise Wrong(f"{on[0]['ScheduleExpression']}, not {_EACH_MINUTE}", self._deploy)
        return _EACH_MINUTE

    def judge_role(self, function: str) -> str:
        """It must have its own policy and no other."""
        role = self._find(function)["Role"].rpartition("/")[2]
        client = self.stage.client("iam")
        inline = client.list_role_policies(RoleName=role)["PolicyNames"]
        attached = client.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        documents = [
            client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in inline
        ]
        if others := _other_statements(documents, _committed(function, self.stage)):
            raise Wrong(
                f"{role} differs from the committed policy in {', '.join(others)}", self._deploy
            )
        if attached:
            also = ", ".join(each["PolicyArn"] for each in attached)
            raise Wrong(
                f"{role} has other policies too: {also}",
                f"aws iam detach-role-policy --role-name {role} --policy-arn ARN",
            )
        return f"{role} has only {file_name(function, self.stage.name)}"

    def judge_log(self, function: str) -> str:
        group = f"/aws/lambda/{project.function_name(function, self.stage.name)}"
        answer = self.stage.client("logs").describe_log_groups(logGroupNamePrefix=group)
        found = [each for each in answer["logGroups"] if each["logGroupName"] == group]
        if not found:
            raise Wrong(f"there is no log group {group}", bring_up(self.stage))
        if "retentionInDays" not in found[0]:
            raise Wrong(f"{group} has no retention time", bring_up(self.stage))
        return f"{group}, kept for {found[0]['retentionInDays']} days"

    def _find(self, function: str) -> dict[str, Any]:
        if function not in self._known:
            self._known[function] = self._describe(function)
        return self._known[function]

    def _describe(self, function: str) -> dict[str, Any]:
        name = project.function_name(function, self.stage.name)
        try:
            found: dict[str, Any] = self._lambda.get_function_configuration(FunctionName=name)
        except self._lambda.exceptions.ResourceNotFoundException as error:
            raise Wrong(
                f"there is no function {name} in {self.stage.region}", self._deploy
            ) from error
        return found

    @cached_property
    def _known(self) -> dict[str, dict[str, Any]]:
        return {}

    @cached_property
    def _lambda(self) -> Any:
        return self.stage.client("lambda")

    @property
    def _deploy(self) -> str:
        return deploy(self.stage)


def _other_settings(found: dict[str, Any], function: str, stage: Stage) -> list[str]:
    """The names of the settings that differ. Their values are left out, because they may be
    secret."""
    there, wanted = found.get("Environment", {}).get("Variables", {}), stage.variables
    others = sorted(name for name in {**there, **wanted} if there.get(name) != wanted.get(name))
    if found["Timeout"] != timeout_seconds(function, stage):
        others.append("lambda_timeout")
    if found["MemorySize"] != _configured(
        function, stage, "lambda_memory_size", _DEFAULT_MEMORY_MB
    ):
        others.append("lambda_memory_size")
    return others


def _other_statements(documents: list[Any], committed: Any) -> list[str]:
    """The statements that are either in the role's policies or in the committed one, but not in
    both."""
    there = [each for document in documents for each in document["Statement"]]
    wanted = committed["Statement"]
    others = [each for each in wanted if each not in there]
    others += [each for each in there if each not in wanted]
    return sorted({each.get("Sid", "a statement without a Sid") for each in others})


def _committed(function: str, stage: Stage) -> Any:
    path = project.root() / ".chalice" / file_name(function, stage.name)
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Wrong(f"there is no .chalice/{path.name}", "batchback policies") from error
