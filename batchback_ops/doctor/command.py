"""`batchback doctor`: what of a stage works, what does not, and what fixes it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from batchback.command_line import examples
from batchback.shell import Shell, Status

from batchback_ops.console import JSON, STAGE

if TYPE_CHECKING:
    from batchback_ops.doctor.diagnosis import Finding


@click.command(
    "doctor",
    params=[
        STAGE,
        click.Option(
            ["--address"], metavar="URL", help="Of the API, if .chalice/deployed does not say it."
        ),
        click.Option(["--key"], metavar="KEY", help="Of this stage, for the ping and the batch."),
        click.Option(
            ["--secret"],
            metavar="TEXT",
            help="Of the key; other users of this machine may see options.",
        ),
        click.Option(
            ["--callback-url"], metavar="URL", help="For the batch: an address that answers 2xx."
        ),
        click.Option(["--no-batch"], is_flag=True, help="Run no batch."),
        JSON,
    ],
    epilog=examples("batchback doctor --stage prod", "batchback doctor --stage prod --no-batch"),
)
@click.pass_obj
def doctor(shell: Shell, /, *, stage: str, as_json: bool, **given: Any) -> Status:
    """Check a stage and suggest fixes.

    The exit status is 1 if something is wrong, and 2 if nothing can be checked: without
    credentials, a region or such a stage.
    """
    from batchback_ops.doctor.examination import examine
    from batchback_ops.doctor.service_checks import Trial
    from batchback_ops.stage import open_stage

    findings = []
    for finding in examine(Trial(**given), open_stage(stage, shell), shell):
        shell.say(finding.line)
        findings.append(finding)
    wrong = [finding for finding in findings if finding.ok is False]
    skipped = sum(finding.ok is None for finding in findings)
    shell.say(f"{len(findings)} checked: {len(wrong)} wrong, {skipped} skipped")
    shell.show(
        [finding.as_json() for finding in findings], lambda _: _summary(wrong), as_json=as_json
    )
    return Status.REFUSED if wrong else Status.OK


def _summary(wrong: "Sequence[Finding]") -> str:
    """What a terminal shows last."""
    return "\n".join(finding.line for finding in wrong) or "Nothing is wrong."
