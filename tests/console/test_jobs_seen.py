"""The outcome of each job: what is cached, what is read again, and how errors are shown."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from batchback_console import jobs_seen
from batchback_console.jobs_seen import JobsSeen, seen_job
from chalicelib.domain.batch import Answer, AnswersPart, Batch, Chunk, LastCall, Verdict
from chalicelib.operations.ports import BatchStore
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.samples import PLAIN_TERMS, a_batch, some_jobs, succeeded, unanswered

TOTAL = 200


class ReadsCounted(FakeBatchStore):
    """Remembers which chunks each request reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[range] = []
        #: The chunks that were returned, one after the other.
        self.loaded: list[int] = []

    def read_chunks(self, batch: Batch, chunks: range) -> Iterator[Chunk]:
        self.read.append(chunks)
        for chunk in super().read_chunks(batch, chunks):
            self.loaded.append(chunk.number)
            yield chunk


@pytest.fixture
def store() -> ReadsCounted:
    return ReadsCounted()


@pytest.fixture
def batch(store: ReadsCounted) -> Batch:
    """Two hundred jobs in forty chunks of five."""
    batch = a_batch(TOTAL, jobs_per_message=5)
    assert len(batch.chunks) == 40
    store.save_jobs(batch, PLAIN_TERMS, some_jobs(TOTAL))
    store.commit(batch, START)
    return batch


def answered(
    store: FakeBatchStore, batch: Batch, chunk: int, answer: Answer, *, number: int = 0
) -> None:
    answers = dict.fromkeys(batch.indexes(chunk), answer)
    store.record(batch, chunk, AnswersPart(round=batch.round, number=number, answers=answers))


def with_done(batch: Batch, *chunks: int) -> Batch:
    return replace(batch, done=frozenset({*batch.done, *chunks}))


def grid(seen: JobsSeen, store: BatchStore, batch: Batch) -> str:
    return "".join(job.outcome for job in seen.jobs(store, batch))


def test_all_jobs_come_in_their_order(store: ReadsCounted, batch: Batch) -> None:
    answered(store, batch, 1, succeeded())
    answered(store, batch, 2, unanswered())
    answered(store, batch, 39, Answer(Verdict.FAILED, '{"errorCode":404}'))
    seen = JobsSeen()
    assert grid(seen, store, batch) == f"wwwww{'s' * 5}{'u' * 5}{'w' * 180}{'f' * 5}"
    assert [job.index for job in seen.jobs(store, batch)] == [*range(TOTAL)]
    assert store.read[0] == range(40)


def test_a_finished_chunk_is_read_once(store: ReadsCounted, batch: Batch) -> None:
    for chunk in batch.chunks:
        answered(store, batch, chunk, succeeded())
    ended = with_done(batch, *batch.chunks)
    seen = JobsSeen()
    first = seen.jobs(store, ended)
    assert seen.jobs(store, ended) == first
    assert store.read == [range(40)]


def test_a_chunk_that_was_finished_since_is_read_immediately(
    store: ReadsCounted, batch: Batch
) -> None:
    seen = JobsSeen()
    running = with_done(batch, *range(39))
    grid(seen, store, with_done(running))
    grid(seen, store, running)
    answered(store, batch, 39, succeeded())
    store.read.clear()
    assert grid(seen, store, with_done(running, 39)).endswith("sssss")
    assert store.read == [range(39, 40)]
    grid(seen, store, with_done(running, 39))
    assert store.read == [range(39, 40)]


def test_answers_of_an_unfinished_chunk_show_within_two_looks(
    store: ReadsCounted, batch: Batch
) -> None:
    """Forty chunks are waiting, and each look reads twenty of them in one request."""
    seen = JobsSeen()
    grid(seen, store, batch)
    answered(store, batch, 3, succeeded())
    answered(store, batch, 33, succeeded())
    store.read.clear()
    grids = [grid(seen, store, batch) for _ in range(2)]
    assert [each.count("s") for each in grids] == [5, 10]
    assert store.read == [range(20), range(20, 40)]


def test_distant_chunks_are_read_separately(store: ReadsCounted, batch: Batch) -> None:
    """The chunks between them would be read for nothing."""
    seen = JobsSeen()
    all_but = with_done(batch, *(set(batch.chunks) - {2, 4, 30}))
    grid(seen, store, all_but)
    store.read.clear()
    grid(seen, store, with_done(all_but, 2, 4, 30))
    assert store.read == [range(2, 5), range(30, 31)]


def test_after_a_restart_everything_is_read_again(store: ReadsCounted, batch: Batch) -> None:
    for chunk in batch.chunks:
        answered(store, batch, chunk, unanswered())
    seen = JobsSeen()
    assert grid(seen, store, with_done(batch, *batch.chunks)) == "u" * TOTAL
    again = replace(batch, round=2)
    assert grid(seen, store, again) == "w" * TOTAL


