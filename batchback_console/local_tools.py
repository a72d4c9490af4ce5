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
        """The demonstration's key and secret, as `curl -u` takes them."""

    def received(self) -> Sequence[Mapping[str, Any]]:
        """The callbacks that the demonstration receiver got, oldest first."""
