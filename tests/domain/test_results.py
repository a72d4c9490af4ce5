"""The bytes of `results` and of the callback."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import results, strict_json
from chalicelib.domain.batch import Answer, AnswersPart, Chunk, Counts, Job, Verdict
from chalicelib.domain.outcome import MAX_ANSWER_BYTES
from chalicelib.domain.results import MAX_ESCAPED_BYTES, MAX_PAGE_BYTES, Page, Result
from chalicelib.domain.run_request import MAX_JOB_BYTES
from chalicelib.domain.states import BatchState
from tests.samples import a_batch, some_jobs, succeeded, unanswered

BATCH_ID = a_batch().batch_id
#: What Lambda takes of an answer, of which the body is one string.
LAMBDA_TAKES = 6 * 1024 * 1024

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def a_chunk(answers: dict[int, Answer], jobs: Sequence[Job] | None, first: int = 0) -> Chunk:
    total = len(answers) if jobs is None else len(jobs)
    return Chunk(
        number=0,
        indexes=range(first, first + total),
        jobs=None if jobs is None else tuple(jobs),
        parts=(AnswersPart(round=1, number=0, answers=answers),),
    )


def texts_of(chunk: Chunk, round: int = 1) -> list[str]:
    return [result.text for result in results.results_of(chunk, round)]


def body_of(texts: Iterable[str]) -> bytes:
    return b"".join(results.pieces(BATCH_ID, texts))


class TestBody:
    def test_it_is_these_bytes(self) -> None:
        chunk = a_chunk({0: succeeded(), 1: unanswered("null")}, some_jobs(2))
        assert body_of(texts_of(chunk)) == (
            b'{"asyncId":"0123456789abcdef0123456789abcdef","results":['
            b'{"namespace":"event","action":"inviteContacts","request":{"n":0},"response":{"ok":true}},'
            b'{"namespace":"event","action":"inviteContacts","request":{"n":1},"response":null}]}'
        )

    def test_no_results_are_an_empty_array(self) -> None:
        assert json.loads(body_of([])) == {"asyncId": BATCH_ID, "results": []}

    def test_texts_are_spliced_in_as_they_were_stored(self) -> None:
        """Never parsed and written again: 1.0, escapes and spaces stay."""
        params = '{"one":1.0,"lone":"\\ud83d","big":' + "9" * 4_300 + "}"
        response = '{ "e" : 1E2 , "e" : "\\u00e9" }'
        job = Job(0, "event", "inviteContacts", params)
        body = body_of(texts_of(a_chunk({0: succeeded(response)}, [job]))).decode()
        assert f'"request":{params},"response":{response}}}' in body

    @given(calls=st.lists(st.tuples(values, values), max_size=5), first=st.integers(0, 100))
    def test_requests_and_responses_are_the_values_that_went_in(
        self, calls: list[tuple[Any, Any]], first: int
    ) -> None:
        jobs = [
            Job(first + n, "event", "a", strict_json.dump({"p": request}))
            for n, (request, _) in enumerate(calls)
        ]
        answers = {
            first + n: succeeded(strict_json.dump(response))
            for n, (_, response) in enumerate(calls)
        }
        body = json.loads(body_of(texts_of(a_chunk(answers, jobs, first))))
        assert [(each["request"]["p"], each["response"]) for each in body["results"]] == calls


class TestResultsOfAChunk:
    def test_they_are_in_the_order_of_the_jobs_however_they_were_answered(self) -> None:
        chunk = a_chunk({2: succeeded("2"), 0: succeeded("0"), 1: succeeded("1")}, some_jobs(3))
        assert [json.loads(text)["response"] for text in texts_of(chunk)] == [0, 1, 2]

    def test_jobs_without_an_answer_are_left_out(self) -> None:
        chunk = a_chunk({0: succeeded(), 2: succeeded()}, some_jobs(3))
        assert [result.index for result in results.results_of(chunk, 1)] == [0, 2]

    def test_only_what_stands_in_the_round_is_a_result(self) -> None:
        chunk = a_chunk({0: unanswered()}, some_jobs(1)).with_part(
            AnswersPart(round=2, number=0, answers={0: succeeded("2")})
        )
        assert [json.loads(text)["response"] for text in texts_of(chunk, 2)] == [2]
        assert [json.loads(text)["response"]["errorCode"] for text in texts_of(chunk, 1)] == [461]

    def test_a_job_that_cannot_be_read_has_a_result_with_an_empty_request(self) -> None:
        """One broken item never holds a batch."""
        chunk = a_chunk({7: unanswered("null"), 8: unanswered("null")}, None, first=7)
        found = [*results.results_of(chunk, 1)]
        assert [result.index for result in found] == [7, 8]
        empty: dict[str, Any] = {"namespace": "", "action": "", "request": {}, "response": None}
        assert [json.loads(result.text) for result in found] == [empty, empty]

    def test_a_partial_result_says_which_job_it_is_of(self) -> None:
        [result] = results.results_of(a_chunk({41: succeeded()}, [Job(41, "a", "b", "{}")], 41), 1)
        assert json.loads(result.indexed.text) == {"index": 41, **json.loads(result.text)}


class TestCount:
    def test_a_success_is_counted_apart_from_every_failure(self) -> None:
        answers = {0: succeeded(), 1: unanswered(), 2: Answer(Verdict.FAILED, "{}"), 3: succeeded()}
        counts = results.count(a_chunk(answers, some_jobs(4)), 1)
        assert replace(counts, result_bytes=0) == Counts(succeeded=2, failed=2, unanswered=1)

    @given(
        responses=st.lists(st.text().map(strict_json.dump), min_size=1, max_size=6),
        is_readable=st.booleans(),
    )
    def test_the_size_of_the_whole_is_known_before_it_is_read(
        self, responses: list[str], is_readable: bool
    ) -> None:
        answers = {n: succeeded(text) for n, text in enumerate(responses)}
        jobs = some_jobs(len(responses)) if is_readable else None
        chunk = a_chunk(answers, jobs)
        batch = a_batch(len(responses), state=BatchState.COMPLETED, counts=results.count(chunk, 1))
        assert results.whole_size_bytes(batch) == len(body_of(texts_of(chunk)))

    def test_unanswered_jobs_weigh_too(self) -> None:
        lost = a_batch(2, unanswered_counts=Counts(failed=2, result_bytes=10))
        had = a_batch(2, counts=Counts(failed=2, result_bytes=10))
        assert results.whole_size_bytes(lost) == results.whole_size_bytes(had)


def largest(unit: str) -> Result:
    """The largest result there can be, of such characters."""
    length = len(unit.encode())
    job = Job(0, "event", "a", '{"p":"' + unit * ((MAX_JOB_BYTES - 100) // length) + '"}')
    answer = succeeded('"' + unit * ((MAX_ANSWER_BYTES - 2) // length) + '"')
    [result] = results.results_of(a_chunk({0: answer}, [job]), 1)
    return result


UNITS = ["e", "é", "中", "😀", '\\"', "\\\\", "\\u0000", "\x7f"]


class TestBlocks:
    @given(sizes=st.lists(st.integers(0, 100_000), max_size=20))
    def test_they_are_the_body(self, sizes: list[int]) -> None:
        pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
        assert b"".join(results.in_blocks(pieces)) == b"".join(pieces)

    def test_small_pieces_share_them(self) -> None:
        """A write for each result would be a packet for each."""
        blocks = results.in_blocks([b"x" * 600] * 10_000)
        assert 80 < len(blocks) < 100


class TestPages:
    @pytest.mark.parametrize("unit", UNITS)
    def test_a_page_of_the_largest_results_holds_one_at_least_and_fits(self, unit: str) -> None:
        found = [largest(unit).indexed] * 8
        taken, are_all = results.fitting(found)
        assert 0 < len(taken) < len(found)
        assert not are_all
        page = Page(start=10**9, per_page=1_000)
        meta = results.meta(total=10_000, page=page, count=len(taken), following=9_999)
        body = results.with_meta(body_of(result.text for result in taken), meta)
        assert len(body) <= MAX_PAGE_BYTES
        answer = {"statusCode": 200, "headers": {"Content-Type": "x" * 500}, "body": body.decode()}
        assert len(json.dumps(answer)) < LAMBDA_TAKES

    @pytest.mark.parametrize("unit", UNITS)
    def test_a_page_ends_only_where_the_next_result_does_not_fit(self, unit: str) -> None:
        found = [largest(unit)] * 8
        more = [result.text for result in found[: len(results.fitting(found)[0]) + 1]]
        size = len(body_of(more)) + 100
        escaped = len(json.dumps(body_of(more).decode())) + 2 * len(more) + 200
        assert size > MAX_PAGE_BYTES or escaped > MAX_ESCAPED_BYTES

    def test_results_are_taken_from_the_first_on_and_never_past_one_that_does_not_fit(self) -> None:
        small = Result(0, '{"n":1}')
        large = Result(1, '{"n":"' + "e" * MAX_PAGE_BYTES + '"}')
        assert results.fitting([small, small]) == ([small, small], True)
        assert results.fitting([small, large, small]) == ([small], False)
        assert results.fitting([]) == ([], True)

    def test_only_as_many_are_read_as_fit(self) -> None:
        def endless() -> Any:
            while True:
                yield largest("e")

        assert 0 < len(results.fitting(endless())[0]) < 10

    @pytest.mark.parametrize("texts", [[], ['{"n":1}', '{"n":2}']])
    def test_a_page_is_the_body_with_where_it_stands(self, texts: list[str]) -> None:
        body = body_of(texts)
        page = Page(start=3, per_page=2)
        meta = results.meta(total=7, page=page, count=len(texts), following=5)
        assert json.loads(results.with_meta(body, meta)) == {
            **json.loads(body),
            "meta": {"totalResults": 7, "start": 3, "perPage": 2, "count": len(texts), "next": 5},
        }
