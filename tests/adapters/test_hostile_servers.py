"""Malicious or broken platforms and receivers: each call gets a reason in words, and takes no more
time than the deadline and no more memory than an answer."""

import gzip
import random
import ssl
import tracemalloc
import warnings
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import pytest

from chalicelib.adapters.answers import Answer as HttpAnswer
from chalicelib.adapters.calls import MAX_HEAD_BYTES, MAX_RECEIVED_BYTES
from chalicelib.adapters.http import MAX_RECEIVER_ANSWER_BYTES
from chalicelib.domain.batch import Answer, Verdict
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply, judge_job
from tests.adapters.http_servers import (
    AMPLE,
    CHUNKED,
    NAME,
    OK,
    SHORT,
    Behave,
    Certificates,
    Send,
    Server,
    Servers,
    Visit,
    a_platform,
    answering,
    both_ways,
    call,
    leading_to,
    once,
    over_tls,
    say_nothing,
    send_as_platform,
    send_as_receiver,
)
from tests.fakes.clock import START

Value = TypeVar("Value")

HEAD = b"HTTP/1.1 200 OK\r\n"
GZIPPED = HEAD + b"Content-Encoding: gzip\r\n\r\n"
TOO_LATE = NoReply(reason=f"no answer within {SHORT:g} seconds")
CLOSED = NoReply(reason="the connection was closed before the answer was complete")
NOT_HTTP = NoReply(reason="the answer is not HTTP")
BROKE_OFF = NoReply(reason="the answer broke off")
#: Ten times the largest answer that is kept; nothing here needs half of it.
MAX_PEAK_BYTES = 3_500_000


def most_kept(send: Send) -> int:
    return MAX_ANSWER_BYTES if send is send_as_platform else MAX_RECEIVER_ANSWER_BYTES


def with_peak(work: Callable[[], Value]) -> tuple[Value, int]:
    """Return the result and the most memory used meanwhile, including that of the servers here."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- slow --------------------------------------------------------------------------------------


def dripping(beginning: bytes, forever: bytes) -> Behave:
    """Answer a request with a beginning, and continue forever, a little at a time."""

    def behave(visit: Visit) -> None:
        visit.read()
        visit.send(beginning)
        visit.drip(forever)

    return behave


DRIPS = {
    "body": dripping(HEAD + b"Content-Length: 60000\r\n\r\n", b"x"),
    "silence": say_nothing,
}
every_drip = pytest.mark.parametrize("behave", DRIPS.values(), ids=DRIPS)


class TestSlowness:
    @both_ways
    @every_drip
    def test_a_slow_answer_does_not_outlast_the_deadline(
        self, servers: Servers, send: Send, behave: Behave
    ) -> None:
        """Every single read is in time, but the whole is not: the caller gives up, also on the real
        clock. Other slow behavior is in hostile_scripts.py."""
        server = servers(behave)
        assert send(server, SHORT) == TOO_LATE
        assert has_seen_the_end(server)
        assert server.drips < 1_000  # about 5 fit in 0.1 seconds

    @every_drip
    def test_a_slow_answer_over_tls_does_not_outlast_the_deadline(
        self, servers: Servers, certificates: Certificates, behave: Behave
    ) -> None:
        """TLS waits for its own records, and these waits respect the deadline too."""
        server = servers(behave, tls=certificates.server())
        assert over_tls(certificates, server, SHORT) == TOO_LATE
        assert has_seen_the_end(server)

    def test_data_that_unpacks_to_nothing_does_not_outlast_the_deadline(
        self, servers: Servers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The time is checked between pieces, which are small."""
        asked: list[int] = []
        read = HttpAnswer.read

        def note(self: HttpAnswer, most: int) -> bytes:
            asked.append(most)
            return read(self, most)

        monkeypatch.setattr(HttpAnswer, "read", note)
        server = servers(flooding(GZIPPED, gzip.compress(b"") * 500))
        assert call(a_platform(server.address, timeout_seconds=SHORT)) == TOO_LATE
        assert has_seen_the_end(server)
        assert max(asked, default=0) < 20_000


