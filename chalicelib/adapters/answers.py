"""A strict HTTP/1.1 parser for the answer to one POST.

There must be only one way to read where an answer ends. Otherwise a kept connection could give the
next call somebody else's answer. So lines must end in CRLF, numbers must be digits, and lengths
that contradict each other are refused. All other headers may contain anything: they are ignored, so
they cannot hide the ones that count.

This module does not know where the bytes come from. `receive` limits their number and the time they
take.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from chalicelib.adapters.calls import MAX_HEAD_BYTES, TooMuch

_STATUS_LINE = re.compile(rb"HTTP/1\.(?P<minor>[01]) (?P<status>[1-9][0-9]{2})(?: [^\r\n]*)?")
#: Switches to another protocol, which we never ask for (RFC 9110, section 15.2.2).
_SWITCHING = b"101"
_PROTOCOL = b"HTTP/1."
_BEFORE_STATUS = len("HTTP/1.1 ")
#: The beginning of a status line. Shorter ones are compared with the protocol only.
_BEGINNING = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}[ \r]")
_BEGINNING_BYTES = 13
_BARE_LINE_BREAK = re.compile(rb"\r[^\n]|(?<!\r)\n")
#: RFC 9112, section 5.2.
_FOLD = re.compile(rb"\r\n[ \t]+")
#: RFC 9110, section 5.6.2.
_IN_NO_NAME = re.sub(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]", b"", bytes(range(256)))
_READ = frozenset(
    {
        b"connection",
        b"content-encoding",
        b"content-length",
        b"retry-after",
        b"transfer-encoding",
    }
)
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"(?P<size>[0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
_WITHOUT_BODY = frozenset({204, 304})
#: The bytes left of a body that ends with the connection.
_ENDLESS = 1 << 63


class NotHttp(Exception):
    """The answer is not HTTP/1.1, or could be read in two ways."""


class Answer:
    """One answer: first its head, then as much of its body as is asked for."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self.status = 0
        #: The length of the body, if the head declares it.
        self.length: int | None = None
        #: The values of the headers that count, as received, by lower-case names.
        self.fields: defaultdict[str, list[str]] = defaultdict(list)
        self._receive = receive
        self._buffer = bytearray()
        #: How much of the buffer is known to contain no end of a head.
        self._searched = 0
        self._announced_bytes = 0
        self._left = 0
        self._is_chunked = False
        #: Whether a chunk was read. Its end comes before the next chunk.
        self._has_chunk = False
        self._ends_with_connection = False
        #: Whether the connection ended without the announcement that TLS requires.
        self._is_torn = False
        self._is_whole = False
        self._may_go_on = False

    @property
    def may_be_followed(self) -> bool:
        """Whether another answer may come on the same connection: this one is complete, there was
        only one way to read where it ends, and nothing came after it."""
        return self._is_whole and self._may_go_on and not self._buffer

    @property
    def may_be_cut(self) -> bool:
        """Whether the body ended with the connection, and so anybody on the way may have cut it
        (RFC 9112, section 9.8). Known once `read` has found nothing more."""
        return self._ends_with_connection and self._is_torn

    @property
    def has_begun(self) -> bool:
        """Whether any part of the answer has arrived."""
        return self.status != 0 or len(self._buffer) > 0 or self._announced_bytes > 0

    def comes_early(self) -> bool:
        """Whether what arrives while we are still sending is the answer, and not an announcement
        (RFC 9110, section 15.2). Raises NotHttp if it can become neither."""
        self._fill()
        while self._find_end() >= 0 and self._announces():
            self._take_head()
        return len(self._buffer) > _BEFORE_STATUS and not self._announces()

    def read_head(self) -> None:
        """Read the status and the headers that count, skipping announcements."""
        self._take_head()
        while 100 <= self.status < 200:
            self._take_head()
        self._find_length()

    def read(self, most: int) -> bytes:
        """Return more of the body; nothing at its end. Raises EOFError if it breaks off."""
        if self._is_chunked and not self._left and not self._is_whole:
            self._begin_chunk()
        if self._is_whole or not (self._buffer or self._fill()):
            return self._end()
        piece = bytes(self._buffer[: min(most, self._left)])
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        self._is_whole = not self._left and not self._is_chunked
        return piece

    # --- the head ------------------------------------------------------------------------------

    def _take_head(self) -> None:
        self.fields.clear()
        status_line, _, lines = self._next_head().partition(b"\r\n")
        found = _STATUS_LINE.fullmatch(status_line)
        if found is None or lines[:1] in {b" ", b"\t"} or found["status"] == _SWITCHING:
            raise NotHttp
        self.status = int(found["status"])
        self._may_go_on = found["minor"] == b"1"
        for line in _FOLD.sub(b" ", lines).split(b"\r\n"):
            self._note(line)

    def _note(self, line: bytes) -> None:
        """Note a header line. Names with invalid characters are refused, because other parsers may
        skip such characters or end the name there."""
        written, colon, value = line.partition(b":")
        name = written.translate(None, _IN_NO_NAME).lower()
        if name not in _READ:
            return
        if len(name) != len(written) or not colon:
            raise NotHttp
        self.fields[name.decode()].append(value.strip(b" \t").decode("latin-1"))

    def _next_head(self) -> bytes:
        while (end := self._find_end()) < 0:
            if not self._fill():
                raise ConnectionAbortedError
        head = self._cut_head(end)
        if not head.count(b"\r\n") == head.count(b"\r") == head.count(b"\n"):
            raise NotHttp
        return head

    def _find_end(self) -> int:
        """Return where the arriving head ends, or -1 if its end has not arrived."""
        end = self._buffer.find(b"\r\n\r\n", self._searched)
        if end < 0 and self._buffer:
            self._check_beginning()
            self._searched = max(0, len(self._buffer) - 3)
        return end

    def _announces(self) -> bool:
        return self._buffer[_BEFORE_STATUS : _BEFORE_STATUS + 1] == b"1"

    def _check_beginning(self) -> None:
        """Refuse what cannot become a head: waiting for its end might never finish."""
        beginning = bytes(self._buffer[:_BEGINNING_BYTES])
        if not _PROTOCOL.startswith(beginning[: len(_PROTOCOL)]):
            raise NotHttp
        if len(beginning) == _BEGINNING_BYTES and not _BEGINNING.match(beginning):
            raise NotHttp
        if _BARE_LINE_BREAK.search(self._buffer, max(0, self._searched - 1)):
            raise NotHttp
        if self._announced_bytes + len(self._buffer) > MAX_HEAD_BYTES:
            raise TooMuch

    def _cut_head(self, end: int) -> bytes:
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        self._searched = 0
        self._announced_bytes += end + 4
        if self._announced_bytes > MAX_HEAD_BYTES:
            raise TooMuch
        return head

    # --- the body ------------------------------------------------------------------------------

    def _find_length(self) -> None:
        """Find out how the body ends (RFC 9112, section 6.3, without what it tolerates). A coding
        that we did not ask for is refused. If the length is declared in two ways, or is declared
        although there is no body, the connection is not kept."""
        codings = {*_listed(self.fields["transfer-encoding"])}
        lengths = {*_listed(self.fields["content-length"])}
        self._may_go_on &= "close" not in _listed(self.fields["connection"])
        self._may_go_on &= len(codings) + len(lengths) == 1 or self.status in _WITHOUT_BODY
        if self.status in _WITHOUT_BODY:
            self._may_go_on &= not codings and lengths <= {"0"}
            self._is_whole = True
        elif codings - {"identity"}:
            self._is_chunked = _is_chunked(self.fields["transfer-encoding"])
        elif lengths:
            self.length = self._left = _length(lengths)
            self._is_whole = not self._left
        else:
            self._left = _ENDLESS
            self._ends_with_connection, self._may_go_on = True, False

    def _begin_chunk(self) -> None:
        if self._has_chunk and self._line():
            raise NotHttp
        found = _CHUNK.fullmatch(self._line())
        if found is None:
            raise NotHttp
        self._has_chunk = True
        self._left = int(found["size"], 16)
        if not self._left:
            self._pass_over_trailers()
            self._is_whole = True

    def _pass_over_trailers(self) -> None:
        """Skip the trailers. The body is complete even if their end never comes."""
        with suppress(EOFError):
            while self._line():
                pass

    def _line(self) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_HEAD_BYTES:
                raise TooMuch
            if not self._fill():
                raise EOFError
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if line.find(b"\r") != len(line) - 2:
            raise NotHttp
        return line[:-2]

    def _end(self) -> bytes:
        if not (self._is_whole or self._ends_with_connection):
            raise EOFError
        self._is_whole = True
        return b""

    def _fill(self) -> bool:
        """Receive more, and return whether anything came. After an end, announced or not, nothing
        does."""
        received = b""
        try:
            received = self._receive()
        except EOFError:
            self._is_torn = True
        self._buffer += received
        return len(received) > 0


def _listed(values: list[str]) -> list[str]:
    """Split a header into its items. Only spaces and tabs may surround an item (RFC 9110, section
    5.6.1)."""
    return [item.strip(" \t").lower() for value in values for item in value.split(",")]


def _is_chunked(values: list[str]) -> bool:
    if [coding for coding in _listed(values) if coding != "identity"] != ["chunked"]:
        raise NotHttp
    return True


def _length(lengths: set[str]) -> int:
    """Return the declared length. If two differ, one of them is wrong."""
    [*digits] = filter(_LENGTH.fullmatch, lengths)
    if len(lengths) > 1 or not digits:
        raise NotHttp
    return int(digits[0])
