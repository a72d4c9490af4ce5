"""`batchback doctor`: what works in a stage, what does not, and how to fix it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from batchback.command_line import examples
from batchback.shell import Shell, Status

from batchback_ops.command_line import JSON, STAGE

if TYPE_CHECKING:
    from batchback_ops.doctor.diagnosis import Finding


@click.command(
    "doctor",
    params=[
        STAGE,
        click.Option(
            ["--address"],
            metavar="URL",
            help="The API's address, if neither .chalice/deployed nor the stack has it.",
        ),
        click.Option(["--key"], metavar="KEY", help="A key of this stage, for ping and batch."),
        click.Option(
            ["--secret"],
            metavar="TEXT",
            help="The key's secret. Other users of this machine may see options.",
        ),
        click.Option(
            ["--callback-url"],
            metavar="URL",
            help="The batch's callback URL: an address of yours that answers 2xx.",
        ),
        click.Option(["--no-batch"], is_flag=True, help="Run no batch."),
        JSON,
    ],
    epilog=examples("batchback doctor --stage prod", "batchback doctor --stage prod --no-batch"),
)
@click.pass_obj
def doctor(shell: Shell, /, *, stage: str, as_json: bool, **given: Any) -> Status:
    """Check a stage and suggest fixes.

    The exit status is 1 if something is wrong, and 2 if nothing can be checked because the
    credentials, the region or the stage is missing.
    """
    from batchback_ops.doctor.examination import examine
    from batchback_ops.doctor.service_checks import Trial
    from batchback_ops.stage import open_stage

    findings = []
    for finding in examine(Trial(**given), open_stage(stage, shell), shell):
        if finding.ok is not False:
            shell.say(finding.line)
        findings.append(finding)
    _show(findings, shell, as_json=as_json)
    return Status.REFUSED if _wrong(findings) else Status.OK


def _show(findings: "Sequence[Finding]", shell: Shell, *, as_json: bool) -> None:
    """Show what is wrong last, so that it stays visible: as the output on a terminal, otherwise on
    stderr after the JSON."""
    wrong = _wrong(findings)
    skipped = sum(finding.ok is None for finding in findings)
    count = f"{len(findings)} checked: {len(wrong)} wrong, {skipped} skipped"
    if shell.stdout.isatty() and not as_json:
        shell.say(count)
        shell.show(wrong, _lines)
        return
    shell.show([finding.as_json() for finding in findings], _lines, as_json=True)
    for finding in wrong:
        shell.say(finding.line)
    shell.say(count)


def _wrong(findings: "Sequence[Finding]") -> "list[Finding]":
    return [finding for finding in findings if finding.ok is False]


def _lines(wrong: "Sequence[Finding]") -> str:
    return "\n".join(finding.line for finding in wrong) or "Nothing is wrong."
