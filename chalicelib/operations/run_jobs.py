"""Handle one message: run its jobs concurrently, record their answers, hand on what is to be
retried."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from chalicelib.domain import outcome, retry
from chalicelib.domain.account import Key
from chalicelib.domain.batch import Answer, Batch, Job
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.holds import Hold
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.outcome import TryAgain
from chalicelib.errors import Misconfigured, Unavailable
from chalicelib.operations.call_jobs import SECONDS_TO_RECORD, Called, JobCaller
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.hand_over import Handover
from chalicelib.operations.isolate_jobs import JobIsolation
from chalicelib.operations.ports import BatchStore, Clock, Journal, KeyStore, Queue
from chalicelib.operations.record_answers import AnswerRecorder
from chalicelib.operations.watch_platform import PlatformWatch
from chalicelib.operations.work import SecondsLeft, Work

#: The first wait between attempts to record answers while the database fails. Each further wait is
#: twice as long.
_FIRST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRunner:
    """Runs messages. Returns when everything in the message is recorded or handed on, even if the
    database fails. Raises Unavailable only if the queue fails too; in that case, call it again with
    the same message."""

    store: BatchStore
    keys: KeyStore
    queue: Queue
    caller: JobCaller
    recorder: AnswerRecorder
    completion: BatchCompletion
    isolation: JobIsolation
    watch: PlatformWatch
    handover: Handover
    clock: Clock
    journal: Journal
    random_unit: Callable[[], float]
    job_retry_seconds: float

    def run_jobs(
        self, message: JobsMessage, *, receive_count: int, seconds_left: SecondsLeft
    ) -> None:
        work: Work | None = None
        try:
            batch = self.watch.find(message)
            if batch is None or not message.concerns(batch, self.clock.now()):
                self._let_go(message, batch)
                return
            work = Work(
                message=message,
                receive_count=receive_count,
                seconds_left=seconds_left,
                batch=batch,
                chunk=self.store.load_chunk(batch, message.chunk),
            )
            self._run_work(work)
        except (Unavailable, Misconfigured) as error:
            if work:
                self.handover.jobs_after_error(
                    [*work.after_error()], error, batch=work.batch, at_least=work.asked_to_wait
                )
            else:
                self.handover.jobs_after_error([message.after_error()], error)

    def _let_go(self, message: JobsMessage, batch: Batch | None) -> None:
        """Drop a message with nothing left to call. If its last worker died right after completing
        the batch, announce the callback now."""
        self.journal.write(
            "message out of date",
            batch_id=message.batch_id,
            account=batch.account if batch else None,
        )
        if batch and message.is_of(batch):
            self.completion.announce_if_due(batch)

    def _run_work(self, work: Work) -> None:
        """Run the open jobs, unless the batch is to be stopped: then ending the batch answers them
        without a call."""
        if not work.is_to_be_stopped:
            self._go_on(work)
        self.recorder.finish_if_full(work.batch, work.chunk)

    def _go_on(self, work: Work) -> None:
        hold = self.watch.hold(work.message, was_received_before=work.was_received_before)
        if work.is_to_be_split:
            self.isolation.split(work)
        elif work.open and hold:
            self._hold_up(work, hold)
        elif work.open and work.was_received_before:
            self.isolation.run_under_marker(work, self._answer)
        elif work.open:
            self.isolation.check_the_table(work)
            self._answer(work)

    def _answer(self, work: Work) -> None:
        """Get the open jobs answered, or carried on by other messages."""
        key = self.keys.find_key(work.batch.key)
        if work.chunk.jobs is None:
            self._give_all(work, outcome.unreadable())
        elif work.message.attempt > retry.JOB_TRIES:
            self._give_all(work, outcome.not_stored())
        elif key is None or not key.may_sign_for(work.batch.account):
            self._give_all(work, outcome.key_revoked())
        else:
            self._run(work, [job for job in work.chunk.jobs if job.index in work.open], key)

    def _give_all(self, work: Work, answer: Answer) -> None:
        work.open = dict.fromkeys(work.open, answer)
        self._record(work)

    def _run(self, work: Work, jobs: Sequence[Job], key: Key) -> None:
        """Call the jobs, record their answers as they arrive, and hand the others on."""
        all_called: list[Called] = []
        for called in self.caller.call(work, jobs, key):
            all_called += called
            self._record_if_possible(work)
        self.caller.judge(work, all_called)
        self.caller.tell(work, all_called)
        self._retry_later(work)
        self._record_patiently(work)
        self._pass_on(work, has_begun=any(called.has_begun for called in all_called))

    def _record(self, work: Work) -> None:
        answers = work.answers
        work.chunk = self.recorder.record_answers(work.batch, work.chunk, answers)
        work.close(answers)
        work.error = None

    def _record_if_possible(self, work: Work) -> None:
        """Record the answers. Those that cannot be recorded now are retried with the next ones."""
        try:
            self._record(work)
        except Unavailable as error:
            work.error = error

    def _record_patiently(self, work: Work) -> None:
        """Record the answers, retrying while there is time: an answer that is not recorded means a
        second call."""
        pause = _FIRST_PAUSE_SECONDS
        while work.answers:
            self._record_if_possible(work)
            if work.error is None:
                return
            if not work.error.may_pass or work.seconds_left() < SECONDS_TO_RECORD + pause:
                raise work.error
            self.clock.sleep(pause)
            pause *= 2

    def _retry_later(self, work: Work) -> None:
        """Hand on the jobs that failed temporarily, in one message per wait."""
        for wait, indexes in self._waits(work).items():
            message = work.message.handed_on(indexes, next_attempt=True)
            self.handover.jobs_later(work.batch, [message], wait)
            work.close(indexes)

    def _waits(self, work: Work) -> dict[int, list[int]]:
        """Group the jobs to retry by their wait. One random draw serves all of them, so that they
        share messages."""
        random_unit = self.random_unit()
        waits: dict[int, list[int]] = defaultdict(list)
        for index, found in work.open.items():
            if isinstance(found, TryAgain):
                wait = retry.job_wait(
                    work.message.attempt,
                    first_wait=self.job_retry_seconds,
                    retry_after=found.retry_after,
                    random_unit=random_unit,
                )
                waits[wait].append(index)
        return waits

    def _pass_on(self, work: Work, *, has_begun: bool) -> None:
        """Hand on the jobs that were not started, immediately or when nothing holds them up. If no
        call began, the next worker may not start one either, so that counts as an error."""
        not_started = work.not_started
        if not not_started or work.is_to_be_stopped:
            return
        hold = self.watch.hold(work.message, was_received_before=work.was_received_before)
        if hold:
            self._hold_up(work, hold)
        elif has_begun:
            self.queue.send_jobs([work.message.handed_on(not_started)])
            work.close(not_started)
        else:
            message = work.message.handed_on(not_started, after_error=True)
            self.handover.jobs_after_error([message], Unavailable("There was no time for a call"))
            work.close(not_started)

    def _hold_up(self, work: Work, hold: Hold) -> None:
        """Let the jobs wait without using an attempt."""
        indexes = work.not_started
        away_since = self.clock.now() if hold.reason == "platform" else None
        wait = self.watch.wait(hold)
        message = work.message.held_up(indexes, away_since)
        self.handover.jobs_later(work.batch, [message], wait)
        work.close(indexes)
        self.journal.write(
            "jobs held up",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            jobs=len(indexes),
            reason=hold.reason,
            wait=wait,
        )