def has_seen_the_end(server: Server) -> bool:
    """On a busy machine the deadline may pass before there is a connection that could end."""
    return server.visits == 0 or server.saw_the_end.wait(AMPLE)


# --- endless -----------------------------------------------------------------------------------


def flooding(beginning: bytes, forever: bytes) -> Behave:
    """Answer a request with a beginning, and continue forever, as fast as possible."""

    def behave(visit: Visit) -> None:
        visit.read()
        visit.send(beginning)
        visit.flood(forever)

    return behave


FILLER = b"x" * 60_000
NEVER_COMPLETE = {
    "announcements": flooding(b"", (b"HTTP/1.1 100 Go on\r\nX: " + b"x" * 500 + b"\r\n\r\n") * 99),
    "hints": flooding(b"", b"HTTP/1.1 103 Early Hints\r\nLink: " + FILLER + b"\r\n\r\n"),
    "long headers": flooding(HEAD, b"X: " + FILLER + b"\r\n"),
    "cookies": flooding(HEAD, b"Set-Cookie: " + b"a=b; " * 12_000 + b"\r\n"),
    "chunk extensions": flooding(CHUNKED, b"1;" + FILLER + b"\r\nx\r\n"),
    "trailers": flooding(CHUNKED + b"0\r\n", b"X: " + FILLER + b"\r\n"),
    "status line": flooding(b"HTTP/1.1 200 ", FILLER),
    "header": flooding(HEAD + b"X: ", FILLER),
    "headers": flooding(HEAD, b"X: x\r\n" * 1_000),
    "folded header": flooding(HEAD + b"X: x\r\n", b" x\r\n" * 1_000),
    "chunk extension": flooding(CHUNKED + b"1;", FILLER),
    "chunk size": flooding(CHUNKED, b"0" * 60_000),
}
NEVER_HTTP = {
    "line": flooding(b"", FILLER),
    "less than nothing": flooding(HEAD + b"Content-Length: -1\r\n\r\n", FILLER),
    "negative chunk": flooding(CHUNKED + b"-1\r\n", FILLER),
    "very negative chunk": flooding(CHUNKED + b"-ffffffffffffffff\r\n", FILLER),
}
CUT = {
    "body": flooding(HEAD + b"\r\n", FILLER),
    "redirect": flooding(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", FILLER),
    "a gigabyte": flooding(HEAD + b"Content-Length: 1000000000\r\n\r\n", FILLER),
    "chunk": flooding(CHUNKED + b"ffffffffffffffff\r\n", FILLER),
    "chunks": flooding(CHUNKED, b"ea60\r\n" + FILLER + b"\r\n"),
}


class TestEndlessness:
    @both_ways
    @pytest.mark.parametrize("behave", NEVER_COMPLETE.values(), ids=NEVER_COMPLETE)
    def test_data_outside_the_body_ends_at_a_limit(
        self, servers: Servers, send: Send, behave: Behave
    ) -> None:
        """None of it would be kept, and the deadline may be far away."""
        server = servers(behave)
        reply, peak = with_peak(lambda: send(server, AMPLE))
        assert isinstance(reply, NoReply)
        assert reply.reason.startswith("the answer was not complete after ")
        assert reply.reason.endswith(" bytes")
        received = int(reply.reason.split()[6])
        assert any(0 <= received - most < 70_000 for most in (MAX_HEAD_BYTES, MAX_RECEIVED_BYTES))
        assert peak < MAX_PEAK_BYTES
        assert server.saw_the_end.wait(AMPLE)
        assert server.visits == 1

    @both_ways
    @pytest.mark.parametrize("behave", NEVER_HTTP.values(), ids=NEVER_HTTP)
    def test_data_that_is_not_http_ends_the_call_immediately(
        self, servers: Servers, send: Send, behave: Behave
    ) -> None:
        """It does not matter how much of it is sent."""
        server = servers(behave)
        reply, peak = with_peak(lambda: send(server, AMPLE))
        assert reply == NOT_HTTP
        assert peak < MAX_PEAK_BYTES
        assert server.saw_the_end.wait(AMPLE)
        assert server.visits == 1

    @both_ways
    @pytest.mark.parametrize("behave", CUT.values(), ids=CUT)
    def test_a_body_is_cut_at_the_limit(self, servers: Servers, send: Send, behave: Behave) -> None:
        """So is the body of a redirect, which clients that follow redirects would read to its
        end."""
        server = servers(behave)
        reply, peak = with_peak(lambda: send(server, AMPLE))
        assert isinstance(reply, Reply)
        assert reply.is_cut
        assert len(reply.body) == most_kept(send)
        assert peak < MAX_PEAK_BYTES
        assert server.saw_the_end.wait(AMPLE)

    @pytest.mark.parametrize("layers", [1, 2, 3, 5])
    def test_a_compression_bomb_stops_at_the_limit(self, servers: Servers, layers: int) -> None:
        """30 MB, packed once or several times, take no more memory than any other answer."""
        packed = bomb(layers)
        head = HEAD + b"Content-Encoding: " + b", ".join([b"gzip"] * layers) + b"\r\n"
        server = servers(once(head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed))
        reply, peak = with_peak(lambda: call(a_platform(server.address)))
        assert isinstance(reply, Reply)
        assert reply.is_cut
        assert reply.body == bytes(MAX_ANSWER_BYTES)
        assert reply.declared_bytes is None
        assert peak < MAX_PEAK_BYTES

    def test_a_receivers_compression_bomb_is_not_unpacked(self, servers: Servers) -> None:
        """The contents of its answer do not matter."""
        packed = bomb(1)
        server = servers(once(GZIPPED + packed))
        reply = send_as_receiver(server, AMPLE)
        assert reply == Reply(status=200, body=packed[:MAX_RECEIVER_ANSWER_BYTES], is_cut=True)


@cache
def bomb(layers: int) -> bytes:
    packed = gzip.compress(bytes(30_000_000), 1)
    for _ in range(layers - 1):
        packed = gzip.compress(packed)
    return packed


# --- wrong -------------------------------------------------------------------------------------


NO_ANSWER = {
    "short": (HEAD + b"Content-Length: 12\r\n\r\n{}", BROKE_OFF),
    "very short": (HEAD + b"Content-Length: 1000000000\r\n\r\n{}", BROKE_OFF),
    "no chunk": (CHUNKED, BROKE_OFF),
    "short chunk": (CHUNKED + b"5\r\nabc", BROKE_OFF),
    "no last chunk": (CHUNKED + b"2\r\n{}\r\n", BROKE_OFF),
    "no number": (CHUNKED + b"zz\r\nabc\r\n", NOT_HTTP),
    "no digits": (HEAD + b"Content-Length: some\r\n\r\n{}", NOT_HTTP),
    "after a space of latin-1": (HEAD + b"Content-Length: \xa02\r\n\r\n{}", NOT_HTTP),
    "chunks after a form feed": (
        HEAD + b"Transfer-Encoding: \x0cchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        NOT_HTTP,
    ),
}
LAST_CHUNK = b"2\r\n{}\r\n0\r\n"
AN_ANSWER = {
    "long": HEAD + b"Content-Length: 2\r\n\r\n{} and more",
    "twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{} and more",
    "twice in one": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "and chunks": HEAD
    + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    + LAST_CHUNK
    + b"\r\n",
    "extensions": CHUNKED + b"2;x=y\r\n{}\r\n0;z\r\nX-Trailer: x\r\n\r\nand more",
    "no end of trailers": CHUNKED + LAST_CHUNK,
}


class TestWrongLengths:
    @both_ways
    @pytest.mark.parametrize(("answer", "outcome"), NO_ANSWER.values(), ids=NO_ANSWER)
    def test_wrong_lengths_are_not_an_answer(
        self, servers: Servers, send: Send, answer: bytes, outcome: NoReply
    ) -> None:
        """This is not final: it may have been an accident."""
        server = servers(once(answer))
        assert send(server, AMPLE) == outcome
        assert server.visits == 1

    @both_ways
    @pytest.mark.parametrize("answer", AN_ANSWER.values(), ids=AN_ANSWER)
    def test_an_answer_with_only_one_reading_is_read(
        self, servers: Servers, send: Send, answer: bytes
    ) -> None:
        """Only the part that belongs to the answer is read."""
        reply = send(servers(once(answer)), AMPLE)
        assert isinstance(reply, Reply)
        assert reply.body == b"{}"
        assert not reply.is_cut


class TestNonsense:
    @both_ways
    @pytest.mark.parametrize(
        "answer",
        [
            b"\x00\x01\x02\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 -200 OK\r\n\r\n",
            b"HTTPS/1.1 200 OK\r\n\r\n",
            b"ICY 200 OK\r\n\r\n",
            b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ],
        ids=lambda answer: ascii(answer)[2:18],
    )
    def test_a_nonsense_status_line_is_not_http(
        self, servers: Servers, send: Send, answer: bytes
    ) -> None:
        """The reason is always the same, and the call is made only once."""
        server = servers(once(answer))
        assert send(server, AMPLE) == NOT_HTTP
        assert server.visits == 1
        assert server.saw_the_end.wait(AMPLE)

    @both_ways
    @pytest.mark.parametrize(
        "headers",
        [
            b"Set-Cookie: a=b; expires=Nonsense; max-age=x; domain=; path\r\n" * 20,
            b": nameless\r\nno colon at all\r\n",
            b"X: \xff\xfe\r\nX\x00: \x00\r\n",
            b"Location: http://[::1\r\n",
            b"Location: \x00\r\n",
            b"Retry-After: \xe2\x82\xac\r\n",
            b"Content-Type: ;;;charset=\xff\r\n",
            b"Transfer-Encoding: identity\r\n",
            b"Connection: \xff, keep-alive, close\r\n",
        ],
    )
    def test_nonsense_headers_are_ignored(
        self, servers: Servers, send: Send, headers: bytes
    ) -> None:
        """The status counts."""
        server = servers(once(b"HTTP/1.1 302 Found\r\n" + headers + b"\r\n{}"))
        reply = send(server, AMPLE)
        assert isinstance(reply, Reply)
        assert (reply.status, reply.body) == (302, b"{}")

    @both_ways
    def test_any_bytes_give_an_answer_or_a_reason(self, servers: Servers, send: Send) -> None:
        """No bytes cause an exception."""
        chance = random.Random(5214)
        answers = [mangled(chance) for _ in range(150)]
        upcoming = iter(answers)

        def behave(visit: Visit) -> None:
            visit.read()
            visit.send(next(upcoming))

        server = servers(behave)
        for answer in answers:
            reply = send(server, AMPLE)
            assert isinstance(reply, Reply | NoReply), answer
            if isinstance(reply, NoReply):
                assert ": " not in reply.reason, (answer, reply)  # and no exception's name
            server.saw_the_end.clear()


def mangled(chance: random.Random) -> bytes:
    """One of some good answers, with a few bytes inserted, removed or moved."""
    answer = bytearray(
        chance.choice(
            [
                OK,
                CHUNKED + b"b\r\n" + OK[-11:] + b"\r\n0\r\n\r\n",
                GZIPPED + gzip.compress(b"{}", mtime=0),
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
            ]
        )
    )
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(answer))
        answer[start : start + chance.randint(0, 6)] = chance.choice(
            [b"", chance.randbytes(3), b"\r\n", b"\n\n", b":", b"-", b"\x00", b"9" * 9]
        )
    return bytes(answer)


