"""The behavior of hostile servers, as data, and two ways to run it: on a clock that only these
scripts move, and on the real one."""

import gzip
import math
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from pathlib import Path
from struct import pack

from chalicelib.adapters.calls import Stopwatch
from tests.adapters.http_servers import Behave, Certificates, Visit
from tests.adapters.tls_records import ALERT, LONGEST, Records12, Records13


class Ending(Enum):
    """How a server ends after it has sent everything."""

    #: It stays connected and sends nothing more.
    SILENCE = auto()
    #: It closes the connection.
    END = auto()
    #: It resets the connection.
    RESET = auto()


#: Bytes are sent, a number is a pause in seconds, and None waits for the caller's next bytes, which
#: are sent back.
Act = bytes | float | None
Acts = Generator[Act, bytes, None]


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a server does with each connection."""

    #: The outcome of the call: the beginning of the reason, or `HTTP` and a status.
    outcome: str
    #: Whether the server reads the request first.
    hears: bool = True
    says: bytes = b""
    #: Sent forever after that, with this many seconds between; 0 for as fast as possible.
    again: bytes = b""
    every: float = 0
    #: What TLS does forever instead of sending data.
    does: "Callable[[Tls], bytes] | None" = None
    ends: Ending = Ending.SILENCE
    version: ssl.TLSVersion | None = None
    #: Seconds between two bytes of TLS's handshake.
    handshake_every: float = 0
    #: The caller sends more than fits in the buffers between the two.
    uploads: bool = False
    #: Sent after all of that has arrived, if something was sent before.
    then: bytes = b""


LATE = "no answer within "
TOO_MUCH = "the answer was not complete after "
NOT_HTTP = "the answer is not HTTP"
CLOSED = "the connection was closed before the answer was complete"
BROKE_OFF = "the answer broke off"
NOT_UNPACKED = "the answer's compression cannot be read"
NO_TLS = "no TLS connection to "
OK = "HTTP 200"

_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_ANSWER = _HEAD + b"Content-Length: 2\r\n\r\n{}"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
_LONG = b"x" * 16_000
_CLOSE_NOTIFY = b"\x01\x00"
_KEPT = b"Content-Length: 2\r\n\r\n{}"

#: Run over TCP, and each of them over TLS too.
SCRIPTS = {
    # A second between two bytes: every read is in time, but the whole is not.
    "drips the status line": Script(says=b"HTTP/1.1 200 ", again=b"x", every=1, outcome=LATE),
    "drips a header": Script(says=_HEAD + b"X: ", again=b"x", every=1, outcome=LATE),
    "drips headers": Script(says=_HEAD, again=b"X: x\r\n", every=1, outcome=LATE),
    "drips a fold": Script(says=_HEAD + b"X: x\r\n", again=b" x\r\n", every=1, outcome=LATE),
    "drips announcements": Script(again=b"HTTP/1.1 100 Continue\r\n\r\n", every=1, outcome=LATE),
    "drips hints": Script(again=b"HTTP/1.1 103 Hints\r\nX: x\r\n\r\n", every=1, outcome=LATE),
    "drips the body": Script(
        says=_HEAD + b"Content-Length: 60000\r\n\r\n", again=b"x", every=1, outcome=LATE
    ),
    "drips a body without an end": Script(says=_HEAD + b"\r\n", again=b"x", every=1, outcome=LATE),
    "drips chunks": Script(says=_CHUNKED, again=b"1\r\nx\r\n", every=1, outcome=LATE),
    "drips a chunk's size": Script(says=_CHUNKED, again=b"0", every=1, outcome=LATE),
    "drips a chunk's extension": Script(says=_CHUNKED + b"1;", again=b"x", every=1, outcome=LATE),
    "drips trailers": Script(says=_CHUNKED + b"0\r\n", again=b"X: x\r\n", every=1, outcome=LATE),
    "drips gzip": Script(
        says=_HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10],
        again=b"\x00\x00\x00\xff\xff",
        every=1,
        outcome=LATE,
    ),
    # Nothing is sent from some point on.
    "says nothing": Script(outcome=LATE),
    "does not even read": Script(hears=False, uploads=True, outcome=LATE),
    "stops in the head": Script(says=_HEAD, outcome=LATE),
    "stops in the body": Script(says=_ANSWER[:-1], outcome=LATE),
    "stops in a chunk": Script(says=_CHUNKED + b"5\r\nx", outcome=LATE),
    "stops before a chunk": Script(says=_CHUNKED, outcome=LATE),
    "stops in the last chunk": Script(says=_CHUNKED + b"2\r\n{}\r\n0\r\n", outcome=LATE),
    "announces and stops": Script(says=b"HTTP/1.1 100 Continue\r\n\r\n", outcome=LATE),
    # Sent forever, as fast as it is accepted.
    "floods announcements": Script(
        again=b"HTTP/1.1 100 Go on\r\nX: " + _LONG + b"\r\n\r\n", outcome=TOO_MUCH
    ),
    "floods short announcements": Script(again=b"HTTP/1.1 100 \r\n\r\n" * 900, outcome=TOO_MUCH),
    "floods hints": Script(
        again=b"HTTP/1.1 103 Early\r\nLink: " + _LONG + b"\r\n\r\n", outcome=TOO_MUCH
    ),
    "floods the status line": Script(says=b"HTTP/1.1 200 ", again=_LONG, outcome=TOO_MUCH),
    "floods a header": Script(says=_HEAD + b"X: ", again=_LONG, outcome=TOO_MUCH),
    "floods headers": Script(says=_HEAD, again=b"X: x\r\n" * 2_000, outcome=TOO_MUCH),
    "floods long headers": Script(says=_HEAD, again=b"X: " + _LONG + b"\r\n", outcome=TOO_MUCH),
    "floods cookies": Script(
        says=_HEAD, again=b"Set-Cookie: " + b"a=b; " * 3_000 + b"\r\n", outcome=TOO_MUCH
    ),
    "floods a fold": Script(says=_HEAD + b"X: x\r\n", again=b" x\r\n" * 3_000, outcome=TOO_MUCH),
    "floods chunk extensions": Script(
        says=_CHUNKED, again=b"1;" + _LONG + b"\r\nx\r\n", outcome=TOO_MUCH
    ),
    "floods a chunk's extension": Script(says=_CHUNKED + b"1;", again=_LONG, outcome=TOO_MUCH),
    "floods a chunk's size": Script(says=_CHUNKED, again=b"0" * 16_000, outcome=TOO_MUCH),
    "floods chunks of a byte": Script(
        says=_CHUNKED, again=(b"1;" + b"x" * 90 + b"\r\nx\r\n") * 150, outcome=TOO_MUCH
    ),
    "floods trailers": Script(
        says=_CHUNKED + b"0\r\n", again=b"X: " + _LONG + b"\r\n", outcome=TOO_MUCH
    ),
    "floods bytes without a line": Script(again=_LONG, outcome=NOT_HTTP),
    "floods empty lines": Script(again=b"\r\n" * 8_000, outcome=NOT_HTTP),
    "floods the body": Script(says=_HEAD + b"\r\n", again=_LONG, outcome=OK),
    "floods a gigabyte": Script(
        says=_HEAD + b"Content-Length: 1000000000\r\n\r\n", again=_LONG, outcome=OK
    ),
    "floods a chunk": Script(says=_CHUNKED + b"ffffffffffffffff\r\n", again=_LONG, outcome=OK),
    "floods a redirect": Script(
        says=b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", again=_LONG, outcome="HTTP 302"
    ),
    "floods after the answer": Script(says=_ANSWER, again=_LONG, outcome=OK),
    # The answer does not come to its end.
    "ends before it answers": Script(ends=Ending.END, outcome=CLOSED),
    "resets before it answers": Script(ends=Ending.RESET, outcome=CLOSED),
    "ends in the head": Script(says=_HEAD, ends=Ending.END, outcome=CLOSED),
    "resets in the head": Script(says=_HEAD, ends=Ending.RESET, outcome=CLOSED),
    "ends in the body": Script(says=_ANSWER[:-1], ends=Ending.END, outcome=BROKE_OFF),
    "ends in a chunk": Script(says=_CHUNKED + b"5\r\nx", ends=Ending.END, outcome=BROKE_OFF),
    "ends before the last chunk": Script(
        says=_CHUNKED + b"2\r\n{}\r\n", ends=Ending.END, outcome=BROKE_OFF
    ),
    # The connection stays open, so a parser that misses the fault waits for more.
    "has a length with a plus": Script(
        says=_HEAD + b"Content-Length: +2\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a length with a minus": Script(
        says=_HEAD + b"Content-Length: -2\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a length with an underscore": Script(
        says=_HEAD + b"Content-Length: 0_2\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a length in hexadecimal": Script(
        says=_HEAD + b"Content-Length: 0x2\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a length in other digits": Script(
        says=_HEAD + b"Content-Length: \xb2\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a length behind a tab of another kind": Script(
        says=_HEAD + b"Content-Length: \x0b2\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a length before a space of another kind": Script(
        says=_HEAD + b"Content-Length: 2\xa0\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has no length in its length": Script(
        says=_HEAD + b"Content-Length:\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a length of 5,000 digits": Script(
        says=_HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has two lengths": Script(says=_HEAD + b"Content-Length: 3\r\n" + _KEPT, outcome=NOT_HTTP),
    "has two lengths in one": Script(
        says=_HEAD + b"Content-Length: 2, 3\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a folded length": Script(
        says=_HEAD + b"Content-Length: 2\r\n 3\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a space before the colon": Script(
        says=_HEAD + b"Content-Length : 2\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a NUL before the colon": Script(
        says=_HEAD + b"Content-Length\x00: 2\r\n\r\n{}", outcome=NOT_HTTP
    ),
    "has a space of another kind before a coding": Script(
        says=_HEAD + b"\xa0Transfer-Encoding: chunked\r\n" + _KEPT, outcome=NOT_HTTP
    ),
    "folds the status line": Script(says=_HEAD + b" X: x\r\n" + _KEPT, outcome=NOT_HTTP),
    "has a bare CR between headers": Script(says=_HEAD + b"X: x\r" + _KEPT, outcome=NOT_HTTP),
    "has a bare LF between headers": Script(says=_HEAD + b"X: x\n" + _KEPT, outcome=NOT_HTTP),
    "has nothing but LF": Script(says=_ANSWER.replace(b"\r", b""), outcome=NOT_HTTP),
    "has a coding nobody asked for": Script(
        says=_HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", outcome=NOT_HTTP
    ),
    "is chunked twice": Script(
        says=_HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", outcome=NOT_HTTP
    ),
    "is chunked behind a tab of another kind": Script(
        says=_HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", outcome=NOT_HTTP
    ),
    "has a chunk in C's hexadecimal": Script(
        says=_CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n", outcome=NOT_HTTP
    ),
    "has a chunk with an underscore": Script(
        says=_CHUNKED + b"0_2\r\n{}\r\n0\r\n\r\n", outcome=NOT_HTTP
    ),
    "has a negative chunk": Script(says=_CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n", outcome=NOT_HTTP),
    "has a chunk without a size": Script(says=_CHUNKED + b"\r\n{}\r\n", outcome=NOT_HTTP),
    "has a chunk that is longer than it says": Script(
        says=_CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", outcome=NOT_HTTP
    ),
    "ends its chunks with LF": Script(says=_CHUNKED + b"2\n{}\n0\n\n", outcome=NOT_HTTP),
    "has a bare CR in a chunk's extension": Script(
        says=_CHUNKED + b"2;x\rx\r\n{}\r\n0\r\n\r\n", outcome=NOT_HTTP
    ),
    "has a bare CR in a trailer": Script(
        says=_CHUNKED + b"2\r\n{}\r\n0\r\nX: x\rx\r\n\r\n", outcome=NOT_HTTP
    ),
    "speaks SSH": Script(hears=False, says=b"SSH-2.0-OpenSSH_9.6\r\n", outcome=NOT_HTTP),
    "speaks SMTP": Script(hears=False, says=b"220 mail.example ESMTP\r\n", outcome=NOT_HTTP),
    "speaks HTTP/2": Script(says=b"HTTP/2.0 200 OK\r\n", outcome=NOT_HTTP),
    "changes to another protocol": Script(
        says=b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", outcome=NOT_HTTP
    ),
    "speaks HTTP/0.9": Script(says=b"<html>an answer</html>", outcome=NOT_HTTP),
    # Broken, but there is only one way to read it.
    "has lines that are no headers": Script(
        says=_HEAD + b"no colon\r\n: x\r\n\x00\xff: \x00\r\nA b: c\r\n" + _KEPT, outcome=OK
    ),
    "has ten thousand headers": Script(says=_HEAD + b"X: x\r\n" * 10_000 + _KEPT, outcome=OK),
    "has a header of 250 KB": Script(
        says=_HEAD + b"X: " + b"x" * 250_000 + b"\r\n" + _KEPT, outcome=OK
    ),
    "answers in the middle of an upload": Script(
        hears=False, says=_GONE, uploads=True, outcome="HTTP 410"
    ),
    "announces in the middle of an upload": Script(
        hears=False, says=_CONTINUE, uploads=True, outcome=LATE
    ),
    "announces twice and answers in the middle of an upload": Script(
        hears=False, says=_CONTINUE * 2 + _GONE, uploads=True, outcome="HTTP 410"
    ),
    "announces, and answers when everything has arrived": Script(
        hears=False, says=_CONTINUE, uploads=True, then=_ANSWER, outcome=OK
    ),
    "begins to announce, and continues when everything has arrived": Script(
        hears=False, says=_CONTINUE[:10], uploads=True, then=_CONTINUE[10:] + _ANSWER, outcome=OK
    ),
    "begins a status line, and continues when everything has arrived": Script(
        hears=False, says=_ANSWER[:9], uploads=True, then=_ANSWER[9:], outcome=OK
    ),
    "speaks SSH in the middle of an upload": Script(
        hears=False, says=b"SSH-2.0-1\r\n", uploads=True, outcome=NOT_HTTP
    ),
    "speaks a few letters in the middle of an upload": Script(
        hears=False, says=b"220", uploads=True, outcome=NOT_HTTP
    ),
    "announces in another protocol in the middle of an upload": Script(
        hears=False, says=b"HTTP/2.0 100 Continue\r\n\r\n", uploads=True, outcome=NOT_HTTP
    ),
    "announces with a bare LF in the middle of an upload": Script(
        hears=False, says=_CONTINUE[:-2] + b"X: x\n\r\n\r\n", uploads=True, outcome=NOT_HTTP
    ),
    "floods announcements in the middle of an upload": Script(
        hears=False, again=_CONTINUE * 600, uploads=True, outcome=TOO_MUCH
    ),
}

#: Possible only with TLS.
TLS_SCRIPTS = {
    "floods tickets": Script(does=lambda tls: tls.records.tickets(), outcome=TOO_MUCH),
    "drips tickets": Script(does=lambda tls: tls.records.tickets(), every=1, outcome=LATE),
    "floods empty records": Script(
        does=lambda tls: b"".join(tls.records.record(b"") for _ in range(20)), outcome=NO_TLS
    ),
    "drips empty records": Script(does=lambda tls: tls.records.record(b""), every=1, outcome=LATE),
    "floods records that are all padding": Script(
        does=lambda tls: tls.records.record(b"", padding=LONGEST), outcome=NO_TLS
    ),
    "sends a hundred key updates at a time": Script(
        does=lambda tls: b"".join(tls.records.update_keys(asks=False) for _ in range(100)),
        every=0.5,
        outcome=LATE,
    ),
    "floods key updates that ask for one": Script(
        does=lambda tls: b"".join(tls.records.update_keys(asks=True) for _ in range(99)),
        outcome=TOO_MUCH,
    ),
    "drips key updates": Script(
        does=lambda tls: tls.records.update_keys(asks=True), every=1, outcome=LATE
    ),
    "floods bytes in records of their own": Script(
        says=_HEAD + b"X: ",
        does=lambda tls: b"".join(tls.records.record(b"x") for _ in range(200)),
        outcome=TOO_MUCH,
    ),
    "announces and answers in the middle of an upload, in two records": Script(
        hears=False,
        does=lambda tls: tls.records.record(_CONTINUE) + tls.records.record(_GONE),
        every=math.inf,
        uploads=True,
        outcome="HTTP 410",
    ),
    "answers in the middle of an upload, in records of a byte": Script(
        hears=False,
        does=lambda tls: b"".join(
            tls.records.record(_GONE[at : at + 1]) for at in range(len(_GONE))
        ),
        every=math.inf,
        uploads=True,
        outcome="HTTP 410",
    ),
    "announces in the middle of an upload, and ends TLS": Script(
        hears=False,
        does=lambda tls: tls.records.record(_CONTINUE) + tls.records.record(_CLOSE_NOTIFY, ALERT),
        every=math.inf,
        uploads=True,
        outcome=CLOSED,
    ),
    "answers in the middle of an upload, and ends TLS": Script(
        hears=False,
        does=lambda tls: tls.records.record(_GONE) + tls.records.record(_CLOSE_NOTIFY, ALERT),
        every=math.inf,
        uploads=True,
        outcome="HTTP 410",
    ),
    "updates its keys in the middle of an upload, and answers": Script(
        hears=False,
        does=lambda tls: tls.records.update_keys(asks=True) + tls.records.record(_GONE),
        every=math.inf,
        uploads=True,
        outcome="HTTP 410",
    ),
    "asks for a certificate": Script(
        does=lambda tls: tls.records.certificate_request(), outcome=NO_TLS
    ),
    "floods warnings": Script(
        does=lambda tls: tls.records.record(b"\x01\x5a", ALERT), outcome=NO_TLS
    ),
    "sends what cannot be decrypted": Script(
        does=lambda _: b"\x17\x03\x03\x00\x20" + bytes(32), outcome=NO_TLS
    ),
    "sends a record that is too long": Script(
        does=lambda _: b"\x17\x03\x03\xff\xff" + bytes(65_535), outcome=NO_TLS
    ),
    "sends half a record": Script(
        does=lambda _: b"\x17\x03\x03\x10\x00" + bytes(5), every=math.inf, outcome=LATE
    ),
    "asks to renegotiate": Script(
        version=ssl.TLSVersion.TLSv1_2,
        does=lambda tls: tls.records12.hello_request(),
        every=1,
        outcome=LATE,
    ),
    "floods requests to renegotiate": Script(
        version=ssl.TLSVersion.TLSv1_2,
        does=lambda tls: b"".join(tls.records12.hello_request() for _ in range(99)),
        outcome=TOO_MUCH,
    ),
    "floods empty records of TLS 1.2": Script(
        version=ssl.TLSVersion.TLSv1_2,
        does=lambda tls: b"".join(tls.records12.record(b"") for _ in range(20)),
        outcome=NO_TLS,
    ),
    "drips its handshake": Script(handshake_every=0.1, outcome=LATE),
    "drips its handshake in TLS 1.2": Script(
        version=ssl.TLSVersion.TLSv1_2, handshake_every=0.1, outcome=LATE
    ),
}

#: What a server at an https address may send without TLS.
NO_TLS_SCRIPTS = {
    "says nothing to a greeting": Script(hears=False, outcome=LATE),
    "ends at a greeting": Script(hears=False, ends=Ending.END, outcome=CLOSED),
    "drips a hello": Script(
        hears=False,
        says=b"\x16\x03\x03\x3f\x00\x02\x00\x3e\xfc\x03\x03",
        again=b"\x00",
        every=1,
        outcome=LATE,
    ),
    "floods a hello": Script(
        hears=False, says=b"\x16\x03\x03\x40\x00\x02\xff\xff\xff", again=_LONG, outcome=NO_TLS
    ),
    "floods changes": Script(hears=False, again=b"\x14\x03\x03\x00\x01\x01" * 999, outcome=NO_TLS),
    "floods warnings before hello": Script(
        hears=False, again=b"\x15\x03\x03\x00\x02\x01\x5a" * 999, outcome=NO_TLS
    ),
    "says hello in HTTP": Script(hears=False, says=b"HTTP/1.1 400 Bad\r\n\r\n", outcome=NO_TLS),
    "says hello in SSH": Script(hears=False, says=b"SSH-2.0-OpenSSH_9.6\r\n", outcome=NO_TLS),
    "floods zeros": Script(hears=False, again=bytes(16_000), outcome=NO_TLS),
    "refuses the handshake": Script(
        hears=False, says=b"\x15\x03\x03\x00\x02\x02\x28", outcome=NO_TLS
    ),
}


# --- what a server sends, and over what --------------------------------------------------------


class Plain:
    """A plain connection, as the server sees it."""

    def open(self) -> Acts:
        yield from ()

    def wrap(self, data: bytes) -> bytes:
        return data

    def unwrap(self, data: bytes) -> bytes:
        return data


@dataclass
class Tls(Plain):
    """A TLS connection, as the server sees it."""

    context: ssl.SSLContext
    log: Path
    every: float = 0
    #: One of the two, after the handshake.
    _records13: Records13 | None = None
    _records12: Records12 | None = None

    def __post_init__(self) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self.context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def open(self) -> Acts:
        sent = b""
        while not self._shakes_hands():
            said = self._outgoing.read()
            sent += said
            yield from self._said(said)
            self._incoming.write((yield None))
        yield from self._said(self._outgoing.read())
        self._take_keys(sent)

    @property
    def records(self) -> Records13:
        assert self._records13
        return self._records13

    @property
    def records12(self) -> Records12:
        assert self._records12
        return self._records12

    def wrap(self, data: bytes) -> bytes:
        if not data:
            return b""
        self._tls.write(data)
        if self._records13:
            self._records13.number += 1
        return self._outgoing.read()

    def unwrap(self, data: bytes) -> bytes:
        self._incoming.write(data)
        read = b""
        with suppress(ssl.SSLWantReadError):
            while piece := self._tls.read(LONGEST):
                read += piece
        return read

    def _shakes_hands(self) -> bool:
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            return True
        return False

    def _said(self, data: bytes) -> Acts:
        if not self.every:
            yield data
            return
        for byte in data:
            yield bytes([byte])
            yield self.every

    def _take_keys(self, sent: bytes) -> None:
        """Read the keys as OpenSSL logs them; the server's random is in its hello."""
        keys = dict(_logged(line) for line in self.log.read_text().splitlines() if line[0] != "#")
        cipher = self._tls.cipher()
        is_long = cipher is not None and "256" in cipher[0].partition("AES")[2][:5]
        key_bytes = 32 if is_long else 16
        digest = "sha384" if is_long else "sha256"
        if self._tls.version() == "TLSv1.3":
            _, secret = keys["SERVER_TRAFFIC_SECRET_0"]
            self._records13 = Records13(secret, digest, key_bytes)
        else:
            client_random, master = keys["CLIENT_RANDOM"]
            randoms = sent[11:43] + client_random
            self._records12 = Records12.of(master, randoms, digest, key_bytes)


