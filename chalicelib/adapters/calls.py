"""What one call may take: one deadline for everything, and one limit on all that comes.

Whatever waits for the other side does it here, and whatever arrives is counted here as the network
gave it, TLS's own messages included. No wait and no read goes round it, so a server can spend
neither more time nor more memory, whatever it sends.

This module does not know what is sent, to whom, or what an answer means.
"""

import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread

from chalicelib.domain.networks import Address

#: The longest head of an answer, announcements included; curl's limit is like it.
MAX_HEAD_BYTES = 300_000
#: What may come until the head is complete: as much again for what TLS adds.
MAX_RECEIVED_BEFORE_BODY_BYTES = 2 * MAX_HEAD_BYTES
#: What may come in all: the longest body that is kept, in chunks of a few bytes.
MAX_RECEIVED_BYTES = 4_000_000
#: What is read or sent in one step. The time is checked before each.
STEP_BYTES = 16 * 1024


class AddressRefused(Exception):
    """A name leads to an address that is not called. It doesn't say which or of what kind: callers
    would learn what only our resolver knows."""

    reason = "the callback's address may not be called"


class NotInTheClear(AddressRefused):
    """What is to be sent there must not be read on the way."""

    reason = "callbackHeaders are sent over https only, or to a network that this stage allows"


class TooMuch(OSError):
    """More came than belongs to any answer, and the answer was not complete."""


class Stopwatch:
    """The time as it passes here. Tests have one of their own."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def wait(self, connection: socket.socket, events: int, seconds: float) -> int:
        """Those of the events that `select.poll` knows that happened first; 0 if none did."""
        poll = select.poll()
        poll.register(connection, events)
        found = poll.poll(seconds * 1000)
        return found[0][1] if found else 0


STOPWATCH = Stopwatch()


@dataclass(slots=True, kw_only=True)
class Call:
    """A request on its way: where its connection may go, and what it may take."""

    #: The other side, in a sentence.
    whom: str
    #: Whose call it is: only this account's connections are used.
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
        """More than 0; TimeoutError if the call's time is over."""
        left = self.ends_at - self.stopwatch.now()
        if left <= 0:
            raise TimeoutError
        return left

    def wait(self, connection: socket.socket, events: int, *, at_most: float = float("inf")) -> int:
        """What the connection is ready for; TimeoutError if nothing happens in time."""
        found = self.stopwatch.wait(connection, events, min(self.seconds_left(), at_most))
        if not found:
            raise TimeoutError
        return found

    def receive(self, connection: socket.socket) -> bytes:
        """What has come, one step of it at most; nothing at the end."""
        received = connection.recv(STEP_BYTES)
        self.received_bytes += len(received)
        if self.received_bytes > self._most_bytes:
            raise TooMuch
        return received

    @property
    def _most_bytes(self) -> int:
        return MAX_RECEIVED_BYTES if self.has_head else MAX_RECEIVED_BEFORE_BODY_BYTES

    def addresses(self) -> Sequence[Address]:
        """Where the connection may go. A slow name server cannot be interrupted, so a thread asks
        it that is left behind when the time is over."""
        answers: SimpleQueue[Sequence[Address] | Exception] = SimpleQueue()
        try:
            Thread(target=self._look_up, args=[answers], daemon=True).start()
        except RuntimeError:
            raise OSError(0, "there is no thread left to look its name up") from None
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
