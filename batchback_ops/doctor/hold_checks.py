"""Check whether anything holds up jobs: an operator's pause, or a platform that is down."""

from functools import partial

from batchback.shell import Shell

from batchback_ops.doctor.diagnosis import Check, Wrong
from batchback_ops.ops.batch_life import time
from batchback_ops.ops.outages import BATCHES, outages
from batchback_ops.stage import Stage
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.operations.ports import BatchStore


def checks(stage: Stage, shell: Shell) -> list[Check]:
    return [
        Check(name="pause", run=partial(_pause, stage, shell)),
        Check(name="outages", run=partial(_outages, stage, shell)),
    ]


def _store(stage: Stage) -> BatchStore:
    return DynamoBatchStore(stage.client("dynamodb"), stage.names.batches_table)


def _pause(stage: Stage, shell: Shell) -> str:
    pause = _store(stage).find_pause()
    if pause is None or not pause.lasts(shell.now()):
        return "none"
    raise Wrong(
        f"an operator has paused all jobs until {time(pause.until)}: {pause.reason}",
        f"batchback ops resume --stage {stage.name}, once the reason is gone",
    )


def _outages(stage: Stage, shell: Shell) -> str:
    away = [*outages(_store(stage), shell.now())]
    if not away:
        return f"none for the accounts of the {BATCHES} batches that are due next"
    whose = ", ".join(f"{account} since {time(outage.began_at)}" for account, outage in away)
    raise Wrong(
        f"the platform is down for {whose}: their jobs wait",
        "check PLATFORM_ADDRESS, and that the platform is up",
    )
