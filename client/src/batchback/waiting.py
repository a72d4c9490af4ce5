"""Wait until a batch is over, show on stderr how far it is, and say what became of it."""

import math
from collections.abc import Iterator

from batchback.client import Client
from batchback.errors import StillRunning
from batchback.meters import Bar, Lines
from batchback.polling import polled
from batchback.shell import Shell
from batchback.wire import Callback, Progress

#: A first attempt at the callback takes no longer, and later ones may be hours away.
_CALLBACK_SECONDS = 40


def wait_for(batch_id: str, client: Client, timeout: float | None, shell: Shell) -> Progress:
    """The progress once the batch is over, and its callback was tried if that took no longer than
    _CALLBACK_SECONDS; StillRunning when the time is up."""
    deadline = math.inf if timeout is None else shell.monotonic() + timeout
    try:
        progress = _when_over(batch_id, client, timeout, shell)
        deadline = min(deadline, shell.monotonic() + _CALLBACK_SECONDS)
        return _when_tried(progress, batch_id, client, deadline, shell)
    except KeyboardInterrupt:
        how = f"`batchback wait {batch_id}` follows it, `batchback cancel {batch_id}` ends it"
        raise KeyboardInterrupt(f"; batch {batch_id} goes on: {how}") from None
    except StillRunning:
        how = f"`batchback wait {batch_id}` goes on waiting for it"
        raise StillRunning(f"not completed after {timeout:g} s, the batch goes on: {how}") from None


def _when_over(batch_id: str, client: Client, timeout: float | None, shell: Shell) -> Progress:
    meter = Bar(shell) if shell.stderr.isatty() else Lines(shell)

    def show(progress: Progress) -> None:
        meter.show(progress["progress"], _in_figures(progress))

    try:
        return client.wait(batch_id, timeout, show)
    finally:
        meter.close()


def _when_tried(
    progress: Progress, batch_id: str, client: Client, deadline: float, shell: Shell
) -> Progress:
    """The progress once the callback was tried, or the last one when the time is up."""
    if not _awaits_first_attempt(progress):
        return progress
    for progress in polled(
        lambda: client.progress(batch_id),
        deadline=deadline,
        sleep=shell.sleep,
        monotonic=shell.monotonic,
    ):
        if not _awaits_first_attempt(progress):
            break
    return progress


def _awaits_first_attempt(progress: Progress) -> bool:
    callback = progress.get("callback")
    return callback is not None and callback["status"] == "waiting" and not _outcome_of(callback)


# ---- what became of it


def went_well(progress: Progress) -> bool:
    """Whether no job failed and the callback, if there is one, is delivered."""
    callback = progress.get("callback")
    is_heard = callback is None or callback["status"] in {"none", "delivered"}
    return is_heard and not _failed(progress)


def report(progress: Progress, batch_id: str) -> Iterator[str]:
    """What there is to say of a batch that is over, beside its results."""
    if progress.get("status") == "stopped":
        yield "the batch is stopped: more jobs failed than its maxFailed allows"
    if failed := _failed(progress):
        how = f"`batchback rerun-failed {batch_id}` sends them again"
        yield f"{failed} of {progress['jobs']['total']} jobs failed: {how}"
    if unanswered := _unanswered(progress):
        how = f"`batchback restart {batch_id}` runs those in the same batch"
        yield f"{unanswered} of them never got an answer: {how}"
    callback = progress.get("callback")
    if callback is not None and callback["status"] != "none":
        yield f"the callback is {_state_of(callback, batch_id)}"


def _failed(progress: Progress) -> int:
    jobs = progress.get("jobs")
    return jobs["failed"] if jobs else 0


def _unanswered(progress: Progress) -> int:
    jobs = progress.get("jobs")
    return jobs.get("unanswered", 0) if jobs else 0


def _state_of(callback: Callback, batch_id: str) -> str:
    if callback["status"] == "delivered":
        return "delivered"
    why = _outcome_of(callback)
    if callback["status"] == "failed":
        how = f"`batchback repost {batch_id}` sends it again"
        return f"not delivered ({why}), and no attempt is left: {how}"
    how = f"`batchback progress {batch_id}` shows what becomes of it"
    return f"not delivered yet ({why}), and is retried: {how}" if why else f"not sent yet: {how}"


def _outcome_of(callback: Callback) -> str:
    """What came of the last attempt; empty if there was none."""
    status = callback.get("lastStatus")
    return callback.get("lastError") or (f"HTTP {status}" if status else "")


def _in_figures(progress: Progress) -> str:
    jobs = progress.get("jobs")
    if not jobs:
        return ""
    answered = f"{jobs['total'] - jobs['waiting']} of {jobs['total']} jobs answered"
    failed = f", {jobs['failed']} failed" if jobs["failed"] else ""
    return f"{answered}{failed}{_what_holds_up(progress)}"


def _what_holds_up(progress: Progress) -> str:
    """For the end of a line; empty if nothing does."""
    waiting = progress.get("waiting")
    if waiting is None:
        return ""
    if waiting["for"] == "platform":
        return f", the platform is not there: it is asked again at {waiting['until']}"
    return f", paused until {waiting['until']}"
