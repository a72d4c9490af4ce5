"""What `run` accepts, and what it says otherwise."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import run_request, strict_json
from chalicelib.domain.batch import CallbackResults, Job
from chalicelib.domain.run_request import MAX_JOB_BYTES
from chalicelib.domain.submission import Submission
from chalicelib.domain.trace import TraceContext
from chalicelib.errors import (
    CallerError,
    JobFormatWrong,
    JobParameterEmpty,
    ParameterInvalid,
    ParameterMissing,
    TooManyJobs,
)
from tests.samples import ALLOWANCE

URL = "https://example.com/callback"
JOB = {"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}
NAME_RULE = "must be letters, digits and '_', beginning with a letter"


def why_not_url(url: str) -> list[str]:
    """Replaces the check of addresses; it knows one bad address."""
    return ["is a private address", "has a bad port"] if url == "http://bad" else []


def why_no_secrets(url: str) -> list[str]:
    return [] if url.startswith("https:") else ["need https"]


def parse(body: object, *, max_jobs: int = 200, callback_required: bool = True) -> Submission:
    allowance = replace(
        ALLOWANCE,
        max_jobs=max_jobs,
        callback_required=callback_required,
        why_not_url=why_not_url,
        why_no_secrets=why_no_secrets,
    )
    return run_request.parse(body, allowance)


def refusal(body: object, *, max_jobs: int = 200) -> CallerError:
    with pytest.raises(CallerError) as refused:
        parse(body, max_jobs=max_jobs)
    return refused.value


def request(*jobs: object, **more: object) -> dict[str, object]:
    return {"jobs": [*jobs], "callbackUrl": URL, **more}


def job(**fields: object) -> dict[str, object]:
    return {**JOB, **fields}


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in JOB.items() if key != name}


class TestAccepted:
    def test_the_documented_example(self) -> None:
        body = strict_json.parse(
            b'{"jobs": [{"namespace": "event", "action": "inviteContacts", "params": '
            b'{"event": 1, "contacts": [1, 2, 3]}}, {"namespace": "event", "action": '
            b'"inviteContacts", "params": {"event": 2, "contacts": [1, 2, 4]}}], '
            b'"callbackUrl": "http://example.callback.url.com"}'
        )
        assert parse(body) == Submission(
            jobs=(
                Job(0, "event", "inviteContacts", '{"event":1,"contacts":[1,2,3]}'),
                Job(1, "event", "inviteContacts", '{"event":2,"contacts":[1,2,4]}'),
            ),
            callback_url="http://example.callback.url.com",
        )

    @pytest.mark.parametrize(
        "accepted",
        [without("params"), job(params=None), job(params=[]), job(params={})],
        ids=["left out", "null", "[]", "{}"],
    )
    def test_missing_params_in_any_form_are_an_empty_object(
        self, accepted: dict[str, object]
    ) -> None:
        assert parse(request(accepted)).jobs == (Job(0, "event", "inviteContacts", "{}"),)

    def test_unknown_keys_are_ignored(self) -> None:
        odd = job(priority="high", namespaces=3, **{"\ud83d": 1})
        body = request(odd, asyncId=1, **{"": None, "\ud83d": 2})
        assert parse(body) == parse(request(JOB))

    @pytest.mark.parametrize(
        "name", ["a", "A", "event", "a1_B", "a" * 64, "batches", "Batches", "a_"]
    )
    def test_names_may_have_letters_digits_and_underscores(self, name: str) -> None:
        [accepted] = parse(request(job(namespace=name, action=name))).jobs
        assert (accepted.namespace, accepted.action) == (name, name)

    def test_an_action_may_be_called_batch(self) -> None:
        assert parse(request(job(action="batch"))).jobs[0].action == "batch"

    @given(
        params=st.dictionaries(
            st.text(),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text() | st.floats(-1e9, 1e9),
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
                ),
                max_leaves=6,
            ),
            max_size=4,
        )
    )
    def test_params_become_their_compact_text(self, params: dict[str, Any]) -> None:
        [accepted] = parse(request(job(params=params))).jobs
        assert accepted.params == json.dumps(params, ensure_ascii=False, separators=(",", ":"))
        assert repr(json.loads(accepted.params)) == repr(params)

    @pytest.mark.parametrize(
        "text",
        [
            '{"big":' + "9" * 4_300 + "}",
            '{"one":1.0,"minus":-0.0,"true":true}',
            '{"lone":"\\ud83d","key\\ude00":"é😀"}',
            '{"a":' + "[" * 60 + "]" * 60 + "}",
        ],
    )
    def test_params_lose_nothing(self, text: str) -> None:
        [accepted] = parse(request(job(params=strict_json.parse(text.encode())))).jobs
        assert accepted.params == text

    def test_jobs_are_numbered_in_their_order(self) -> None:
        jobs = parse(request(*[job(params={"n": n}) for n in range(5)])).jobs
        assert [(each.index, each.params) for each in jobs] == [
            (n, f'{{"n":{n}}}') for n in range(5)
        ]

    @pytest.mark.parametrize("missing", [{}, {"callbackUrl": None}], ids=["left out", "null"])
    def test_a_deployment_may_leave_the_callback_url_optional(
        self, missing: dict[str, object]
    ) -> None:
        body = {"jobs": [JOB], **missing}
        assert parse(body, callback_required=False).callback_url is None
        with pytest.raises(ParameterMissing):
            parse(body)

    def test_an_optional_callback_url_is_checked_if_present(self) -> None:
        with pytest.raises(ParameterInvalid):
            parse(request(JOB, callbackUrl="http://bad"), callback_required=False)
        assert parse(request(JOB), callback_required=False).callback_url == URL


NO_OBJECTS: list[object] = [3, "jobs", True, False, 0, "", [JOB], [[]], 1.5]
WITHOUT_JOBS: list[object] = [None, [], {}, {"callbackUrl": URL}, request(jobs=None)]
NO_PARAMS: list[object] = [3, 0, "", "{}", True, False, [1], [{}], 1.5]
NO_URLS: list[object] = [3, True, [], {}, [URL]]


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "error", "code", "message", "reasons"),
        [
            # the body
            *[
                (body, ParameterInvalid, 23016, "'body' does not validate", None)
                for body in NO_OBJECTS
            ],
            # jobs
            *[(body, ParameterMissing, 23017, "'jobs' is required", None) for body in WITHOUT_JOBS],
            *[
                (
                    request(jobs=jobs),
                    JobFormatWrong,
                    24092,
                    "Incorrect job format",
                    ["jobs: must be an array"],
                )
                for jobs in (3, "", "x", {}, {"0": JOB}, True)
            ],
            (request(), JobParameterEmpty, 24093, "Empty job parameter found", None),
            # a job
            *[
                (request(each), JobFormatWrong, 24092, "Incorrect job format", [reason])
                for each, reason in (
                    (3, "jobs[0]: must be an object"),
                    (None, "jobs[0]: must be an object"),
                    ("event", "jobs[0]: must be an object"),
                    ([], "jobs[0]: must be an object"),
                    ([JOB], "jobs[0]: must be an object"),
                    (without("namespace"), "jobs[0].namespace: is required"),
                    (without("action"), "jobs[0].action: is required"),
                    (job(namespace=None), "jobs[0].namespace: must be a string"),
                    (job(namespace=1), "jobs[0].namespace: must be a string"),
                    (job(action=True), "jobs[0].action: must be a string"),
                    (job(action=["a"]), "jobs[0].action: must be a string"),
                    (job(action={}), "jobs[0].action: must be a string"),
                    *[
                        (job(action=name), f"jobs[0].action: {NAME_RULE}")
                        for name in (
                            " ",
                            "a b",
                            " a",
                            "a\n",
                            "a-b",
                            "a.b",
                            "a/b",
                            "a?action=b",
                            "1a",
                            "_a",
                            "é",
                            "aé",
                            "a\u0661",
                            "a\0",
                            "\ud83d",
                            '"',
                        )
                    ],
                    (job(namespace="a/../b"), f"jobs[0].namespace: {NAME_RULE}"),
                    (job(action="a" * 65), "jobs[0].action: must be 64 characters at most"),
                    (job(namespace="a" * 65), "jobs[0].namespace: must be 64 characters at most"),
                    *[
                        (job(params=params), "jobs[0].params: must be an object")
                        for params in NO_PARAMS
                    ],
                    *[
                        (
                            job(namespace=spelling),
                            "jobs[0].namespace: 'batch' may not be called from a batch",
                        )
                        for spelling in ("batch", "Batch", "BATCH")
                    ],
                )
            ],
            *[
                (
                    request(job(**{name: ""})),
                    JobParameterEmpty,
                    24093,
                    "Empty job parameter found",
                    [f"jobs[0].{name}: must not be empty"],
                )
                for name in ("namespace", "action")
            ],
            # callbackUrl
            *[
                (body, ParameterMissing, 23017, "'callbackUrl' is required", None)
                for body in ({"jobs": [JOB]}, request(JOB, callbackUrl=None))
            ],
            *[
                (
                    request(JOB, callbackUrl=url),
                    ParameterInvalid,
                    23016,
                    "'callbackUrl' does not validate",
                    ["callbackUrl: must be a string"],
                )
                for url in NO_URLS
            ],
            (
                request(JOB, callbackUrl="http://bad"),
                ParameterInvalid,
                23016,
                "'callbackUrl' does not validate",
                ["callbackUrl: is a private address", "callbackUrl: has a bad port"],
            ),
        ],
    )
    def test_each_fault_has_its_error(
        self,
        body: object,
        error: type[CallerError],
        code: int,
        message: str,
        reasons: list[str] | None,
    ) -> None:
        refused = refusal(body)
        assert type(refused) is error
        assert (refused.error_code, refused.specific_code) == (400, code)
        assert refused.message == message
        assert all(isinstance(reason, str) for reason in refused.reasons)
        assert reasons is None or [*refused.reasons] == reasons

    def test_more_jobs_than_the_maximum_are_refused(self) -> None:
        refused = refusal(request(*[JOB] * 201))
        assert type(refused) is TooManyJobs
        assert (refused.error_code, refused.specific_code) == (400, 24448)
        assert refused.message == (
            "The maximum number of jobs can be put on a single request is 200"
        )

    def test_too_many_jobs_are_not_checked_for_faults(self) -> None:
        assert refusal(request(*[3] * 3), max_jobs=2).specific_code == 24448


class TestLimits:
    @pytest.mark.parametrize("maximum", [1, 200, 10_000])
    def test_the_maximum_number_of_jobs_is_accepted_and_one_more_is_not(self, maximum: int) -> None:
        assert len(parse(request(*[JOB] * maximum), max_jobs=maximum).jobs) == maximum
        refused = refusal(request(*[JOB] * (maximum + 1)), max_jobs=maximum)
        assert (type(refused), refused.specific_code) == (TooManyJobs, 24448)
        assert str(maximum) in refused.message

    @pytest.mark.parametrize("letter", ["e", "é", "😀", "\\", "\ud83d"])
    def test_a_job_of_200000_bytes_is_accepted_and_one_more_byte_is_not(self, letter: str) -> None:
        """The size is that of compact JSON in UTF-8, including names and braces."""
        frame = len(json.dumps(job(params={"p": ""}), separators=(",", ":")))
        width = len(strict_json.dump(letter).encode()) - 2
        letters, rest = divmod(MAX_JOB_BYTES - frame, width)
        largest = job(params={"p": letter * letters + "e" * rest})
        assert len(strict_json.dump(largest).encode()) == MAX_JOB_BYTES == 200_000
        assert len(parse(request(largest)).jobs) == 1

        larger = job(params={"p": letter * letters + "e" * (rest + 1)})
        refused = refusal(request(JOB, larger))
        assert (type(refused), refused.specific_code) == (JobFormatWrong, 24092)
        [reason] = refused.reasons
        assert reason.startswith("jobs[1]: ")
        assert "200001" in reason

    def test_white_space_in_the_request_does_not_count(self) -> None:
        spaced = b'{"p":' + b" " * MAX_JOB_BYTES + b"1}"
        assert parse(request(job(params=strict_json.parse(spaced)))).jobs[0].params == '{"p":1}'


EMPTY, WRONG, BATCH = job(action=""), job(action="a b"), job(namespace="batch")
HUGE = job(params={"p": "e" * MAX_JOB_BYTES})


class TestOrder:
    """The code is that of the first fault: body, `jobs`, each job by index, `callbackUrl`."""

    @pytest.mark.parametrize(
        ("body", "code", "places"),
        [
            pytest.param(
                {"callbackUrl": 3}, 23017, ["jobs", "callbackUrl"], id="jobs before callbackUrl"
            ),
            pytest.param(
                request(callbackUrl=None), 24093, ["jobs", "callbackUrl"], id="no jobs, no URL"
            ),
            pytest.param(
                request(WRONG, EMPTY, callbackUrl="http://bad"),
                24092,
                ["jobs[0].action", "jobs[1].action", "callbackUrl", "callbackUrl"],
                id="a wrong name before an empty one",
            ),
            pytest.param(
                request(EMPTY, WRONG),
                24093,
                ["jobs[0].action", "jobs[1].action"],
                id="an empty name before a wrong one",
            ),
            pytest.param(
                request(job(namespace="", action="a b", params=3)),
                24093,
                ["jobs[0].namespace", "jobs[0].action", "jobs[0].params"],
                id="all faults of one job",
            ),
            pytest.param(
                request(JOB, 3, EMPTY),
                24092,
                ["jobs[1]", "jobs[2].action"],
                id="a job that is not an object before an empty name",
            ),
            pytest.param(
                request(EMPTY, callbackUrl=None),
                24093,
                ["jobs[0].action", "callbackUrl"],
                id="a job before callbackUrl",
            ),
            pytest.param(
                request(BATCH, HUGE, callbackUrl=None),
                24092,
                ["jobs[0].namespace", "jobs[1]", "callbackUrl"],
                id="a fault found after the shape is checked, before callbackUrl",
            ),
            pytest.param(
                request(BATCH, EMPTY),
                24092,
                ["jobs[0].namespace", "jobs[1].action"],
                id="namespace batch before an empty name",
            ),
            pytest.param(
                request(HUGE, EMPTY),
                24092,
                ["jobs[0]", "jobs[1].action"],
                id="too large before an empty name",
            ),
            pytest.param(
                request(EMPTY, BATCH, HUGE),
                24093,
                ["jobs[0].action", "jobs[1].namespace", "jobs[2]"],
                id="an empty name before other faults",
            ),
        ],
    )
    def test_the_first_fault_decides_and_all_are_named(
        self, body: object, code: int, places: list[str]
    ) -> None:
        refused = refusal(body)
        assert refused.specific_code == code
        assert [reason.split(":")[0] for reason in refused.reasons] == places

    def test_the_reasons_are_the_first_twenty_faults(self) -> None:
        refused = refusal(request(*[JOB] * 5, *[WRONG] * 30, callbackUrl=None))
        assert [*refused.reasons] == [f"jobs[{n}].action: {NAME_RULE}" for n in range(5, 25)]

    def test_twenty_faults_are_all_named(self) -> None:
        refused = refusal(request(*[WRONG] * 19, callbackUrl=None))
        assert len(refused.reasons) == 20
        assert refused.reasons[-1] == "callbackUrl: is required"

    def test_many_faults_of_the_largest_request_are_named(self) -> None:
        assert len(refusal(request(*[{}] * 10_000), max_jobs=10_000).reasons) == 20


HEADERS = {"Authorization": "Bearer canary-of-a-header", "X-Empty": "0"}
OPTIONS: dict[str, Any] = {
    "label": "Nightly 🌙 import",
    "metadata": {"order": "77", "note": ""},
    "callbackResults": "failed",
    "callbackHeaders": HEADERS,
    "deadlineMinutes": 90,
    "maxFailed": 3,
}
NO_VALUES: list[object] = [1, None, True, [], {}, "v" * 513, "\0", "\udc00"]


class TestOptions:
    def test_all_options_are_parsed(self) -> None:
        trace = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "01")
        body = request(job(id="row:1"), job(id="row.2"), **OPTIONS)
        assert run_request.parse(body, ALLOWANCE, trace) == Submission(
            jobs=(
                Job(0, "event", "inviteContacts", '{"event":1}', "row:1"),
                Job(1, "event", "inviteContacts", '{"event":1}', "row.2"),
            ),
            callback_url=URL,
            callback_results=CallbackResults.FAILED,
            callback_headers=HEADERS,
            label="Nightly 🌙 import",
            metadata={"order": "77", "note": ""},
            deadline=timedelta(minutes=90),
            max_failed=3,
            trace=trace,
        )

    def test_null_is_the_same_as_a_missing_option(self) -> None:
        nothing: dict[str, Any] = dict.fromkeys(OPTIONS)
        assert parse(request(job(id=None), **nothing)) == parse(request(JOB))

    def test_objects_may_be_empty(self) -> None:
        assert parse(request(JOB, metadata={}, callbackHeaders={})) == parse(request(JOB))

    @pytest.mark.parametrize("number", [2, 2.0])
    def test_a_whole_number_may_be_written_in_any_way(self, number: float) -> None:
        parsed = parse(request(JOB, maxFailed=number, deadlineMinutes=number))
        assert (parsed.max_failed, parsed.deadline) == (2, timedelta(minutes=2))
        assert type(parsed.max_failed) is int

    @pytest.mark.parametrize("results", [*CallbackResults])
    def test_a_callback_may_carry_all_failed_or_no_results(self, results: CallbackResults) -> None:
        assert parse(request(JOB, callbackResults=results.value)).callback_results is results

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("label", "a"),
            ("label", "é" * 64),
            ("metadata", {"n" * 64: "v" * 512} | {f"{n}": "" for n in range(15)}),
            ("deadlineMinutes", 1),
            ("deadlineMinutes", 720),
            ("maxFailed", 0),
            ("maxFailed", 10**9),
        ],
    )
    def test_values_at_the_limits_are_accepted(self, name: str, value: object) -> None:
        parse(request(JOB, **{name: value}))

    @pytest.mark.parametrize("id", ["a", "0", "A-Z_a.z:9", "." * 64])
    def test_jobs_may_have_ids(self, id: str) -> None:
        assert parse(request(job(id=id))).jobs[0].id == id

    @pytest.mark.parametrize(
        "id",
        [
            *[1, 0, 1.5, True, False, [], {}, ["a"]],
            *["", " ", "a b", "a\n", "\na", "a/b", "a" * 65, "é", "\u0430", "\u0661", "\uff41"],
            *["a\0", "\ud83d", "a\u200b", '"', "<a>"],
        ],
    )
    def test_an_invalid_id_is_refused(self, id: object) -> None:
        refused = refusal(request(JOB, job(id=id)))
        assert (type(refused), refused.specific_code) == (JobFormatWrong, 24092)
        assert refused.reasons == ("jobs[1].id: must be 1 to 64 of A-Z a-z 0-9 . _ : -",)

    def test_ids_are_unique(self) -> None:
        """Ids are case-sensitive, and a job may have none."""
        jobs = [
            job(id="canary"),
            job(id="Canary"),
            job(),
            job(),
            job(id="canary"),
            {"id": "canary"},
        ]
        refused = refusal(request(*jobs))
        assert (type(refused), refused.specific_code) == (JobFormatWrong, 24092)
        assert refused.reasons == (
            "jobs[4].id: is also the id of jobs[0]",
            "jobs[5].namespace: is required",
            "jobs[5].action: is required",
            "jobs[5].id: is also the id of jobs[0]",
        )

    @pytest.mark.parametrize(
        ("name", "values", "reason"),
        [
            (
                "label",
                [
                    *[1, 0, True, [], {}, ["a"]],
                    *["", "a" * 65, "a\n", "\0", "\x7f", "a\tb", "\u202eab", "\u200b", "\u2028"],
                    *["\u00a0", "\ud83d", "\ue000"],
                ],
                "must be 1 to 64 printable characters",
            ),
            ("metadata", [1, "a", True, [], [["a", "b"]], ""], "must be an object"),
            (
                "metadata",
                [{f"{n}": "" for n in range(17)}],
                "holds 17 values, over the limit of 16",
            ),
            (
                "metadata",
                [{"a": "", name: ""} for name in ("", "n" * 65, "n\n", "\ud83d", "\u202e")],
                "the name of value 2 must be 1 to 64 printable characters",
            ),
            (
                "metadata",
                [{"a": value} for value in NO_VALUES],
                "value 1 must be a string of at most 512 printable characters",
            ),
            (
                "callbackResults",
                [1, 0, True, [], {}, ["all"], "", "ALL", "all ", "success", "\ud83d"],
                "must be 'all', 'failed' or 'none'",
            ),
            (
                "deadlineMinutes",
                [0, -1, 721, 1.5, 10**400, 1e300, "60", True, False, [], {}, [1]],
                "must be a whole number from 1 to 720",
            ),
            (
                "maxFailed",
                [-1, 0.5, 10**9 + 1, 10**4000, 1e300, "0", True, False, [], {}],
                "must be a whole number from 0 to 1000000000",
            ),
        ],
    )
    def test_an_invalid_option_is_refused(
        self, name: str, values: list[object], reason: str
    ) -> None:
        for value in values:
            refused = refusal(request(JOB, **{name: value}))
            assert (type(refused), refused.specific_code) == (ParameterInvalid, 23016), value
            assert refused.message == f"'{name}' does not validate"
            assert refused.reasons == (f"{name}: {reason}",)

    def test_all_faults_are_named_in_the_documented_order(self) -> None:
        wrong: dict[str, Any] = dict.fromkeys(reversed(OPTIONS), "\0")
        refused = refusal({**wrong, "callbackUrl": 3, "jobs": [{**JOB, "id": ""}]})
        assert refused.specific_code == 24092
        names = [reason.split(":")[0] for reason in refused.reasons]
        assert names == ["jobs[0].id", "callbackUrl", *OPTIONS]

    def test_options_of_the_callback_need_a_callback(self) -> None:
        options = {"callbackResults": "all", "callbackHeaders": {"X-A": "1"}}
        with pytest.raises(ParameterInvalid) as refused:
            parse({"jobs": [JOB], **options}, callback_required=False)
        assert refused.value.reasons == (
            "callbackResults: needs a callbackUrl",
            "callbackHeaders: needs a callbackUrl",
        )
        assert refusal({"jobs": [JOB], **options}).reasons == ("callbackUrl: is required",)
        without = {"jobs": [JOB], "callbackHeaders": {}}
        assert parse(without, callback_required=False).callback_headers == {}

    def test_headers_are_refused_if_others_could_read_them(self) -> None:
        body = request(JOB, callbackUrl="http://example.com")
        parse({**body, "callbackHeaders": {}})
        assert refusal({**body, "callbackHeaders": HEADERS}).reasons == (
            "callbackHeaders: need https",
        )
        refused = refusal(request(JOB, callbackUrl="http://bad", callbackHeaders=HEADERS))
        assert "callbackHeaders" not in str(refused.reasons)

    def test_headers_are_in_no_repr(self) -> None:
        assert "canary" not in repr(parse(request(JOB, **OPTIONS)))


class TestAnything:
    @given(
        options=st.dictionaries(
            st.sampled_from([*OPTIONS]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=6,
            ),
        ),
        id=st.text() | st.integers() | st.none(),
    )
    def test_any_option_is_accepted_or_refused(self, options: dict[str, Any], id: object) -> None:
        """Both the accepted value and the reasons for a refusal can be encoded as UTF-8."""
        try:
            parsed = parse(request(job(id=id), **options))
            told: list[Any] = [parsed.label, parsed.metadata, parsed.jobs[0].id]
        except CallerError as error:
            told = [*error.reasons]
        assert json.dumps(told, ensure_ascii=False).encode()

    @given(
        body=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["jobs", "namespace", "action", "params", "callbackUrl", "x"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        )
    )
    def test_any_json_is_a_submission_or_a_caller_error(self, body: object) -> None:
        found = CallerError("")
        try:
            parse(body)
        except CallerError as error:
            found = error
        assert found.error_code == 400
        assert found.specific_code in {0, 23016, 23017, 24092, 24093, 24448}

    @given(fields=st.fixed_dictionaries({"namespace": st.text(), "action": st.text()}))
    def test_any_name_is_accepted_or_refused(self, fields: dict[str, str]) -> None:
        """An accepted name needs no encoding in an address or between quotation marks."""
        try:
            [accepted] = parse(request(job(**fields))).jobs
        except CallerError:
            return
        assert (accepted.namespace + accepted.action).replace("_", "").isalnum()
        assert (accepted.namespace + accepted.action).isascii()


class TestParametersOfACall:
    @pytest.mark.parametrize("body", [None, [], {}])
    def test_missing_parameters_may_be_written_in_any_way(self, body: object) -> None:
        assert run_request.as_object(body) == {}

    def test_an_object_is_returned_unchanged(self) -> None:
        body = {"async": "a"}
        assert run_request.as_object(body) is body

    @pytest.mark.parametrize("body", [0, 1, "", "a", True, False, [1], [[]], 0.0])
    def test_anything_else_is_refused(self, body: object) -> None:
        with pytest.raises(ParameterInvalid, match="'body' does not validate"):
            run_request.as_object(body)
