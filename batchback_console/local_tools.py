"""What the console needs from the service on this machine. `batchback_local` implements it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class LocalTools(Protocol):
    """The running local service."""

    @property
    def service_address(self) -> str:
        """Where the HTTP API is, without /api/1.0."""

    @property
    def credentials(self) -> str:
        """A key and its secret, as `curl -u` takes them."""

    @property
    def is_demonstration(self) -> bool:
        """Whether these are the demonstration's, which everybody knows. Others may open more than
        this service, so they are not shown."""

    def received(self) -> Sequence[Mapping[str, Any]]:
        """The callbacks that the demonstration receiver got, oldest first."""
