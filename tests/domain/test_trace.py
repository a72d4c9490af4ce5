"""The examples and rules of https://www.w3.org/TR/trace-context/#traceparent-header."""

import re

import pytest

from chalicelib.domain.trace import TraceContext, parse

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_trace_id_and_flags_are_kept(flags: str) -> None:
    assert parse(f"00-{TRACE_ID}-{PARENT}-{flags}") == TraceContext(TRACE_ID, flags)


@pytest.mark.parametrize("rest", ["", "-", "-what-the-future-will-be-like"])
def test_a_later_version_may_have_more_after_the_flags(rest: str) -> None:
    assert parse(f"cc-{TRACE_ID}-{PARENT}-01{rest}") == TraceContext(TRACE_ID, "01")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"00-{TRACE_ID}-{PARENT}",
        f"00-{TRACE_ID}-{PARENT}-01-more",
        f"ff-{TRACE_ID}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-{PARENT}-01",
        f"00-{TRACE_ID}-{PARENT}-1",
        f"cc-{TRACE_ID}-{PARENT}-01.",
        f"00-{TRACE_ID}-{PARENT}-01\n",
        f"00-{TRACE_ID}-{PARENT}-01,00-{TRACE_ID}-{PARENT}-01",
        f"cc-{TRACE_ID}-{PARENT}-01-more,00-{TRACE_ID}-{PARENT}-01",
    ],
)
def test_an_invalid_header_is_ignored(header: str | None) -> None:
    assert parse(header) is None


def test_a_request_has_the_same_parent_id_at_every_attempt() -> None:
    trace = TraceContext(TRACE_ID, "01")
    first = trace.traceparent("a-0")
    assert re.fullmatch(rf"00-{TRACE_ID}-[0-9a-f]{{16}}-01", first)
    assert trace.traceparent("a-0") == first != trace.traceparent("a-1")
    assert parse(first) == trace