def _logged(line: str) -> tuple[str, tuple[bytes, bytes]]:
    label, random, secret = line.split()
    return label, (bytes.fromhex(random), bytes.fromhex(secret))


def acts(script: Script, over: Plain) -> Acts:
    """Yield what the server does with one connection, act by act."""
    yield from over.open()
    if script.hears:
        yield from _hear(over)
    yield over.wrap(script.says)
    if script.then:
        yield from _hear(over)
        yield over.wrap(script.then)
    while script.again:
        yield over.wrap(script.again)
        yield script.every
    while script.does and isinstance(over, Tls):
        yield script.does(over)
        yield script.every
    while script.ends is Ending.SILENCE and script.hears:
        yield None
    while script.ends is Ending.SILENCE:
        yield math.inf


def _hear(over: Plain) -> Acts:
    """Read one whole request."""
    heard = over.unwrap(b"")
    while b"\r\n\r\n" not in heard:
        heard += over.unwrap((yield None))
    head, _, body = heard.partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(body)
    while left:
        left -= len(over.unwrap((yield None)))


_NUMBERS = count()


@dataclass
class Playing:
    """A script run by a server, which may get several connections."""

    script: Script
    certificates: Certificates | None = None

    def acts(self) -> Acts:
        return acts(self.script, self._over())

    def _over(self) -> Plain:
        if self.certificates is None:
            return Plain()
        log = self.certificates.folder / f"{next(_NUMBERS)}.keys"
        tls = self.certificates.server()
        tls.num_tickets = 0
        tls.keylog_filename = str(log)
        if self.script.version:
            tls.maximum_version = self.script.version
        return Tls(tls, log, every=self.script.handshake_every)


