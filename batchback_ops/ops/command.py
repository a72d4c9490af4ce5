"""`batchback ops`: the batches of a stage, for whoever is woken.

Parsing and printing only: standstill says what stands still, batch_life what there is to know of a
batch, dead_letters moves messages. All but `redrive` change nothing.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from batchback.errors import CannotGoOn
from batchback.shell import Shell, Status

from batchback_ops.ops import batch_life, dead_letters
from batchback_ops.ops.dead_letters import DeadLetter, DeadLetterQueue
from batchback_ops.ops.standstill import why_stuck
from batchback_ops.stage import Stage, add_stage, open_stage
from chalicelib.adapters.dynamodb import DynamoBatchStore
from chalicelib.operations.ports import BatchStore

#: No alarm is later: a batch lives for two weeks at most.
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_LONGEST_LIFE = timedelta(days=14)
_REDRIVEN_AT_ONCE = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)

    def add(name: str, perform: "_Command", purpose: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        command.set_defaults(perform=perform)
        add_stage(command)
        return command

    listing = add("list", _list, "the batches with work left, the oldest first")
    listing.add_argument("--stuck", action="store_true", help="only those that stand still")
    listing.add_argument("--account", metavar="A", help="all of this account, ended ones too")
    show = add("show", _show, "where one batch stands")
    show.add_argument("id", metavar="ID", help="the batch's id, as callers and the log have it")
    redrive = add("redrive", _redrive, "put dead letters back to work")
    redrive.add_argument(
        "--queue", choices=sorted(_QUEUES), default="batches-dead", help="which (batches-dead)"
    )
    redrive.add_argument("--dry-run", action="store_true", help="only show what there is")
    redrive.add_argument(
        "--limit", metavar="N", type=_limit, default=_REDRIVEN_AT_ONCE, help="at most (1000)"
    )


def run(options: argparse.Namespace, shell: Shell) -> int:
    """OK, where something was found or not; CannotGoOn with what to do where it cannot look."""
    desk = _Desk(stage=open_stage(options.stage, shell), shell=shell)
    with desk.stage.in_words():
        shell.print_json(options.perform(desk, options))
    return Status.OK


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """What the commands have at hand."""

    stage: Stage
    shell: Shell

    @cached_property
    def store(self) -> BatchStore:
        names = self.stage.names
        return DynamoBatchStore(self.stage.client("dynamodb"), names.batches_table)


_Command = Callable[[_Desk, argparse.Namespace], object]


# ---- list


def _list(desk: _Desk, options: argparse.Namespace) -> object:
    now = desk.shell.now()
    if options.account is None:
        ids = [due.batch_id for due in desk.store.find_due(_FOR_EVER)]
    else:
        ids = [*desk.store.find_of_account(options.account, now - _LONGEST_LIFE)]
    batches = [batch for batch in desk.store.find_all(ids).values() if not batch.is_expired(now)]
    chosen = [batch for batch in batches if not options.stuck or why_stuck(batch, now)]
    desk.shell.say(_what_is_listed(options, len(chosen)))
    chosen.sort(key=lambda batch: batch.created_at)
    return [batch_life.row(batch, now) for batch in chosen]


def _what_is_listed(options: argparse.Namespace, count: int) -> str:
    kind = "that stand still" if options.stuck else "in all" if options.account else "open"
    if options.account is not None:
        return f"batches {kind} of account {options.account}: {count}"
    return (
        f"batches {kind}: {count} (ended ones whose callback is delivered or given up have no "
        "work left: --account shows them)"
    )


# ---- show


def _show(desk: _Desk, options: argparse.Namespace) -> object:
    batch = desk.store.find(options.id)
    if batch is None:
        raise CannotGoOn(
            f"There is no batch {options.id} in stage {desk.stage.name}: it never was, was never "
            "committed, or its life is over (EXPIRY_HOURS)."
        )
    order = desk.store.find_terms(batch)
    return batch_life.life(
        batch, order, desk.store.read_chunks(batch, batch.chunks), desk.shell.now()
    )


# ---- redrive


def _of_jobs(stage: Stage) -> DeadLetterQueue:
    names = stage.names
    return dead_letters.of_jobs(stage.client("sqs"), names.jobs_dead_queue, names.jobs_queue)


def _of_batches(stage: Stage) -> DeadLetterQueue:
    names = stage.names
    return dead_letters.of_batches(
        stage.client("sqs"), names.batches_dead_queue, names.batches_queue
    )


_QUEUES = {"jobs-dead": _of_jobs, "batches-dead": _of_batches}


def _redrive(desk: _Desk, options: argparse.Namespace) -> object:
    queue = _QUEUES[options.queue](desk.stage)
    letters = queue.take(options.limit)
    ours = [each for each in letters if each.batch_id is not None]
    _tell(desk, ours)
    moved = 0 if options.dry_run else queue.move(ours)
    queue.put_back(letters if options.dry_run else _strangers(letters))
    if moved < len(ours) and not options.dry_run:
        desk.shell.say(f"SQS did not take {len(ours) - moved}: they are there again in 5 minutes")
    if _strangers(letters):
        desk.shell.say(
            f"{len(_strangers(letters))} are no messages of this version, and stay where they are"
        )
    return {
        "queue": options.queue,
        "found": len(letters),
        "moved": moved,
        "unreadable": len(_strangers(letters)),
        "batches": dead_letters.by_batch(ours),
    }


def _strangers(letters: list[DeadLetter]) -> list[DeadLetter]:
    return [each for each in letters if each.batch_id is None]


def _tell(desk: _Desk, letters: list[DeadLetter]) -> None:
    """Whose dead letters there are, before any of them is moved."""
    counted = dead_letters.by_batch(letters)
    known = desk.store.find_all(counted)
    desk.shell.say(f"dead letters: {len(letters)}, of {len(counted)} batches")
    for batch_id, count in counted.items():
        status = known[batch_id].status if batch_id in known else "gone"
        desk.shell.say(f"  {batch_id} {status}, letters: {count}")


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _REDRIVEN_AT_ONCE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_REDRIVEN_AT_ONCE}")
    return int(text)