class TestBreaks:
    """The connection ends, normally or by a reset, at every possible point."""

    @both_ways
    @pytest.mark.parametrize("beginning", [b"HTTP/1.1 2", HEAD + b"Content-Le"])
    @pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
    def test_a_break_before_the_body_is_not_an_answer(
        self, servers: Servers, send: Send, beginning: bytes, is_reset: bool
    ) -> None:
        """Headers that break off are not taken for all of them."""
        assert send(servers(breaking(beginning, is_reset)), AMPLE) == CLOSED

    @both_ways
    @pytest.mark.parametrize(
        "beginning", [HEAD + b"Content-Length: 9\r\n\r\n{", CHUNKED + b"9\r\n{"]
    )
    @pytest.mark.parametrize(("is_reset", "outcome"), [(False, BROKE_OFF), (True, CLOSED)])
    def test_a_break_in_the_body_is_not_an_answer(
        self, servers: Servers, send: Send, beginning: bytes, is_reset: bool, outcome: NoReply
    ) -> None:
        """Half an answer is not an answer."""
        assert send(servers(breaking(beginning, is_reset)), AMPLE) == outcome

    @both_ways
    def test_a_break_before_the_request_is_not_an_answer(
        self, servers: Servers, send: Send
    ) -> None:
        """A connection may be reset before the client knows that it is connected. Repeated many
        times, because this depends on chance."""
        server = servers(Visit.reset)
        assert {send(server, AMPLE) for _ in range(20)} == {CLOSED}


