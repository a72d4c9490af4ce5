"""The client and the real service, in memory: they mean the same by a page and by a failed job."""

from collections.abc import Sequence

from batchback import Job
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.outcome import Reply
from tests.client.service_in_memory import client_of
from tests.operations.world import World

SUCCEEDS, FAILS, WAITS, UNTOUCHED = "succeeds", "fails", "waits", "untouched"
REPLIES = {
    SUCCEEDS: Reply(status=200, body=b'{"done": true}'),
    FAILS: Reply(status=400, body=b'{"errorCode": 400}'),
    WAITS: Reply(status=503, body=b"{}"),
}
FATES = st.lists(st.sampled_from([*REPLIES, UNTOUCHED]), min_size=1, max_size=40)


def jobs_for(fates: Sequence[str]) -> list[Job]:
    return [
        {"namespace": "event", "action": "invite", "params": {"n": n}} for n in range(len(fates))
    ]


def half_run(world: World, batch_id: str, fates: Sequence[str]) -> set[int]:
    """The jobs that have an answer, of those whose message arrived: others of these wait to be
    called again."""
    batch = world.store.find(batch_id)
    assert batch
    world.platform.answer = lambda call: REPLIES[fates[call.params["n"]]]
    for message, _ in world.queue.take_jobs():
        if all(fates[index] != UNTOUCHED for index in batch.indexes(message.chunk)):
            world.work(message)
    called = {call.params["n"] for call in world.platform.calls}
    return {index for index in called if fates[index] != WAITS}


@given(FATES, st.integers(1, 50))
def test_each_answered_job_is_visited_once(fates: list[str], per_page: int) -> None:
    """In the order of the jobs, however the pages fall between jobs that have no answer."""
    world = World()
    client = client_of(world)
    batch_id = client.run(jobs_for(fates), "https://example.com/")["asyncId"]
    answered = half_run(world, batch_id, fates)
    visited = client.iter_results(batch_id, partial=True, per_page=per_page)
    assert [result["request"]["n"] for result in visited] == sorted(answered)
