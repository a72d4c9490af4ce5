"""Wait until a batch is over, show its progress on stderr, and report how it ended."""

import math
from collections.abc import Iterator

from batchback.client import Client
from batchback.errors import StillRunning
from batchback.meters import Bar, Lines
from batchback.polling import polled
from batchback.shell import Shell
from batchback.wire import Callback, Progress

#: The first attempt at the callback takes no longer. Later ones may be hours away.
_CALLBACK_SECONDS = 40


def wait_for(batch_id: str, client: Client, timeout: float | None, shell: Shell) -> Progress:
    """Return the progress once the batch is over and its callback was tried, but wait no more than
    _CALLBACK_SECONDS for the callback; StillRunning at the timeout."""
    deadline = math.inf if timeout is None else shell.monotonic() + timeout
    try:
        progress = _when_over(batch_id, client, timeout, shell)
        deadline = min(deadline, shell.monotonic() + _CALLBACK_SECONDS)
        return _when_tried(progress, batch_id, client, deadline, shell)
    except KeyboardInterrupt:
        how = f"follow it with `batchback wait {batch_id}`, or `batchback cancel {batch_id}`"
        raise KeyboardInterrupt(f"; batch {batch_id} is still running: {how}") from None
    except StillRunning:
        how = f"run `batchback wait {batch_id}` to wait longer"
        raise StillRunning(f"the batch is still running after {timeout:g} s: {how}") from None


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
    """The progress once the callback was tried, or the last one before the deadline."""
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


# ---- how it ended


def went_well(progress: Progress) -> bool:
    """Whether no job failed and the callback, if there is one, was delivered."""
    callback = progress.get("callback")
    is_heard = callback is None or callback["status"] in {"none", "delivered"}
    return is_heard and not _failed(progress)


def report(progress: Progress, batch_id: str) -> Iterator[str]:
    """Yield what to report about a batch that is over, besides its results."""
    if progress.get("status") == "stopped":
        yield "the batch was stopped: more jobs failed than its maxFailed allows"
    if failed := _failed(progress):
        how = f"run `batchback rerun-failed {batch_id}` to submit them again"
        yield f"{failed} of {progress['jobs']['total']} jobs failed: {how}"
    if unanswered := _unanswered(progress):
        how = f"run `batchback restart {batch_id}` to rerun those in the same batch"
        yield f"{unanswered} of them never got an answer: {how}"
    callback = progress.get("callback")
    if callback is not None and callback["status"] != "none":
        yield f"the callback {_state_of(callback, batch_id)}"


def _failed(progress: Progress) -> int:
    jobs = progress.get("jobs")
    return jobs["failed"] if jobs else 0


def _unanswered(progress: Progress) -> int:
    jobs = progress.get("jobs")
    return jobs.get("unanswered", 0) if jobs else 0


def _state_of(callback: Callback, batch_id: str) -> str:
    if callback["status"] == "delivered":
        return "was delivered"
    why = _outcome_of(callback)
    if callback["status"] == "failed":
        how = f"run `batchback repost {batch_id}` to send it again"
        return f"was not delivered ({why}), and no attempts are left: {how}"
    how = f"run `batchback progress {batch_id}` to follow it"
    retried = f"has not been delivered yet ({why}), and will be retried: {how}"
    return retried if why else f"has not been sent yet: {how}"


def _outcome_of(callback: Callback) -> str:
    """The outcome of the last attempt; empty if there was none."""
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
    """The end of a line that says why jobs wait; empty if they do not."""
    waiting = progress.get("waiting")
    if waiting is None:
        return ""
    if waiting["for"] == "platform":
        return f", the platform is unavailable: next attempt at {waiting['until']}"
    return f", paused until {waiting['until']}"
