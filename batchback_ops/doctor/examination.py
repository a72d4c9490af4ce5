"""All checks of a stage, causes first.

Fixing the first thing that is wrong may fix the rest. The checks change nothing, except that they
run one batch with the key they were given.
"""

from collections.abc import Iterator
from functools import partial

from batchback.shell import Shell

from batchback_ops.doctor import (
    function_checks,
    hold_checks,
    resource_checks,
    service_checks,
    whereabouts,
)
from batchback_ops.doctor.diagnosis import Check, Finding, find
from batchback_ops.doctor.service_checks import Trial
from batchback_ops.stage import Stage


def examine(trial: Trial, stage: Stage, shell: Shell) -> Iterator[Finding]:
    """The outcome of each check. CannotGoOn if nothing can be checked."""
    if not stage.is_local:
        yield from (begun := [*_who_and_where(stage)])
        if any(finding.ok is False for finding in begun):
            return
    for check in checks(trial, stage, shell):
        yield find(check, stage)


def checks(trial: Trial, stage: Stage, shell: Shell) -> list[Check]:
    functions = [] if stage.is_local else function_checks.checks(stage)
    return [
        *resource_checks.checks(stage),
        *functions,
        *hold_checks.checks(stage, shell),
        *service_checks.checks(trial, stage, shell),
    ]


def _who_and_where(stage: Stage) -> Iterator[Finding]:
    """The credentials and the region, which all other checks depend on."""
    with stage.explained_errors():
        whom = stage.client("sts").get_caller_identity()
    yield Finding(check="credentials", ok=True, found=f"{whom['Arn']}, account {whom['Account']}")
    yield find(Check(name="region", run=partial(whereabouts.judge, stage)), stage)
