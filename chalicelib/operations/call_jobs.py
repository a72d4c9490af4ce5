"""Make the calls of one message concurrently, and judge them when all have returned."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from chalicelib.domain import outcome, retry
from chalicelib.domain.account import Key
from chalicelib.domain.batch import Answer, Job, LastCall
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.outcome import NoReply, Reply, TryAgain
from chalicelib.operations.ports import Clock, Concurrent, Journal, Platform
from chalicelib.operations.watch_platform import PlatformWatch
from chalicelib.operations.work import NOT_STARTED, Found, Work

#: Time kept back to record answers and to send a message, including all retries and timeouts of the
#: two requests.
SECONDS_TO_RECORD = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A job, and what became of it in this message."""

    index: int
    found: Found
    #: None if no call began.
    reply: Reply | NoReply | None = None
    took_ms: int = 0

    @property
    def has_begun(self) -> bool:
        return self.reply is not None

    @property
    def is_away(self) -> bool:
        """Whether the call found the platform away."""
        return isinstance(self.found, TryAgain) and self.found.is_away

    def details(self, attempt: int) -> LastCall | None:
        """What is stored about the call with its answer. None if our own side refused to make
        it."""
        if isinstance(self.reply, NoReply) and self.reply.is_final:
            return None
        status = self.reply.status if isinstance(self.reply, Reply) else None
        return LastCall(http_status=status, attempts=attempt, took_ms=self.took_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCaller:
    """Makes a job's call only if there is time for its answer, nothing holds it up, the last
    answers could be recorded, and not too many jobs of its batch have failed."""

    platform: Platform
    concurrent: Concurrent
    watch: PlatformWatch
    clock: Clock
    journal: Journal
    job_timeout_seconds: float

    def call(self, work: Work, jobs: Sequence[Job], key: Key) -> Iterator[list[Called]]:
        """Call the jobs, note in the work what each call found, and yield the results as they
        arrive. While the platform is away, one job first finds out whether it is back."""
        self.platform.prepare()
        first = 1 if self.watch.is_away(work.message) else 0
        for group in filter(None, (jobs[:first], jobs[first:])):
            calls = [partial(self._call, work, job, key) for job in group]
            for called in self.concurrent.run(calls):
                for each in called:
                    self._note(work, each, each.found)
                yield called

    def judge(self, work: Work, all_called: Sequence[Called]) -> None:
        """Decide what each temporary failure means: it costs no attempt if the platform is away,
        and it is final after the last attempt."""
        begun = [called for called in all_called if called.has_begun]
        if begun and all(called.is_away for called in begun):
            self.watch.note_message(work.message)
        is_spared = self.watch.spares(work.message)
        is_last = work.message.attempt >= retry.JOB_TRIES
        for called in all_called:
            if not isinstance(called.found, TryAgain):
                continue
            if called.is_away and is_spared:
                self._note(work, called, NOT_STARTED)
            elif is_last:
                self._note(work, called, outcome.gave_up(called.found, work.message.attempt))

    def tell(self, work: Work, all_called: Iterable[Called]) -> None:
        """Log each call that did not succeed, and one line with the metrics for the whole
        message."""
        words = {called.index: _word(work, called) for called in all_called}
        for called in all_called:
            if called.has_begun and words[called.index] != "succeeded":
                self._tell_failure(work, called, words[called.index])
        verdicts = Counter(words.values())
        self.journal.write(
            "jobs run",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            chunk=work.chunk.number,
            attempt=work.message.attempt,
            succeeded=verdicts["succeeded"],
            failed=verdicts["failed"] + verdicts["unanswered"],
            retried=verdicts["tryagain"],
            durations_ms=[called.took_ms for called in all_called if called.has_begun],
        )

    def _note(self, work: Work, called: Called, found: Found) -> None:
        """Note what a job found so far. An answer keeps the details of the call that produced
        it."""
        if isinstance(found, Answer):
            found = found.of_call(called.details(work.message.attempt))
        work.open[called.index] = found

    def _call(self, work: Work, job: Job, key: Key) -> Called:
        if not self._may_start(work):
            return Called(index=job.index, found=NOT_STARTED)
        began_at = self.clock.now()
        reply = self.platform.call(
            namespace=job.namespace,
            action=job.action,
            body=job.params.encode(),
            idempotency_key=work.batch.call_id(job.index),
            traceparent=work.batch.call_traceparent(job.index),
            key=key,
        )
        self.watch.note(work.batch.account, reply, began_at)
        now = self.clock.now()
        found = outcome.judge_job(reply, now, may_still_run=work.may_have_been_called)
        if isinstance(found, Answer) and not outcome.is_success(found):
            work.failed.add(job.index)
        return Called(
            index=job.index,
            found=found,
            reply=reply,
            took_ms=round((now - began_at) / timedelta(milliseconds=1)),
        )

    def _may_start(self, work: Work) -> bool:
        has_time = work.seconds_left() >= self.job_timeout_seconds + SECONDS_TO_RECORD
        may_go_on = work.error is None and not work.has_seen_too_many_fail
        return has_time and may_go_on and self.watch.may_call(work.message)

    def _tell_failure(self, work: Work, called: Called, word: str) -> None:
        reply = called.reply
        self.journal.write(
            "call failed",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            index=called.index,
            attempt=work.message.attempt,
            outcome=word,
            status=reply.status if isinstance(reply, Reply) else None,
            error=reply.reason if isinstance(reply, NoReply) else None,
            took_ms=called.took_ms,
        )


def _word(work: Work, called: Called) -> str:
    """What became of a job, in the log's words."""
    found = work.open.get(called.index)
    return outcome.word(found if isinstance(found, Answer) else called.found)