# --- on a clock of their own -------------------------------------------------------------------


class ScriptedTime(Stopwatch):
    """A server and a clock in one, without threads: while the caller waits, the server acts; when
    it has nothing to do, time passes immediately."""

    def __init__(self, playing: Playing) -> None:
        self._playing = playing
        self._now = 1_000.0
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=8)
        self._listening.setblocking(False)
        self._actors: list[_Actor] = []
        self.port = self._listening.getsockname()[1]

    def close(self) -> None:
        for each in (self._listening, *(actor.connection for actor in self._actors)):
            each.close()

    @property
    def visits(self) -> int:
        return len(self._actors)

    def has(self, connection: socket.socket) -> bool:
        """Whether this is the server's end of one of its connections."""
        return any(actor.connection is connection for actor in self._actors)

    def now(self) -> float:
        return self._now

    def wait(self, connection: socket.socket, events: int, seconds: float) -> int:
        until = self._now + seconds
        while not (ready := super().wait(connection, events, 0)):
            if not self._act():
                self._now = min([until, *(actor.resumes_at for actor in self._actors)])
                if self._now >= until:
                    break
        return ready

    def _act(self) -> bool:
        with suppress(BlockingIOError):
            connection, _ = self._listening.accept()
            self._actors.append(_Actor(connection, self._playing.acts(), self._playing.script.ends))
        return any(actor.act(self._now) for actor in self._actors)


