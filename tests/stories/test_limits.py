"""Accounts with limits, on the real tables: who is admitted, and how many requests it costs."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain.account import Caller
from chalicelib.domain.submission import Submission
from chalicelib.errors import TooManyRequests
from tests.samples import some_jobs
from tests.stories.jobs import jobs
from tests.stories.on_moto import CALLBACK_URL, OnMoto, requests_of

BOTH = {"MAX_OPEN_BATCHES": "5", "MAX_JOBS_PER_MINUTE": "10000"}


SUBMIT = ["GetItem", "BatchWriteItem", "PutItem", "SendMessageBatch", "UpdateItem"]


class TestRequests:
    def test_without_limits_there_is_no_extra_request(self, life: OnMoto) -> None:
        life.submit(jobs(1))  # after this, the queues' addresses are known
        with requests_of(life) as made:
            life.submit(jobs(200))
        assert made == SUBMIT
        with requests_of(life) as made:
            life.work_off()
        assert made.count("BatchGetItem") == 1  # by a worker, to find out whether jobs are held up

    def test_with_limits_there_is_one_more_request_per_submission(self, life: OnMoto) -> None:
        life.configure(**BOTH)
        life.submit(jobs(1))
        for seconds in (0, 1, 300):
            life.clock.advance(seconds=seconds)
            with requests_of(life) as made:
                life.submit(jobs(200))
            assert made == ["GetItem", "UpdateItem", *SUBMIT[1:]]

    def test_a_repeated_submission_costs_no_extra_request(self, life: OnMoto) -> None:
        life.configure(**BOTH)
        async_id = life.submit(jobs(1), Idempotency_Key="once")
        with requests_of(life) as made:
            assert life.submit(jobs(1), Idempotency_Key="once") == async_id
        assert made == ["GetItem"] * 3

    def test_with_a_limit_on_open_batches_each_end_costs_one_more_request(
        self, life: OnMoto
    ) -> None:
        writes = {}
        for limited in ({}, {"MAX_JOBS_PER_MINUTE": "1000"}, {"MAX_OPEN_BATCHES": "1"}):
            life.configure(**limited)
            life.submit(jobs(1))
            with requests_of(life) as made:
                life.work_off()
            writes[str(limited)] = made.count("UpdateItem")
        without, jobs_limited, open_limited = writes.values()
        assert (jobs_limited, open_limited) == (without, without + 1)


def test_an_account_at_its_limit_gets_in_again_when_a_batch_has_ended(life: OnMoto) -> None:
    life.configure(MAX_OPEN_BATCHES="2")
    first, _ = life.submit(jobs(1)), life.submit(jobs(1))
    status, body = life.call("run", {"jobs": jobs(1), "callbackUrl": CALLBACK_URL})
    assert (status, b"open batches is 2" in body) == (429, True)
    life.ask("cancel", {"async": first})
    life.work_off()
    life.submit(jobs(1))
    life.submit(jobs(1))
    status, body = life.call("restart", {"async": first})
    assert (status, b"open batches is 2" in body) == (429, True)
    life.work_off()
    life.ask("restart", {"async": first})
    life.work_off()
    assert life.progress(first)["status"] == "completed"


def test_a_slot_left_behind_is_found_when_it_is_needed(
    life: OnMoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.configure(MAX_OPEN_BATCHES="1")
    with monkeypatch.context() as patch:
        patch.setattr(DynamoBatchStore, "vacate", lambda *_: None)
        life.submit(jobs(1))
        life.work_off()
    with requests_of(life) as made:
        life.submit(jobs(1))
    # refused; reserved; the batches read; the slot freed; admitted; the rest as usual
    admission = ["UpdateItem", "UpdateItem", "BatchGetItem", "UpdateItem", "UpdateItem"]
    assert made == ["GetItem", *admission, *SUBMIT[1:]]


@pytest.mark.parametrize(
    ("limit", "let_in"), [({"MAX_OPEN_BATCHES": "3"}, 3), ({"MAX_JOBS_PER_MINUTE": "8"}, 4)]
)
def test_many_concurrent_submissions_do_not_exceed_the_limit(
    life: OnMoto, limit: dict[str, str], let_in: int
) -> None:
    life.configure(**limit)
    submit = life.container("api_handler").submitter.submit_batch
    submission = Submission(jobs=some_jobs(2), callback_url=CALLBACK_URL)

    def get_in(_: int) -> bool:
        try:
            with life.iam.acting("api_handler"):
                submit(Caller(account="demo", key="demo"), submission, b"{}")
        except TooManyRequests:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(get_in, range(8))) == let_in
    assert life.ask("list", {})["meta"]["totalResults"] == let_in
