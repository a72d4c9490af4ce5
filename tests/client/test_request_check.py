"""`batchback run --check` finds the same faults as the service, in the same words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from batchback import request_check
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import api
from chalicelib.domain import run_request
from chalicelib.domain.address import AddressPolicy, why_not_url
from chalicelib.errors import CallerError
from tests import samples

JOB: dict[str, Any] = {"namespace": "event", "action": "invite"}
URL = "https://example.com/callback"
LONG = "a" * 65


#: The most that a deployment can allow.
ALLOWANCE = replace(samples.ALLOWANCE, max_deadline=timedelta(hours=48))


def told(request: Mapping[str, Any]) -> set[str]:
    """The faults that the service names."""
    try:
        run_request.parse(dict(request), ALLOWANCE)
    except CallerError as error:
        return {*error.reasons}
    return set()


def known(request: Mapping[str, Any]) -> set[str]:
    return {*request_check.faults(request)}


NAMES = [
    None,
    1,
    "",
    "a",
    "_a",
    "1a",
    "a-b",
    "é",
    "a\n",
    LONG,
    LONG[:64],
    "-" * 65,
    "batch",
    "BATCH",
]
JOBS: list[Any] = [
    None,
    [],
    {},
    "x",
    1,
    JOB,
    {"namespace": "a"},
    {"action": "a"},
    *({**JOB, "namespace": name} for name in NAMES),
    *({**JOB, "action": name} for name in NAMES),
    *({**JOB, "params": params} for params in (None, [], {}, {"a": 1}, [1], 0, "", False)),
    {**JOB, "params": {"a": "x" * (200_000 - 53 - 8)}},
    {**JOB, "params": {"a": "x" * (200_000 - 53 - 7)}},
    {**JOB, "params": {"a": "é\ud83d" * 40_000}},
    {**JOB, "more": 1},
    *({**JOB, "id": id} for id in (None, "", 1, "a", "a b", "\u0430", LONG, LONG[:64], ["a"])),
]
WORDS: list[Any] = [None, "", 1, "a", "é x", "a\n", "\u00a0", "\ud83d", LONG, LONG[:64], []]
HEADER_NAMES = ["", "a b", "é", "Host", "TE", "X_Forwarded_For", "webhook.id", "Content-X"]
HEADER_VALUES: list[Any] = ["", " a", "a ", "a b", "é", "a\nb", "~", 1]
#: For each parameter, the values to try.
VALUES: dict[str, list[Any]] = {
    "label": WORDS,
    "metadata": [
        [],
        {},
        "a",
        {"a": "x" * 512},
        {"a": "x" * 513},
        *({"a": word, "b": "c"} for word in WORDS),
        *({word: "a"} for word in WORDS if isinstance(word, str)),
        {f"{number}": "" for number in range(16)},
        {f"{number}": "" for number in range(17)},
    ],
    "callbackResults": ["all", "failed", "none", "some", 1, [], ""],
    "callbackHeaders": [
        [],
        {},
        "a",
        {"X-A": "b", "x-a": "c"},
        *({name: "a"} for name in (*HEADER_NAMES, LONG, "X-Api-Key")),
        *({"X-A": value} for value in HEADER_VALUES),
        {"X-A": "x" * 4_093},
        {"X-A": "x" * 4_094},
        {f"X-{number}": "a" for number in range(11)},
    ],
    "maxFailed": [0, 1.0, -1, 1.5, True, "1", 10**9, 10**9 + 1],
    "deadlineMinutes": [0, 1, 2.0, 1.5, True, "1", 2_880, 2_881],
}
OPTIONS = [{name: value} for name, values in VALUES.items() for value in values]
REQUESTS: list[dict[str, Any]] = [
    {},
    {"jobs": None},
    {"jobs": {}},
    {"jobs": []},
    *({"jobs": [JOB, job]} for job in JOBS),
    {"jobs": JOBS[:6]},
    {"jobs": [{"id": "a"}, {**JOB, "id": "a"}, {**JOB, "id": "A"}, {"id": ""}, {"id": ""}]},
]


class TestTheSameAsTheService:
    @pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: repr(request)[:60])
    def test_of_jobs(self, request_: dict[str, Any]) -> None:
        assert known(request_) == told(request_)

    @pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ascii(options)[:60])
    @pytest.mark.parametrize("callback", [{"callbackUrl": URL}, {}])
    def test_of_options(self, options: dict[str, Any], callback: dict[str, Any]) -> None:
        request = {"jobs": [JOB], **options, **callback}
        assert known(request) == told(request)

    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(["namespace", "action", "params"]),
                st.none() | st.text(max_size=3) | st.just([]) | st.just({}) | st.integers(),
            ),
            max_size=3,
        )
    )
    def test_of_any_jobs(self, jobs: list[Any]) -> None:
        assert known({"jobs": jobs}) == told({"jobs": jobs})

    def test_of_sizes(self) -> None:
        assert request_check.MAX_BODY_BYTES == api.MAX_BODY_BYTES
        assert request_check.MAX_JOB_BYTES == run_request.MAX_JOB_BYTES


URLS = [
    URL,
    "HTTPS://example.com:443",
    "http://example.com:8080/?b=c",
    "",
    "example.com",
    "ftp://example.com",
    "http://",
    "http:///path",
    "http://[example.com/",
    "http://example.com:x/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:22/#a",
    "http://a:b@example.com/#a",
    "http://example.com/#a",
    "http://example.com/ a",
    "http://example.com/\n",
    "http://example.com/" + "a" * 2_029,
    "http://example.com/" + "a" * 2_030,
    "\u017fttp://example.com/",
]


def faults_of(**parameters: object) -> list[str]:
    return [*request_check.faults({"jobs": [JOB], **parameters})]


class TestTheWholeRequest:
    def test_too_many_bytes(self) -> None:
        jobs = [{**JOB, "params": {"a": "x" * 190_000}}] * 19
        assert faults_of(jobs=jobs) == [
            "the request: is 3611112 bytes, over the limit of 3500000: send several batches"
        ]

    def test_too_many_jobs(self) -> None:
        """No deployment allows this many."""
        assert faults_of(jobs=[JOB] * 10_001) == [
            "jobs: holds 10001 jobs, and no deployment takes more than 10000"
        ]

    def test_all_faults_are_named_not_only_twenty(self) -> None:
        assert len(faults_of(jobs=[{}] * 50)) == 100

    @pytest.mark.parametrize("url", URLS, ids=ascii)
    def test_a_callback_url(self, url: str) -> None:
        """Faults that depend on the networks that the deployment allows are left to the service."""
        told = why_not_url(url, AddressPolicy())
        assert faults_of(callbackUrl=url) == [f"callbackUrl: {fault}" for fault in told]

    def test_a_callback_url_that_is_not_text(self) -> None:
        assert faults_of(callbackUrl=1) == ["callbackUrl: must be a string"]

    @pytest.mark.parametrize(
        ("request_", "said"),
        [
            ({"callbackUrl": URL, "jobs": [{**JOB, "id": "a"}], "label": "a"}, []),
            (
                {"callbackURL": URL, "jobs": [{**JOB, "param": 1}, 1]},
                [
                    "callbackUrl: is missing, and most deployments require it",
                    "callbackURL: is not a parameter of run, and is ignored",
                    "jobs[].param: is not a field of a job, and is ignored",
                ],
            ),
            (
                {"jobs": 1},
                ["callbackUrl: is missing, and most deployments require it"],
            ),
        ],
    )
    def test_likely_mistakes_are_remarks(self, request_: dict[str, Any], said: list[str]) -> None:
        assert [*request_check.remarks(request_)] == said