@dataclass
class _Actor:
    """The server of one connection."""

    connection: socket.socket
    acts: Acts
    ends: Ending
    #: When it continues, if it only waits for a time to pass.
    resumes_at: float = math.inf
    _unsent: bytes = b""
    _is_hearing: bool = False
    _is_over: bool = False
    _has_begun: bool = False
    _waits_for_ever: bool = False

    def __post_init__(self) -> None:
        self.connection.setblocking(False)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def act(self, now: float) -> bool:
        """Return whether it did anything."""
        if self._is_over or (self._has_begun and now < self.resumes_at < math.inf):
            return False
        try:
            return self._go_on(now)
        except BlockingIOError:
            return False
        except OSError:
            self._stop()
            return False

    def _stop(self) -> None:
        self._is_over, self.resumes_at = True, math.inf

    def _go_on(self, now: float) -> bool:
        if self._unsent:
            sent = self.connection.send(self._unsent)
            self._unsent = self._unsent[sent:]
            return True
        if self._has_begun and self._waits_for_ever:
            return False
        heard = self.connection.recv(65_536) if self._is_hearing else b""
        if self._is_hearing and not heard:
            self._stop()
            return False
        self._next(heard, now)
        return True

    def _next(self, heard: bytes, now: float) -> None:
        try:
            act = self.acts.send(heard) if self._is_hearing else next(self.acts)
        except StopIteration:
            self._end()
            return
        self._has_begun = True
        self._is_hearing = act is None
        self._unsent = act if isinstance(act, bytes) else b""
        self.resumes_at = math.inf
        if isinstance(act, float | int) and act:
            self._waits_for_ever = act == math.inf
            self.resumes_at = now + act

    def _end(self) -> None:
        self._stop()
        if self.ends is Ending.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        self.connection.close()


# --- on the real clock -------------------------------------------------------------------------


def played(playing: Playing, *, pace: float) -> Behave:
    """Run a script on a server with one thread per connection. A script's seconds take `pace`
    seconds each."""

    def behave(visit: Visit) -> None:
        play = playing.acts()
        heard: bytes | None = None
        with suppress(StopIteration):
            while True:
                heard = _do(next(play) if heard is None else play.send(heard), visit, pace)
        if playing.script.ends is Ending.RESET:
            visit.reset()

    return behave


def _do(act: Act, visit: Visit, pace: float) -> bytes | None:
    """Perform an act, and return what was received, if it received."""
    if act is None:
        data = visit.connection.recv(65_536)
        if not data:
            raise ConnectionResetError
        return data
    if isinstance(act, bytes):
        visit.send(act)
    elif visit.server.stopped.wait(min(act * pace, 3_600)):
        raise ConnectionAbortedError
    return None
