"""Whether anything holds up jobs: an operator's pause, or a platform that is down."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import islice

from batchback.shell import Shell

from batchback_ops.doctor.diagnosis import Check, Wrong
from batchback_ops.ops.batch_life import time
from batchback_ops.stage import Stage
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain.batch import LONGEST_LIFE
from chalicelib.domain.holds import Outage
from chalicelib.operations.ports import BatchStore

#: The accounts of this many batches are checked: those that are due next, in one request.
_BATCHES = 100


def checks(stage: Stage, shell: Shell) -> list[Check]:
    return [
        Check(name="pause", run=partial(_pause, stage, shell)),
        Check(name="outages", run=partial(_outages, stage, shell)),
    ]


def _store(stage: Stage) -> BatchStore:
    return DynamoBatchStore(stage.client("dynamodb"), stage.names.batches_table)


def _pause(stage: Stage, shell: Shell) -> str:
    pause = _store(stage).find_pause()
    if pause is None or shell.now() >= pause.until:
        return "none"
    raise Wrong(
        f"an operator has paused all jobs until {time(pause.until)}: {pause.reason}",
        f"batchback ops resume --stage {stage.name}, once the reason is gone",
    )


def _outages(stage: Stage, shell: Shell) -> str:
    away = [*_away(_store(stage), shell.now() + LONGEST_LIFE)]
    if not away:
        return f"none for the accounts of the {_BATCHES} batches that are due next"
    whose = ", ".join(f"{account} since {time(outage.began_at)}" for account, outage in away)
    raise Wrong(
        f"the platform is down for {whose}: their jobs wait",
        "check PLATFORM_ADDRESS, and that the platform is up",
    )


def _away(store: BatchStore, until: datetime) -> Iterator[tuple[str, Outage]]:
    due = islice(store.find_due(until), _BATCHES)
    batches = store.find_all([each.batch_id for each in due]).values()
    for account in sorted({batch.account for batch in batches}):
        if outage := store.find_holds(account).outage:
            yield account, outage
