"""A receiver of callbacks on this machine: what it accepts, answers and saves.

Anybody may connect. Each request has a time limit and a size limit, and only a few are served
concurrently. An unsigned request leaves nothing behind but one line of output.
"""

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from socketserver import TCPServer
from typing import Any

from batchback.errors import CannotGoOn
from batchback.saved_callback import SavedCallback, file_name
from batchback.server_thread import ServerThread
from batchback.verification import HeaderUnusable, NotGenuine, id_of, verify_callback

#: How often the waiting threads check whether to stop.
_POLL_SECONDS = 0.05
_LENGTH = re.compile("[0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of this machine a stranger can use."""

    #: The largest body accepted. The service sends at most 50 MB.
    most_bytes: int = 55_000_000
    #: How many requests are served concurrently. Another one waits, and is then turned away: the
    #: service retries it.
    at_once: int = 8
    seconds_for_room: float = 0.2
    seconds_for_head: float = 5.0
    seconds_for_body: float = 60.0


LIMITS = Limits()


class Kind(Enum):
    #: Genuine and not seen before.
    NEW = auto()
    #: Genuine, but its webhook-id was seen before.
    AGAIN = auto()
    #: Not genuine, or not a callback at all.
    REFUSED = auto()
    #: Genuine, but it could not be saved.
    LOST = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request and its outcome."""

    kind: Kind
    status: HTTPStatus
    #: What is wrong, in one sentence.
    reason: str = ""
    webhook_id: str = ""
    body: bytes = field(default=b"", repr=False)
    file: Path | None = None


@dataclass(slots=True, kw_only=True)
class Inbox:
    """Verifies callbacks and keeps each of them once. It is thread-safe."""

    secrets: Sequence[str]
    now: Callable[[], datetime]
    #: Where to save callbacks. Those that it already holds count as seen.
    folder: Path | None = None
    _seen: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, callback: SavedCallback) -> Arrival:
        try:
            verify_callback(callback, callback.body, self.secrets, now=self.now())
        except HeaderUnusable as reason:
            return refusal(HTTPStatus.BAD_REQUEST, str(reason))
        except NotGenuine as reason:
            return refusal(HTTPStatus.UNAUTHORIZED, str(reason))
        with self._lock:
            return self._keep(id_of(callback), callback)

    def _keep(self, webhook_id: str, callback: SavedCallback) -> Arrival:
        file = self.folder / file_name(webhook_id) if self.folder else None
        found = Arrival(kind=Kind.NEW, status=HTTPStatus.OK, webhook_id=webhook_id, file=file)
        if webhook_id in self._seen or (file and file.exists()):
            return replace(found, kind=Kind.AGAIN)
        try:
            if file:
                _save(file, callback.content)
        except OSError as fault:
            reason = f"{file} cannot be written ({fault.strerror or fault})"
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            return replace(found, kind=Kind.LOST, status=status, reason=reason)
        self._seen.add(webhook_id)
        return replace(found, body=callback.body)


def refusal(status: HTTPStatus, reason: str) -> Arrival:
    return Arrival(kind=Kind.REFUSED, status=status, reason=reason)


def _save(file: Path, content: bytes) -> None:
    """Write the whole file or none. Only its owner can read it: headers may hold a password."""
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    part.replace(file)


@dataclass(slots=True)
class Listener:
    """A receiver that runs in its own threads."""

    #: Where to send callbacks.
    url: str
    _arrivals: "Queue[Arrival]"

    def arrivals(self) -> Iterator[Arrival]:
        """Yield each request once it has been answered. This never ends."""
        while True:
            with suppress(Empty):
                yield self._arrivals.get(timeout=_POLL_SECONDS)


@contextmanager
def listening(inbox: Inbox, host: str, port: int, limits: Limits = LIMITS) -> Iterator[Listener]:
    """Listen until the block ends; CannotGoOn if the address is not available."""
    arrivals: Queue[Arrival] = Queue(limits.at_once)
    try:
        server = _Server((host, port), inbox, arrivals, limits)
    except (OSError, OverflowError, UnicodeError) as fault:
        raise CannotGoOn(_why_not(host, port, fault)) from fault
    with ServerThread(server, name="listener"):
        yield Listener(server.url, arrivals)


def _why_not(host: str, port: int, fault: Exception) -> str:
    why = getattr(fault, "strerror", None) or fault
    return (
        f"cannot listen on {host} port {port} ({why}): stop what uses it, or choose another --port"
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], inbox: Inbox, arrivals: "Queue[Arrival]", limits: Limits
    ) -> None:
        self.inbox = inbox
        self.arrivals = arrivals
        self.limits = limits
        self._room = threading.BoundedSemaphore(limits.at_once)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without looking up the host name, which can be slow if there is no network."""
        TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        host, port = str(self.server_address[0]), self.server_address[1]
        if host in {"0.0.0.0", "::"}:  # noqa: S104 -- only if the user asks for it
            host = socket.gethostname()
        return (
            f"http://[{host}]:{port}/callback" if ":" in host else f"http://{host}:{port}/callback"
        )

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(timeout=self.limits.seconds_for_room):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print a traceback only for our own faults: a client may disconnect at any time."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request, then ends the connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    #: For a request that names no version. With HTTP/0.9 the answer would have no status.
    default_request_version = "HTTP/1.0"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.close_connection = True
        self._limit = self._start_limit(self.server.limits.seconds_for_head)

    def finish(self) -> None:
        self._limit.cancel()
        super().finish()

    def handle(self) -> None:
        self.handle_one_request()

    def do_POST(self) -> None:
        self._answer(self._receive())

    def _receive(self) -> Arrival:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not _LENGTH.fullmatch(length):
            reason = "the request has no valid Content-Length, which every callback has"
            return refusal(HTTPStatus.LENGTH_REQUIRED, reason)
        if int(length) > self.server.limits.most_bytes:
            reason = f"the body is {length} bytes, larger than any callback"
            return refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
        body = self._body(int(length))
        if len(body) < int(length):
            reason = f"only {len(body)} of the {length} bytes of the body arrived"
            return refusal(HTTPStatus.BAD_REQUEST, reason)
        callback = SavedCallback(headers=(*self.headers.items(),), body=body)
        return self.server.inbox.receive(callback)

    def _body(self, length: int) -> bytes:
        self._limit.cancel()
        self._limit = self._start_limit(self.server.limits.seconds_for_body)
        return self.rfile.read(length)

    def send_error(
        self,
        code: int,
        message: str | None = None,
        explain: str | None = None,  # noqa: ARG002 -- the standard library's signature
    ) -> None:
        """Refuse a request that is not a POST or not HTTP."""
        self._answer(refusal(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def _answer(self, arrival: Arrival) -> None:
        """Answer, and report the arrival even if the sender has gone."""
        with suppress(OSError):
            text = f"{arrival.reason}\n".encode() if arrival.reason else b""
            self.send_response(arrival.status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(text)
        self.server.arrivals.put(arrival)

    def _start_limit(self, seconds: float) -> threading.Timer:
        """End the connection after this time, even in the middle of a request."""
        limit = threading.Timer(seconds, self._cut)
        limit.daemon = True
        limit.start()
        return limit

    def _cut(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Log nothing here: the command reports each arrival."""
