"""The limits of one call: one deadline for everything, and one limit on the bytes received.

Every wait for the other side happens here, and every byte from the network is counted here,
including TLS's own messages. No wait and no read bypasses this module, so no server can take more
time or memory, whatever it sends.

This module does not know what is sent, to whom, or what an answer means.
"""

import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from queue import Empty, SimpleQueue
from threading import Thread

from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.networks import Address

#: The longest head of an answer, including announcements; curl's limit is similar.
MAX_HEAD_BYTES = 300_000
#: The limit until the head is complete: twice the head, to allow for what TLS adds.
MAX_RECEIVED_BEFORE_BODY_BYTES = 2 * MAX_HEAD_BYTES
#: The limit in total: enough for the longest body that is kept, in chunks of a few bytes.
MAX_RECEIVED_BYTES = 4_000_000
#: How much is read or sent in one step. The time is checked before each.
STEP_BYTES = 16 * 1024


class AddressRefused(Exception):
    """A name leads to an address that may not be called. The reason does not say which address or
    what kind, because callers would learn what only our resolver knows."""

    reason = "the callback's address may not be called"


class NotInTheClear(AddressRefused):
    """A secret would be sent in the clear, so that anyone on the way could read it."""

    reason = "callbackHeaders are sent over https only, or to a network that this stage allows"


class TooMuch(OSError):
    """More was received than belongs to any answer, and the answer was not complete."""


class Stopwatch:
    """The time on this machine. Tests replace it."""

    def now(self) -> float:
        """Return the seconds since an arbitrary moment."""
        return time.monotonic()

    def wait(self, connection: socket.socket, events: int, seconds: float) -> int:
        """Return the first of the events that happened, as `select.poll` encodes them; 0 if none
        did."""
        poll = select.poll()
        poll.register(connection, events)
        found = poll.poll(seconds * 1000)
        return found[0][1] if found else 0


STOPWATCH = Stopwatch()


@dataclass(slots=True, kw_only=True)
class Call:
    """A request on its way: where it may connect to, and its limits."""

    #: The other side, as messages call it.
    whom: str
    #: The account that makes the call: only its own connections are used.
    account: str = ""
    seconds: float
    find_addresses: Callable[[], Sequence[Address]]
    stopwatch: Stopwatch = STOPWATCH
    ends_at: float = field(init=False)
    received_bytes: int = 0
    #: Whether the answer's head is complete.
    has_head: bool = False

    def __post_init__(self) -> None:
        self.ends_at = self.stopwatch.now() + self.seconds

    def seconds_left(self) -> float:
        """Return more than 0, or raise TimeoutError if the call's time is over."""
        left = self.ends_at - self.stopwatch.now()
        if left <= 0:
            raise TimeoutError
        return left

    def wait(self, connection: socket.socket, events: int, *, at_most: float = float("inf")) -> int:
        """Return what the connection is ready for. Raises TimeoutError if nothing happens in
        time."""
        found = self.stopwatch.wait(connection, events, min(self.seconds_left(), at_most))
        if not found:
            raise TimeoutError
        return found

    def receive(self, connection: socket.socket) -> bytes:
        """Return what has arrived, at most one step of it; nothing at the end."""
        received = connection.recv(STEP_BYTES)
        self.received_bytes += len(received)
        if self.received_bytes > self._most_bytes:
            raise TooMuch
        return received

    @property
    def _most_bytes(self) -> int:
        return MAX_RECEIVED_BYTES if self.has_head else MAX_RECEIVED_BEFORE_BODY_BYTES

    def addresses(self) -> Sequence[Address]:
        """Return where the call may connect to. A slow name server cannot be interrupted, so a
        thread asks it; the thread is left behind when the time is over."""
        answers: SimpleQueue[Sequence[Address] | Exception] = SimpleQueue()
        try:
            Thread(target=self._look_up, args=[answers], daemon=True).start()
        except RuntimeError:
            raise OSError(0, "no thread could be started to look up its name") from None
        try:
            answer = answers.get(timeout=self.seconds_left())
        except Empty:
            raise TimeoutError from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _look_up(self, answers: "SimpleQueue[Sequence[Address] | Exception]") -> None:
        try:
            answers.put(self.find_addresses())
        except (OSError, ValueError, AddressRefused) as error:
            answers.put(error)
