"""The contract of a batch store, which the one in memory and DynamoDB's both keep."""

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.adapters import aws as clients
from chalicelib.adapters import dynamodb, items
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.adapters.threads import ConcurrentThreads
from chalicelib.domain import transitions
from chalicelib.domain.batch import (
    AnswersPart,
    Batch,
    CallbackAttempt,
    Chunk,
    Counts,
    Due,
    Job,
    Listed,
    Marker,
)
from chalicelib.domain.holds import Holds, Outage, Pause
from chalicelib.domain.limits import AccountUsage, Admission, Charge, Slot
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.transitions import Change
from chalicelib.errors import TooNew, Unavailable
from chalicelib.operations.ports import BatchStore
from tests.fakes.aws import lagging
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.samples import TERMS, a_batch, some_jobs, succeeded, unanswered

LATER = START + timedelta(hours=61)
LONG_AGO = START - timedelta(days=1)
SECOND = timedelta(seconds=1)
MUCH_LATER = START + timedelta(days=9_999)
TAKEN = CallbackAttempt(at=START, status=200, took_ms=12)
GONE = CallbackAttempt(at=START, status=410, error="HTTP 410", took_ms=12)
Result = TypeVar("Result")


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> BatchStore:
    if request.param == "memory":
        return FakeBatchStore()
    request.getfixturevalue("aws")
    return DynamoBatchStore(clients.dynamodb(), "batchback-local-batches", sleep=_never)


@pytest.fixture
def account() -> str:
    return uuid.uuid4().hex


#: What DynamoDB's expressions may contain besides placeholders.
WORDS = re.compile(
    r"[#:]\w+|SET|REMOVE|ADD|DELETE|AND|OR|NOT|BETWEEN|attribute_exists|attribute_not_exists"
    r"|begins_with|contains|if_not_exists|size"
)


@pytest.fixture(autouse=True)
def _expressions_use_placeholders_only(aws: None) -> Iterator[None]:  # noqa: ARG001 - moto must be up
    """moto knows only some of the reserved words, and checks none in the condition of a query."""
    events = clients.dynamodb().meta.events
    events.register("provide-client-params.dynamodb", _check_expressions)
    yield
    events.unregister("provide-client-params.dynamodb", _check_expressions)


@pytest.fixture(autouse=True)
def _writes_are_visible_immediately(aws: None) -> Iterator[None]:  # noqa: ARG001 - moto must be up
    """moto is never behind; DynamoDB is, unless strong consistency is requested."""
    with lagging(clients.dynamodb()):
        yield


def _check_expressions(params: Any, **_: object) -> None:
    for name, text in params.items():
        if name.endswith("Expression"):
            assert not re.search(r"\w", WORDS.sub("", text)), f"{name}: {text}"
    if "ExclusiveStartKey" in params:
        assert _is_within(params["ExclusiveStartKey"], params["ExpressionAttributeValues"])


def _is_within(start: Any, values: Any) -> bool:
    """DynamoDB refuses to start at a key for which the query's condition is false; moto does
    not."""
    return ":since" not in values or float(start["created_at"]["N"]) > float(values[":since"]["N"])


def _never(_seconds: float) -> None:
    raise AssertionError("nothing here may wait")


def new_batch(total: int = 3, **fields: Any) -> Batch:
    return a_batch(total, batch_id=uuid.uuid4().hex, submission=uuid.uuid4().hex, **fields)


def listed(batch: Batch) -> Listed:
    return Listed(batch_id=batch.batch_id, created_at=batch.created_at)


def saved(store: BatchStore, total: int = 3, **fields: Any) -> Batch:
    batch = new_batch(total, **fields)
    store.save_jobs(batch, TERMS, some_jobs(total))
    assert store.commit(batch, START) == batch
    return batch


def part(number: int = 0, *indexes: int, round: int = 1) -> AnswersPart:
    return AnswersPart(
        round=round,
        number=number,
        answers={index: succeeded(f'{{"n":{index}}}') for index in indexes},
    )


def full_chunk(batch: Batch, number: int) -> Chunk:
    indexes = batch.indexes(number)
    return Chunk(
        number=number,
        indexes=indexes,
        jobs=some_jobs(batch.total)[indexes.start : indexes.stop],
        parts=(part(0, *indexes),),
    )


class TestSaving:
    def test_a_committed_batch_is_read_back_unchanged(self, store: BatchStore) -> None:
        batch = saved(store)
        assert store.find(batch.batch_id) == batch
        assert store.find_terms(batch) == TERMS

    def test_every_field_of_a_head_survives(self, store: BatchStore) -> None:
        batch = saved(
            store,
            state=BatchState.COMPLETED,
            cancelled=True,
            completed_at=START + timedelta(milliseconds=1),
            done=frozenset({0, 2}),
            unanswered=frozenset({2}),
            counts=Counts(succeeded=1, failed=2, result_bytes=3),
            unanswered_counts=Counts(succeeded=4, failed=5, unanswered=3, result_bytes=6),
            next_check_at=None,
            checks=7,
            checked_at=START,
            rerun="token",
            round_began_at=START + timedelta(hours=1),
            done_at_last_check=8,
            waits_until=START + timedelta(hours=2),
            sentinel_at=START + timedelta(hours=3),
            callback_round=9,
            attempts=10,
            next_try_at=START,
            lease="token",
            lease_ends_at=START + timedelta(hours=4),
            history=(CallbackAttempt(at=START, status=500, error="HTTP 500", took_ms=12),),
            due_at=None,
        )
        assert store.find(batch.batch_id) == batch

    def test_jobs_saved_without_a_head_are_not_a_batch(self, store: BatchStore) -> None:
        batch = new_batch()
        store.save_jobs(batch, TERMS, some_jobs(3))
        assert store.find(batch.batch_id) is None

    def test_a_repeated_commit_finds_itself(self, store: BatchStore) -> None:
        batch = saved(store)
        assert store.commit(batch, START) == batch

    def test_another_submission_does_not_replace_a_live_head(self, store: BatchStore) -> None:
        batch = saved(store)
        assert store.commit(replace(batch, submission=uuid.uuid4().hex), START) == batch
        assert store.find(batch.batch_id) == batch

    def test_an_expired_head_is_replaced(self, store: BatchStore) -> None:
        old = saved(store)
        new = replace(old, submission=uuid.uuid4().hex, expires_at=LATER + timedelta(hours=60))
        assert store.commit(new, LATER)
        assert store.find(old.batch_id) == new

    def test_a_voided_submission_can_never_be_committed(self, store: BatchStore) -> None:
        batch = new_batch()
        assert store.void(batch, START) is None
        assert not store.commit(batch, START)
        assert not store.commit(batch, LATER)
        assert store.find(batch.batch_id) is None

    def test_a_voided_head_is_replaced_by_another_submission(self, store: BatchStore) -> None:
        batch = new_batch()
        store.void(batch, START)
        other = replace(batch, submission=uuid.uuid4().hex)
        assert store.commit(other, START)
        assert store.find(batch.batch_id) == other

    def test_voiding_a_committed_batch_returns_it(self, store: BatchStore) -> None:
        batch = saved(store)
        assert store.void(batch, START) == batch
        assert store.find(batch.batch_id) == batch


