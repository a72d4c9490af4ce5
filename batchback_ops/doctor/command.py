"""`batchback doctor`: what of a stage works, what does not, and the command that mends it.

The order is that of causes: whoever mends the first line that is wrong may have mended the rest.
Nothing is changed, but that one batch is run in the name of the key that was given.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from batchback.shell import Shell, Status

from batchback_ops.doctor import function_checks, resource_checks, service_checks
from batchback_ops.doctor.diagnosis import Check, Finding, find
from batchback_ops.stage import Stage, add_stage, open_stage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stage(parser)
    parser.add_argument(
        "--address", metavar="URL", help="of the API, where .chalice/deployed does not say it"
    )
    parser.add_argument("--key", metavar="KEY", help="of this stage, for the ping and the batch")
    parser.add_argument(
        "--secret", metavar="TEXT", help="of the key; other users of this machine may see options"
    )
    parser.add_argument(
        "--callback-url", metavar="URL", help="for the batch: an address that answers 2xx"
    )
    parser.add_argument("--no-batch", action="store_true", help="run no batch")


def run(options: argparse.Namespace, shell: Shell) -> int:
    """OK where nothing is wrong, REFUSED where something is; CannotGoOn where nobody could look:
    without credentials, a region or such a stage."""
    stage = open_stage(options.stage, shell)
    findings = []
    for finding in _findings(options, stage, shell):
        shell.say(finding.line)
        findings.append(finding)
    shell.print_json([asdict(finding) for finding in findings])
    return _status(findings, shell)


def _findings(options: argparse.Namespace, stage: Stage, shell: Shell) -> Iterator[Finding]:
    if not stage.is_local:
        yield from _who_and_where(stage)
    for check in _checks(options, stage, shell):
        yield find(check, stage)


def _who_and_where(stage: Stage) -> Iterator[Finding]:
    """What everything else hangs on: where it is not there, there is nothing to look at."""
    region = stage.region
    with stage.in_words():
        whom = stage.client("sts").get_caller_identity()
    yield Finding(check="credentials", ok=True, found=f"{whom['Arn']}, account {whom['Account']}")
    yield Finding(check="region", ok=True, found=region)


def _checks(options: argparse.Namespace, stage: Stage, shell: Shell) -> list[Check]:
    functions = [] if stage.is_local else function_checks.checks(stage)
    return [
        *resource_checks.checks(stage),
        *functions,
        *service_checks.checks(options, stage, shell),
    ]


def _status(findings: list[Finding], shell: Shell) -> Status:
    wrong = sum(finding.ok is False for finding in findings)
    skipped = sum(finding.ok is None for finding in findings)
    shell.say(f"{len(findings)} looked at: {wrong} wrong, {skipped} skipped")
    return Status.REFUSED if wrong else Status.OK
