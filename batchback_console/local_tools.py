"""What the console needs from the service on this machine. `batchback_local` implements it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from chalicelib.operations.ports import BatchStore


class NotPossible(Exception):
    """What was asked for cannot be done. The text says why, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A way in which a demonstration server can fail."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NextDue:
    """What happens next to an open batch, and when, by the service's clock."""

    at: datetime
    #: A sentence.
    what: str


class Demonstration(Protocol):
    """A demonstration server, which fails when it is told to."""

    @property
    def faults(self) -> Sequence[Fault]:
        """The ways in which it can be told to fail."""

    @property
    def fault(self) -> Fault | None:
        """How it fails now, or None. It need not be one of `faults`: anybody can set others."""

    def fail(self, name: str | None) -> None:
        """Have it fail in one of these ways from now on, or not at all. NotPossible if it does not
        know the name."""


class LocalTools(Protocol):
    """The running local service."""

    @property
    def service_address(self) -> str:
        """Where the HTTP API is, without /api/1.0."""

    @property
    def key(self) -> str:
        """The key that may call."""

    @property
    def secret(self) -> str:
        """Its secret."""

    @property
    def is_demonstration(self) -> bool:
        """Whether these are the demonstration's, which everybody knows. Others may open more than
        this service, so they are not shown."""

    @property
    def platform_address(self) -> str: ...

    @property
    def platform(self) -> Demonstration | None:
        """None: the platform is the user's own."""

    @property
    def receiver_address(self) -> str: ...

    @property
    def receiver(self) -> Demonstration: ...

    def received(self) -> Sequence[Mapping[str, Any]]:
        """The callbacks that the demonstration receiver got, oldest first."""

    @property
    def example(self) -> str:
        """The text of a batch that works, some of whose jobs fail."""

    def send(self, text: str) -> str:
        """Send the text to the API, as a caller does, and return the batch's id. NotPossible if the
        API refuses it, with the API's own message."""

    @property
    def ahead(self) -> timedelta:
        """How far the service's clock is ahead of the machine's."""

    @property
    def why_fixed(self) -> str | None:
        """Why the clock cannot be moved; None if it can."""

    def next_due(self, store: BatchStore) -> NextDue | None:
        """What happens next to the open batches, or None if none waits for anything."""

    def move_clock(self, span: timedelta) -> None:
        """Move the service's clock ahead."""
