"""What `batchback ops` does, and what it prints, for the on-call engineer.

`standstill` finds batches that stand still, `batch_life` describes a batch, `dead_letters` moves
messages, `pausing` reads when a pause ends. `list` and `show` change nothing. The console does the
same with `resume`, `redrive` and `discard`.
"""

from datetime import datetime
from typing import Any, Protocol

from batchback.errors import CannotGoOn

from batchback_ops.ops import batch_life, dead_letters, pausing
from batchback_ops.ops.dead_letters import DeadLetter, DeadLetterQueue
from batchback_ops.ops.heads import DAMAGED, find_heads, find_with_work, whole
from batchback_ops.ops.parts import find_terms, read_chunks
from batchback_ops.ops.standstill import why_stuck
from batchback_ops.stage import Stage
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain.batch import LONGEST_LIFE, Batch
from chalicelib.domain.holds import Pause
from chalicelib.operations.ports import BatchStore

#: How much of the body of an unreadable message is shown.
_SHOWN_CHARACTERS = 200


class Asker(Protocol):
    """The one who wants something done: the shell of a command, or the console."""

    def now(self) -> datetime: ...

    def say(self, text: str, /) -> object:
        """Report what happens, besides the result."""


def _store(stage: Stage) -> BatchStore:
    return DynamoBatchStore(stage.client("dynamodb"), stage.names.batches_table)


# ---- list


def list_batches(stage: Stage, asker: Asker, *, is_stuck: bool, account: str | None) -> object:
    store, now = _store(stage), asker.now()
    heads, faults = find_heads(store, _ids(store, account, now))
    for id, fault in faults.items():
        asker.say(f"batch {id} is left out: {fault}")
    batches = [batch for batch in heads.values() if not batch.is_expired(now)]
    chosen = [batch for batch in batches if not is_stuck or why_stuck(batch, now)]
    asker.say(_what_is_listed(account, len(chosen), is_stuck=is_stuck))
    chosen.sort(key=lambda batch: batch.created_at)
    return [batch_life.row(batch, now) for batch in chosen]


def _ids(store: BatchStore, account: str | None, now: datetime) -> list[str]:
    if account is None:
        return [due.batch_id for due in find_with_work(store)]
    return [each.batch_id for each in store.find_of_account(account, now - LONGEST_LIFE)]


def _what_is_listed(account: str | None, count: int, *, is_stuck: bool) -> str:
    kind = "that stand still" if is_stuck else "in all" if account else "open"
    if account is not None:
        return f"batches {kind} of account {account}: {count}"
    return (
        f"batches {kind}: {count} (batches that have ended, with their callback delivered or "
        "failed, are listed with --account)"
    )


# ---- show


def show(stage: Stage, asker: Asker, *, id: str) -> object:
    store = _store(stage)
    batch = _find(stage, store, id)
    terms, chunks = find_terms(store, batch), read_chunks(store, batch, batch.chunks)
    if terms is None:
        asker.say(f"the stored terms of batch {id} are damaged: its callback cannot be sent")
    return batch_life.life(batch, terms, chunks, store.find_holds(batch.account), asker.now())


def _find(stage: Stage, store: BatchStore, id: str) -> Batch:
    try:
        batch = whole(store.find(id))
    except DAMAGED:
        raise CannotGoOn(
            f"Batch {id} cannot be shown, because its stored head is damaged: restore the item "
            f"`0#head` of this batch from a backup of {stage.names.batches_table}, or ask the "
            "caller to submit its jobs again."
        ) from None
    if batch is None:
        raise CannotGoOn(
            f"There is no batch {id} in stage {stage.name}: it never existed, was never committed, "
            f"or has expired. `batchback ops list --stage {stage.name}` shows those with work left."
        )
    return batch


# ---- pause and resume


def pause(stage: Stage, asker: Asker, *, until: str, reason: str) -> dict[str, Any]:
    if not reason.strip():
        raise CannotGoOn("--reason is empty: give what others should know, such as a ticket.")
    ends_at = pausing.end(until, asker.now(), called=f"--until {until}")
    return begin_pause(stage, asker, Pause(until=ends_at, reason=reason))


def begin_pause(stage: Stage, asker: Asker, pause: Pause) -> dict[str, Any]:
    _store(stage).pause(pause)
    asker.say(
        "workers stop calling the platform within 5 seconds, and callbacks go on; "
        f"`batchback ops resume --stage {stage.name}` ends the pause early"
    )
    return {"pausedUntil": batch_life.time(pause.until), "reason": pause.reason}