def breaking(beginning: bytes, is_reset: bool) -> Behave:
    def behave(visit: Visit) -> None:
        visit.read()
        visit.send(beginning)
        if is_reset:
            visit.reset()

    return behave


class TestEncodings:
    @pytest.mark.parametrize(
        "encoding", [b"gzip", b"deflate", b"gzip, utter", b"gzip," * 9, b"utter, gzip"]
    )
    def test_unreadable_compression_is_reported_in_words(
        self, servers: Servers, encoding: bytes
    ) -> None:
        """It is not an answer."""
        head = HEAD + b"Content-Encoding: " + encoding + b"\r\nContent-Length: 4\r\n\r\n"
        assert call(a_platform(servers(once(head + b"nope")).address)) == NoReply(
            reason="the answer's compression cannot be read"
        )

    @pytest.mark.parametrize("length", [1, 10, 20])
    def test_compression_that_breaks_off_is_not_an_answer(
        self, servers: Servers, length: int
    ) -> None:
        """HTTP's own length is right, but the call is retried, and no job fails for good."""
        packed = gzip.compress(b'{"a": 1}')[:length]
        head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % length
        assert call(a_platform(servers(once(head + packed)).address)) == BROKE_OFF

    @pytest.mark.parametrize("encoding", [b"gzip", b"br", b"gzip, gzip, gzip, gzip, gzip, gzip"])
    def test_a_receivers_compression_is_ignored(self, servers: Servers, encoding: bytes) -> None:
        """A receiver that took the callback is not called again because its body is broken."""
        head = HEAD + b"Content-Encoding: " + encoding + b"\r\nContent-Length: 4\r\n\r\n"
        assert send_as_receiver(servers(once(head + b"nope")), AMPLE) == Reply(
            status=200, body=b"nope"
        )

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            (b"Content-Encoding: br\r\n", b"\x0b\x02\x80{}\x03"),
            (b"Content-Encoding: utter\r\n", b"\x00\x01"),
            (b"Content-Type: application/json; charset=utf-16\r\n", '{"a":1}'.encode("utf-16")),
            (b"Content-Type: application/json; charset=latin-1\r\n", '"é"'.encode("latin-1")),
            (b"Content-Type: application/json; charset=utf-7\r\n", b"+AHsAfQ-"),
            (b"Content-Type: application/json; charset=none-such\r\n", b"\xff"),
            (b"Content-Encoding: gzip\r\n", gzip.compress(b"not JSON")),
        ],
        ids=["brotli", "utter", "UTF-16", "Latin-1", "UTF-7", "no charset", "gzip"],
    )
    def test_an_answer_that_is_not_text_is_reported_as_such(
        self, servers: Servers, headers: bytes, body: bytes
    ) -> None:
        """JSON is UTF-8 (RFC 8259), and only gzip is requested."""
        head = HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(body)
        reply = call(a_platform(servers(once(head + body)).address))
        answer = judge_job(reply, START)
        assert isinstance(answer, Answer)
        assert answer.verdict is Verdict.FAILED
        assert "the answer (HTTP 200) is not JSON" in answer.response