class TestChunks:
    @pytest.mark.parametrize(("total", "per_message"), [(1, 25), (3, 25), (12, 25), (200, 25)])
    def test_all_chunks_are_read_in_the_order_of_the_jobs(
        self, store: BatchStore, total: int, per_message: int
    ) -> None:
        batch = saved(store, total, jobs_per_message=per_message)
        read = [job for chunk in store.read_chunks(batch, batch.chunks) for job in chunk.jobs or ()]
        assert read == [*some_jobs(total)]

    @pytest.mark.parametrize("chunks", [range(5, 8), range(2, 4), range(1)])
    def test_only_the_requested_chunks_are_read(self, store: BatchStore, chunks: range) -> None:
        batch = saved(store, 16, jobs_per_message=2)
        read = [*store.read_chunks(batch, chunks)]
        assert [chunk.number for chunk in read] == [*chunks]
        assert all(chunk.jobs for chunk in read)

    def test_no_chunks_are_read_if_none_are_requested(self, store: BatchStore) -> None:
        batch = saved(store, 16, jobs_per_message=2)
        assert [*store.read_chunks(batch, batch.chunks[8:])] == []

    def test_values_come_back_unchanged(self, store: BatchStore) -> None:
        params = '{"big":' + "9" * 4300 + ',"one":1.0,"text":"é😀\\ud83d\\u0000","many":[[]]}'
        batch = new_batch(1)
        store.save_jobs(batch, TERMS, [Job(0, "event", "inviteContacts", params)])
        store.commit(batch, START)
        assert store.load_chunk(batch, 0).jobs == (Job(0, "event", "inviteContacts", params),)

    def test_a_chunk_larger_than_an_item_is_stored_whole(self, store: BatchStore) -> None:
        noise = [uuid.UUID(int=seed * 7919**8 % 2**128).hex for seed in range(60_000)]
        jobs = [
            Job(index, "a", "b", f'{{"noise":"{"".join(noise[index::10])}"}}')
            for index in range(10)
        ]
        batch = new_batch(10, chunk_size=10)
        store.save_jobs(batch, TERMS, jobs)
        store.commit(batch, START)
        assert store.load_chunk(batch, 0).jobs == tuple(jobs)

    @pytest.mark.usefixtures("aws")
    def test_throttled_answers_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A batch is in one partition and has the write capacity of one."""
        client: Any = clients.dynamodb()
        pauses: list[float] = []
        store = DynamoBatchStore(client, "batchback-local-batches", sleep=pauses.append)
        batch = saved(store, 1)
        part = AnswersPart(round=1, number=0, answers={0: succeeded()})
        put, refusals = client.put_item, iter(range(3))

        def refuse_some(**request: Any) -> Any:
            if next(refusals, None) is None:
                return put(**request)
            raise throttled("PutItem")

        monkeypatch.setattr(client, "put_item", refuse_some)
        assert store.record(batch, 0, part)
        assert len(pauses) == 3
        assert store.load_chunk(batch, 0).parts == (part,)
        refusals = iter(range(99))
        with pytest.raises(Unavailable, match="ProvisionedThroughputExceededException"):
            store.record(batch, 0, part)

    def test_a_chunk_that_was_never_stored_is_read_without_jobs(self, store: BatchStore) -> None:
        batch = new_batch(16, jobs_per_message=2)
        store.commit(batch, START)
        assert store.load_chunk(batch, 0).jobs is None
        assert [chunk.jobs for chunk in store.read_chunks(batch, batch.chunks)] == [None] * 8

    def test_answers_are_read_with_their_chunk_in_order(self, store: BatchStore) -> None:
        batch = saved(store, 12, chunk_size=12)
        parts = [part(0, 3, 1), part(1, 2), part(0, 5, round=2)]
        for each in (parts[2], parts[0], parts[1]):
            assert store.record(batch, 0, each)
        assert store.load_chunk(batch, 0).parts == tuple(parts)

    def test_a_flush_number_is_used_once(self, store: BatchStore) -> None:
        batch = saved(store)
        assert store.record(batch, 0, part(0, 0))
        assert not store.record(batch, 0, part(0, 1))
        assert store.load_chunk(batch, 0).parts == (part(0, 0),)

    def test_another_submission_with_the_same_id_sees_none_of_it(self, store: BatchStore) -> None:
        batch = saved(store)
        store.record(batch, 0, part(0, 0))
        other = replace(batch, submission=uuid.uuid4().hex)
        assert store.load_chunk(other, 0).parts == ()
        assert store.find_terms(other) is None


class TestChanges:
    def test_a_chunk_is_finished_once(self, store: BatchStore) -> None:
        batch = saved(store, 16, jobs_per_message=2)
        change = transitions.finish_chunk(batch, full_chunk(batch, 1))
        after = store.change(batch, change)
        assert after
        assert after.done == {1}
        assert after.counts.succeeded == 2
        assert after.counts.result_bytes > 0
        assert store.change(batch, change) is None
        assert store.find(batch.batch_id) == after

    def test_a_chunk_with_an_unanswered_job_is_counted_separately(self, store: BatchStore) -> None:
        batch = saved(store, 16, jobs_per_message=2)
        for chunk in (0, 1):
            one, other = batch.indexes(chunk)
            lost = AnswersPart(round=1, number=0, answers={one: unanswered(), other: succeeded()})
            full = replace(full_chunk(batch, chunk), parts=(lost,))
            after = store.change(batch, transitions.finish_chunk(batch, full))
        assert after
        assert after.done == after.unanswered == {0, 1}
        assert after.counts == Counts()
        counted = replace(after.unanswered_counts, result_bytes=0)
        assert counted == Counts(succeeded=2, failed=2, unanswered=2)
        assert store.find(batch.batch_id) == after

    def test_a_change_for_another_round_or_submission_does_nothing(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        for stale in (replace(batch, round=2), replace(batch, submission=uuid.uuid4().hex)):
            assert store.change(stale, transitions.complete(stale, START)) is None
        assert store.find(batch.batch_id) == batch

    def test_a_change_can_remove_values(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        after = store.change(batch, transitions.complete(batch, START))
        assert after
        assert after.next_check_at is None
        assert after.state is BatchState.COMPLETED
        assert after == store.find(batch.batch_id)

    def test_a_batch_is_completed_once(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        assert store.change(batch, transitions.complete(batch, START))
        assert store.change(batch, transitions.complete(batch, START)) is None

    def test_there_is_one_lease_at_a_time(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        completed = store.change(batch, transitions.complete(batch, START))
        assert completed
        assert store.change(completed, transitions.take_lease(completed, "one", START))
        assert store.change(completed, transitions.take_lease(completed, "two", START)) is None

    def test_the_latest_of_several_waits_counts(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        first, early, late = (START + timedelta(minutes=minutes) for minutes in (10, 5, 15))
        after = store.change(batch, transitions.wait_until(batch, first))
        assert after == replace(batch, waits_until=first)
        for no_later in (early, first):
            assert store.change(batch, transitions.wait_until(batch, no_later)) is None
        assert store.find(batch.batch_id) == after
        assert store.change(batch, transitions.wait_until(batch, late))
        assert store.find(batch.batch_id) == replace(batch, waits_until=late)

    def test_waits_of_another_or_an_ended_round_are_not_recorded(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        later = replace(batch, round=2)
        assert store.change(later, transitions.wait_until(later, LATER)) is None
        ended = store.change(batch, transitions.complete(batch, START))
        assert ended
        assert store.change(batch, transitions.wait_until(batch, LATER)) is None
        assert store.find(batch.batch_id) == ended

    def test_there_is_one_sentinel_at_a_time_and_it_is_ended_once(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        sent = store.change(batch, transitions.record_check(batch, START, sends_sentinel=True))
        assert sent
        assert sent.sentinel_at == START
        assert store.change(batch, transitions.clear_sentinel(batch)) is None
        ended = store.change(sent, transitions.clear_sentinel(sent))
        assert ended == replace(sent, sentinel_at=None)
        assert store.change(sent, transitions.clear_sentinel(sent)) is None

    def test_a_check_that_sends_no_sentinel_keeps_the_current_one(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        sent = store.change(batch, transitions.record_check(batch, START, sends_sentinel=True))
        assert sent
        after = store.change(sent, transitions.record_check(sent, LATER))
        assert after
        assert after.sentinel_at == START

    def test_a_lease_outlives_repost_and_restart(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        completed = store.change(batch, transitions.complete(batch, START))
        assert completed
        leased = store.change(completed, transitions.take_lease(completed, "one", START))
        assert leased
        assert leased.lease_ends_at == START + transitions.LEASE
        assert store.change(completed, transitions.repost(completed, "too late", START)) is None
        reposted = store.change(leased, transitions.repost(leased, "again", START))
        assert reposted
        assert (reposted.lease, reposted.lease_ends_at) == (None, leased.lease_ends_at)
        restarted = store.change(
            reposted, transitions.restart(reposted, "anew", START, timedelta(hours=12))
        )
        assert restarted
        assert restarted.lease_ends_at == leased.lease_ends_at

    def test_a_change_of_a_missing_batch_does_nothing(self, store: BatchStore) -> None:
        batch = new_batch()
        assert store.change(batch, transitions.complete(batch, START)) is None
        assert store.find(batch.batch_id) is None


class TestExpiry:
    @pytest.mark.usefixtures("aws")
    def test_the_database_deletes_all_of_a_batch_when_it_has_expired(self) -> None:
        """TTL uses `expires_at`; an item without it would stay forever."""
        client = clients.dynamodb()
        store = DynamoBatchStore(client, "batchback-local-batches", sleep=_never)
        batch = saved(store, 1)
        store.mark(batch, 0, 0, Marker(round=1, hops=0, receive_count=2))
        store.record(batch, 0, part(0, 0))
        voided = new_batch()
        store.void(voided, START)
        found = [*items_of(batch), *items_of(voided)]
        assert len(found) == 6
        assert {item["expires_at"]["N"] for item in found} == {
            f"{batch.expires_at.timestamp():.3f}"
        }


def items_of(batch: Batch) -> Sequence[Any]:
    return clients.dynamodb().query(
        TableName="batchback-local-batches",
        KeyConditionExpression="#id = :id",
        ExpressionAttributeNames={"#id": "batch_id"},
        ExpressionAttributeValues={":id": {"S": batch.batch_id}},
        ConsistentRead=True,
    )["Items"]


class TestMarkers:
    def test_a_marker_is_read_with_its_chunk_until_it_is_removed(self, store: BatchStore) -> None:
        batch = saved(store, 16, jobs_per_message=2)
        marker = Marker(round=2, hops=3, receive_count=4, deaths=5)
        store.mark(batch, 1, 2, marker)
        assert store.load_chunk(batch, 1).markers == {2: marker}
        assert store.load_chunk(batch, 0).markers == {}
        store.unmark(batch, 1, 2)
        store.unmark(batch, 1, 2)
        assert store.load_chunk(batch, 1).markers == {}

    def test_a_newer_marker_replaces_an_older_one(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        for receive_count in (2, 3):
            store.mark(batch, 0, 0, Marker(round=1, hops=0, receive_count=receive_count))
        assert store.load_chunk(batch, 0).markers[0].receive_count == 3


#: Each of these changes, made one after the other, leaves the batch with nothing to do.
ENDS: dict[str, list[Callable[[Batch], Change]]] = {
    "delivered": [
        lambda batch: transitions.complete(batch, START),
        lambda batch: transitions.take_lease(batch, "ours", START),
        lambda batch: transitions.record_delivery(batch, TAKEN),
    ],
    "refused": [
        lambda batch: transitions.complete(batch, START),
        lambda batch: transitions.take_lease(batch, "ours", START),
        lambda batch: transitions.record_refusal(batch, GONE),
    ],
    "expired": [transitions.clear_due],
    "without callback": [
        lambda batch: transitions.complete(replace(batch, callback=CallbackState.NONE), START)
    ],
}


class TestAlarms:
    def test_a_batch_is_found_once_it_is_due(self, store: BatchStore) -> None:
        batch = saved(store)
        assert batch.due_at
        due = Due(batch_id=batch.batch_id, due_at=batch.due_at)
        assert due not in [*store.find_due(batch.due_at - timedelta(milliseconds=1))]
        assert due in [*store.find_due(batch.due_at)]

    def test_a_due_batch_is_reserved_once(self, store: BatchStore) -> None:
        batch = saved(store)
        assert batch.due_at
        due = Due(batch_id=batch.batch_id, due_at=batch.due_at)
        reserved = store.reserve(due, LATER)
        assert reserved == replace(batch, due_at=LATER)
        assert store.reserve(due, LATER) is None
        assert store.find(batch.batch_id) == reserved

    def test_a_batch_without_a_due_time_is_not_found(self, store: BatchStore) -> None:
        batch = saved(store, 1)
        store.change(batch, transitions.clear_due(batch))
        assert batch.batch_id not in [due.batch_id for due in store.find_due(LATER)]

    @pytest.mark.parametrize("end", ENDS)
    def test_a_batch_with_nothing_to_do_is_never_due_again(
        self, store: BatchStore, end: str
    ) -> None:
        batch = ended(store, end)
        assert batch.due_at is None
        assert batch.batch_id not in [due.batch_id for due in store.find_due(MUCH_LATER)]

    @pytest.mark.parametrize("end", [*ENDS, "voided"])
    def test_a_batch_with_nothing_to_do_is_not_in_the_index(self, end: str) -> None:
        """An item is in an index if it has both of its attributes. One that is left costs money,
        and would come back with the other."""
        client = clients.dynamodb()
        store = DynamoBatchStore(client, "batchback-local-batches", sleep=_never)
        if end == "voided":
            batch = saved(store)
            store.void(replace(batch, submission="other"), LATER)
        else:
            batch = ended(store, end)
        key = {"batch_id": {"S": batch.batch_id}, "part": {"S": "0#head"}}
        item = client.get_item(TableName="batchback-local-batches", Key=key, ConsistentRead=True)
        assert not {"due_at", "due_bucket"} & item["Item"].keys()

    @pytest.mark.usefixtures("aws")
    def test_a_bucket_full_of_due_batches_does_not_delay_the_others(self) -> None:
        """Callers can choose their ids' bucket with their Idempotency-Keys."""
        store = DynamoBatchStore(clients.dynamodb(), "batchback-local-batches", sleep=_never)
        long_ago = START - timedelta(days=1)
        buckets = [0, 0, 0, 0, 0, 2, 3]
        for bucket in buckets:
            batch_id = f"{bucket:08x}{uuid.uuid4().hex[8:]}"
            store.commit(replace(new_batch(1), batch_id=batch_id, due_at=long_ago), START)
        found = [int(due.batch_id[:8], 16) for due in store.find_due(long_ago)]
        assert found == [0, 2, 3, 0, 0, 0, 0]

    def test_a_voided_head_is_never_due_and_is_in_no_list(self, store: BatchStore) -> None:
        batch = saved(store, account="voided")
        store.void(replace(batch, submission="other"), LATER)
        assert store.find(batch.batch_id) is None
        assert batch.batch_id not in [due.batch_id for due in store.find_due(LATER)]
        assert [*store.find_of_account("voided", START - timedelta(hours=1))] == []


