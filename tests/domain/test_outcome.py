"""What the answers of platforms and receivers mean."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import outcome
from chalicelib.domain.batch import Answer, Verdict
from chalicelib.domain.outcome import (
    MAX_ANSWER_BYTES,
    Delivered,
    NoReply,
    Refused,
    Reply,
    TryAgain,
    gave_up,
    is_away,
    judge_callback,
    judge_job,
    retry_after,
)
from chalicelib.domain.retry import JOB_TRIES
from tests.fakes.clock import START
from tests.samples import a_batch

TRANSIENT = [408, 425, 429, 500, 502, 503, 504, 599]
FINAL = [200, 201, 204, 301, 302, 304, 400, 401, 403, 404, 409, 410, 422, 460, 461, 463, 499]
OK = b'{"ok": true}'


def answer(reply: Reply | NoReply) -> Answer:
    judged = judge_job(reply, START)
    assert isinstance(judged, Answer)
    return judged


def error_of(found: Answer) -> dict[str, Any]:
    error = json.loads(found.response)
    assert isinstance(error, dict)
    return error


class TestJobsAnswer:
    @pytest.mark.parametrize("status", FINAL)
    def test_an_answer_below_500_is_final_and_kept_unchanged(self, status: int) -> None:
        verdict = Verdict.SUCCEEDED if status < 300 else Verdict.FAILED
        assert answer(Reply(status=status, body=OK)) == Answer(verdict, '{"ok": true}')

    @pytest.mark.parametrize("status", TRANSIENT)
    def test_temporary_failures_are_retried(self, status: int) -> None:
        judged = judge_job(Reply(status=status, body=OK), START)
        is_away = status in {502, 503, 504}
        assert judged == TryAgain(reason=f"HTTP {status}", status=status, is_away=is_away)

    @pytest.mark.parametrize("status", TRANSIENT)
    def test_a_job_that_is_given_up_is_unanswered_and_says_why(self, status: int) -> None:
        judged = judge_job(Reply(status=status, body=OK), START)
        assert isinstance(judged, TryAgain)
        found = gave_up(judged, JOB_TRIES)
        assert found.verdict is Verdict.UNANSWERED
        assert error_of(found) == {
            "errorCode": 461,
            "message": f"Gave up after {JOB_TRIES} attempts: HTTP {status}",
        }

    def test_a_missing_connection_is_retried_and_named_when_given_up(self) -> None:
        judged = judge_job(NoReply(reason="no connection"), START)
        assert judged == TryAgain(reason="no connection", is_away=True)
        assert error_of(gave_up(judged, 5))["message"] == "Gave up after 5 attempts: no connection"

    @pytest.mark.parametrize("status", range(200, 600))
    def test_only_the_statuses_of_gateways_mean_that_the_platform_is_down(
        self, status: int
    ) -> None:
        assert is_away(Reply(status=status)) is (status in {502, 503, 504})

    def test_a_platform_that_we_refuse_to_call_is_not_down(self) -> None:
        assert not is_away(NoReply(reason="the address is private", is_final=True))
        assert is_away(NoReply(reason="no connection"))

    def test_a_call_that_we_refuse_is_not_retried(self) -> None:
        found = answer(NoReply(reason="the address is private", is_final=True))
        assert found.verdict is Verdict.UNANSWERED
        assert error_of(found) == {"errorCode": 461, "message": "the address is private"}

    @pytest.mark.parametrize("status", TRANSIENT)
    def test_retry_after_is_passed_on(self, status: int) -> None:
        judged = judge_job(Reply(status=status, retry_after="120"), START)
        assert isinstance(judged, TryAgain)
        assert judged.retry_after == 120

    @pytest.mark.parametrize("status", [200, 400])
    def test_an_api_error_is_the_jobs_response_and_a_failure(self, status: int) -> None:
        text = '{"errorCode": 404, "message": "no such event"}'
        assert answer(Reply(status=status, body=text.encode())) == Answer(Verdict.FAILED, text)

    @pytest.mark.parametrize(
        "text",
        [
            "null",
            "[]",
            '"errorCode"',
            "1.0",
            "-0",
            '{"nested": {"errorCode": 1}}',
            '["errorCode"]',
            '{"big": ' + "9" * 308 + "}",
            "-" + "9" * 308,
            "1e308",
            '{"é": "😀", "pair": "\\ud83d\\ude00", "none": "\\\\ud83d"}',
            "[" * 64 + "]" * 64,
            '{"a": 1, "a": 2}',
        ],
    )
    def test_a_json_response_is_kept_as_it_was_written(self, text: str) -> None:
        assert answer(Reply(status=200, body=text.encode())) == Answer(Verdict.SUCCEEDED, text)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("[" * 65 + "]" * 65, "is nested more than 64 deep"),
            ('{"a": ' * 600 + "1" + "}" * 600, "is nested more than 64 deep"),
            ("[" * 100_000, "is nested more than 64 deep"),
            ('{"s": "\\ud83d"}', "holds half a character (a lone surrogate)"),
            ('{"\\uDE00": 1}', "holds half a character (a lone surrogate)"),
            ('["\\ude00\\ud83d"]', "holds half a character (a lone surrogate)"),
            ('{"n": 1e400}', "holds the number 1e400, which is too large"),
            ('{"n": -1e400}', "holds the number -1e400, which is too large"),
            ("9" * 310, f"holds the number {'9' * 50}, which is too large"),
            ("9" * 5_000, f"holds the number {'9' * 50}, which is too large"),
        ],
        ids=lambda text: text[:20],
    )
    @pytest.mark.parametrize("status", [200, 404])
    def test_an_answer_that_some_receivers_cannot_parse_is_replaced_in_the_callback(
        self, status: int, text: str, reason: str
    ) -> None:
        found = answer(Reply(status=status, body=text.encode()[:MAX_ANSWER_BYTES]))
        error = error_of(found)
        assert found.verdict is Verdict.FAILED
        assert error["errorCode"] == 461
        assert error["message"] == f"the answer (HTTP {status}) {reason}"
        assert error["body"] == text[:1_000]

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    @pytest.mark.parametrize("body", [b"", b" \r\n", b"\xef\xbb\xbf"])
    def test_a_success_without_a_body_is_null(self, status: int, body: bytes) -> None:
        assert answer(Reply(status=status, body=body)) == Answer(Verdict.SUCCEEDED, "null")

    def test_an_error_without_a_body_is_recorded_with_its_status(self) -> None:
        found = answer(Reply(status=404))
        assert error_of(found)["message"] == "the answer (HTTP 404) is not JSON"

    def test_409_is_final_if_no_call_was_made_before(self) -> None:
        found = answer(Reply(status=409, body=OK))
        assert found == Answer(Verdict.FAILED, OK.decode())

    def test_409_is_retried_if_the_platform_may_still_be_working_on_an_earlier_call(self) -> None:
        """It means that our own Idempotency-Key is in use."""
        reply = Reply(status=409, body=OK)
        judged = judge_job(reply, START, may_still_run=True)
        assert judged == TryAgain(reason="HTTP 409", status=409)

    @pytest.mark.parametrize("body", [b"\xef\xbb\xbf{}", b"  {}\r\n", b"\t{}\n"])
    def test_white_space_around_the_json_is_removed(self, body: bytes) -> None:
        assert answer(Reply(status=200, body=body)).response == "{}"

    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            (b"<html>", "<html>"),
            (b"{'a': 1}", "{'a': 1}"),
            (b'{"a": NaN}', '{"a": NaN}'),
            (b"[Infinity]", "[Infinity]"),
            (b"-Infinity", "-Infinity"),
            (b"{} {}", "{} {}"),
            (b'"\xff"', '"�"'),
            ("é".encode() * 999 + b"abc", "é" * 999 + "a"),
        ],
    )
    def test_an_answer_that_is_not_json_is_a_failure_that_shows_its_beginning(
        self, body: bytes, shown: str
    ) -> None:
        found = answer(Reply(status=200, body=body))
        assert found.verdict is Verdict.FAILED
        error = error_of(found)
        assert (error["errorCode"], error["body"]) == (461, shown)
        assert "200" in error["message"]

    def test_the_largest_answer_is_kept_whole(self) -> None:
        body = b'"' + b"a" * (MAX_ANSWER_BYTES - 2) + b'"'
        assert answer(Reply(status=200, body=body)).response == body.decode()

    @pytest.mark.parametrize(
        ("reply", "size"),
        [
            (Reply(status=200, body=b'"' + b"a" * MAX_ANSWER_BYTES + b'"'), "350002"),
            (Reply(status=404, body=b"{}", is_cut=True, declared_bytes=7_000_000), "7000000"),
            (Reply(status=200, body=b"{}", is_cut=True), "more than 350000"),
            (Reply(status=200, body=b"{}", is_cut=True, declared_bytes=1), "more than 350000"),
        ],
    )
    def test_a_larger_one_is_a_failure_that_gives_its_size(self, reply: Reply, size: str) -> None:
        """Nothing is cut silently."""
        found = answer(reply)
        assert found.verdict is Verdict.FAILED
        assert error_of(found) == {
            "errorCode": 461,
            "message": f"response of {size} bytes is over the limit of {MAX_ANSWER_BYTES}",
        }

    def test_a_large_answer_that_asks_for_a_retry_is_retried(self) -> None:
        judged = judge_job(Reply(status=503, body=b"x", is_cut=True), START)
        assert isinstance(judged, TryAgain)

    @given(status=st.integers(100, 599), body=st.binary() | st.text().map(str.encode))
    def test_any_answer_is_recorded_as_json_or_retried(self, status: int, body: bytes) -> None:
        judged = judge_job(Reply(status=status, body=body), START)
        found = judged if isinstance(judged, Answer) else gave_up(judged, 5)
        json.loads(found.response.encode())


class TestOurOwnAnswers:
    @pytest.mark.parametrize(
        ("found", "verdict", "code"),
        [
            (outcome.unanswered("no answer"), Verdict.UNANSWERED, 461),
            (outcome.past_deadline(), Verdict.UNANSWERED, 461),
            (outcome.cancelled(), Verdict.UNANSWERED, 461),
            (outcome.stopped(3), Verdict.UNANSWERED, 461),
            (outcome.worker_died(), Verdict.UNANSWERED, 461),
            (outcome.unreadable(), Verdict.FAILED, 461),
            (outcome.failed_request("not JSON", "<html>"), Verdict.FAILED, 461),
            (outcome.key_revoked(), Verdict.FAILED, 463),
        ],
    )
    def test_only_jobs_that_never_got_an_answer_are_run_again(
        self, found: Answer, verdict: Verdict, code: int
    ) -> None:
        assert (found.verdict, error_of(found)["errorCode"]) == (verdict, code)
        assert error_of(found)["message"]

    def test_a_revoked_key_is_reported_with_the_contracts_text(self) -> None:
        assert error_of(outcome.key_revoked()) == {"errorCode": 463, "message": "Key revoked"}

    def test_a_cancelled_job_is_reported_with_the_contracts_text(self) -> None:
        assert error_of(outcome.cancelled()) == {"errorCode": 461, "message": "Cancelled"}

    def test_a_stopped_job_is_reported_with_the_contracts_text(self) -> None:
        words = "Stopped: more than 3 jobs failed"
        assert error_of(outcome.stopped(3)) == {"errorCode": 461, "message": words}

    @pytest.mark.parametrize(
        ("fields", "answer"),
        [
            ({"cancelled": True}, outcome.cancelled()),
            ({"stopped": True, "max_failed": 3}, outcome.stopped(3)),
            ({}, outcome.past_deadline()),
        ],
    )
    def test_the_answer_says_why_the_batch_was_ended(
        self, fields: dict[str, Any], answer: Answer
    ) -> None:
        assert outcome.instead_of_a_call(a_batch(**fields)) == answer

    def test_an_unreadable_job_is_reported_with_the_designs_text(self) -> None:
        assert error_of(outcome.unreadable())["message"] == "the stored job could not be read"


class TestCallbacksAnswer:
    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_2xx_is_success(self, status: int) -> None:
        assert judge_callback(Reply(status=status), START) == Delivered(status=status)

    def test_410_stops_for_good(self) -> None:
        refused = Refused(reason="HTTP 410", status=410)
        assert judge_callback(Reply(status=410, retry_after="1"), START) == refused

    @pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 307, 400, 401, 404, 500, 503])
    def test_anything_else_is_retried_including_redirects(self, status: int) -> None:
        again = TryAgain(reason=f"HTTP {status}", status=status)
        assert judge_callback(Reply(status=status), START) == again

    def test_a_missing_answer_is_retried(self) -> None:
        again = TryAgain(reason="no connection")
        assert judge_callback(NoReply(reason="no connection"), START) == again

    def test_a_receiver_that_we_refuse_to_call_is_refused(self) -> None:
        private = NoReply(reason="the address is private", is_final=True)
        assert judge_callback(private, START) == Refused(reason="the address is private")

    @pytest.mark.parametrize(("status", "asked"), [(429, 60), (503, 60), (500, None), (302, None)])
    def test_only_429_and_503_may_ask_to_wait(self, status: int, asked: float | None) -> None:
        judged = judge_callback(Reply(status=status, retry_after="60"), START)
        assert isinstance(judged, TryAgain)
        assert judged.retry_after == asked


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("0", 0),
            ("120", 120),
            (" 120 ", 120),
            ("999999999", 999_999_999),
            ("Mon, 23 Nov 2026 14:50:07 GMT", 60),
            ("Mon, 23 Nov 2026 15:50:07 +0100", 60),
            ("Monday, 23-Nov-26 14:50:07 GMT", 60),
            ("Mon Nov 23 14:50:07 2026", 60),
        ],
    )
    def test_retry_after_is_a_number_or_any_form_of_http_date(
        self, header: str, seconds: float
    ) -> None:
        assert retry_after(header, START) == seconds

    @pytest.mark.parametrize(
        "header", [None, "", "soon", "-5", "1.5", "1e3", "٣", "0x10", ",", "\x1d4"]
    )
    def test_a_missing_or_invalid_retry_after_is_ignored(self, header: str | None) -> None:
        assert retry_after(header, START) is None

    def test_a_retry_after_in_the_past_asks_for_no_wait(self) -> None:
        assert not retry_after("Mon, 23 Nov 2026 14:48:07 GMT", START)

    @pytest.mark.parametrize(
        "header",
        [
            "1 Jan 99999999999 00:00:00 GMT",
            "99999999999 Jan 2027 00:00:00 GMT",
            "Mon, 1 Jan 2027 00:00:00 +99999999999999999999",
            "Mon, 1 Jan 2027 00:00:00 +9999",
            "Fri, 31 Dec 9999 23:59:59 -2359",
            "Mon, 1 Jan 0001 00:00:00 +2359",
            "9" * 5_000,
        ],
    )
    def test_an_impossible_date_is_not_an_error(self, header: str) -> None:
        """The other side writes this header: it must not be able to fail our function."""
        seconds = retry_after(header, START)
        assert seconds is None or seconds >= 0

    @given(header=st.text() | st.from_regex(r"\w{3}, \d{1,3} (Jan|Nov) \d{1,5} \d\d:\d\d:\d\d.*"))
    def test_no_text_raises(self, header: str) -> None:
        seconds = retry_after(header, START)
        assert seconds is None or seconds >= 0

    @given(span=st.integers(-(10**8), 10**9))
    def test_a_date_is_counted_from_now_and_never_below_zero(self, span: int) -> None:
        header = (START + timedelta(seconds=span)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        assert (retry_after(header, START) or 0) == max(0, span)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (outcome.unanswered("x"), "unanswered"),
        (Answer(Verdict.SUCCEEDED, "{}"), "succeeded"),
        (TryAgain(reason="x"), "tryagain"),
        (Delivered(status=200), "delivered"),
        (Refused(reason="x"), "refused"),
    ],
)
def test_the_log_has_one_word_for_an_outcome(found: object, word: str) -> None:
    assert outcome.word(found) == word