def test_the_batch_viewed_longest_ago_is_forgotten_first(
    store: ReadsCounted, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This happens if there are too many batches or too many jobs."""
    first = with_done(batch, *batch.chunks)
    second, third = (replace(first, submission=f"{number:032x}") for number in range(2))
    for most_batches, most_jobs in [(2, 10**6), (50, TOTAL * 2)]:
        monkeypatch.setattr(jobs_seen, "_MOST_BATCHES", most_batches)
        monkeypatch.setattr(jobs_seen, "_MOST_JOBS", most_jobs)
        seen = JobsSeen()
        for each in [first, second, first, third]:
            seen.jobs(store, each)
        seen.jobs(store, third)
        store.read.clear()
        seen.jobs(store, first)
        assert store.read == []
        seen.jobs(store, second)
        assert store.read == [range(40)]


def test_a_chunk_that_raises_is_shown_without_its_answers(
    store: ReadsCounted, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in batch.chunks:
        answered(store, batch, chunk, succeeded())
    read = store.load_chunk

    def damaged(of: Batch, chunk: int) -> Chunk:
        if chunk in {0, 7}:
            raise KeyError("packed")
        return read(of, chunk)

    monkeypatch.setattr(store, "load_chunk", damaged)
    shown = grid(JobsSeen(), store, with_done(batch, *batch.chunks))
    assert shown == f"wwwww{'s' * 30}wwwww{'s' * 160}"


def test_jobs_that_cannot_be_read_have_no_names(store: ReadsCounted, batch: Batch) -> None:
    """Their answers may still be there."""
    answered(store, batch, 0, succeeded())
    del store.jobs[batch.batch_id, batch.submission, 0]
    job, *_ = JobsSeen().jobs(store, batch)
    assert (job.id, job.namespace, job.action, job.outcome) == (None, "", "", "s")


CALL = LastCall(http_status=404, attempts=2, took_ms=31)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        ('{"errorCode":404,"message":"No such contact"}', "404 No such contact"),
        ('{"message":"No such contact"}', "404 No such contact"),
        ('{"error":"gone"}', "404 gone"),
        ('{"error":{"code":1},"detail":"gone"}', "404 gone"),
        ('{"title":"gone","detail":"really"}', "404 really"),
        ('{"errorCode":"E7","message":"x"}', "x"),
        ('{"errorCode":true,"message":"x"}', "x"),
        ('{"a":1}', '404 {"a":1}'),
        ("[1]", "404 [1]"),
        ("null", "404 null"),
        ("no JSON", "404 no JSON"),
        ("[" * 100_000, "404 " + "[" * 296),
        ('{"message":"' + "x" * 350_000 + '"}', "404 " + "x" * 296),
        ('{"errorCode":' + "9" * 4_000 + ',"message":"x"}', "x"),
        ('{"message":"\\u0000\\ud800\\u202e<script>"}', "404 \0\ud800\u202e<script>"),
    ],
)
def test_an_error_is_shown_in_a_few_words(response: str, error: str) -> None:
    job = seen_job(0, None, Answer(Verdict.FAILED, response, CALL))
    assert job.error == error
    assert (job.http_status, job.attempts, job.took_ms) == (404, 2, 31)


def test_an_answer_of_the_service_needs_no_call() -> None:
    job = seen_job(0, None, unanswered())
    assert (job.outcome, job.error, job.http_status) == ("u", "461 HTTP 500", None)
    assert (job.attempts, job.took_ms) == (None, None)


def test_a_success_has_no_error() -> None:
    assert seen_job(0, None, succeeded('{"message":"fine"}')).error is None


class TestLargeAnswers:
    """Four chunks of five jobs, each with 350 KB: 3.5 GB would be read for 10,000 such jobs."""

    LARGE = succeeded(f'"{"x" * 350_000}"')

    @pytest.fixture
    def large(self, store: ReadsCounted, monkeypatch: pytest.MonkeyPatch) -> Batch:
        monkeypatch.setattr(jobs_seen, "_MOST_BYTES", 3_000_000)
        monkeypatch.setattr(jobs_seen, "_MOST_BYTES_AGAIN", 1_000_000)
        batch = a_batch(20, jobs_per_message=5)
        store.save_jobs(batch, PLAIN_TERMS, some_jobs(20))
        for chunk in batch.chunks:
            answered(store, batch, chunk, self.LARGE)
        return batch

    def test_each_look_reads_a_part_of_them(self, store: ReadsCounted, large: Batch) -> None:
        ended, seen = with_done(large, *large.chunks), JobsSeen()
        assert [grid(seen, store, ended).count("s") for _ in range(3)] == [10, 20, 20]
        assert store.loaded == [0, 1, 2, 3]

    def test_jobs_that_no_look_has_read_yet_are_waiting(
        self, store: ReadsCounted, large: Batch
    ) -> None:
        *_, job = JobsSeen().jobs(store, with_done(large, *large.chunks))
        assert (job.index, job.outcome, job.id, job.is_read) == (19, "w", None, False)

    def test_reading_again_delays_no_new_answers(self, store: ReadsCounted, large: Batch) -> None:
        seen = JobsSeen()
        for _ in range(2):
            grid(seen, store, large)
        assert store.loaded == [0, 1, 2, 3, 0]
        store.loaded.clear()
        grid(seen, store, with_done(large, 3))
        assert store.loaded == [3, 1]