def ended(store: BatchStore, end: str) -> Batch:
    batch = saved(store, 1)
    for decide in ENDS[end]:
        after = store.change(batch, decide(batch))
        assert after
        batch = after
    return batch


class TestListing:
    def test_an_accounts_batches_come_newest_first(self, store: BatchStore, account: str) -> None:
        moments = [START + timedelta(milliseconds=span) for span in (1, 3, 2)]
        batches = [saved(store, 1, account=account, created_at=moment) for moment in moments]
        saved(store, 1, account="another")
        newest_first = [listed(batches[place]) for place in (1, 2, 0)]
        assert [*store.find_of_account(account, START)] == newest_first
        assert [*store.find_of_account(account, moments[2])] == newest_first[:1]

    def test_an_accounts_batches_can_be_read_in_parts(
        self, store: BatchStore, account: str
    ) -> None:
        """This includes batches that were created at the same moment."""
        for moment in (START, START + SECOND):
            for _ in range(3):
                saved(store, 1, account=account, created_at=moment)
        whole = [*store.find_of_account(account, LONG_AGO)]
        assert len(whole) == 6
        for place, after in enumerate(whole, 1):
            rest = store.find_of_account(account, LONG_AGO, after=after)
            part = store.find_of_account(account, LONG_AGO, after=after, limit=2)
            assert ([*rest], [*part]) == (whole[place:], whole[place : place + 2])
        assert [*store.find_of_account(account, LONG_AGO, limit=9)] == whole

    def test_batches_after_a_deleted_one_are_found(self, store: BatchStore, account: str) -> None:
        """The database deletes expired batches, and a newer batch may have the same id."""
        batch = saved(store, 1, account=account)
        gone = Listed(batch_id=uuid.uuid4().hex, created_at=START + SECOND)
        assert [*store.find_of_account(account, LONG_AGO, after=gone)] == [listed(batch)]

    def test_there_is_nothing_after_a_batch_that_is_too_old(
        self, store: BatchStore, account: str
    ) -> None:
        batch = saved(store, 1, account=account)
        for since in (START, START + SECOND):
            assert [*store.find_of_account(account, since, after=listed(batch))] == []