def resume(stage: Stage, asker: Asker) -> dict[str, Any]:
    store = _store(stage)
    pause = store.find_pause()
    store.pause(None)
    if pause is None or not pause.lasts(asker.now()):
        asker.say("there was no pause to end: jobs are running")
        return {"wasPausedUntil": None, "reason": None}
    asker.say("jobs run again; those that are waiting go on within 15 minutes")
    return {"wasPausedUntil": batch_life.time(pause.until), "reason": pause.reason}


# ---- redrive


def _of_jobs(stage: Stage) -> DeadLetterQueue:
    names = stage.names
    return dead_letters.of_jobs(stage.client("sqs"), names.jobs_dead_queue, names.jobs_queue)


def _of_batches(stage: Stage) -> DeadLetterQueue:
    names = stage.names
    return dead_letters.of_batches(
        stage.client("sqs"), names.batches_dead_queue, names.batches_queue
    )


def _of_callbacks(stage: Stage) -> DeadLetterQueue:
    names = stage.names
    return dead_letters.of_batches(
        stage.client("sqs"), names.callbacks_dead_queue, names.callbacks_queue
    )


#: Opens a dead-letter queue of a stage.
QUEUES = {
    "jobs-dead": _of_jobs,
    "batches-dead": _of_batches,
    "callbacks-dead": _of_callbacks,
}


def redrive(
    stage: Stage, asker: Asker, *, queue: str, is_dry_run: bool, limit: int
) -> dict[str, Any]:
    opened = QUEUES[queue](stage)
    letters = opened.take(limit)
    ours = [each for each in letters if each.batch_id is not None]
    strangers = [each for each in letters if each.batch_id is None]
    _tell(ours, dead_letters.by_batch(ours), _store(stage), asker)
    moved = 0 if is_dry_run else opened.move(ours)
    opened.put_back(letters if is_dry_run else strangers)
    if moved < len(ours) and not is_dry_run:
        asker.say(
            f"messages that SQS did not accept: {len(ours) - moved}; they are visible again within "
            "5 minutes"
        )
    if strangers:
        asker.say(
            f"left alone, because this version cannot read them: {len(strangers)}; "
            f"`batchback ops discard --queue {queue} --stage {stage.name}` shows them"
        )
    return {
        "queue": queue,
        "found": len(letters),
        "moved": moved,
        "unreadable": len(strangers),
        "batches": dead_letters.by_batch(ours),
    }


# ---- discard


def discard(stage: Stage, asker: Asker, *, queue: str, is_sure: bool, limit: int) -> dict[str, Any]:
    opened = QUEUES[queue](stage)
    letters = opened.take(limit)
    unreadable = [each for each in letters if each.is_unreadable]
    discarded = opened.discard(unreadable) if is_sure else 0
    opened.put_back([each for each in letters if not (is_sure and each.is_unreadable)])
    if unreadable and not is_sure:
        asker.say(f"nothing was deleted: to delete {len(unreadable)} for good, add --yes")
    if too_new := sum(each.is_too_new for each in letters):
        asker.say(
            f"kept, because a later release wrote them: {too_new}; deploy that release, then "
            "redrive them"
        )
    return {
        "queue": queue,
        "found": len(letters),
        "unreadable": len(unreadable),
        "discarded": discarded,
        "messages": [_message(each) for each in unreadable],
    }


def _message(letter: DeadLetter) -> dict[str, str | None]:
    """Enough of a message to tell where it came from."""
    return {
        "messageId": letter.message_id,
        "sentAt": batch_life.time(letter.sent_at),
        "body": letter.body[:_SHOWN_CHARACTERS],
    }


def _tell(
    letters: list[DeadLetter], counted: dict[str, int], store: BatchStore, asker: Asker
) -> None:
    """Say which batches have dead messages, before any of them is moved."""
    heads, faults = find_heads(store, counted)
    asker.say(f"dead messages: {len(letters)}, of {len(counted)} batches")
    for batch_id, count in counted.items():
        missing = "unreadable" if batch_id in faults else "gone"
        status = heads[batch_id].status if batch_id in heads else missing
        asker.say(f"  {batch_id} {status}, messages: {count}")