# --- TLS ---------------------------------------------------------------------------------------


def blurting(data: bytes) -> Behave:
    """Send this in reply to a client's first bytes."""

    def behave(visit: Visit) -> None:
        visit.connection.recv(65_536)
        visit.send(data)

    return behave


def old_tls(certificates: Certificates, version: ssl.TLSVersion) -> ssl.SSLContext:
    tls = certificates.server()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version = tls.maximum_version = version
    tls.set_ciphers("ALL:@SECLEVEL=0")
    return tls


class TestBrokenTls:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"name": "other.example"}, "Hostname mismatch"),
            ({"name": "*.example"}, "Hostname mismatch"),
            ({"days": (-9, -1)}, "certificate has expired"),
            ({"days": (1, 9)}, "certificate is not yet valid"),
            ({"by_itself": True}, "self-signed certificate"),
        ],
        ids=str,
    )
    def test_a_certificate_must_be_valid(
        self, servers: Servers, certificates: Certificates, options: dict[str, object], words: str
    ) -> None:
        """It must be valid for the name, and now. A failure is not final, because certificates are
        renewed. The connection goes to an address, but the name is checked."""
        server = servers(answering(OK), tls=certificates.server(**options))  # type: ignore[arg-type]
        reply = over_tls(certificates, server)
        assert isinstance(reply, NoReply)
        assert reply.reason.startswith("the TLS certificate was not accepted: ")
        assert words in reply.reason
        assert not reply.is_final
        assert server.seen == []

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
    def test_versions_before_1_2_are_refused(
        self, servers: Servers, certificates: Certificates, version: ssl.TLSVersion
    ) -> None:
        """OpenSSL's own configuration makes no difference (RFC 8996)."""
        server = servers(answering(OK), tls=old_tls(certificates, version))
        reply = over_tls(certificates, server)
        assert isinstance(reply, NoReply)
        assert reply.reason.startswith("no TLS connection to the receiver: ")
        assert server.seen == []

    def test_version_1_2_is_accepted(self, servers: Servers, certificates: Certificates) -> None:
        """This shows that the test above fails because of the version only."""
        tls = old_tls(certificates, ssl.TLSVersion.TLSv1_2)
        assert isinstance(over_tls(certificates, servers(answering(OK), tls=tls)), Reply)

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\x15\x03\x03\x00\x02\x02\x28",
            b"\x16\x03\x03\x40\x00\x0b\xff\xff\xff" + bytes(50_000),
        ],
        ids=["HTTP", "alert", "handshake"],
    )
    def test_a_handshake_of_garbage_is_reported_in_words(
        self, servers: Servers, certificates: Certificates, data: bytes
    ) -> None:
        """A caller who writes https for http sees the reason."""
        server = servers(blurting(data))
        reply = over_tls(certificates, server)
        assert isinstance(reply, NoReply)
        assert reply.reason.startswith("no TLS connection to the receiver: ")
        assert reply.reason == reply.reason.replace("_", " ")
        assert server.visits == 1

    @pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
    def test_a_handshake_that_breaks_off_is_reported_in_words(
        self, servers: Servers, certificates: Certificates, is_reset: bool
    ) -> None:
        """The reason is the same as without TLS."""

        def behave(visit: Visit) -> None:
            visit.connection.recv(65_536)
            visit.send(b"\x16\x03\x03")
            if is_reset:
                visit.reset()

        assert over_tls(certificates, servers(behave)) == CLOSED

    @pytest.mark.parametrize(
        ("beginning", "outcome"),
        [(b"", CLOSED), (HEAD, CLOSED), (HEAD + b"Content-Length: 9\r\n\r\n{", BROKE_OFF)],
    )
    def test_an_answer_that_breaks_off_is_reported_in_words(
        self, servers: Servers, certificates: Certificates, beginning: bytes, outcome: NoReply
    ) -> None:
        """It does not matter whether the end is announced, as TLS requires."""
        for behave in (once(beginning), announcing_the_end(beginning)):
            server = servers(behave, tls=certificates.server())
            assert over_tls(certificates, server) == outcome

    @pytest.mark.parametrize("body", [b"", b"12"])
    def test_an_unannounced_end_does_not_complete_a_body_that_counts(
        self, servers: Servers, certificates: Certificates, body: bytes
    ) -> None:
        """Anybody on the way can end a connection, and half a number is a number too, and an empty
        body is `null`. In a receiver's answer only the status counts, which nobody can forge."""
        answer = HEAD + b"\r\n" + body
        told = servers(announcing_the_end(answer), tls=certificates.server())
        untold = servers(once(answer), tls=certificates.server())
        assert as_platform_over_tls(certificates, told) == Reply(status=200, body=body)
        assert as_platform_over_tls(certificates, untold) == BROKE_OFF
        assert over_tls(certificates, told) == Reply(status=200, body=body)
        assert over_tls(certificates, untold) == Reply(status=200, body=body)

    def test_a_complete_answer_needs_no_announced_end(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """A length or the last chunk shows where it ends."""
        for answer in (OK, CHUNKED + b"2\r\n{}\r\n0\r\n"):
            server = servers(once(answer), tls=certificates.server())
            assert isinstance(as_platform_over_tls(certificates, server), Reply)


def announcing_the_end(answer: bytes) -> Behave:
    """Send one answer, and end TLS before the connection."""

    def behave(visit: Visit) -> None:
        visit.read()
        visit.send(answer)
        assert isinstance(visit.connection, ssl.SSLSocket)
        visit.connection.unwrap()

    return behave


def as_platform_over_tls(certificates: Certificates, server: Server) -> Reply | NoReply:
    address = f"https://{NAME}:{server.port}"
    authority = str(certificates.authority)
    return call(a_platform(address, resolve=leading_to("127.0.0.1"), certificates=authority))


# --- the next call -----------------------------------------------------------------------------


class TestTheNextCall:
    """Whatever a platform leaves behind on a connection is not taken for an answer."""

    def test_an_announced_answer_is_the_one_that_counts(self, servers: Servers) -> None:
        """Any number of 100, 102 and 103 may come before it (RFC 9110, section 15.2)."""
        before = b"".join(
            b"HTTP/1.1 %d Wait\r\nX: x\r\n\r\n" % status for status in (100, 102, 103)
        )
        server = servers(answering(before + OK))
        platform = a_platform(server.address)
        for _ in range(3):
            reply = call(platform)
            assert isinstance(reply, Reply)
            assert (reply.status, reply.body) == (200, b'{"ok":true}')
        assert server.visits == 1

    @pytest.mark.parametrize(
        "answer",
        [
            HEAD + b"Content-Length: 400000\r\n\r\n" + b"x" * 400_000,
            HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}",
            CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n",
            HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
            HEAD + b"Content-Length: 2\r\n\r\n{} and more",
            CHUNKED + b"2\r\n{}\r\n0\r\n\r\n and more",
            HEAD + b"Content-Length: 2\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{}",
            HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
            HEAD + b"Transfer-Encoding: identity, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        ],
        ids=[
            "cut",
            "two lengths",
            "no content",
            "negative",
            "two sizes",
            "more",
            "more than chunks",
            "unknown encoding",
            "two encodings",
            "no chunks",
            "no encoding and a length",
            "no encoding and chunks",
        ],
    )
    def test_the_next_call_gets_a_new_connection(self, servers: Servers, answer: bytes) -> None:
        """The answer before it did not end where it should have, or may not have."""
        server = servers(answering(answer))
        platform = a_platform(server.address)
        replies = [call(platform) for _ in range(3)]
        assert replies == replies[:1] * 3
        assert server.visits == 3

    def test_the_next_call_gets_a_new_connection_after_an_endless_head(
        self, servers: Servers
    ) -> None:
        """The call is given up at the limit, whatever may follow."""
        server = servers(answering(HEAD + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"))
        platform = a_platform(server.address)
        for visits in range(1, 4):
            reply = call(platform)
            assert isinstance(reply, NoReply)
            assert reply.reason.startswith("the answer was not complete after ")
            assert server.visits == visits