class TestFindingMany:
    def test_existing_batches_are_found_by_their_ids(self, store: BatchStore) -> None:
        one, two = saved(store), saved(store)
        missing, voided = new_batch(), new_batch()
        store.void(voided, START)
        ids = [one.batch_id, missing.batch_id, voided.batch_id, two.batch_id, one.batch_id]
        assert store.find_all(ids) == {one.batch_id: one, two.batch_id: two}
        assert store.find_all([]) == {}

    def test_more_batches_than_one_request_returns_are_found(
        self, store: BatchStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dynamodb, "_KEYS_PER_REQUEST", 2)
        batches = [saved(store, 1) for _ in range(5)]
        found = store.find_all([batch.batch_id for batch in batches])
        assert found == {batch.batch_id: batch for batch in batches}

    @pytest.mark.usefixtures("aws")
    def test_keys_that_a_request_leaves_out_are_requested_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client: Any = clients.dynamodb()
        pauses: list[float] = []
        store = DynamoBatchStore(client, "batchback-local-batches", sleep=pauses.append)
        batches = [saved(store, 1) for _ in range(3)]
        read = client.batch_get_item

        def read_one(RequestItems: Any) -> Any:  # noqa: N803 - DynamoDB's own
            [(table, request)] = RequestItems.items()
            first, *others = request["Keys"]
            answer = read(RequestItems={table: {**request, "Keys": [first]}})
            left = {table: {**request, "Keys": others}} if others else {}
            return {**answer, "UnprocessedKeys": left}

        monkeypatch.setattr(client, "batch_get_item", read_one)
        assert len(store.find_all([batch.batch_id for batch in batches])) == 3
        assert len(pauses) == 2
        with pytest.raises(Unavailable, match="did not read 4 items"):
            store.find_all([f"{number:032}" for number in range(9)])


