"""The client and the real service, in memory, agree on what a page and a failed job are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from batchback import Client, Job, Result
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.outcome import Reply
from tests.client.service_in_memory import client_of
from tests.fakes.http import echo
from tests.operations.world import World

URL = "https://example.com/callback"
SUCCEEDS, FAILS, WAITS, UNTOUCHED = "succeeds", "fails", "waits", "untouched"
REPLIES = {
    SUCCEEDS: Reply(status=200, body=b'{"done": true}'),
    FAILS: Reply(status=400, body=b'{"errorCode": 400}'),
    WAITS: Reply(status=503, body=b"{}"),
}
FATES = st.lists(st.sampled_from([*REPLIES, UNTOUCHED]), min_size=1, max_size=40)


def submitted(world: World, fates: Sequence[str]) -> tuple[Client, str]:
    """A client, and the id of its batch."""
    client = client_of(world)
    jobs: list[Job] = [
        {"id": f"job-{n}", "namespace": "event", "action": "invite", "params": {"n": n}}
        for n in range(len(fates))
    ]
    return client, client.run(jobs, URL)["asyncId"]


def number_of(result: Result) -> int:
    number: int = result["request"]["n"]
    return number


def each(key: str, results: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [result[key] for result in results]


def half_run(world: World, batch_id: str, fates: Sequence[str]) -> set[int]:
    """Run the jobs whose message arrives, and return those that have an answer. The others wait for
    a retry."""
    batch = world.store.find(batch_id)
    assert batch
    world.platform.answer = lambda call: REPLIES[fates[call.params["n"]]]
    for message, _ in world.queue.take_jobs():
        if all(fates[index] != UNTOUCHED for index in batch.indexes(message.chunk)):
            world.work(message)
    called = {call.params["n"] for call in world.platform.calls}
    return {index for index in called if fates[index] != WAITS}


@given(FATES, st.integers(1, 50))
def test_each_answered_job_is_yielded_once(fates: list[str], per_page: int) -> None:
    """They come in the order of the jobs, wherever pages end between jobs without an answer."""
    world = World()
    client, batch_id = submitted(world, fates)
    answered = half_run(world, batch_id, fates)
    yielded = client.iter_results(batch_id, partial=True, per_page=per_page)
    assert [*map(number_of, yielded)] == sorted(answered)


@given(FATES, st.integers(1, 50), st.booleans())
def test_jobs_that_failed_and_jobs_that_succeeded_are_all_jobs(
    fates: list[str], per_page: int, detail: bool
) -> None:
    """Each job is of one kind, and yielded once."""
    world = World()
    client, batch_id = submitted(world, fates)
    half_run(world, batch_id, fates)
    client.cancel(batch_id)
    world.run_to_the_end()
    whole = [number_of(result) for result in client.iter_results(batch_id, per_page=per_page)]
    assert whole == [*range(len(fates))]
    failed, succeeded = (
        [*client.iter_results(batch_id, only=only, detail=detail, per_page=per_page)]
        for only in ("failed", "succeeded")
    )
    assert sorted(map(number_of, failed + succeeded)) == whole
    assert sorted(map(number_of, failed)) == [*map(number_of, failed)]
    if detail:
        assert {*each("outcome", succeeded)} <= {"succeeded"}
        assert {*each("outcome", failed)} <= {"failed", "unanswered"}


@given(FATES)
def test_failed_jobs_run_again_with_their_ids(fates: list[str]) -> None:
    """No other jobs run again."""
    world = World()
    client, batch_id = submitted(world, fates)
    half_run(world, batch_id, fates)
    client.cancel(batch_id)
    world.run_to_the_end()
    failed = [*client.iter_results(batch_id, only="failed")]
    again = client.rerun_failed(batch_id, URL, label="again")
    assert (again is None) == (failed == [])
    if again is None:
        return
    world.platform.answer = echo
    world.run_to_the_end()
    assert client.wait(again["asyncId"])["jobs"]["succeeded"] == len(failed)
    rerun = [*client.iter_results(again["asyncId"])]
    for key in ("id", "request"):
        assert each(key, rerun) == each(key, failed)
