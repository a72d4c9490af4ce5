"""The measured jobs and answers have the size that they claim, and compress like real data."""

import json
import zlib

import pytest

from benchmarks import payloads
from benchmarks.payloads import HEADLINE, LARGE, PEERS, SMALL, Sizes
from chalicelib.domain import run_request
from tests.samples import ALLOWANCE


@pytest.mark.parametrize("sizes", [HEADLINE, SMALL, LARGE, PEERS], ids=str)
def test_jobs_and_answers_have_the_size_they_claim(sizes: Sizes) -> None:
    for job in payloads.jobs(20, sizes):
        assert len(job.pop("id", "")) == sizes.id
        assert len(payloads.dump(job)) == sizes.job
    for number in range(20):
        assert len(payloads.answer(number, sizes.answer)) == sizes.answer


@pytest.mark.parametrize("sizes", [HEADLINE, LARGE], ids=str)
def test_no_two_are_alike_and_together_they_do_not_compress_below_an_eighth(sizes: Sizes) -> None:
    texts = [payloads.answer(number, sizes.answer) for number in range(25)]
    assert len({*texts}) == 25
    whole = "".join(texts).encode()
    assert len(zlib.compress(whole)) > len(whole) / 8


def test_the_same_seed_makes_the_same_jobs() -> None:
    assert payloads.jobs(3, HEADLINE, seed=7) == payloads.jobs(3, HEADLINE, seed=7)
    assert payloads.jobs(3, HEADLINE, seed=7) != payloads.jobs(3, HEADLINE, seed=8)


def test_they_are_jobs_that_the_service_accepts() -> None:
    body = {"jobs": payloads.jobs(5, HEADLINE), "callbackUrl": "https://example.com/"}
    parsed = run_request.parse(body, ALLOWANCE)
    assert [json.loads(job.params)["number"] for job in parsed.jobs] == [*range(5)]