class TestLargeBatches:
    """Sixty chunks and the terms take three requests."""

    @pytest.fixture
    def large(self) -> Batch:
        return new_batch(60, chunk_size=1)

    @pytest.mark.usefixtures("aws")
    def test_the_requests_are_sent_concurrently(
        self, large: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client: Any = clients.dynamodb()
        write = client.batch_write_item
        all_three = Barrier(3, timeout=20)

        def wait_for_the_others(**request: Any) -> Any:
            all_three.wait()
            return write(**request)

        monkeypatch.setattr(client, "batch_write_item", wait_for_the_others)
        store = side_by_side_store(client)
        store.save_jobs(large, TERMS, some_jobs(60))
        assert store.find_terms(large) == TERMS
        stored = [store.load_chunk(large, chunk).jobs for chunk in large.chunks]
        assert stored == [(job,) for job in some_jobs(60)]

    @pytest.mark.usefixtures("aws")
    def test_if_one_request_fails_the_jobs_are_not_stored(
        self, large: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The error is raised only after every request has ended."""
        client: Any = clients.dynamodb()
        write, answered = client.batch_write_item, []
        all_three = Barrier(3, timeout=20)

        def fail_where_the_terms_are(RequestItems: Any) -> Any:  # noqa: N803 - DynamoDB's own
            all_three.wait()
            answered.append(RequestItems)
            if "0#terms" in str(RequestItems):
                raise EndpointConnectionError(endpoint_url="https://example.com")
            return write(RequestItems=RequestItems)

        monkeypatch.setattr(client, "batch_write_item", fail_where_the_terms_are)
        with pytest.raises(Unavailable, match="DynamoDB: EndpointConnectionError"):
            side_by_side_store(client).save_jobs(large, TERMS, some_jobs(60))
        assert len(answered) == 3

    @pytest.mark.usefixtures("aws")
    def test_items_that_a_partition_does_not_accept_are_written_again(
        self, large: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Writing 10 MB takes a partition at least eight seconds."""
        client: Any = clients.dynamodb()
        pauses: list[float] = []
        monkeypatch.setattr(
            client, "batch_write_item", lambda **asked: {"UnprocessedItems": asked["RequestItems"]}
        )
        store = DynamoBatchStore(client, "batchback-local-batches", sleep=pauses.append)
        with pytest.raises(Unavailable, match="did not write 25 items"):
            store.save_jobs(large, TERMS, some_jobs(60))
        assert 8 < sum(pauses) < 10

    @pytest.mark.usefixtures("aws")
    def test_a_request_that_is_throttled_as_a_whole_is_sent_again(
        self, large: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """DynamoDB reports this as an error, and items left over in its answer."""
        client: Any = clients.dynamodb()
        pauses: list[float] = []
        write, refusals = client.batch_write_item, iter(range(4))

        def refuse_some(**request: Any) -> Any:
            if next(refusals, None) is None:
                return write(**request)
            raise throttled("BatchWriteItem")

        monkeypatch.setattr(client, "batch_write_item", refuse_some)
        store = DynamoBatchStore(client, "batchback-local-batches", sleep=pauses.append)
        store.save_jobs(large, TERMS, some_jobs(60))
        assert len(pauses) == 4
        assert store.find_terms(large) == TERMS
        refusals = iter(range(99))
        with pytest.raises(Unavailable, match="did not write 25 items"):
            store.save_jobs(large, TERMS, some_jobs(60))


def side_by_side_store(client: Any) -> DynamoBatchStore:
    threads = ConcurrentThreads(3, flush_seconds=1)
    return DynamoBatchStore(client, "batchback-local-batches", sleep=_never, concurrent=threads)


def throttled(operation: str) -> ClientError:
    code = "ProvisionedThroughputExceededException"
    return ClientError({"Error": {"Code": code, "Message": "slower"}}, operation)


def slot(**fields: Any) -> Slot:
    return Slot.of(new_batch(**fields))


def admission(
    of: Slot, *, fewer_than: int | None = None, charge: Charge | None = None
) -> Admission:
    return Admission(slot=of, fewer_than=fewer_than, charge=charge)


def usage_of(store: BatchStore, account: str) -> AccountUsage:
    """The usage, as returned for an admission that is refused."""
    never = Charge(cost=timedelta(), now=LATER, no_later_than=START)
    return store.admit(account, admission(slot(), charge=never))


#: The charge for an account that has nothing to pay, and for one that has up to a minute to pay.
IDLE = Charge(cost=20 * SECOND, now=START, no_later_than=None)
BUSY = Charge(cost=20 * SECOND, now=START, no_later_than=START + 40 * SECOND)


class TestUsage:
    def test_a_taken_slot_is_open(self, store: BatchStore, account: str) -> None:
        first, second = slot(), slot(round=7, round_began_at=START + timedelta(milliseconds=1))
        assert store.admit(account, admission(first, fewer_than=2)).open == {first}
        usage = store.admit(account, admission(second, fewer_than=2))
        assert usage.open == {first, second}
        assert (usage.paid_until, usage.pruned_at) == (None, None)

    def test_if_all_slots_are_taken_nothing_is_written(
        self, store: BatchStore, account: str
    ) -> None:
        first = slot()
        store.admit(account, admission(first, fewer_than=1))
        refused = store.admit(account, admission(slot(), fewer_than=1, charge=IDLE))
        assert refused.open == {first}
        assert refused.paid_until is None

    def test_a_repeated_admission_is_not_charged_again(
        self, store: BatchStore, account: str
    ) -> None:
        store.admit(account, admission(slot(), fewer_than=9, charge=IDLE))
        for fewer_than in (2, 9, None):
            ours = admission(slot(), fewer_than=fewer_than, charge=replace(BUSY, cost=SECOND))
            usage = store.admit(account, ours)
            assert ours.slot in usage.open
            assert store.admit(account, ours) == usage
            store.undo_admission(account, ours)

    def test_each_account_has_its_own_slots(self, store: BatchStore, account: str) -> None:
        store.admit(account, admission(slot(), fewer_than=1))
        other = slot()
        assert store.admit(f"{account}-2", admission(other, fewer_than=1)).open == {other}

    def test_if_slots_are_not_limited_the_newest_is_kept(
        self, store: BatchStore, account: str
    ) -> None:
        store.admit(account, admission(slot(), charge=IDLE))
        newest = slot()
        assert store.admit(account, admission(newest, charge=BUSY)).open == {newest}

    def test_a_charge_counts_from_now_if_nothing_is_to_be_paid(
        self, store: BatchStore, account: str
    ) -> None:
        for now in (START, START + 20 * SECOND, START + 3000 * SECOND):
            usage = store.admit(account, admission(slot(), charge=replace(IDLE, now=now)))
            assert usage.paid_until == now + IDLE.cost

    def test_charges_add_up_to_the_limit(self, store: BatchStore, account: str) -> None:
        store.admit(account, admission(slot(), charge=IDLE))
        for seconds in (40, 60):
            usage = store.admit(account, admission(slot(), charge=BUSY))
            assert usage.paid_until == START + seconds * SECOND
        too_much = slot()
        usage = store.admit(account, admission(too_much, charge=BUSY))
        assert usage.paid_until == START + 60 * SECOND
        assert too_much not in usage.open

    def test_a_charge_based_on_another_usage_changes_nothing(
        self, store: BatchStore, account: str
    ) -> None:
        wrong = slot()
        assert store.admit(account, admission(wrong, fewer_than=9, charge=BUSY)).open == set()
        store.admit(account, admission(slot(), fewer_than=9, charge=IDLE))
        usage = store.admit(account, admission(wrong, fewer_than=9, charge=IDLE))
        assert wrong not in usage.open
        assert usage.paid_until == START + 20 * SECOND
        late = replace(BUSY, now=START + 30 * SECOND, no_later_than=START + 70 * SECOND)
        usage = store.admit(account, admission(wrong, fewer_than=9, charge=late))
        assert wrong not in usage.open
        assert usage.paid_until == START + 20 * SECOND

    def test_a_microsecond_counts(self, store: BatchStore, account: str) -> None:
        tiny = replace(IDLE, cost=timedelta(microseconds=60))
        store.admit(account, admission(slot(), charge=tiny))
        usage = store.admit(account, admission(slot(), charge=replace(BUSY, cost=tiny.cost)))
        assert usage.paid_until == START + timedelta(microseconds=120)

    def test_an_admission_is_undone_once(self, store: BatchStore, account: str) -> None:
        stays, ours = (admission(slot(), fewer_than=9, charge=each) for each in (IDLE, BUSY))
        before = store.admit(account, stays)
        store.admit(account, ours)
        for _ in range(2):
            store.undo_admission(account, ours)
        assert usage_of(store, account) == before

    def test_an_admission_without_charge_is_undone_too(
        self, store: BatchStore, account: str
    ) -> None:
        ours = admission(slot(), fewer_than=1)
        store.admit(account, ours)
        store.undo_admission(account, ours)
        other = slot()
        assert store.admit(account, admission(other, fewer_than=1)).open == {other}

    def test_slots_are_freed_any_number_of_times(self, store: BatchStore, account: str) -> None:
        one, two, three = (slot() for _ in range(3))
        for each in (one, two, three):
            store.admit(account, admission(each, fewer_than=3))
        for _ in range(2):
            store.vacate(account, [one, two, slot()])
        assert store.admit(account, admission(slot(), fewer_than=1)).open == {three}
        store.vacate(account, [three])
        assert usage_of(store, account).open == set()

    def test_only_one_of_two_reserves_the_pruning(self, store: BatchStore, account: str) -> None:
        later = START + 10 * SECOND
        assert store.reserve_pruning(account, None, START)
        assert not store.reserve_pruning(account, None, START)
        assert store.reserve_pruning(account, START, later)
        assert not store.reserve_pruning(account, START, later)
        assert usage_of(store, account).pruned_at == later

    def test_a_usage_is_not_a_batch_and_in_no_list(self, store: BatchStore, account: str) -> None:
        store.admit(account, admission(slot(), fewer_than=1, charge=IDLE))
        assert store.find(f"account#{account}") is None
        assert store.find_all([f"account#{account}"]) == {}
        assert [*store.find_of_account(account, START - timedelta(days=1))] == []
        assert account not in str([*store.find_due(LATER)])


OUTAGE = Outage.beginning(START)
PAUSE = Pause(until=START + timedelta(hours=2), reason="the platform moves house")


class TestHolds:
    @pytest.fixture(autouse=True)
    def _without_a_pause(self, store: BatchStore) -> Iterator[None]:
        yield
        store.pause(None)

    def test_normally_there_are_no_holds(self, store: BatchStore, account: str) -> None:
        assert store.find_holds(account) == Holds()

    def test_a_batch_is_read_together_with_the_holds(self, store: BatchStore, account: str) -> None:
        batch = saved(store)
        assert store.find_with_holds(batch.batch_id, account) == (batch, Holds())
        store.begin_outage(account, OUTAGE)
        store.pause(PAUSE)
        holds = Holds(outage=OUTAGE, pause=PAUSE)
        assert store.find_with_holds(batch.batch_id, account) == (batch, holds)
        assert store.find_with_holds(uuid.uuid4().hex, account) == (None, holds)
        assert store.find_holds(account) == holds

    @pytest.mark.usefixtures("aws")
    def test_a_batch_and_its_holds_take_one_request(self) -> None:
        client: Any = clients.dynamodb()
        store = DynamoBatchStore(client, "batchback-local-batches", sleep=_never)
        batch = saved(store)
        asked: list[str] = []

        def note(model: Any, **_: object) -> None:
            asked.append(model.name)

        client.meta.events.register("before-call.dynamodb", note)
        store.find_with_holds(batch.batch_id, "acme")
        store.find_holds("acme")
        client.meta.events.unregister("before-call.dynamodb", note)
        assert asked == ["BatchGetItem", "BatchGetItem"]

    def test_an_outage_holds_up_only_its_account(self, store: BatchStore, account: str) -> None:
        store.begin_outage(account, OUTAGE)
        assert store.find_holds(f"{account}2") == Holds()

    def test_a_pause_holds_up_every_account(self, store: BatchStore, account: str) -> None:
        store.pause(PAUSE)
        assert store.find_holds(account) == store.find_holds("another") == Holds(pause=PAUSE)

    def test_an_outage_begins_once(self, store: BatchStore, account: str) -> None:
        assert store.begin_outage(account, OUTAGE)
        assert not store.begin_outage(account, Outage.beginning(START + SECOND))
        assert store.find_holds(account).outage == OUTAGE

    def test_an_outage_is_moved_only_if_it_is_the_one_seen(
        self, store: BatchStore, account: str
    ) -> None:
        store.begin_outage(account, OUTAGE)
        later = OUTAGE.still_away(START + timedelta(milliseconds=15_001))
        assert store.move_outage(account, OUTAGE, later)
        assert store.find_holds(account).outage == later
        assert not store.move_outage(account, OUTAGE, OUTAGE.still_away(START + 60 * SECOND))
        anew = replace(later, began_at=START + SECOND)
        assert not store.move_outage(account, anew, anew.still_away(START + 60 * SECOND))
        assert store.find_holds(account).outage == later

    def test_an_ended_outage_is_not_moved(self, store: BatchStore, account: str) -> None:
        assert not store.move_outage(account, OUTAGE, OUTAGE.still_away(OUTAGE.until))
        assert store.find_holds(account) == Holds()

    def test_an_outage_ends_if_it_began_before_the_answered_call(
        self, store: BatchStore, account: str
    ) -> None:
        store.begin_outage(account, OUTAGE)
        for began_at in (START - SECOND, START):
            assert not store.end_outage(account, began_at)
        assert store.find_holds(account).outage == OUTAGE
        assert store.end_outage(account, START + timedelta(milliseconds=1))
        assert store.find_holds(account) == Holds()
        assert not store.end_outage(account, START + SECOND)

    def test_a_pause_replaces_the_previous_one_until_it_is_ended(
        self, store: BatchStore, account: str
    ) -> None:
        store.pause(PAUSE)
        longer = replace(PAUSE, until=PAUSE.until + timedelta(days=1), reason="longer")
        store.pause(longer)
        assert store.find_holds(account).pause == longer
        for _ in range(2):
            store.pause(None)
            assert store.find_holds(account) == Holds()

    def test_holds_are_not_batches_and_in_no_list(self, store: BatchStore, account: str) -> None:
        store.begin_outage(account, OUTAGE)
        store.pause(PAUSE)
        assert store.find(f"account#{account}") is None
        assert store.find_all([f"account#{account}", "stage"]) == {}
        assert [*store.find_of_account(account, LONG_AGO)] == []

    def test_an_accounts_usage_and_its_outage_are_independent(
        self, store: BatchStore, account: str
    ) -> None:
        taken = slot()
        store.admit(account, admission(taken, fewer_than=1))
        store.begin_outage(account, OUTAGE)
        store.end_outage(account, LATER)
        assert usage_of(store, account).open == {taken}

    @pytest.mark.usefixtures("aws")
    def test_the_database_deletes_holds_that_nobody_ends(self, account: str) -> None:
        """It does so a day after their time, which is longer than the longest wait until the
        platform is called again."""
        store = DynamoBatchStore(clients.dynamodb(), "batchback-local-batches", sleep=_never)
        store.begin_outage(account, OUTAGE)
        [item] = held_under(f"account#{account}")
        expires_at = OUTAGE.until + timedelta(days=1)
        assert (item["expires_at"], item["format"]) == (items.number(expires_at), {"N": "1"})

    @pytest.mark.usefixtures("aws")
    @pytest.mark.parametrize("part", ["0#outage", "0#pause"])
    def test_a_hold_of_a_later_format_is_not_ignored(self, account: str, part: str) -> None:
        client = clients.dynamodb()
        store = DynamoBatchStore(client, "batchback-local-batches", sleep=_never)
        owner = f"account#{account}" if part == "0#outage" else "stage"
        client.put_item(
            TableName="batchback-local-batches",
            Item={**items.key(owner, part), "format": {"N": "99"}},
        )
        with pytest.raises(TooNew):
            store.find_holds(account)
        store.pause(None)


def held_under(key: str) -> Sequence[Any]:
    found = clients.dynamodb().query(
        TableName="batchback-local-batches",
        KeyConditionExpression="#batch_id = :key",
        ExpressionAttributeNames={"#batch_id": "batch_id"},
        ExpressionAttributeValues={":key": {"S": key}},
        ConsistentRead=True,
    )
    return found["Items"]


class TestManyAtOnce:
    """Sixteen threads use the same head, chunk and number."""

    def test_no_finished_chunk_is_lost_or_counted_twice(self, store: BatchStore) -> None:
        batch = saved(store, 64, chunk_size=1)
        changes = [transitions.finish_chunk(batch, full_chunk(batch, n)) for n in batch.chunks]
        outcomes = at_once([partial(store.change, batch, change) for change in changes * 2])
        assert sum(outcome is not None for outcome in outcomes) == 64
        after = store.find(batch.batch_id)
        assert after
        assert after.has_all_chunks_done
        assert after.counts.succeeded == 64

    def test_only_one_of_many_flushes_gets_the_number(self, store: BatchStore) -> None:
        batch = saved(store, 16, chunk_size=16)
        outcomes = at_once([partial(store.record, batch, 0, part(0, n)) for n in range(16)])
        assert outcomes.count(True) == 1

    def test_only_one_of_many_commits_wins(self, store: BatchStore) -> None:
        batch = new_batch()
        rivals = [replace(batch, submission=uuid.uuid4().hex) for _ in range(16)]
        outcomes = at_once([partial(store.commit, rival, START) for rival in rivals])
        winner = store.find(batch.batch_id)
        assert winner in rivals
        assert outcomes == [winner] * 16

    def test_no_more_are_admitted_than_there_are_slots(self, store: BatchStore) -> None:
        account, rivals = uuid.uuid4().hex, [slot() for _ in range(16)]
        usages = at_once(
            [partial(store.admit, account, admission(rival, fewer_than=3)) for rival in rivals]
        )
        got_in = [rival for rival, usage in zip(rivals, usages, strict=True) if rival in usage.open]
        assert len(got_in) == 3
        assert usage_of(store, account).open == {*got_in}

    def test_only_one_of_many_begins_an_outage_and_only_one_moves_it(
        self, store: BatchStore, account: str
    ) -> None:
        begun = [Outage.beginning(START + n * SECOND) for n in range(16)]
        outcomes = at_once([partial(store.begin_outage, account, each) for each in begun])
        stands = store.find_holds(account).outage
        assert stands
        assert [each for each, is_it in zip(begun, outcomes, strict=True) if is_it] == [stands]
        moved = [stands.still_away(stands.until + n * SECOND) for n in range(16)]
        outcomes = at_once([partial(store.move_outage, account, stands, each) for each in moved])
        assert outcomes.count(True) == 1

    def test_no_charge_is_lost(self, store: BatchStore) -> None:
        """An account that may pay for a minute is admitted three times with 20 seconds."""
        account, rivals = uuid.uuid4().hex, [slot() for _ in range(16)]
        store.admit(account, admission(slot(), fewer_than=99, charge=IDLE))
        at_once(
            [
                partial(store.admit, account, admission(rival, fewer_than=99, charge=BUSY))
                for rival in rivals
            ]
        )
        usage = usage_of(store, account)
        assert len(usage.open) == 3
        assert usage.paid_until == START + 60 * SECOND


def at_once(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    with ThreadPoolExecutor(max_workers=16) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
