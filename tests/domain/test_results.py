"""The bytes of `results` and of the callback."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import results, strict_json
from chalicelib.domain.batch import (
    Answer,
    AnswersPart,
    CallbackResults,
    Chunk,
    Counts,
    Job,
    LastCall,
    SubmissionTerms,
    Verdict,
)
from chalicelib.domain.outcome import MAX_ANSWER_BYTES
from chalicelib.domain.results import (
    MAX_ESCAPED_BYTES,
    MAX_PAGE_BYTES,
    PLAIN,
    Only,
    Page,
    Result,
    View,
)
from chalicelib.domain.run_request import MAX_JOB_BYTES
from chalicelib.domain.states import BatchState
from tests.samples import a_batch, some_jobs, succeeded, unanswered

BATCH_ID = a_batch().batch_id
#: Lambda's limit for an answer, in which the body is one string.
LAMBDA_TAKES = 6 * 1024 * 1024

A_JOB = Job(41, "a", "b", "{}")

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


def shown(job: Job, answer: Answer, view: View = PLAIN) -> str:
    [result] = results.results_of(a_chunk({job.index: answer}, [job], job.index), 1, view)
    return result.text


def body_of(texts: Iterable[str], more: dict[str, object] | None = None) -> bytes:
    return b"".join(results.pieces(BATCH_ID, texts, more))


class TestBody:
    def test_a_body_is_exactly_these_bytes(self) -> None:
        chunk = a_chunk({0: succeeded(), 1: unanswered("null")}, some_jobs(2))
        assert body_of(texts_of(chunk)) == (
            b'{"asyncId":"0123456789abcdef0123456789abcdef","results":['
            b'{"namespace":"event","action":"inviteContacts","request":{"n":0},"response":{"ok":true}},'
            b'{"namespace":"event","action":"inviteContacts","request":{"n":1},"response":null}]}'
        )

    def test_no_results_are_an_empty_array(self) -> None:
        assert json.loads(body_of([])) == {"asyncId": BATCH_ID, "results": []}

    def test_texts_are_inserted_as_they_were_stored(self) -> None:
        """They are never parsed and serialized again: 1.0, escapes and spaces stay."""
        params = '{"one":1.0,"lone":"\\ud83d","big":' + "9" * 4_300 + "}"
        response = '{ "e" : 1E2 , "e" : "\\u00e9" }'
        job = Job(0, "event", "inviteContacts", params)
        body = body_of(texts_of(a_chunk({0: succeeded(response)}, [job]))).decode()
        assert f'"request":{params},"response":{response}}}' in body

    @given(calls=st.lists(st.tuples(values, values), max_size=5), first=st.integers(0, 100))
    def test_requests_and_responses_keep_their_values(
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
    def test_results_are_in_the_order_of_the_jobs(self) -> None:
        chunk = a_chunk({2: succeeded("2"), 0: succeeded("0"), 1: succeeded("1")}, some_jobs(3))
        assert [json.loads(text)["response"] for text in texts_of(chunk)] == [0, 1, 2]

    def test_jobs_without_an_answer_are_left_out(self) -> None:
        chunk = a_chunk({0: succeeded(), 2: succeeded()}, some_jobs(3))
        assert [result.index for result in results.results_of(chunk, 1)] == [0, 2]

    def test_only_answers_that_count_in_the_round_are_results(self) -> None:
        chunk = a_chunk({0: unanswered()}, some_jobs(1)).with_part(
            AnswersPart(round=2, number=0, answers={0: succeeded("2")})
        )
        assert [json.loads(text)["response"] for text in texts_of(chunk, 2)] == [2]
        assert [json.loads(text)["response"]["errorCode"] for text in texts_of(chunk, 1)] == [461]

    def test_a_job_that_cannot_be_read_has_a_result_with_an_empty_request(self) -> None:
        """One broken item never blocks a batch."""
        chunk = a_chunk({7: unanswered("null"), 8: unanswered("null")}, None, first=7)
        found = [*results.results_of(chunk, 1)]
        assert [result.index for result in found] == [7, 8]
        empty: dict[str, Any] = {"namespace": "", "action": "", "request": {}, "response": None}
        assert [json.loads(result.text) for result in found] == [empty, empty]

    def test_the_callers_id_of_a_job_comes_first(self) -> None:
        named = replace(A_JOB, id="order-77")
        assert shown(named, succeeded()) == '{"id":"order-77",' + shown(A_JOB, succeeded())[1:]

    def test_a_result_with_an_index_is_otherwise_the_same(self) -> None:
        plain = shown(A_JOB, succeeded())[1:]
        assert shown(A_JOB, succeeded(), View(partial=True)) == '{"index":41,' + plain
        named = replace(A_JOB, id="a")
        assert shown(named, succeeded(), View(partial=True)) == '{"id":"a","index":41,' + plain

    @pytest.mark.parametrize(
        ("answer", "details"),
        [
            (
                replace(succeeded(), call=LastCall(http_status=200, attempts=1, took_ms=12)),
                '"outcome":"succeeded","httpStatus":200,"attempts":1,"tookMs":12,',
            ),
            (
                replace(unanswered(), call=LastCall(http_status=None, attempts=5, took_ms=9)),
                '"outcome":"unanswered","httpStatus":null,"attempts":5,"tookMs":9,',
            ),
            (
                Answer(Verdict.FAILED, "{}"),
                '"outcome":"failed","httpStatus":null,"attempts":null,"tookMs":null,',
            ),
        ],
    )
    @pytest.mark.parametrize("partial", [True, False])
    def test_a_detailed_result_has_the_outcome_and_the_calls_of_its_job(
        self, answer: Answer, details: str, partial: bool
    ) -> None:
        plain = shown(A_JOB, answer)[1:]
        view = View(detailed=True, partial=partial)
        assert shown(A_JOB, answer, view) == '{"index":41,' + details + plain
        named = replace(A_JOB, id="a")
        assert shown(named, answer, view) == '{"id":"a","index":41,' + details + plain

    @pytest.mark.parametrize(
        ("only", "expected"), [(None, [0, 1, 2]), (Only.FAILED, [1, 2]), (Only.SUCCEEDED, [0])]
    )
    def test_failed_results_are_those_of_every_job_that_did_not_succeed(
        self, only: Only | None, expected: list[int]
    ) -> None:
        answers = {0: succeeded(), 1: unanswered(), 2: Answer(Verdict.FAILED, "{}")}
        found = results.results_of(a_chunk(answers, some_jobs(4)), 1, View(only=only))
        assert [result.index for result in found if result.is_shown] == expected


class TestCount:
    def test_successes_and_failures_are_counted_separately(self) -> None:
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

    def test_unanswered_jobs_are_included_in_the_size(self) -> None:
        lost = a_batch(2, unanswered_counts=Counts(failed=2, result_bytes=10))
        had = a_batch(2, counts=Counts(failed=2, result_bytes=10))
        assert results.whole_size_bytes(lost) == results.whole_size_bytes(had)


ENDED = a_batch(3, state=BatchState.COMPLETED, counts=Counts(succeeded=2, failed=1))
NO_MORE = SubmissionTerms(callback_url="https://example.com/", request_hash="0" * 64)
JOBS = {"total": 3, "succeeded": 2, "failed": 1}


class TestSummary:
    """What follows the results in a callback."""

    def test_nothing_follows_unless_a_key_asks_for_it(self) -> None:
        assert results.summary(ENDED, NO_MORE) == {}
        assert body_of([], results.summary(ENDED, NO_MORE)) == body_of([])

    def test_each_of_the_keys_adds_the_status_and_the_counts(self) -> None:
        said = {"status": "completed", "jobs": JOBS}
        assert results.summary(replace(ENDED, max_failed=0), NO_MORE) == said
        for which in (CallbackResults.FAILED, CallbackResults.NONE):
            terms = replace(NO_MORE, callback_results=which)
            assert results.summary(ENDED, terms) == said

    def test_a_label_and_metadata_are_given_back_in_this_order(self) -> None:
        terms = replace(NO_MORE, metadata={"order": "77", "é": '"'})
        body = body_of([], results.summary(replace(ENDED, label="Mai 日"), terms))
        assert (
            body
            == (
                f'{{"asyncId":"{BATCH_ID}","results":[],"status":"completed",'
                '"jobs":{"total":3,"succeeded":2,"failed":1},"label":"Mai \\u65e5",'
                '"metadata":{"order":"77","\\u00e9":"\\""}}'
            ).encode()
        )

    def test_the_size_of_a_callback_includes_the_summary(self) -> None:
        more = results.summary(replace(ENDED, label="é"), replace(NO_MORE, metadata={"é": "é"}))
        grows = len(body_of([], more)) - len(body_of([]))
        assert results.whole_size_bytes(ENDED, more) - results.whole_size_bytes(ENDED) == grows

    def test_a_callback_with_failed_results_reads_nothing_if_none_failed(self) -> None:
        none_failed = replace(ENDED, counts=Counts(succeeded=3))
        assert results.callback_view(none_failed, CallbackResults.FAILED) is None
        assert results.callback_view(ENDED, CallbackResults.NONE) is None
        assert results.callback_view(ENDED, CallbackResults.FAILED) == View(only=Only.FAILED)
        assert results.callback_view(none_failed, CallbackResults.ALL) == PLAIN


def largest(unit: str, view: View = PLAIN) -> Result:
    """The largest possible result, made of these characters."""
    length = len(unit.encode())
    params = '{"p":"' + unit * ((MAX_JOB_BYTES - 200) // length) + '"}'
    job = Job(9_999, "event", "a", params, id="i" * 64)
    call = LastCall(http_status=200, attempts=5, took_ms=99_999)
    answer = succeeded('"' + unit * ((MAX_ANSWER_BYTES - 2) // length) + '"')
    answers = {job.index: replace(answer, call=call)}
    [result] = results.results_of(a_chunk(answers, [job], job.index), 1, view)
    return result


UNITS = ["e", "é", "中", "😀", '\\"', "\\\\", "\\u0000", "\x7f"]


class TestBlocks:
    @given(sizes=st.lists(st.integers(0, 100_000), max_size=20))
    def test_joined_blocks_are_the_body(self, sizes: list[int]) -> None:
        pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
        blocks = results.in_blocks(pieces, sum(sizes))
        assert blocks is not None
        assert b"".join(blocks) == b"".join(pieces)

    def test_small_pieces_share_a_block(self) -> None:
        """Writing each result separately would send a packet for each."""
        blocks = results.in_blocks([b"x" * 600] * 10_000, 6_000_000)
        assert blocks is not None
        assert 80 < len(blocks) < 100

    def test_composing_stops_once_a_body_is_too_large(self) -> None:
        left = iter([b"x" * 100] * 10)
        assert results.in_blocks(left, 250) is None
        assert len([*left]) == 7


class TestPages:
    @pytest.mark.parametrize("unit", UNITS)
    def test_a_page_of_the_largest_results_contains_at_least_one_and_fits(self, unit: str) -> None:
        found = [largest(unit, View(detailed=True))] * 8
        taken, stopped_at = results.fitting(found)
        assert 0 < len(taken) < len(found)
        assert stopped_at is not None
        page = Page(start=10**9, per_page=1_000)
        meta = results.meta(total=10_000, page=page, count=len(taken), following=9_999)
        body = body_of((result.text for result in taken), {"meta": meta})
        assert len(body) <= MAX_PAGE_BYTES
        answer = {"statusCode": 200, "headers": {"Content-Type": "x" * 500}, "body": body.decode()}
        assert len(json.dumps(answer)) < LAMBDA_TAKES

    @pytest.mark.parametrize("unit", UNITS)
    def test_a_page_ends_only_if_the_next_result_does_not_fit(self, unit: str) -> None:
        found = [largest(unit)] * 8
        more = [result.text for result in found[: len(results.fitting(found)[0]) + 1]]
        size = len(body_of(more)) + 100
        escaped = len(json.dumps(body_of(more).decode())) + 2 * len(more) + 200
        assert size > MAX_PAGE_BYTES or escaped > MAX_ESCAPED_BYTES

    def test_a_page_stops_at_the_first_result_that_does_not_fit(self) -> None:
        small = Result(0, '{"n":1}')
        large = Result(1, '{"n":"' + "e" * MAX_PAGE_BYTES + '"}')
        assert results.fitting([small, small]) == ([small, small], None)
        assert results.fitting([small, large, small]) == ([small], 1)
        assert results.fitting([]) == ([], None)

    def test_results_that_are_not_shown_take_no_space(self) -> None:
        small = Result(0, '{"n":1}')
        hidden = Result(1, '{"n":"' + "e" * MAX_PAGE_BYTES + '"}', is_shown=False)
        assert results.fitting([hidden, small, hidden]) == ([small], None)

    def test_results_are_read_as_long_as_there_is_time(self) -> None:
        hidden = Result(0, "e" * 1_000_000, is_shown=False)
        found = (replace(hidden, index=index) for index in range(100))
        assert results.fitting(found) == ([], 50)
        assert next(found).index == 51

    def test_only_as_many_are_read_as_fit(self) -> None:
        def endless() -> Any:
            while True:
                yield largest("e")

        assert 0 < len(results.fitting(endless())[0]) < 10

    @pytest.mark.parametrize("texts", [[], ['{"n":1}', '{"n":2}']])
    def test_a_page_is_the_body_with_its_position(self, texts: list[str]) -> None:
        body = body_of(texts)
        page = Page(start=3, per_page=2)
        meta = results.meta(total=7, page=page, count=len(texts), following=5)
        assert json.loads(body_of(texts, {"meta": meta})) == {
            **json.loads(body),
            "meta": {"totalResults": 7, "start": 3, "perPage": 2, "count": len(texts), "next": 5},
        }
